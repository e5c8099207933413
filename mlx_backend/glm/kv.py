"""One layer's keys and values between calls, plain or quantized, and the attention over them.

Knows: the two kinds of cache, which are mlx-vlm's; when quantized numbers are multiplied as they lie and when
they are read back first.
Does not know: positions, layers, what a token is, what is reused between turns.

Whatever is attended to was quantized before, a token's own key and value too. So what a token sees does not
depend on how the prompt was cut into chunks, and work can be reused as with a plain cache. One difference
stays: other chunks may round otherwise, and then a last bit can tip a number to the next quantized step.
"""

from __future__ import annotations

from typing import TypeAlias

import mlx.core as mx
from mlx.utils import tree_map
from mlx_vlm.models.cache import KVCache, QuantizedKVCache

BITS = (4, 8)
# Numbers that share one scale and one bias; the larger group where it divides a head.
GROUPS = (64, 32)
STEP = 256  # positions by which caches grow
SPARE = 4096  # positions without use that are not worth a copy

Cache: TypeAlias = KVCache | QuantizedKVCache
# Packed in 32-bit words (1, kv_heads, ctx, head_dim * bits / 32); scales and biases (…, head_dim / group).
Quantized: TypeAlias = tuple[mx.array, mx.array, mx.array]


def check_bits(bits: int | None) -> None:
    """Raises ValueError for anything but None, 4 and 8."""
    if bits is not None and bits not in BITS:
        raise ValueError(f"kv_bits is {bits}; keys and values are kept in 4 or 8 bits, or plain with None")


def make(layers: int, head_dim: int, bits: int | None = None) -> list[Cache]:
    """One empty cache per layer.

    bits: None keeps what the layers compute in; 4 or 8 take head_dim * bits / 8 bytes per vector, and a scale
    and a bias in the layers' type per group of 64, or of 32 where a head is no multiple of 64.
    Raises ValueError for other bits, and for heads that no group divides.
    """
    check_bits(bits)
    if bits is None:
        return [KVCache() for _ in range(layers)]
    group = next((size for size in GROUPS if head_dim % size == 0), None)
    if group is None:
        raise ValueError(f"heads of {head_dim} numbers cannot be quantized: no multiple of {GROUPS[-1]}")
    return [QuantizedKVCache(group_size=group, bits=bits) for _ in range(layers)]


def bits(cache: Cache) -> int | None:
    """That its numbers lie in; None: plain."""
    return cache.bits if isinstance(cache, QuantizedKVCache) else None


def room(cache: Cache) -> int:
    """Positions the cache has memory for, used or not."""
    held = cache.keys[0] if isinstance(cache, QuantizedKVCache) and cache.keys is not None else cache.keys
    return 0 if held is None else int(held.shape[2])


def cut_room(held: int, length: int) -> int:
    """Positions there is memory for, once a cache with room for `held` was cut back to `length`."""
    least = -(-length // STEP) * STEP
    return least if held - least >= SPARE else held


def shrink(cache: Cache) -> None:
    """Give back what a long conversation left behind a short one; what is in use is copied."""
    keep = cut_room(room(cache), cache.offset)
    if keep < room(cache):
        cache.keys, cache.values = (
            tree_map(lambda array: mx.contiguous(array[:, :, :keep]), kept)
            for kept in (cache.keys, cache.values)
        )
        mx.eval(cache.keys, cache.values)  # now: a copy under way would hold the old one as well


def attend(queries: mx.array, keys: mx.array, values: mx.array, cache: Cache, scale: float) -> mx.array:
    """Append keys and values (1, kv_heads, L, head_dim) to the cache; each query sees all up to its own.

    queries: (1, heads, L, head_dim). Returns the same shape.
    """
    if isinstance(cache, QuantizedKVCache):
        packed_keys, packed_values = cache.update_and_fetch(keys, values)
        if queries.shape[2] == 1:
            return _attend_once(queries, packed_keys, packed_values, cache, scale)
        # Products with quantized keys give the scores of all heads, L x ctx, as an array and their softmax as
        # another: 13 GB for 512 queries behind 64K tokens of the real model. The fused kernel keeps neither,
        # but reads plain numbers, so one layer's are made for the time of its attention: 0.27 GB at 64K.
        keys, values = _plain(packed_keys, cache), _plain(packed_values, cache)
    else:
        keys, values = cache.update_and_fetch(keys, values)
    # "causal" aligns the last query with the last key, which is what a chunk behind a prefix needs.
    mask = "causal" if queries.shape[2] > 1 else None
    return mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)


def _plain(packed: Quantized, cache: QuantizedKVCache) -> mx.array:
    return mx.dequantize(*packed, group_size=cache.group_size, bits=cache.bits)  # in the scales' type


def _attend_once(
    queries: mx.array, keys: Quantized, values: Quantized, cache: QuantizedKVCache, scale: float
) -> mx.array:
    """One query per head over quantized keys and values, which are read once and never written out plain.

    Scores are (heads, ctx) only. They stay in float32, as inside the fused kernel: in bfloat16 a score of 20
    would be off by up to 0.06, and its weight by 6 %.
    """
    size, kv_heads = {"group_size": cache.group_size, "bits": cache.bits}, keys[0].shape[1]
    # The heads that share keys stand together as the rows of one product: (1, kv_heads, heads / kv_heads, D).
    rows = queries.astype(mx.float32).reshape(1, kv_heads, -1, queries.shape[-1])
    scores = mx.quantized_matmul(rows * scale, *keys, transpose=True, **size)
    mixed = mx.quantized_matmul(mx.softmax(scores, axis=-1), *values, transpose=False, **size)
    return mixed.reshape(queries.shape).astype(queries.dtype)
