"""The memory planner: what to choose for a computer, and what to change where a choice does not fit.

Knows: the changes there are, which is milder, what each costs the person.
Does not know: how the sum is made (sums.py), files, configs, MLX.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .sizes import (
    CHUNKS,
    COMFORT,
    EDGE,
    GB,
    GIB,
    MEGAPIXEL,
    SMALL_CACHE,
    USEFUL_CONTEXT,
    Calibration,
    Item,
    Machine,
    Plan,
    Remedy,
    Setup,
    Shape,
    Weights,
    both,
)
from .sums import DEFAULT, judge, kv_bytes, kv_bytes_per_token, kv_tokens, largest_context, together

__all__ = [
    "COMFORT",
    "EDGE",
    "GB",
    "GIB",
    "Calibration",
    "Item",
    "Machine",
    "Plan",
    "Remedy",
    "Setup",
    "Shape",
    "Weights",
    "best",
    "both",
    "first_change",
    "judge",
    "kv_bytes",
    "kv_bytes_per_token",
    "kv_tokens",
    "largest_context",
    "plan",
    "remedies",
    "small",
    "together",
]

# --- the verdict -----------------------------------------------------------------------------------------


def plan(
    shape: Shape,
    weights: Weights,
    machine: Machine,
    setup: Setup = DEFAULT,
    calibration: Calibration | None = None,
    others: Sequence[Weights] = (),
    share: float = EDGE,
) -> Plan:
    """The sum and whether it fits; where it does not, the changes that would make it fit, the mildest first.

    others: other quantizations that could be had. share: of the working set that may be used.
    """
    found = judge(shape, weights, machine, setup, calibration, share)
    if found.fits:
        return found
    return replace(found, remedies=tuple(remedies(shape, found, calibration, others, share)))


# --- what would make it fit ------------------------------------------------------------------------------


def remedies(
    shape: Shape,
    failed: Plan,
    calibration: Calibration | None = None,
    others: Sequence[Weights] = (),
    share: float = EDGE,
) -> Iterator[Remedy]:
    """Changes that make a failed plan fit, the mildest first; several at once where no single one does."""

    def works(change: Remedy) -> bool:
        return judge(shape, change.weights, change.machine, change.setup, calibration, share).fits

    singles = [*_settings(shape, failed, calibration, share), *_smaller(failed, others)]
    singles += _wired(failed, share)
    found = [change for change in singles if works(change)]
    yield from found or filter(works, _several(shape, failed, calibration, others, share))


def first_change(
    shape: Shape,
    failed: Plan,
    calibration: Calibration | None = None,
    others: Sequence[Weights] = (),
    share: float = EDGE,
) -> Remedy | None:
    """The mildest change that makes it fit, or None where nothing does."""
    return next(remedies(shape, failed, calibration, others, share), None)


def _settings(shape: Shape, failed: Plan, calibration: Calibration | None, share: float) -> Iterator[Remedy]:
    """Changes of the settings, whether they suffice or not."""
    setup, here = failed.setup, (failed.weights, failed.machine)
    for chunk in CHUNKS:
        if chunk < setup.chunk:
            text = f"read the prompt in pieces of {chunk} tokens instead of {setup.chunk}"
            yield Remedy("chunk", text, "reading takes longer", replace(setup, chunk=chunk), *here)
    if setup.vision and setup.patches > MEGAPIXEL:
        text = "shrink pictures to one million pixels (1,280 tokens each)"
        yield Remedy("picture", text, "small print is lost", replace(setup, patches=MEGAPIXEL), *here)
    for bits, cost in ((8, "answers may differ in rare words"), (4, "answers get a little worse")):
        if (setup.kv_bits or 16) > bits:
            text = f"keep keys and values in {bits} bits"
            yield Remedy("kv", text, cost, replace(setup, kv_bits=bits), *here)
    most = largest_context(shape, *here, setup, calibration, share)
    if 0 < most < setup.context:
        text = f"limit the conversation to {most:,} tokens instead of {setup.context:,}"
        yield Remedy(
            "context", text, "long conversations must start anew", replace(setup, context=most), *here
        )


def _smaller(failed: Plan, others: Sequence[Weights]) -> Iterator[Remedy]:
    for other in sorted(others, key=lambda w: -w.total):
        if other.total < failed.weights.total:
            text = f"take the {other.name} checkpoint ({both(other.total)}) instead of {failed.weights.name}"
            yield Remedy(
                "quantization", text, "answers get worse with fewer bits", failed.setup, other, failed.machine
            )


def _wired(failed: Plan, share: float) -> Iterator[Remedy]:
    """Let the GPU hold more, as long as macOS keeps 8 GB and 10 % of the memory. Never done by us."""
    machine = failed.machine
    needed = -(-int(failed.metal_peak / share + 1) // 2**20)
    most = (machine.physical - max(8 * GB, machine.physical // 10)) // 2**20
    if machine.gpu and machine.working_set < needed * 2**20 <= most * 2**20:
        raised = replace(machine, working_set=needed * 2**20, source=f"iogpu.wired_limit_mb={needed}")
        yield Remedy(
            "memory",
            f"let the GPU hold {both(needed * 2**20)}: type the command in Terminal; a restart undoes it",
            "with too little left for macOS and other programs the screen may freeze or the Mac restart; "
            "close other programs first. `sudo sysctl iogpu.wired_limit_mb=0` undoes it at once",
            failed.setup,
            failed.weights,
            raised,
            command=f"sudo sysctl iogpu.wired_limit_mb={needed}",
        )


def _several(
    shape: Shape, failed: Plan, calibration: Calibration | None, others: Sequence[Weights], share: float
) -> Iterator[Remedy]:
    """All mild changes together, with the longest context that then fits; first with these weights."""
    smaller = [w for w in sorted(others, key=lambda w: -w.total) if w.total < failed.weights.total]
    for weights in (failed.weights, *smaller):
        for bits in (failed.setup.kv_bits, 8, 4):
            if (bits or 16) > (failed.setup.kv_bits or 16):
                continue
            setup = small(replace(failed.setup, kv_bits=bits))
            most = largest_context(shape, weights, failed.machine, setup, calibration, share)
            if most < min(4096, failed.setup.context):
                continue
            setup = replace(setup, context=min(most, failed.setup.context))
            kept = f"keys and values in {bits} bits, " if bits else ""
            model = "" if weights is failed.weights else f"the {weights.name} checkpoint, "
            text = f"{model}{kept}pieces of {setup.chunk} tokens, pictures of one million pixels, and at most"
            text += f" {setup.context:,} tokens"
            yield Remedy(
                "several", text, "shorter conversations, smaller pictures", setup, weights, failed.machine
            )
            break


def small(setup: Setup) -> Setup:
    """The same on a computer that is short of memory."""
    return replace(
        setup,
        chunk=min(setup.chunk, 512),
        patches=min(setup.patches, MEGAPIXEL),
        kept=min(setup.kept, SMALL_CACHE),
        cache_limit=min(setup.cache_limit, SMALL_CACHE),
    )


# --- what to choose --------------------------------------------------------------------------------------


def best(
    shape: Shape,
    ladder: Sequence[Weights],
    machine: Machine,
    calibration: Calibration | None = None,
    setup: Setup = DEFAULT,
) -> Plan | None:
    """What to run on this machine, or None where nothing of the ladder can be run.

    The most bits with which the whole context fits at ease; else, with small settings, the most bits that
    leave a useful context, with plain, 8-bit or 4-bit keys and values in that order; else the longest one.
    """
    steps = sorted(ladder, key=lambda w: -w.total)
    whole = replace(setup, context=shape.max_context)
    for weights in steps:
        found = judge(shape, weights, machine, whole, calibration, COMFORT)
        if found.fits:
            return judge(shape, weights, machine, whole, calibration)
    fallback: Plan | None = None
    for weights in steps:
        for bits in (None, 8, 4):
            tried = small(replace(setup, kv_bits=bits))
            most = largest_context(shape, weights, machine, tried, calibration)
            if not most:
                continue
            found = judge(shape, weights, machine, replace(tried, context=most), calibration)
            if most >= USEFUL_CONTEXT:
                return found
            fallback = found if fallback is None or most > fallback.setup.context else fallback
    return fallback
