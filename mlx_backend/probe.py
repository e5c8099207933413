"""Measure on this machine what the planner models: the moments of a layer and of a block of the vision tower.

Knows: our own layers in the widths of a checkpoint, a few of them, with weights of zero: what a moment takes
depends on neither their number nor their values. Does not know: checkpoints' weights, where results are kept.

Run in a process of its own, `python -m mlx_backend.probe CONFIG`, so that what it takes is given back, and an
abort of Metal ends nothing else. CONFIG: a config.json, or - for the published one. Prints a JSON object for
each step, and one with what it found.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_map

from mlx_backend.chore import tell, tethered
from mlx_backend.glm.config import Config, parse_config, read_json
from mlx_backend.glm.language import LanguageModel
from mlx_backend.glm.vision import VisionTower
from mlx_backend.published import published_config
from mlx_backend.sizes import Calibration, Shape
from mlx_backend.transient import block_bytes, held_bytes, layer_bytes, layer_kv_bytes, vision_scores
from mlx_backend.weighing import shape_of

LAYERS = 4
VOCAB = 64
LENGTHS = {True: (512, 1024, 2048), False: (256, 512)}  # tokens at once, on a GPU and on a processor
SIDES = {True: (48, 96), False: (16, 32)}  # of a picture, in patches


def measure(config: Config, step: Callable[[int, int], None] = lambda done, total: None) -> Calibration:
    """Measured over modelled, on MLX's default device. Takes some seconds and two layers' weights.

    step: told which of how many computations begins.
    """
    gpu = mx.default_device() == mx.Device(mx.gpu)
    small = _few_layers(config)
    shape, dtype = shape_of(small, 2 if gpu else 4), mx.bfloat16 if gpu else mx.float32
    total, reading, seeing = len(LENGTHS[gpu]) + len(SIDES[gpu]), list[float](), list[float]()
    for length in LENGTHS[gpu]:
        step(len(reading), total)
        reading.append(_reading(small, shape, dtype, length, gpu))
    for side in SIDES[gpu]:
        step(len(reading) + len(seeing), total)
        seeing.append(_seeing(small, shape, dtype, side, gpu))
    return Calibration(max(reading), max(seeing), gpu, "measured here")


def _few_layers(config: Config) -> Config:
    t, v = config.text, config.vision
    text = replace(
        t,
        num_hidden_layers=LAYERS,
        first_k_dense_replace=0,
        vocab_size=VOCAB,
        n_routed_experts=max(t.num_experts_per_tok, min(t.n_routed_experts, 8)),
    )
    return replace(config, text=text, vision=replace(v, depth=LAYERS), quantization={})


def _reading(config: Config, shape: Shape, dtype: mx.Dtype, length: int, gpu: bool) -> float:
    model = _empty(LanguageModel(config.text), dtype)
    cache, where = model.make_cache(), np.broadcast_to(np.arange(length), (3, length))
    vectors = mx.zeros((length, shape.hidden), dtype)
    mx.eval(vectors)
    seen = _peak(lambda: mx.eval(model(vectors, where, cache)))
    seen -= shape.layers * layer_kv_bytes(shape, -(-length // 256) * 256)
    return (seen - held_bytes(shape, length, length, None, gpu)) / layer_bytes(shape, length, gpu)


def _seeing(config: Config, shape: Shape, dtype: mx.Dtype, side: int, gpu: bool) -> float:
    tower = _empty(VisionTower(config.vision), dtype)
    rows = np.zeros((side * side, shape.row), np.float32)
    seen = _peak(lambda: list(tower.encode([(rows, (1, side, side))])))
    return (seen - vision_scores(shape, side * side, side * side, gpu)) / block_bytes(shape, side * side)


def _empty(module: nn.Module, dtype: mx.Dtype) -> nn.Module:
    module.update(tree_map(lambda array: mx.zeros(array.shape, dtype), module.parameters()))
    module.eval()
    mx.eval(module.parameters())
    return module


def _peak(work: Callable[[], object]) -> int:
    """Bytes MLX held at most during `work`, beyond what it held before."""
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    work()
    return mx.get_peak_memory() - before


def main() -> None:
    tethered()
    path = sys.argv[1]
    config = published_config() if path == "-" else parse_config(read_json(Path(path)), path)
    found = measure(config, lambda done, total: tell(done=done, total=total))
    tell(prefill=found.prefill, vision=found.vision, fused=found.fused)


if __name__ == "__main__":
    main()
