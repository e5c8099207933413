"""The demo model run in other ways: quantized, in other chunks, without reuse, with a cruder position table.

Knows: how each way is set up. Does not know: questions, what any of them costs.
Because answers are right or wrong, what a way of computing does to them can be counted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from make_tiny_model import quantize

from demo.exam import Answer
from mlx_backend.glm import vision
from mlx_backend.respond import Responder
from mlx_backend.sizes import Setup
from mlx_backend.types import Event, Request

BITS = (8, 6, 5, 4, 3)


def quantized(folder: Path, bits: int, out: Path) -> Path:
    """A copy of the checkpoint with the language model's matrices in `bits` bits, groups of 64."""
    shutil.copytree(folder, out)
    tensors = {name: tensor.astype(mx.float32) for name, tensor in _weights(folder).items()}
    tensors, said = quantize(tensors, {"bits": bits, "group_size": 64, "mode": "affine"})
    mx.save_safetensors(str(out / "model.safetensors"), tensors, metadata={"format": "mlx"})
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    (out / "config.json").write_text(json.dumps(config | {"quantization": said}), encoding="utf-8")
    return out


def _weights(folder: Path) -> dict[str, mx.array]:
    loaded: Any = mx.load(str(folder / "model.safetensors"))
    return dict(loaded)


def anew(responder: Responder) -> Answer:
    """Answers that reuse nothing."""

    def answer(request: Request) -> Iterator[Event]:
        responder.forget()
        return responder.respond(request)

    return answer


def bilinear(n_out: int, n_in: int) -> npt.NDArray[np.float32]:
    """What a table resampled by the two nearest entries alone would weigh, in place of cubic_matrix."""
    position = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    first = np.minimum(np.floor(position).astype(int), n_in - 2)
    matrix = np.zeros((n_out, n_in), np.float32)
    matrix[np.arange(n_out), first] = 1 - (position - first)
    matrix[np.arange(n_out), first + 1] += position - first
    return matrix


@contextmanager
def crude_positions() -> Iterator[None]:
    """The position table by bilinear resampling, inside the block."""
    exact, vision.cubic_matrix = vision.cubic_matrix, bilinear
    try:
        yield
    finally:
        vision.cubic_matrix = exact


def crudely(responder: Responder) -> Answer:
    """Answers by pictures whose positions are resampled bilinearly."""

    def answer(request: Request) -> Iterator[Event]:
        with crude_positions():
            yield from responder.respond(request)

    return answer


def ways(folder: Path, scratch: Path) -> Iterator[tuple[str, Callable[[], Answer]]]:
    """Name and maker of each way, one loaded at a time."""
    yield "as it is", lambda: Responder(folder).respond
    for bits in BITS:
        yield (
            f"{bits} bits",
            lambda bits=bits: Responder(quantized(folder, bits, scratch / str(bits))).respond,
        )
    yield "keys and values in 8 bits", lambda: Responder(folder, setup=Setup(kv_bits=8)).respond
    yield "keys and values in 4 bits", lambda: Responder(folder, setup=Setup(kv_bits=4)).respond
    for chunk in (7, 64):
        yield (
            f"prompt in chunks of {chunk}",
            lambda chunk=chunk: Responder(folder, setup=Setup(chunk=chunk)).respond,
        )
    yield "nothing reused", lambda: anew(Responder(folder))
    yield "position table bilinear", lambda: crudely(Responder(folder))
