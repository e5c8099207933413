"""What a computation holds for a moment: reading a chunk of a prompt, looking at a picture.

Knows: the sizes of the arrays that our layers make, and how far MLX runs ahead of the device.
Does not know: weights, machines, what fits. Everything here is modelled; a probe corrects it (Calibration).
"""

from __future__ import annotations

from .sizes import MODELLED, Calibration, Shape


def prefill_bytes(
    shape: Shape, context: int, chunk: int, kv_bits: int | None, calibration: Calibration = MODELLED
) -> int:
    """Beyond weights and keys and values, at the last chunk of a prompt as long as the context."""
    c, length, item = shape, min(chunk, context), shape.item
    routed = length * c.top_k * (3 * c.hidden * item + 3 * c.expert * item + 4 * c.hidden)
    q = c.heads * c.head_dim
    attention = length * (4 * q + 4 * c.kv_heads * c.head_dim + 2 * c.hidden) * item
    layer = 2 * c.kv_heads * c.head_dim * context * item
    scores = 0 if calibration.fused else 2 * c.heads * length * context * item
    stream = 6 * length * c.hidden * item
    grown = 2 * layer if kv_bits is not None else layer
    return int(calibration.prefill * (max(routed, attention + scores) + stream + grown))


def vision_bytes(shape: Shape, patches: int, calibration: Calibration = MODELLED) -> int:
    """Of one picture, or of several computed together: no mask, so it grows with the patches alone."""
    d, out, item = shape.vision_hidden, shape.vision_out, shape.item
    block = patches * (9 * d * item + 6 * d * 4 + 3 * out * item)
    scores = 0 if calibration.fused else 2 * shape.vision_heads * patches * patches * item
    rows = patches * (shape.row * (4 + item) + 6 * d * 4)
    return int(calibration.vision * (block + scores + rows))
