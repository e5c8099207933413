"""What a checkpoint's config.json says, in one form.

Knows: the three ways writers spell the same model (the original checkpoint, transformers 5, mlx-community).
Does not know: weights, MLX. Token ids are not read here: the tokenizer has them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mlx_backend.errors import ModelBroken, ModelMissing

ARCHITECTURE = "glm4v_moe"
MAY_BE_NONE = ("n_shared_experts", "first_k_dense_replace")
MOST, MOST_LAYERS = 1 << 24, 1 << 10  # of anything a config counts; a million layers are planned for minutes
LAYERS = ("num_hidden_layers", "depth")


@dataclass(frozen=True)
class TextConfig:
    """The language model's shape. Field names are the checkpoint's own: the borrowed layers read them."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    moe_intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    attention_bias: bool
    n_routed_experts: int
    num_experts_per_tok: int
    n_shared_experts: int
    first_k_dense_replace: int
    norm_topk_prob: bool
    routed_scaling_factor: float
    n_group: int
    topk_group: int
    rms_norm_eps: float
    max_position_embeddings: int
    rope_theta: float
    rotary_dims: int  # of head_dim, those that rotate
    mrope_section: tuple[int, ...]  # frequencies that follow time, height, width; sums to rotary_dims / 2


@dataclass(frozen=True)
class VisionConfig:
    """The vision tower's shape.

    `intermediate_size` is the merger's; the blocks' MLP is `out_hidden_size` wide.
    """

    depth: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    out_hidden_size: int
    rms_norm_eps: float = 1e-5
    image_size: int = 336
    patch_size: int = 14
    spatial_merge_size: int = 2
    temporal_patch_size: int = 2
    in_channels: int = 3


@dataclass(frozen=True)
class Config:
    """A whole checkpoint. quantization: mlx's own form, {} where the weights are plain."""

    text: TextConfig
    vision: VisionConfig
    quantization: Mapping[str, Any] = field(default_factory=dict)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint.

    Raises ModelMissing when the file is absent, ModelBroken when it holds no JSON object.
    """
    if not path.is_file():
        raise ModelMissing(str(path.parent), [path.name] if path.parent.is_dir() else [])
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ModelBroken(str(path), f"cannot be read ({error}).") from error
    if not isinstance(value, dict):
        raise ModelBroken(str(path), "holds no JSON object.")
    return value


def read_config(folder: Path) -> Config:
    """Read `folder`/config.json in any of its three forms.

    Raises ModelMissing or ModelBroken naming the file and the field.
    """
    path = folder / "config.json"
    return parse_config(read_json(path), str(path))


def parse_config(raw: Mapping[str, Any], path: str) -> Config:
    """The object of a config.json in any of its three forms. path: what errors call it.

    Raises ModelBroken naming the field.
    """
    if raw.get("model_type") != ARCHITECTURE:
        raise ModelBroken(
            path,
            f"is a {raw.get('model_type')!r} model; this app runs GLM-4.5V ({ARCHITECTURE!r}) only.",
        )
    try:
        text, vision = _text(raw["text_config"]), _vision(raw["vision_config"])
        _sensible(text)
        _sensible(vision)
        return Config(text, vision, _quantization(raw))
    except KeyError as error:
        raise ModelBroken(path, f"has no field {error.args[0]!r}.") from error
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ModelBroken(path, f"holds a value that makes no sense ({error}).") from error


def _text(raw: Mapping[str, Any]) -> TextConfig:
    if raw.get("use_qk_norm"):
        raise ValueError("use_qk_norm is on; GLM-4.5V has none")
    # transformers 5 moved the three rope fields into rope_parameters; before, the section lay in
    # rope_scaling and the other two at the text level.
    rope = {**raw, **(raw.get("rope_scaling") or {}), **(raw.get("rope_parameters") or {})}
    head_dim = raw.get("head_dim") or raw["hidden_size"] // raw["num_attention_heads"]
    rotary_dims = int(head_dim * rope.get("partial_rotary_factor", 0.5))
    section = tuple(int(n) for n in rope["mrope_section"])
    if sum(section) * 2 != rotary_dims or len(section) != 3:
        raise ValueError(f"mrope_section {list(section)} does not cover {rotary_dims} rotary dimensions")
    return TextConfig(
        vocab_size=raw["vocab_size"],
        hidden_size=raw["hidden_size"],
        intermediate_size=raw["intermediate_size"],
        moe_intermediate_size=raw["moe_intermediate_size"],
        num_hidden_layers=raw["num_hidden_layers"],
        num_attention_heads=raw["num_attention_heads"],
        num_key_value_heads=raw["num_key_value_heads"],
        head_dim=head_dim,
        attention_bias=raw.get("attention_bias", True),
        n_routed_experts=raw["n_routed_experts"] if "n_routed_experts" in raw else raw["num_local_experts"],
        num_experts_per_tok=raw["num_experts_per_tok"],
        n_shared_experts=raw["n_shared_experts"],
        first_k_dense_replace=raw.get("first_k_dense_replace", 1),
        norm_topk_prob=raw.get("norm_topk_prob", True),
        routed_scaling_factor=raw.get("routed_scaling_factor", 1.0),
        n_group=raw.get("n_group", 1),
        topk_group=raw.get("topk_group", 1),
        rms_norm_eps=raw.get("rms_norm_eps", 1e-5),
        max_position_embeddings=raw["max_position_embeddings"],
        rope_theta=rope.get("rope_theta", 10000.0),
        rotary_dims=rotary_dims,
        mrope_section=section,
    )


def _vision(raw: Mapping[str, Any]) -> VisionConfig:
    given = {name: raw[name] for name in VisionConfig.__dataclass_fields__ if name in raw}
    for name in ("depth", "hidden_size", "num_heads", "intermediate_size", "out_hidden_size"):
        given[name] = raw[name]  # KeyError names the field
    return VisionConfig(**given)


def _quantization(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """MLX's own recipe; of another's nothing but its name, which is what the refusal to load it says."""
    given = raw.get("quantization") or raw.get("quantization_config") or {}
    if not isinstance(given, Mapping):
        raise ValueError("quantization is no object")
    if "quant_method" in given:
        return {"quant_method": str(given["quant_method"])}
    for recipe in (given, *(own for own in given.values() if isinstance(own, Mapping))):
        for name in ("bits", "group_size"):
            if name in recipe and not _is_whole(recipe[name], 1):
                raise ValueError(f"{name} is {recipe[name]!r}")
    return given


def _sensible(part: TextConfig | VisionConfig) -> None:
    """Raises ValueError for a number that no model has: planning and loading count on each of them."""
    for number in fields(part):
        value = getattr(part, number.name)
        most = MOST_LAYERS if number.name in LAYERS else MOST
        if number.type == "int" and not _is_whole(value, int(number.name not in MAY_BE_NONE), most):
            raise ValueError(f"{number.name} is {value!r}")
        if number.type == "float" and not (isinstance(value, float | int) and math.isfinite(value)):
            raise ValueError(f"{number.name} is {value!r}")


def _is_whole(value: object, least: int, most: int = MOST) -> bool:
    return isinstance(value, int) and least <= value <= most
