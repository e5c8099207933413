"""Make a small random checkpoint of GLM-4.5V's true architecture, in seconds and the same on every run.

It answers nonsense, but through the same code as the real model: tests, benchmarks and a first look use it.

    python scripts/make_tiny_model.py FOLDER
    python scripts/make_tiny_model.py FOLDER --layout stacked --bits 4 --group-size 32

Knows: the published layouts of weights and config. Does not know: how the app loads them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from tiny_config import BENCH, TINY, Shape, config, write_processor_files
from tiny_tokenizer import write_tokenizer

Arrays = dict[str, np.ndarray]
Recipe = Mapping[str, Any]  # {"bits": …, "group_size": …, "mode": …}


def make(
    folder: Path,
    *,
    shape: Shape = TINY,
    layout: str = "per-expert",
    form: str = "original",
    recipe: Recipe | None = None,
    overrides: Callable[[str], Recipe | bool | None] = lambda path: None,
    mtp: bool = False,
    padding: int = 8,
    shards: int = 1,
) -> Path:
    """Write a checkpoint into `folder` and return it.

    layout: per-expert (the original), fused (transformers 5), stacked (mlx-community).
    form: of config.json: original, transformers5, mlx. recipe: quantization of the language model; needs the
    stacked layout. overrides: another recipe, or False, for a layer by its path. mtp: append a layer that is
    to be dropped. padding: rows of the vocabulary beyond the tokenizer's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocab = write_tokenizer(folder) + padding
    arrays = _language(shape, vocab) | _vision(shape)
    if mtp:
        prefix = f"model.language_model.layers.{shape.layers}."
        arrays[prefix + "eh_proj.weight"] = np.zeros((shape.hidden, 2 * shape.hidden), np.float32)
        arrays[prefix + "enorm.weight"] = np.ones(shape.hidden, np.float32)
    if layout == "fused":
        arrays = _fuse(arrays, shape)
    elif layout == "stacked":
        arrays = _stack(arrays, shape)
    said = config(folder, shape, vocab, form)
    tensors = {name: mx.array(array) for name, array in arrays.items()}
    if recipe:
        tensors, said["quantization"] = quantize(tensors, recipe, overrides)
    _write_weights(folder, tensors, shards)
    (folder / "config.json").write_text(json.dumps(said, indent=1))
    write_processor_files(folder)
    return folder


# --- weights ---------------------------------------------------------------------------------------------


def _fill(shapes: Mapping[str, tuple[int, ...]], seed: int) -> Arrays:
    rng = np.random.Generator(np.random.PCG64(seed))
    arrays = {}
    for name, shape in shapes.items():
        values = rng.standard_normal(shape, dtype=np.float32)
        if name.endswith(("position_embedding.weight", "embed_tokens.weight")):
            scale = 1.0
        elif "norm" in name and name.endswith("weight"):
            values, scale = 1 + np.float32(0.1) * values, 1.0
        elif name.endswith("bias"):
            scale = 0.1
        else:
            scale = float(np.prod(shape[1:])) ** -0.5
        arrays[name] = values * np.float32(scale)
    return arrays


def _language(s: Shape, vocab: int) -> Arrays:
    shapes: dict[str, tuple[int, ...]] = {
        "model.language_model.embed_tokens.weight": (vocab, s.hidden),
        "model.language_model.norm.weight": (s.hidden,),
        "lm_head.weight": (vocab, s.hidden),
    }
    for layer in range(s.layers):
        p = f"model.language_model.layers.{layer}."
        for projection, width in (("q", s.heads), ("k", s.kv_heads), ("v", s.kv_heads)):
            shapes[f"{p}self_attn.{projection}_proj.weight"] = (width * s.head_dim, s.hidden)
            shapes[f"{p}self_attn.{projection}_proj.bias"] = (width * s.head_dim,)
        shapes[p + "self_attn.o_proj.weight"] = (s.hidden, s.heads * s.head_dim)
        shapes[p + "input_layernorm.weight"] = shapes[p + "post_attention_layernorm.weight"] = (s.hidden,)
        if layer == 0:
            shapes |= _mlp(p + "mlp.", s.hidden, s.inter)
            continue
        shapes[p + "mlp.gate.weight"] = (s.experts, s.hidden)
        shapes[p + "mlp.gate.e_score_correction_bias"] = (s.experts,)
        shapes |= _mlp(p + "mlp.shared_experts.", s.hidden, s.moe_inter)
        for expert in range(s.experts):
            shapes |= _mlp(f"{p}mlp.experts.{expert}.", s.hidden, s.moe_inter)
    return _fill(shapes, seed=1)


def _mlp(prefix: str, hidden: int, inner: int) -> dict[str, tuple[int, ...]]:
    return {
        prefix + "gate_proj.weight": (inner, hidden),
        prefix + "up_proj.weight": (inner, hidden),
        prefix + "down_proj.weight": (hidden, inner),
    }


def _vision(s: Shape) -> Arrays:
    v, out = s.vision_hidden, s.hidden
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.position_embedding.weight": ((s.image_size // 14) ** 2, v),
        "patch_embed.proj.weight": (v, 3, 2, 14, 14),
        "patch_embed.proj.bias": (v,),
        "post_conv_layernorm.weight": (v,),
        "post_layernorm.weight": (v,),
        "downsample.weight": (out, v, 2, 2),
        "downsample.bias": (out,),
        "merger.proj.weight": (out, out),
        "merger.post_projection_norm.weight": (out,),
        "merger.post_projection_norm.bias": (out,),
    }
    shapes |= _mlp("merger.", out, s.merger_inter)
    for block in range(s.vision_depth):
        p = f"blocks.{block}."
        shapes[p + "norm1.weight"] = shapes[p + "norm2.weight"] = (v,)
        shapes[p + "attn.qkv.weight"] = (3 * v, v)
        shapes[p + "attn.proj.weight"] = (v, v)
        shapes |= _mlp(p + "mlp.", v, out)
    return {f"model.visual.{name}": array for name, array in _fill(shapes, seed=2).items()}


def _expert_stacks(arrays: Arrays, s: Shape) -> Arrays:
    """Take the per-expert arrays out of `arrays`; returns `….experts.gate_proj` (E, out, in) and so on."""
    stacks = {}
    for layer in range(1, s.layers):
        p = f"model.language_model.layers.{layer}.mlp.experts."
        for projection in ("gate_proj", "up_proj", "down_proj"):
            experts = [arrays.pop(f"{p}{expert}.{projection}.weight") for expert in range(s.experts)]
            stacks[p + projection] = np.stack(experts)
    return stacks


def _fuse(arrays: Arrays, s: Shape) -> Arrays:
    stacks = _expert_stacks(arrays, s)
    for layer in range(1, s.layers):
        p = f"model.language_model.layers.{layer}.mlp.experts."
        arrays[p + "gate_up_proj"] = np.concatenate([stacks[p + "gate_proj"], stacks[p + "up_proj"]], axis=1)
        arrays[p + "down_proj"] = stacks[p + "down_proj"]
    return arrays


def _stack(arrays: Arrays, s: Shape) -> Arrays:
    """mlx-community's names and array orders."""
    stacks = _expert_stacks(arrays, s)
    arrays |= {name.replace(".experts.", ".switch_mlp.") + ".weight": array for name, array in stacks.items()}
    renamed = {}
    for name, array in arrays.items():
        name = name.replace("model.visual.", "vision_tower.").replace("lm_head", "language_model.lm_head")
        renamed[name.replace("model.language_model.", "language_model.model.")] = array
    for name in ("vision_tower.patch_embed.proj.weight", "vision_tower.downsample.weight"):
        renamed[name] = np.ascontiguousarray(np.moveaxis(renamed[name], 1, -1))
    return renamed


def quantize(
    tensors: dict[str, mx.array],
    recipe: Recipe,
    overrides: Callable[[str], Recipe | bool | None] = lambda path: None,
) -> tuple[dict[str, mx.array], dict[str, Any]]:
    """Quantize what mlx-vlm's converter quantizes: every matrix of the language model but the router."""
    result, config = {}, dict(recipe)
    for name, tensor in tensors.items():
        path = name.removesuffix(".weight")
        chosen = overrides(path)
        if chosen is not None:
            config[path] = chosen
        router = path.endswith("mlp.gate")
        if tensor.ndim < 2 or router or path.startswith("vision_tower") or chosen is False:
            result[name] = tensor
            continue
        used = chosen if isinstance(chosen, Mapping) else recipe
        weight, scales, *biases = mx.quantize(tensor, **used)
        result |= {name: weight, f"{path}.scales": scales}
        if biases:
            result[f"{path}.biases"] = biases[0]
    return result, config


def _write_weights(folder: Path, tensors: dict[str, mx.array], shards: int) -> None:
    for old in folder.glob("model*.safetensors*"):
        old.unlink()
    if shards == 1:
        mx.save_safetensors(str(folder / "model.safetensors"), tensors, metadata={"format": "pt"})
        return
    names, where = sorted(tensors), {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        mx.save_safetensors(str(folder / file), part, metadata={"format": "pt"})
        where |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=["tiny", "bench"], default="tiny")
    parser.add_argument("--layout", choices=["per-expert", "fused", "stacked"], default="per-expert")
    parser.add_argument("--form", choices=["original", "transformers5", "mlx"], default="original")
    parser.add_argument("--bits", type=int, help="quantize; needs --layout stacked")
    parser.add_argument("--group-size", type=int, default=64)
    parser.add_argument("--mode", default="affine")
    args = parser.parse_args()
    if args.bits and args.layout != "stacked":
        parser.error("--bits needs --layout stacked")
    recipe = {"bits": args.bits, "group_size": args.group_size, "mode": args.mode} if args.bits else None
    shape = BENCH if args.size == "bench" else TINY
    make(args.folder, shape=shape, layout=args.layout, form=args.form, recipe=recipe)


if __name__ == "__main__":
    main()
