"""Weights from files into the model, whatever layout and quantization they were written in.

Knows: the weight layouts found in the wild and how each becomes the model's parameters.
Does not know: where checkpoints come from, whether they fit in memory.

Arrays stay lazy until a layer is evaluated: every byte is read from disk once, straight into its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from mlx_backend.apart import expert_bytes, is_repacked
from mlx_backend.errors import ModelBroken
from mlx_backend.glm.checkpoint import Tensor, find_tensors
from mlx_backend.glm.config import Config, TextConfig, read_config
from mlx_backend.glm.experts import attach
from mlx_backend.glm.model import Model
from mlx_backend.glm.tokenizer import Tokenizer
from mlx_backend.glm.vision import VisionTower

Weights = dict[str, mx.array]

# What a name starts with in the original checkpoint, and in ours (mlx-community's).
RENAMES = (
    ("model.language_model.", "language_model.model."),
    ("model.visual.", "vision_tower."),
    ("lm_head.", "language_model.lm_head."),
)
# Float parameters of quantized layers too; float8 scales of the mx modes are stored as uint8 and stay.
FLOATS = (mx.float32, mx.float16, mx.bfloat16)
KEPT_FLOAT32 = "e_score_correction_bias"  # the choice of experts hangs on its last digits
TOWER = "vision_tower."
MODES = {"affine", "mxfp4", "nvfp4", "mxfp8"}


def load(
    folder: str | Path,
    dtype: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    tokenizer: Tokenizer | None = None,
    vision: bool = True,
    experts: int | None = None,
) -> Model:
    """Load a checkpoint of GLM-4.5V: per-expert, fused or stacked experts, plain or quantized.

    dtype: "float32", "bfloat16" or "float16" converts what is not quantized; None keeps the file's.
    progress: called with bytes of weights in memory so far and in all.
    tokenizer: the folder's, where the caller has read it already; it is not read twice.
    vision: False leaves the vision tower in its files, until load_vision.
    experts: where they lie one by one on disk, the bytes of them that may be in memory; None: all.
    Raises ModelMissing or ModelBroken, naming the file, before any weight is read where that can be known.
    """
    path = Path(folder)
    tensors = find_tensors(path)
    config = read_config(path)
    model = Model(config, (tokenizer or Tokenizer(path)).control.image)
    if is_repacked(path):
        attach(model.language_model, path, config, expert_bytes(path) if experts is None else experts)
    weights = _canonical(_open(tensors), config.text)
    source = _sources(tensors)
    _stack_experts(weights, config.text, path)
    _split_fused(weights)
    _flatten_convolutions(weights)
    _quantize(model, weights, config, path)
    _check(model, weights, source, path)
    if not vision:
        model.vision_tower = None
        weights = {name: array for name, array in weights.items() if not name.startswith(TOWER)}
    _fill(model, weights, dtype, progress)
    return model


def load_vision(
    model: Model,
    folder: str | Path,
    dtype: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Read the vision tower that load() left in its files; only those that hold some of it are opened.

    The arguments are those of load(). To give its memory back, set `model.vision_tower` to None.
    """
    path = Path(folder)
    tensors = {name: t for name, t in find_tensors(path).items() if _rename(name).startswith(TOWER)}
    weights = _canonical(((n, a) for n, a in _open(tensors) if n in tensors), model.config.text)
    _flatten_convolutions(weights)
    tower, inner = VisionTower(model.config.vision), len(TOWER)
    weights = {name[inner:]: array for name, array in weights.items()}
    _check(tower, weights, {n[inner:]: file for n, file in _sources(tensors).items()}, path)
    _fill(tower, weights, dtype, progress)
    model.vision_tower = tower


def _fill(
    module: nn.Module, weights: Weights, dtype: str | None, progress: Callable[[int, int], None]
) -> None:
    if dtype is not None:
        weights = {name: _cast(name, array, getattr(mx, dtype)) for name, array in weights.items()}
    module.load_weights(list(weights.items()), strict=True)
    _evaluate(weights, progress)
    module.eval()


def _open(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, mx.array]]:
    for file in sorted({tensor.file for tensor in tensors.values()}):
        try:
            arrays = mx.load(str(file))
            assert isinstance(arrays, dict)  # a safetensors file is one
            yield from arrays.items()
        except (RuntimeError, ValueError) as error:
            raise ModelBroken(str(file), f"cannot be read ({error}).") from error


def _rename(name: str) -> str:
    for old, new in RENAMES:
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _canonical(arrays: Iterator[tuple[str, mx.array]], config: TextConfig) -> Weights:
    """Our names, without what the model has no use for: an appended MTP layer, constant buffers."""
    weights = {}
    for name, array in arrays:
        name = _rename(name)
        layer = re.match(r"language_model\.model\.layers\.(\d+)\.", name)
        if layer and int(layer[1]) >= config.num_hidden_layers:
            continue
        if name.endswith(("position_ids", "inv_freq")):
            continue
        weights[name] = array
    return weights


def _sources(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The file of each tensor by our name, for errors."""
    return {_rename(name): str(tensor.file) for name, tensor in tensors.items()}


def _stack_experts(weights: Weights, config: TextConfig, folder: Path) -> None:
    """`experts.E.gate_proj.weight` for each E becomes one `switch_mlp.gate_proj.weight` (E, out, in)."""
    pattern = re.compile(r"(.+\.mlp)\.experts\.(\d+)\.(\w+_proj)\.(\w+)")
    groups: dict[str, dict[int, str]] = {}
    for name in weights:
        if match := pattern.fullmatch(name):
            layer, expert, projection, kind = match.groups()
            groups.setdefault(f"{layer}.switch_mlp.{projection}.{kind}", {})[int(expert)] = name
    for target, experts in groups.items():
        absent = set(range(config.n_routed_experts)) - set(experts)
        if absent:
            raise ModelBroken(str(folder), f"has no expert {min(absent)} for {target}.")
        weights[target] = mx.stack([weights.pop(experts[e]) for e in range(config.n_routed_experts)])


def _split_fused(weights: Weights) -> None:
    """`experts.gate_up_proj` (E, 2 * inner, hidden): the gate's rows come first."""
    for name in [n for n in weights if ".mlp.experts." in n]:
        layer, rest = name.split(".experts.")
        projection, _, kind = rest.partition(".")
        target, kind = f"{layer}.switch_mlp.", kind or "weight"
        array = weights.pop(name)
        if projection == "gate_up_proj":
            gate, up = mx.split(array, 2, axis=1)
            weights[f"{target}gate_proj.{kind}"] = mx.contiguous(gate)
            weights[f"{target}up_proj.{kind}"] = mx.contiguous(up)
        else:
            weights[f"{target}{projection}.{kind}"] = array


def _flatten_convolutions(weights: Weights) -> None:
    """Both convolutions have stride = kernel and run as matrix products: their kernels become matrices.

    patch_embed: torch (out, C, T, h, w) or MLX (out, T, h, w, C) -> (out, C*T*h*w), the order of patch rows.
    downsample: torch (out, in, h, w) or MLX (out, h, w, in) -> (out, h*w*in), the order of merged patches.
    """
    name = "vision_tower.patch_embed.proj.weight"
    if name in weights and weights[name].ndim == 5:
        kernel = weights[name]
        if kernel.shape[-1] == 3:  # colours last: MLX's order; a patch is never 3 wide
            kernel = kernel.transpose(0, 4, 1, 2, 3)
        weights[name] = kernel.reshape(kernel.shape[0], -1)
    name = "vision_tower.downsample.weight"
    if name in weights and weights[name].ndim == 4:
        kernel = weights[name]
        if kernel.shape[2] == kernel.shape[3]:  # torch's order: both spatial sides (2, 2) last
            kernel = kernel.transpose(0, 2, 3, 1)
        weights[name] = kernel.reshape(kernel.shape[0], -1)


def _quantize(model: Model, weights: Weights, config: Config, folder: Path) -> None:
    """Swap in quantized layers where the file has scales, with each layer's own recipe."""
    if not any(name.endswith(".scales") for name in weights):
        return
    recipe = config.quantization
    if "quant_method" in recipe or "bits" not in recipe:
        how = recipe.get("quant_method", "a way config.json does not tell")
        raise ModelBroken(
            str(folder / "config.json"),
            f"is quantized in {how}, which MLX cannot read. Choose a checkpoint converted for MLX.",
        )

    def layer_recipe(path: str, module: nn.Module) -> bool | dict[str, Any]:
        if f"{path}.scales" not in weights:
            return False
        own = recipe.get(path)
        chosen = own if isinstance(own, dict) else recipe
        return {key: chosen[key] for key in ("group_size", "bits", "mode") if key in chosen}

    modes = {r.get("mode", "affine") for r in (recipe, *recipe.values()) if isinstance(r, dict)}
    if unknown := modes - MODES:
        raise ModelBroken(str(folder / "config.json"), f"asks for the unknown quantization {min(unknown)!r}.")
    try:
        nn.quantize(model, class_predicate=layer_recipe)
    except ValueError as error:
        raise ModelBroken(
            str(folder / "config.json"), f"asks for a quantization MLX refuses ({error})."
        ) from error


def _check(model: nn.Module, weights: Weights, sources: Mapping[str, str], folder: Path) -> None:
    """Every parameter is there, once, with its shape."""
    expected = dict(tree_flatten(model.parameters()))
    if absent := sorted(expected.keys() - weights.keys()):
        raise ModelBroken(str(folder), f"holds no {absent[0]} (and {len(absent) - 1} more are missing).")
    if unknown := sorted(weights.keys() - expected.keys()):
        file = sources.get(unknown[0], str(folder))
        raise ModelBroken(file, f"holds {unknown[0]}, which this model does not have.")
    for name, parameter in expected.items():
        if parameter.shape != weights[name].shape:
            raise ModelBroken(
                sources.get(name, str(folder)),
                f"holds {name} with shape {weights[name].shape}; config.json asks for {parameter.shape}.",
            )


def _cast(name: str, array: mx.array, dtype: mx.Dtype) -> mx.array:
    if array.dtype not in FLOATS or name.endswith(KEPT_FLOAT32):
        return array
    return array.astype(dtype)


def _evaluate(weights: Weights, progress: Callable[[int, int], None]) -> None:
    """Read the weights, a layer at a time: what stacking needs beside them is never more than one layer."""
    total, done = sum(array.nbytes for array in weights.values()), 0
    by_layer = sorted(weights.items(), key=lambda item: _layer(item[0]))
    progress(0, total)
    for _, group in groupby(by_layer, key=lambda item: _layer(item[0])):
        arrays = [array for _, array in group]
        mx.eval(arrays)
        done += sum(array.nbytes for array in arrays)
        progress(done, total)


def _layer(name: str) -> str:
    match = re.match(r"(.*\.)?(layers|blocks)\.\d+\.", name)
    return match[0] if match else ""
