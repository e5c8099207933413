"""Bytes of weights, tensor by tensor: from a config alone, from file headers, from a folder.

Knows: every tensor of the model and its size under each quantization, what a safetensors header says.
Does not know: MLX, downloads, how many bytes a computation needs.

From a config the sizes are those that mlx-vlm's converter writes: every matrix of the language model but the
router is quantized, the vision tower never is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .apart import expert_bytes
from .glm.checkpoint import read_entries, weight_files
from .glm.config import Config, TextConfig, VisionConfig, parse_config, read_config
from .glm.rules import MediaRules
from .sizes import Shape, Weights

Header = Mapping[str, Any]  # of a safetensors file: name -> {"dtype", "shape", "data_offsets"}

SIZES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
FLOATS = {"F32", "F16", "BF16"}  # converted at load; float8 scales lie as U8
KEPT = "e_score_correction_bias"  # never converted: the choice of experts hangs on its last digits
DROPPED = ("position_ids", "inv_freq")
VISION = ("vision_tower.", "model.visual.", "visual.")


@dataclass(frozen=True)
class Recipe:
    """A quantization. bits 16: none. mode: affine, or a float format with one byte of scale per group."""

    name: str
    bits: int
    group: int = 64
    mode: str = "affine"

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Recipe:
        """From the object in a config; bits and group follow from the mode where they are not told."""
        mode = str(raw.get("mode", "affine"))
        usual = MODES.get(mode, cls("4-bit", 4))
        bits, group = int(raw.get("bits", usual.bits)), int(raw.get("group_size", usual.group))
        name = mode if mode != "affine" else f"{bits}-bit" + ("" if group == 64 else f" g{group}")
        return cls(name, bits, group, mode)

    def matrix(self, rows: int, columns: int, item: int) -> int:
        """Bytes of a (rows, columns) matrix; plain where no group divides the columns. item: of a float."""
        if self.bits == 16 or columns % self.group:
            return rows * columns * item
        per_group = 2 * item if self.mode == "affine" else 1
        return rows * columns * self.bits // 8 + rows * (columns // self.group) * per_group


PLAIN = Recipe("bf16", 16)
MODES = {
    "mxfp4": Recipe("mxfp4", 4, 32, "mxfp4"),
    "nvfp4": Recipe("nvfp4", 4, 16, "nvfp4"),
    "mxfp8": Recipe("mxfp8", 8, 32, "mxfp8"),
}
RECIPES = (
    PLAIN,
    *(Recipe(f"{bits}-bit", bits) for bits in (8, 6, 5, 4, 3)),
    *(Recipe(f"{bits}-bit g32", bits, 32) for bits in (8, 6, 5, 4, 3)),
    *MODES.values(),
)
# What can be downloaded, the largest first.
LADDER = RECIPES[1:6]


def shape_of(config: Config, item: int = 2) -> Shape:
    """item: bytes of a number the layers compute in: 2 on a GPU, 4 on a processor."""
    t, v = config.text, config.vision
    return Shape(
        layers=t.num_hidden_layers,
        hidden=t.hidden_size,
        heads=t.num_attention_heads,
        kv_heads=t.num_key_value_heads,
        head_dim=t.head_dim,
        dense_layers=t.first_k_dense_replace,
        dense=t.intermediate_size,
        experts=t.n_routed_experts,
        top_k=t.num_experts_per_tok,
        expert=t.moe_intermediate_size,
        shared=t.n_shared_experts,
        vocab=t.vocab_size,
        max_context=t.max_position_embeddings,
        bias=t.attention_bias,
        depth=v.depth,
        vision_hidden=v.hidden_size,
        vision_heads=v.num_heads,
        vision_out=v.out_hidden_size,
        merger=v.intermediate_size,
        table=(v.image_size // v.patch_size) ** 2,
        row=v.in_channels * v.temporal_patch_size * v.patch_size**2,
        merge=v.spatial_merge_size,
        item=item,
    )


# --- from a config alone ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tensor:
    """A layer's weight by its published path, without ".weight": count x (rows, columns).

    kind: text, experts, embedding or vision. plain: never quantized.
    """

    path: str
    rows: int
    columns: int = 1
    count: int = 1
    kind: str = "text"
    plain: bool = False


def tensors_of(config: Config) -> Iterator[Tensor]:
    """Every tensor of the model."""
    yield from _language(config.text)
    yield from _vision(config.vision)


def weigh_config(config: Config, recipe: Recipe | None = None, item: int = 2) -> Weights:
    """What the config's own checkpoint takes, or one made from it with another recipe.

    recipe: None takes the config's, layer by layer where it says so. item: bytes of a float: 2 as published,
    4 where all floats are converted at load.
    """
    own = dict(config.quantization) if recipe is None else {}
    chosen = recipe or (Recipe.of(own) if "bits" in own or "mode" in own else PLAIN)
    sums = dict.fromkeys(("text", "experts", "embedding", "vision"), 0)
    for tensor in tensors_of(config):
        used = PLAIN if tensor.plain else _recipe_for(tensor.path, own, chosen)
        width = 2 if tensor.path.endswith(KEPT) else item
        sums[tensor.kind] += tensor.count * used.matrix(tensor.rows, tensor.columns, width)
    mixed = any(isinstance(value, Mapping | bool) for value in own.values())
    return _weights(sums, config.text, replace(chosen, name="mixed") if mixed else chosen)


def _recipe_for(path: str, own: Mapping[str, Any], default: Recipe) -> Recipe:
    said = own.get(path)
    if said is False:
        return PLAIN
    return Recipe.of(said) if isinstance(said, Mapping) else default


def _weights(sums: Mapping[str, int], text: TextConfig, recipe: Recipe, stacked: bool = True) -> Weights:
    whole = sums["text"] + sums["experts"] + sums["embedding"]
    active = sums["text"] + sums["experts"] * text.num_experts_per_tok // text.n_routed_experts
    return Weights(whole, sums["vision"], sums["experts"], active, recipe.name, recipe.bits, stacked=stacked)


def _language(t: TextConfig) -> Iterator[Tensor]:
    top = "language_model.model."
    yield Tensor(f"{top}embed_tokens", t.vocab_size, t.hidden_size, kind="embedding")
    yield Tensor("language_model.lm_head", t.vocab_size, t.hidden_size)
    yield Tensor(f"{top}norm", t.hidden_size, plain=True)
    for index in range(t.num_hidden_layers):
        layer = f"{top}layers.{index}."
        yield from _attention(t, f"{layer}self_attn.")
        yield Tensor(f"{layer}norms", 2 * t.hidden_size, plain=True)
        if index < t.first_k_dense_replace:
            yield from _mlp(f"{layer}mlp.", t.hidden_size, t.intermediate_size)
        else:
            yield from _experts(t, f"{layer}mlp.")


def _attention(t: TextConfig, path: str) -> Iterator[Tensor]:
    wide, narrow = t.num_attention_heads * t.head_dim, t.num_key_value_heads * t.head_dim
    for name, rows in (("q_proj", wide), ("k_proj", narrow), ("v_proj", narrow)):
        yield Tensor(path + name, rows, t.hidden_size)
        if t.attention_bias:
            yield Tensor(f"{path}{name}.bias", rows, plain=True)
    yield Tensor(f"{path}o_proj", t.hidden_size, wide)


def _experts(t: TextConfig, path: str) -> Iterator[Tensor]:
    yield Tensor(f"{path}gate", t.n_routed_experts, t.hidden_size, plain=True)
    yield Tensor(f"{path}gate.{KEPT}", t.n_routed_experts, plain=True)
    inner = t.moe_intermediate_size
    for tensor in _mlp(f"{path}switch_mlp.", t.hidden_size, inner):
        yield replace(tensor, count=t.n_routed_experts, kind="experts")
    yield from _mlp(f"{path}shared_experts.", t.hidden_size, inner * t.n_shared_experts)


def _mlp(path: str, hidden: int, inner: int, kind: str = "text", plain: bool = False) -> Iterator[Tensor]:
    yield Tensor(f"{path}gate_proj", inner, hidden, kind=kind, plain=plain)
    yield Tensor(f"{path}up_proj", inner, hidden, kind=kind, plain=plain)
    yield Tensor(f"{path}down_proj", hidden, inner, kind=kind, plain=plain)


def _vision(v: VisionConfig) -> Iterator[Tensor]:
    d, out = v.hidden_size, v.out_hidden_size
    row = v.in_channels * v.temporal_patch_size * v.patch_size**2

    def plain(name: str, rows: int, columns: int = 1) -> Tensor:
        return Tensor(f"vision_tower.{name}", rows, columns, kind="vision", plain=True)

    yield plain("embeddings.position_embedding", (v.image_size // v.patch_size) ** 2, d)
    yield plain("patch_embed.proj", d, row + 1)  # with its bias
    yield plain("norms", 2 * d)
    yield plain("downsample", out, v.spatial_merge_size**2 * d + 1)  # with its bias
    yield plain("merger.proj", out, out)
    yield plain("merger.post_projection_norm", 2 * out)
    yield from _mlp("vision_tower.merger.", out, v.intermediate_size, "vision", True)
    for block in range(v.depth):
        yield plain(f"blocks.{block}.norms", 2 * d)
        yield plain(f"blocks.{block}.attn", 4 * d, d)
        yield from _mlp(f"vision_tower.blocks.{block}.mlp.", d, out, "vision", True)


# --- from headers ----------------------------------------------------------------------------------------


def weigh_headers(headers: Iterable[Header], config: Config, item: int | None = None) -> Weights:
    """What the tensors of these safetensors headers take once they are loaded.

    item: bytes that every float is converted to at load; None: none is. A layer beyond the model's (MTP) and
    constant buffers are not loaded and not counted.
    """
    sums = dict.fromkeys(("text", "experts", "embedding", "vision"), 0)
    stacked = True
    for header in headers:
        for name, entry in header.items():
            if name == "__metadata__" or name.endswith(DROPPED) or _beyond(name, config.text):
                continue
            sums[_kind(name)] += _loaded_bytes(name, entry, item)
            stacked = stacked and ".mlp.experts." not in name
    return _weights(sums, config.text, _named(config), stacked)


def weigh_folder(folder: Path, item: int | None = None) -> Weights:
    """From the headers of a local checkpoint; experts that lie one by one, from the sizes of their files.

    Raises ModelMissing or ModelBroken, naming the file.
    """
    config = read_config(folder)
    found = weigh_headers(map(read_entries, weight_files(folder)), config, item)
    if not (apart := expert_bytes(folder)):
        return found
    active = apart * config.text.num_experts_per_tok // config.text.n_routed_experts
    return replace(found, text=found.text + apart, experts=apart, active=found.active + active)


def shape_of_folder(folder: Path, item: int = 2) -> Shape:
    """Raises ModelMissing or ModelBroken, naming the file."""
    return shape_of(read_config(folder), item)


def largest_picture(folder: Path) -> int:
    """Patches of the largest picture a checkpoint's own rules let through."""
    rules = MediaRules.for_images(folder)
    return rules.max_pixels // (rules.temporal * rules.patch**2)


def shape_of_config(raw: Mapping[str, Any], name: str = "config.json", item: int = 2) -> Shape:
    """From the object of a config.json. name: what errors call it."""
    return shape_of(parse_config(raw, name), item)


def _loaded_bytes(name: str, entry: Mapping[str, Any], item: int | None) -> int:
    begin, end = entry["data_offsets"]
    if item is None or entry["dtype"] not in FLOATS or name.endswith(KEPT):
        return int(end) - int(begin)
    return int(math.prod(entry["shape"])) * item


def _kind(name: str) -> str:
    if name.startswith(VISION):
        return "vision"
    if ".mlp.experts." in name or ".switch_mlp." in name:
        return "experts"
    return "embedding" if ".embed_tokens." in name else "text"


def _beyond(name: str, text: TextConfig) -> bool:
    found = re.search(r"(?<!vision_tower)\.layers\.(\d+)\.", name)
    return found is not None and int(found[1]) >= text.num_hidden_layers


def _named(config: Config) -> Recipe:
    own = config.quantization
    if "bits" not in own and "mode" not in own:
        return PLAIN
    recipe = Recipe.of(own)
    mixed = any(isinstance(value, Mapping | bool) for value in own.values())
    return replace(recipe, name="mixed") if mixed else recipe
