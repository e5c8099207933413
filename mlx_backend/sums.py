"""The sum: what a choice of model and settings takes, line by line, and whether it fits a machine.

Knows: arithmetic over sizes. Weights and keys and values are exact; what a computation holds for a moment is
modelled in transient.py and corrected by a measurement on this machine (Calibration).
Does not know: files, configs, MLX, how a computer is asked (weighing.py and device.py), what to change.

    peak    = weights + keys and values + vectors of pictures + max(prefill, pictures)    what MLX reports
    metal   = peak + freed buffers that MLX keeps                                         what the GPU holds
    process = metal + Python, tokenizer, Metal itself                                     what we hold

It fits when metal is within 97 % of the working set macOS grants the GPU, and process within what other
programs and macOS leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .sizes import (
    COMFORT,
    EDGE,
    MODELLED,
    OVERHEAD,
    PROCESSOR,
    STEP,
    Calibration,
    Item,
    Machine,
    Plan,
    Setup,
    Shape,
    Weights,
    both,
)
from .transient import last_chunks, layer_kv_bytes, prefill_bytes, vision_bytes

DEFAULT = Setup()
Grid = tuple[int, int, int]


# --- the parts -------------------------------------------------------------------------------------------


def kv_bytes_per_token(shape: Shape, kv_bits: int | None = None) -> int:
    """Of all layers together."""
    return shape.layers * layer_kv_bytes(shape, 1, kv_bits)


def kv_tokens(lengths: Sequence[int], start: int = 0) -> int:
    """Tokens for which keys and values have room after `lengths` tokens came in turn, behind `start`.

    Room grows when it is used up: by whole steps for what came, behind exactly what was there.
    """
    used, room = start, -(-start // STEP) * STEP
    for length in lengths:
        if used + length > room:
            room = used + -(-length // STEP) * STEP
        used += length
    return room


def kv_bytes(shape: Shape, context: int, kv_bits: int | None = None) -> int:
    """For `context` tokens, the step included."""
    return -(-context // STEP) * STEP * kv_bytes_per_token(shape, kv_bits)


def vector_bytes(shape: Shape, setup: Setup) -> int:
    """Vectors of pictures: those of this prompt, and kept ones up to the bound."""
    if not setup.vision:
        return 0
    here = setup.context if setup.picture_tokens is None else setup.picture_tokens
    own = here * shape.hidden * shape.item
    return own if setup.picture_tokens is not None else min(own, setup.kept)


def weight_items(weights: Weights, setup: Setup) -> list[Item]:
    away = round(weights.experts * (1 - setup.experts_share))
    items = [Item("weights of the language model", weights.text - away, weights.exact and not away)]
    if setup.vision:
        items.append(Item("weights of the vision tower", weights.vision, weights.exact))
    return items


def reading_bytes(shape: Shape, setup: Setup, calibration: Calibration) -> int:
    """While a prompt of the whole context is read, beyond the keys and values it ends with."""
    end = kv_bytes(shape, setup.context, setup.kv_bits)
    pieces = last_chunks(setup.context, setup.chunk, setup.reused or 0)
    return max(
        (
            kv_bytes(shape, at, setup.kv_bits) + prefill_bytes(shape, n, at, setup.kv_bits, calibration) - end
            for n, at in pieces
        ),
        default=0,
    )


def seeing_bytes(shape: Shape, setup: Setup, calibration: Calibration) -> int:
    """While the largest picture is looked at, beyond the keys and values the prompt ends with."""
    if not (setup.vision and setup.patches):
        return 0
    there = setup.context if setup.reused is None else setup.reused
    still = kv_bytes(shape, there, setup.kv_bits) - kv_bytes(shape, setup.context, setup.kv_bits)
    return vision_bytes(shape, setup.patches, calibration, setup.picture) + still


def passing(shape: Shape, weights: Weights, setup: Setup, calibration: Calibration) -> Item:
    """What is held for a moment, at the worst of them."""
    layer = 0 if weights.stacked else weights.experts // max(1, shape.layers - shape.dense_layers)
    moments = (
        ("while a prompt is read", reading_bytes(shape, setup, calibration)),
        ("while a picture is looked at", seeing_bytes(shape, setup, calibration)),
        ("while experts are stacked", layer - kv_bytes(shape, setup.context, setup.kv_bits)),
    )
    name, size = max(moments, key=lambda moment: moment[1])
    return Item(name, max(0, size), False)


def items_of(shape: Shape, weights: Weights, setup: Setup, calibration: Calibration) -> tuple[Item, ...]:
    """The sum, line by line; the last two lines are outside MLX's own peak."""
    return (
        *weight_items(weights, setup),
        Item("keys and values", kv_bytes(shape, setup.context, setup.kv_bits), True),
        Item("vectors of pictures", vector_bytes(shape, setup), True),
        passing(shape, weights, setup, calibration),
        Item("buffers MLX keeps", setup.cache_limit, True),
        Item("Python and Metal", OVERHEAD, False),
    )


# --- the verdict -----------------------------------------------------------------------------------------


def judge(
    shape: Shape,
    weights: Weights,
    machine: Machine,
    setup: Setup,
    calibration: Calibration | None = None,
    share: float = EDGE,
) -> Plan:
    """The sum and whether it fits, without remedies."""
    used = calibration or (MODELLED if machine.gpu else PROCESSOR)
    items = items_of(shape, weights, setup, used)
    peak = sum(item.bytes for item in items[:-2])
    metal, process = peak + items[-2].bytes, peak + items[-2].bytes + items[-1].bytes
    limit = int(machine.working_set * share)
    fits = metal <= limit and process <= machine.room
    tight = fits and metal > int(machine.working_set * COMFORT)
    why = _why(items, metal, process, limit, machine)
    return Plan(
        setup,
        weights,
        machine,
        items,
        peak,
        metal,
        process,
        limit,
        machine.room,
        fits,
        tight,
        why,
        moments=used.source,
    )


def _why(items: Sequence[Item], metal: int, process: int, limit: int, machine: Machine) -> str:
    whose = "the GPU" if machine.gpu else "this computer"
    alone = sum(item.bytes for item in items if item.name.startswith("weights"))
    if alone > limit:
        return f"The weights alone take {both(alone)}; {whose} may hold {both(limit)}."
    if metal > limit:
        return f"It takes {both(metal)} at most; {whose} may hold {both(limit)}."
    if process > machine.room:
        used = f"other programs use {both(machine.others)} now and " if machine.others else ""
        return (
            f"It takes {both(process)} with Python; of {both(machine.physical)} of memory {used}"
            f"{both(machine.reserve)} are left to the system, so {both(machine.room)} are free."
        )
    return f"It takes {both(metal)} at most of the {both(limit)} that {whose} may hold."


def largest_context(
    shape: Shape,
    weights: Weights,
    machine: Machine,
    setup: Setup = DEFAULT,
    calibration: Calibration | None = None,
    share: float = EDGE,
) -> int:
    """The longest context in whole steps of 256 tokens that fits, up to the model's; 0 where none does."""
    low, high = 0, shape.max_context // STEP
    while low < high:
        middle = (low + high + 1) // 2
        tried = replace(setup, context=middle * STEP)
        if judge(shape, weights, machine, tried, calibration, share).fits:
            low = middle
        else:
            high = middle - 1
    return low * STEP


def looks(media: Sequence[Sequence[Grid]], batch: int = 8192) -> tuple[int, int]:
    """Patches the vision tower computes at once at the most, and of one picture among them.

    media: the grids (1, rows, columns) of each picture, and of all pairs of frames of each video. Equal pairs
    that follow one another are computed together up to `batch` patches: see glm/vision.py and seeing.py.
    """
    return max((_together(grids, batch) for grids in media), default=(0, 0))


def together(grids: Sequence[Grid], batch: int = 8192) -> int:
    """The same for grids of which it is not known whether they are a video's: at the most."""
    return _together(grids, batch)[0]


def _together(grids: Sequence[Grid], batch: int) -> tuple[int, int]:
    most, run, last = (0, 0), 0, (0, 0, 0)
    for grid in grids:
        size = grid[1] * grid[2]
        run = run + size if grid == last and run + size <= max(batch, size) else size
        last, most = grid, max(most, (run, size))
    return most
