"""Quantized keys and values: how near the logits stay, that chunks do not matter, what the cache weighs."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx_vlm.models.base import quantized_scaled_dot_product_attention
from turns import QUESTION, TURN_2, assert_near, check, codes, last_logits

from mlx_backend.glm import kv, load
from mlx_backend.glm.config import read_config
from mlx_backend.glm.language import LanguageModel
from mlx_backend.respond import Responder
from mlx_backend.sizes import Setup

LENGTH = 300  # more than one of the steps of 256 positions in which caches grow


@pytest.fixture(scope="module")
def language(tiny_model) -> LanguageModel:
    return load(tiny_model, dtype="float32").language_model


def run(language: LanguageModel, bits: int | None, chunk: int, steps: int = 0) -> tuple[np.ndarray, list]:
    """Logits (LENGTH, vocab) of random tokens in chunks, the last `steps` one by one; and the caches."""
    numbers = np.random.Generator(np.random.PCG64(5)).integers(0, 256, LENGTH)
    ids, cache, logits = mx.array(numbers), language.make_cache(bits), []
    for begin in range(0, LENGTH - steps, chunk):
        end = min(begin + chunk, LENGTH - steps)
        where = np.broadcast_to(np.arange(begin, end), (3, end - begin))
        logits.append(language.logits(language(language.embed(ids[begin:end]), where, cache)))
    for at in range(LENGTH - steps, LENGTH):
        logits.append(language.step(ids[at], at, cache)[None])
    return np.array(mx.concatenate(logits)), cache


def relative(expected: np.ndarray, ours: np.ndarray) -> float:
    return float(np.linalg.norm(expected - ours) / np.linalg.norm(expected))


def typical(expected: np.ndarray, ours: np.ndarray) -> float:
    """The median over tokens of the relative error of their logits.

    Not the mean: where two experts are nearly as good, any rounding may choose the other one, and that token
    is off by what experts differ. Measured: 2 of 300 tokens with 8 bits, 19 with 4.
    """
    return float(np.median([relative(*rows) for rows in zip(expected, ours, strict=True)]))


def rounding(bits: int) -> float:
    """Error of one quantized number, relative to the spread of its group.

    Steps divide a group's range, which is 4.1 standard deviations for 32 normal numbers, into 2^bits - 1;
    rounding to a step is off by its length / sqrt(12).
    """
    return 4.1 / (2**bits - 1) / 12**0.5


@pytest.mark.parametrize("bits", [8, 4])
def test_logits_stay_near_the_plain_ones(language, bits):
    """Nearer than a single number does: attention averages values, and the residual stream dilutes them.

    Measured: 0.26 % with 8 bits where 0.46 % is allowed, 3.5 % with 4 bits where 7.9 % is.
    """
    error = typical(run(language, None, 64)[0], run(language, bits, 64)[0])
    assert rounding(bits) / 20 < error < rounding(bits)  # far below, nothing was quantized


def test_eight_bits_are_nearer_than_four(language):
    """By the ratio of their steps, 255 / 15 = 17, within a factor of 2. Measured: 13.5."""
    plain, eight, four = (run(language, bits, 64)[0] for bits in (None, 8, 4))
    assert 17 / 2 < typical(plain, four) / typical(plain, eight) < 17 * 2


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_chunks_do_not_matter(language, bits):
    (one, first), (other, second) = run(language, bits, 7), run(language, bits, 64)
    assert_near(bits, one, other, (first, second))


@pytest.mark.parametrize("last", [1, 2, 8, 60])
@pytest.mark.parametrize("bits", [None, 8, 4])
def test_attention_does_not_depend_on_the_chunk(bits, last):
    """The same keys and values go in, so nothing can tip: what every single query sees is compared."""
    key = mx.random.split(mx.random.key(2), 3)
    q, k, v = (mx.random.normal((1, n, 80, 64), key=one) for n, one in zip((8, 2, 2), key, strict=True))
    whole, chunked = kv.make(2, 64, bits)
    expected = kv.attend(q, k, v, whole, 0.125)[:, :, -last:]
    kv.attend(q[:, :, :-last], k[:, :, :-last], v[:, :, :-last], chunked, 0.125)
    ours = kv.attend(q[:, :, -last:], k[:, :, -last:], v[:, :, -last:], chunked, 0.125)
    assert np.abs(np.array(expected - ours)).max() <= 1e-5


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_decoding_equals_prefill(language, bits):
    """Single tokens multiply the quantized numbers, chunks read them back first: two ways, one result."""
    (one, first), (other, second) = run(language, bits, 64, steps=40), run(language, bits, 64)
    assert_near(bits, one, other, (first, second))


@pytest.mark.parametrize("bits", [8, 4])
def test_warm_equals_cold(tiny_model, bits):
    """The whole suite of reuse, test_cache.py, runs with these bits too; here with chunks of 7 against 64."""
    warm = Responder(tiny_model, dtype="float32", setup=Setup(chunk=7, kv_bits=bits))
    cold = Responder(tiny_model, dtype="float32", setup=Setup(chunk=64, kv_bits=bits))
    plain = Responder(tiny_model, dtype="float32")
    first = check(warm, cold, QUESTION)
    reused, total, _ = check(warm, cold, *TURN_2)
    assert first[1] == reused < total
    ours, expected = last_logits(warm, *TURN_2)[0], last_logits(plain, *TURN_2)[0]
    assert relative(expected, ours) > rounding(bits) / 20  # the switch does something


def test_prefill_keeps_no_scores(language, monkeypatch):
    """Only a single query may multiply quantized keys; chunks go through the fused attention, plain."""
    queries, fused = [], []
    product, attention = mx.quantized_matmul, mx.fast.scaled_dot_product_attention

    def watched_product(x: mx.array, *args, **kwargs) -> mx.array:
        queries.append(x.shape[2])
        return product(x, *args, **kwargs)

    def watched_attention(q: mx.array, *args, **kwargs) -> mx.array:
        fused.append(q.shape[2])
        return attention(q, *args, **kwargs)

    monkeypatch.setattr(mx, "quantized_matmul", watched_product)
    monkeypatch.setattr(mx.fast, "scaled_dot_product_attention", watched_attention)
    run(language, 8, 64, steps=2)
    layers, chunks = language.config.num_hidden_layers, -(-(LENGTH - 2) // 64)
    heads_per_kv = language.config.num_attention_heads // language.config.num_key_value_heads
    assert queries == [heads_per_kv] * (2 * 2 * layers)  # two products per layer and step
    assert len(fused) == layers * chunks and sum(fused) == layers * (LENGTH - 2)


def materialised(
    queries: mx.array, keys: mx.array, values: mx.array, cache: kv.Cache, scale: float
) -> mx.array:
    """mlx-vlm's own way: the scores of all heads as an array, products with the quantized numbers."""
    stored = cache.update_and_fetch(keys, values)
    size = {"group_size": cache.group_size, "bits": cache.bits}
    return quantized_scaled_dot_product_attention(queries, *stored, scale=scale, mask="causal", **size)


@pytest.mark.parametrize("bits", [8, 4])
def test_reading_back_first_changes_nothing_but_rounding(language, bits, monkeypatch):
    """Against the path that keeps all scores: the difference is a hundredth of what quantizing costs.

    Measured: none at all on a processor, where quantizing costs 2.6e-3 with 8 bits and 3.5e-2 with 4.
    """
    plain, ours = run(language, None, 64)[0], run(language, bits, 64)[0]
    monkeypatch.setattr(kv, "attend", materialised)
    theirs = run(language, bits, 64)[0]
    assert typical(theirs, ours) < typical(plain, theirs) / 100


def peak_behind(layers: int, context: int, chunk: int, bits: int | None) -> tuple[int, int]:
    """The most bytes held while `chunk` tokens attend behind a full cache, all layers in one evaluation.

    Returns that and the bytes of the caches.
    """
    heads, kv_heads, width, draw = 4, 2, 64, iter(mx.random.split(mx.random.key(4), 3 * layers + 3))

    def numbers(heads: int, length: int) -> mx.array:
        return mx.random.normal((1, heads, length, width), key=next(draw))

    caches = kv.make(layers, width, bits)
    for cache in caches:
        mx.eval(
            cache.update_and_fetch(numbers(kv_heads, context - chunk), numbers(kv_heads, context - chunk))
        )
    x = numbers(heads, chunk)
    mx.eval(x)
    mx.clear_cache()
    before = mx.get_active_memory() - sum(cache.nbytes for cache in caches)
    mx.reset_peak_memory()
    for cache in caches:
        # What a layer appends comes from the layer below, as in the model: none can be computed early.
        x = kv.attend(x, x[:, :kv_heads], x[:, kv_heads:], cache, 0.125)
    mx.eval(x)
    return mx.get_peak_memory() - before, sum(cache.nbytes for cache in caches)


@pytest.mark.parametrize("bits", [8, 4])
def test_the_peak_at_8k_is_no_higher_than_plain(bits):
    """Six layers; the real model has 46, of which one at a time is read back.

    Measured: 86 MB plain, 48 and 36 quantized.
    """
    (plain, kept), (ours, stored) = (peak_behind(6, 8192, 64, kind) for kind in (None, bits))
    assert stored <= ours <= plain
    assert stored < kept / 2


@pytest.mark.parametrize(("bits", "expected"), [(None, 188_416), (8, 100_096), (4, 52_992)])
def test_bytes_per_token_of_the_real_model(bits, expected):
    """46 layers, 8 heads of 128 for keys and 8 for values, bfloat16: 4 bytes beside each group of 64."""
    cache = kv.make(46, 128, bits)
    numbers = mx.ones((1, 8, 256, 128), mx.bfloat16)
    cache[0].update_and_fetch(numbers, numbers)
    assert len(cache) * cache[0].nbytes == 256 * expected


@pytest.mark.parametrize("bits", [8, 4])
def test_bytes_of_a_filled_cache(language, bits):
    """Heads of 32 are one group each, with a scale and a bias of 4 bytes in float32."""
    _, cache = run(language, bits, 256)
    vectors = 512 * 2 * language.config.num_key_value_heads  # two steps of 256 positions hold 300 tokens
    assert sum(layer.nbytes for layer in cache) == len(cache) * vectors * (32 * bits // 8 + 2 * 4)


@pytest.mark.parametrize(("head_dim", "group"), [(128, 64), (64, 64), (96, 32), (32, 32)])
def test_the_larger_group_that_divides_a_head(head_dim, group):
    assert [layer.group_size for layer in kv.make(2, head_dim, 8)] == [group, group]


@pytest.mark.parametrize("bits", [8, 4])
def test_what_is_appended_behind_a_cut_is_what_a_fresh_cache_holds(bits):
    """Also where the cut is no multiple of the step and the cache has to grow behind it."""
    numbers = mx.random.normal((1, 2, 700, 64), key=mx.random.key(3))
    (cut,), (fresh,) = kv.make(1, 64, bits), kv.make(1, 64, bits)
    cut.update_and_fetch(numbers[:, :, 300:700], numbers[:, :, :400])
    cut.trim(cut.offset)
    cut.update_and_fetch(numbers[:, :, :500], numbers[:, :, :500])
    cut.trim(399)
    for begin, end in ((101, 103), (103, 700)):
        cut.update_and_fetch(numbers[:, :, begin:end], numbers[:, :, begin:end])
    fresh.update_and_fetch(numbers, numbers)
    assert cut.offset == fresh.offset == 700
    assert np.array_equal(codes([cut]), codes([fresh]))


@pytest.mark.parametrize("bits", [8, 4])
def test_scores_of_a_token_are_as_exact_as_the_fused_ones(bits):
    """bfloat16 in and out, float32 between: the result is off by its own rounding only, 2^-8 at most."""
    (cache,), key = kv.make(1, 128, bits), mx.random.split(mx.random.key(1), 3)
    k, v = (mx.random.normal((1, 2, 300, 128), key=one).astype(mx.bfloat16) for one in key[:2])
    q = (4 * mx.random.normal((1, 8, 1, 128), key=key[2])).astype(mx.bfloat16)  # scores up to 15
    cache.update_and_fetch(k[:, :, :-1], v[:, :, :-1])
    ours = kv.attend(q, k[:, :, -1:], v[:, :, -1:], cache, 128**-0.5)
    assert ours.dtype == mx.bfloat16

    def exact(stored: tuple[mx.array, ...]) -> mx.array:
        packed, scales, biases = (part[..., :300, :] for part in stored)
        scales, biases = scales.astype(mx.float32), biases.astype(mx.float32)
        return mx.dequantize(packed, scales, biases, group_size=64, bits=bits)

    expected = mx.fast.scaled_dot_product_attention(
        q.astype(mx.float32), exact(cache.keys), exact(cache.values), scale=128**-0.5
    )
    assert relative(np.array(expected), np.array(ours.astype(mx.float32))) < 2**-8


@pytest.mark.parametrize("bits", [0, 2, 3, 6, 16])
def test_other_bits_are_refused_before_anything_is_loaded(bits):
    with pytest.raises(ValueError, match=f"kv_bits is {bits}; .* 4 or 8 bits"):
        Responder(Path("there is no such folder"), setup=Setup(kv_bits=bits))


def test_other_bits_are_refused_by_the_model(tiny_model):
    language = LanguageModel(read_config(tiny_model).text)
    with pytest.raises(ValueError, match="kv_bits is 5"):
        language.make_cache(5)


def test_heads_that_no_group_divides_are_refused():
    with pytest.raises(ValueError, match="heads of 80 numbers"):
        kv.make(1, 80, 8)
    assert len(kv.make(1, 80)) == 1
