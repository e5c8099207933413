"""A prompt read with keys and values in 8 and 4 bits beside plain ones: the memory's peak, and the logits.

The prompt goes through the engine's prefill, in its chunks. The logits' distance from the plain ones stands
beside the quantization's own: that of a plain prefill whose keys and values are then rounded to as many bits,
with attention written out as its formula. And ours are compared with a prefill over quantized keys and values
that is written out from its first chunk on: what our way of reading them back adds to the quantization.

Knows: how to measure. Does not know: Metal; a processor's attention keeps its scores, plain or quantized.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from make_tiny_model import Shape, make
from mlx_vlm.models.cache import KVCache, QuantizedKVCache

from mlx_backend.cache import PrefixCache
from mlx_backend.generate import CHUNK, prefill
from mlx_backend.glm import kv, load
from mlx_backend.glm.language import LanguageModel
from mlx_backend.types import Progress

LENGTH = 8192
BITS = (8, 4)
TAIL = 64  # positions at the end whose logits are compared
# Heads as wide as the real model's, and few: a processor's attention takes all the time there is.
SHAPE = Shape(layers=3, heads=2, kv_heads=1, head_dim=128, section=(8, 12, 12))
SHARPER = 2  # random queries look everywhere alike, and rounding averages out: trained ones choose

Logits = npt.NDArray[np.float32]
Said = Callable[[int], None]  # told how many tokens of the prompt are computed


@dataclass(frozen=True)
class Reading:
    """A prompt that was read. peak: bytes at most, beyond weights. last (vocab,), tail (TAIL, vocab): logits.

    kept: the layers' caches, without the tail's positions.
    """

    peak: int
    last: Logits
    tail: Logits
    kept: list[kv.Cache]
    seconds: float = 0.0


@dataclass(frozen=True)
class Found:
    """Quantized beside plain. peak: bytes; ratio: to the plain one. Errors are relative.

    last, tail: ours of the last token, and of the median position of the tail. own_last, own_tail: the
    quantization's own. written: what our attention differs from its formula over the same stored numbers.
    """

    bits: int
    peak: int
    ratio: float
    last: float
    own_last: float
    tail: float
    own_tail: float
    written: float
    seconds: float


def model(folder: Path, shape: Shape = SHAPE) -> LanguageModel:
    """A random checkpoint of the true architecture whose queries choose among keys."""
    language = load(make(folder, shape=shape, layout="stacked", form="mlx"), dtype="float32").language_model
    for layer in language.model.layers:
        layer.self_attn.q_proj.weight *= SHARPER
    mx.eval(language.parameters())
    return language


def prompt(length: int) -> list[int]:
    return [int(number) for number in np.random.default_rng(8).integers(0, 250, length)]


def read(
    language: LanguageModel,
    ids: list[int],
    bits: int | None,
    chunk: int = CHUNK,
    said: Said = lambda done: None,
) -> Reading:
    """The whole prompt as the engine reads it, then its tail once more for all of the tail's logits."""
    where = np.broadcast_to(np.arange(len(ids)), (3, len(ids)))
    mx.clear_cache()
    before, start = mx.get_active_memory(), time.perf_counter()
    mx.reset_peak_memory()
    prefix = PrefixCache(lambda: language.make_cache(bits))
    steps = prefill(
        language, prefix, ids, lambda a, b: language.embed(mx.array(ids[a:b])), where, lambda: False, chunk
    )
    last = _follow(steps, said)
    peak, seconds = mx.get_peak_memory() - before, time.perf_counter() - start
    tail = end_again(language, ids, prefix.kv)
    return Reading(peak, last, tail, prefix.kv, seconds)


def _follow(steps: Generator[Progress, None, mx.array | None], said: Said) -> Logits:
    """Logits (vocab,) behind the prompt."""
    while True:
        try:
            said(next(steps).done)
        except StopIteration as end:
            mx.eval(end.value)
            return np.array(end.value)


def end_again(language: LanguageModel, ids: list[int], caches: list[kv.Cache]) -> Logits:
    """Logits (TAIL, vocab) of the prompt's end behind what `caches` hold of it; they are left without it."""
    begin = len(ids) - TAIL
    for cache in caches:
        cache.trim(cache.offset - begin)
    where = np.broadcast_to(np.arange(begin, len(ids)), (3, TAIL))
    hidden = language(language.embed(mx.array(ids[begin:])), where, caches)
    logits = np.array(language.logits(hidden))
    for cache in caches:
        cache.trim(TAIL)
    return logits


# --- the quantization's own error ------------------------------------------------------------------------


class Rounded(KVCache):
    """Plain numbers, each rounded as a quantized cache would store it."""

    def __init__(self, like: QuantizedKVCache) -> None:
        super().__init__()
        self.size = {"group_size": like.group_size, "bits": like.bits}

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        return super().update_and_fetch(self._round(keys), self._round(values))

    def _round(self, numbers: mx.array) -> mx.array:
        return mx.dequantize(*mx.quantize(numbers, **self.size), **self.size)


def own(language: LanguageModel, ids: list[int], plain: Reading, bits: int) -> Logits:
    """Logits (TAIL, vocab) where nothing but the numbers stored by a plain prefill was rounded."""
    caches = [Rounded(like) for like in language.make_cache(bits)]
    for cache, full in zip(caches, plain.kept, strict=True):
        mx.eval(cache.update_and_fetch(*(kept[:, :, : full.offset] for kept in (full.keys, full.values))))
    with patch.object(kv, "attend", written_out):
        return end_again(language, ids, caches)


def written_out(q: mx.array, k: mx.array, v: mx.array, cache: kv.Cache, scale: float) -> mx.array:
    """softmax(q k^T) v as its formula says, the scores (heads, L, ctx) an array; shapes as in kv.attend."""
    k, v = cache.update_and_fetch(k, v)
    if isinstance(cache, QuantizedKVCache):
        size = {"group_size": cache.group_size, "bits": cache.bits}
        k, v = (mx.dequantize(*packed, **size) for packed in (k, v))
    share, length, context = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    k, v = (mx.repeat(numbers, share, axis=1) for numbers in (k, v))
    seen = mx.arange(context) <= mx.arange(context - length, context)[:, None]
    scores = mx.where(seen, scale * (q @ k.swapaxes(-1, -2)), -mx.inf)
    return mx.softmax(scores, axis=-1) @ v


def off(expected: Logits, ours: Logits) -> float:
    """Of (n, vocab): the median over positions of the relative error.

    Not the mean: where two experts are nearly as good, any rounding may choose the other one.
    """
    apart = np.linalg.norm(expected - ours, axis=-1) / np.linalg.norm(expected, axis=-1)
    return float(np.median(apart))


def beside(
    language: LanguageModel, ids: list[int], bits: int, plain: Reading, ours: Reading, written: Reading
) -> Found:
    alone = own(language, ids, plain, bits)
    return Found(
        bits=bits,
        peak=ours.peak,
        ratio=ours.peak / plain.peak,
        last=off(plain.last[None], ours.last[None]),
        own_last=off(plain.tail[-1:], alone[-1:]),
        tail=off(plain.tail, ours.tail),
        own_tail=off(plain.tail, alone),
        written=off(written.tail, ours.tail),
        seconds=ours.seconds,
    )


# --- the table -------------------------------------------------------------------------------------------


def measure(length: int = LENGTH, chunk: int = CHUNK) -> None:
    print(
        f"\n(e) a prompt of {length:,} tokens read in chunks of {chunk:,}, memory beyond weights", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        language, ids = model(Path(folder)), prompt(length)
    plain = read(language, ids, None, chunk, progress("plain", length))
    line("", ["peak, MB", "ratio", "last off", "its own", f"{TAIL} off", "their own", "formula", "seconds"])
    line("plain", [f"{plain.peak / 1e6:.1f}", "1.000", *[""] * 5, f"{plain.seconds:.0f}"])
    for bits in BITS:
        ours = read(language, ids, bits, chunk, progress(f"{bits} bits", length))
        with patch.object(kv, "attend", written_out):
            written = read(language, ids, bits, chunk, progress(f"{bits} bits, by the formula", length))
        show(beside(language, ids, bits, plain, ours, written))
    print(
        f"  off: logits from the plain ones, relative; of the last token, of {TAIL} positions in the median"
    )
    print("  own: of the quantization; formula: ours from a prefill whose attention is written out")


def progress(name: str, length: int) -> Said:
    """On the terminal, one line that the result takes the place of."""
    return lambda done: print(f"\r  {name}: {done:,} of {length:,}", end=" ", file=sys.stderr, flush=True)


def show(one: Found) -> None:
    errors = [f"{error:.2e}" for error in (one.last, one.own_last, one.tail, one.own_tail, one.written)]
    line(f"{one.bits} bits", [f"{one.peak / 1e6:.1f}", f"{one.ratio:.3f}", *errors, f"{one.seconds:.0f}"])


def line(name: str, cells: list[str]) -> None:
    print("\r", end=" " * 60 + "\r", file=sys.stderr, flush=True)
    print(f"  {name:<8}" + "".join(f"{cell:>11}" for cell in cells), flush=True)


if __name__ == "__main__":
    measure()
