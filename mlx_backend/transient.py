"""What a computation holds for a moment: reading a chunk of a prompt, looking at a picture.

Knows: the arrays our layers make (glm/language.py, glm/kv.py, glm/vision.py), how far MLX runs ahead.
Does not know: weights, machines, what fits.

MLX allocates when it hands work to the device, and runs ahead of it by a bounded number of tasks: what one
layer makes is there about at once, however early its parts are of no more use. So the model is the sum of all
arrays of one layer, times a share that a probe measures on this machine (Calibration). What one operation
holds alone, however far MLX runs ahead, is counted as it is: attention's scores where it is not fused, the
copy of a layer's keys and values that grow, their plain form where they are quantized.
"""

from __future__ import annotations

from collections.abc import Iterator

from .sizes import LONG_CHUNK, LONG_CONTEXT, MODELLED, STEP, Calibration, Shape

FLOAT = 4  # bytes of a float32


def last_chunks(context: int, chunk: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """The last pieces a prompt is computed in, of each length: (tokens at once, where they end).

    One of the last pieces is always the worst: of those that let keys and values grow, and of those before
    pieces get shorter. See generate.py.
    """
    at = start
    for end, size in ((min(context, LONG_CONTEXT), chunk), (context, min(chunk, LONG_CHUNK))):
        at += max(0, (end - at) // size - STEP // size - 2) * size
        while at < end:
            length = min(size, context - at)
            at += length
            yield length, at


def prefill_bytes(
    shape: Shape, length: int, context: int, kv_bits: int | None, calibration: Calibration = MODELLED
) -> int:
    """Beyond weights, keys and values, while `length` tokens are computed that end at `context`."""
    own = layer_bytes(shape, length, calibration.fused) * calibration.prefill
    return int(own) + held_bytes(shape, length, context, kv_bits, calibration.fused)


def layer_bytes(shape: Shape, length: int, fused: bool = True) -> int:
    """All arrays that one layer makes for `length` tokens, dead or alive."""
    c, item = shape, shape.item
    q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
    # Projected, turned, mixed, laid out for the output; two norms, two sums, what attention puts out.
    attention = 4 * q + 3 * kv + 5 * c.hidden
    if not fused:  # turned and scaled in parts; half of it is gone when the scores are there
        attention = (attention + 2 * q + kv) // 2
    # Gathered, up, gate, product, down, put back in order; the shared expert.
    experts = c.top_k * (3 * c.hidden + 3 * c.expert) + 3 * c.expert * c.shared + 2 * c.hidden
    weighted = c.top_k * c.hidden * FLOAT if item < FLOAT else 0  # the router's weights are float32
    return length * ((attention + experts) * item + weighted + 5 * c.experts * FLOAT)


def held_bytes(shape: Shape, length: int, context: int, kv_bits: int | None, fused: bool) -> int:
    """What is there beside, however far MLX runs ahead: see this module's docstring."""
    wide = 2 * shape.kv_heads * shape.head_dim  # numbers of a layer's keys and values per token
    scores = 0 if fused else length * context * (shape.heads * FLOAT + 1)  # and the mask, a byte each
    before = context - length
    # Keys and values before they grew: of one layer on a processor; two, to be safe, on a GPU never measured.
    old = layer_kv_bytes(shape, before, kv_bits) * (2 if fused else 1)
    outgrown = old if grown(context) > grown(before) else 0
    plain = wide * context * shape.item if kv_bits is not None else 0
    return scores + outgrown + plain


def vision_bytes(shape: Shape, patches: int, calibration: Calibration = MODELLED, each: int = 0) -> int:
    """Of `patches` computed together, no mask among them: it grows with the patches alone where fused.

    each: of them, those of one picture; 0: all are. Attention never crosses pictures.
    """
    scores = vision_scores(shape, patches, each or patches, calibration.fused)
    block = int(block_bytes(shape, patches) * calibration.vision)
    return max(block + scores, block // 2 + row_bytes(shape, patches))


def vision_scores(shape: Shape, patches: int, each: int, fused: bool) -> int:
    """Attention's scores between the patches of each picture, which a fused kernel never writes out."""
    return 0 if fused else shape.vision_heads * patches * each * FLOAT


def block_bytes(shape: Shape, patches: int) -> int:
    """All arrays that one block of the vision tower makes, dead or alive."""
    d, out, item = shape.vision_hidden, shape.vision_out, shape.item
    # Two norms, two sums, queries with keys and values, both turned, attention, laid out, two projections.
    stream = 13 * d * item
    turned = (6 if item == FLOAT else 7) * d * FLOAT  # in float32, whatever the weights' type
    return patches * (stream + turned + 3 * out * item)


def row_bytes(shape: Shape, patches: int) -> int:
    """The picture itself, in float32 and in the type of the weights: gone before the first block is done."""
    return patches * shape.row * (FLOAT if shape.item == FLOAT else FLOAT + shape.item)


# --- keys and values -------------------------------------------------------------------------------------


def layer_kv_bytes(shape: Shape, tokens: int, kv_bits: int | None = None) -> int:
    """Of one layer. Quantized: a scale and a bias per group of 64 or 32 numbers, in the layers' type."""
    numbers = 2 * shape.kv_heads * shape.head_dim * tokens
    if kv_bits is None:
        return numbers * shape.item
    group = 64 if shape.head_dim % 64 == 0 else 32
    return numbers * kv_bits // 8 + numbers // group * 2 * shape.item


def grown(tokens: int) -> int:
    """Room for so many tokens, in whole steps."""
    return -(-tokens // STEP) * STEP
