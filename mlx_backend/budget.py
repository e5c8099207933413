"""The memory planner: what to choose for a computer, and what to change where a choice does not fit.

Knows: the changes there are, which is milder, what each costs the person.
Does not know: how the sum is made (sums.py), files, configs, MLX.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from .sizes import (
    CHUNKS,
    COMFORT,
    EDGE,
    GB,
    MEGAPIXEL,
    SMALL_CACHE,
    USEFUL_CONTEXT,
    Calibration,
    Machine,
    Plan,
    Remedy,
    Setup,
    Shape,
    Weights,
    both,
)
from .sums import DEFAULT, judge, largest_context

# Tokens. A shorter conversation is not worth having to change several things.
LEAST_CONTEXT = 4096
# Slow mode: tokens of a conversation, and the share of experts in memory below which it is hopeless.
SLOW_CONTEXT, SLOW_LEAST = 8192, 0.1

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

    def first(changes: Iterator[Remedy]) -> list[Remedy]:
        return list(islice(filter(works, changes), 1))

    found = list(filter(works, _settings(shape, failed, calibration, share)))
    found += first(_smaller(failed, others))
    found += filter(works, _wired(failed, share))
    kept = max((change.setup.context for change in found if change.weights is failed.weights), default=0)
    together = _most_useful(filter(works, _all_small(shape, failed, failed.weights, calibration, share)))
    found += [change for change in together if change.setup.context > kept]
    if not any(change.weights is failed.weights for change in found):
        found += filter(works, _wired_and_small(shape, failed, calibration, share))
    found = found or _all_smaller(shape, failed, calibration, others, share)
    yield from found or filter(works, _slow(shape, failed, calibration, share))


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
    if setup.vision:
        text = "leave the vision tower on the disk until a picture comes"
        risk = "a picture takes some seconds longer, and may be refused where its tower has no room then"
        yield Remedy("vision", text, risk, replace(setup, vision=False), *here)
    for bits, cost in ((8, "some words of an answer may differ"), (4, "answers get worse")):
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
    """Let the GPU hold as much as is missing, and no more than leaves macOS enough. Never done by us."""
    needed = -(-int(failed.metal_peak / share + 1) // 2**20)
    if failed.machine.gpu and failed.machine.working_set < needed * 2**20 <= most_wired(failed.machine):
        yield _raised(failed, failed.setup, needed)


def _wired_and_small(
    shape: Shape, failed: Plan, calibration: Calibration | None, share: float
) -> Iterator[Remedy]:
    """The same as far as it goes, with small settings and the longest context that then fits."""
    mebibytes = most_wired(failed.machine) // 2**20
    if not failed.machine.gpu or mebibytes * 2**20 <= failed.machine.working_set:
        return
    raised = _raised(failed, small(failed.setup), mebibytes)
    most = largest_context(shape, failed.weights, raised.machine, raised.setup, calibration, share)
    if most >= min(LEAST_CONTEXT, failed.setup.context):
        setup = replace(raised.setup, context=min(most, failed.setup.context))
        yield replace(raised, setup=setup, text=f"{raised.text}; and {_small_words(setup)}")


def most_wired(machine: Machine) -> int:
    """Bytes the GPU may be let hold at the most: macOS keeps 8 GB, and a tenth of the memory."""
    return machine.physical - max(8 * GB, machine.physical // 10)


def _raised(failed: Plan, setup: Setup, mebibytes: int) -> Remedy:
    size = mebibytes * 2**20
    return Remedy(
        "memory",
        f"let the GPU hold {both(size)}: type the command in Terminal",
        "with too little left for macOS and other programs the screen may freeze or the Mac restart: close "
        "them first; a restart, or sudo sysctl iogpu.wired_limit_mb=0, undoes it",
        setup,
        failed.weights,
        replace(failed.machine, working_set=size, source=f"iogpu.wired_limit_mb={mebibytes}"),
        command=f"sudo sysctl iogpu.wired_limit_mb={mebibytes}",
    )


def _all_smaller(
    shape: Shape, failed: Plan, calibration: Calibration | None, others: Sequence[Weights], share: float
) -> list[Remedy]:
    """All mild changes together, with fewer bits as well: the most bits that work."""
    for weights in sorted(others, key=lambda w: -w.total):
        if weights.total < failed.weights.total and (
            found := _most_useful(_all_small(shape, failed, weights, calibration, share))
        ):
            return found
    return []


def _slow(shape: Shape, failed: Plan, calibration: Calibration | None, share: float) -> Iterator[Remedy]:
    """Experts read from disk as they are needed, as many of them in memory as then fit."""
    setup = small(replace(failed.setup, context=min(failed.setup.context, SLOW_CONTEXT), experts_share=0.0))
    bare = judge(shape, failed.weights, failed.machine, setup, calibration, share)
    part = math.floor(100 * bare.spare / max(1, failed.weights.experts)) / 100
    if SLOW_LEAST <= part < 1:
        text = (
            f"slow mode: {part:.0%} of the experts in memory, the others read from disk as they are needed, "
        )
        text += f"and {_small_words(setup)}"
        risk = "a few tokens a second; minutes for a picture; a second copy of the model on the disk"
        slow = replace(setup, experts_share=part)
        yield Remedy("slow", text, risk, slow, failed.weights, failed.machine)


def _most_useful(changes: Iterable[Remedy]) -> list[Remedy]:
    """The first that leaves a long enough conversation, else the one that leaves the longest."""
    tried = list(changes)
    useful = [change for change in tried if change.setup.context >= USEFUL_CONTEXT]
    return (useful or sorted(tried, key=lambda change: -change.setup.context))[:1]


def _all_small(
    shape: Shape, failed: Plan, weights: Weights, calibration: Calibration | None, share: float
) -> Iterator[Remedy]:
    """With keys and values plain, in 8 and in 4 bits, where that leaves room for a conversation."""
    for bits in (failed.setup.kv_bits, 8, 4):
        if (bits or 16) > (failed.setup.kv_bits or 16):
            continue
        setup = small(replace(failed.setup, kv_bits=bits))
        most = largest_context(shape, weights, failed.machine, setup, calibration, share)
        if most < min(LEAST_CONTEXT, failed.setup.context):
            continue
        setup = replace(setup, context=min(most, failed.setup.context))
        model = "" if weights is failed.weights else f"the {weights.name} checkpoint, "
        text = model + _small_words(setup)
        yield Remedy(
            "several", text, "shorter conversations, smaller pictures", setup, weights, failed.machine
        )
        return


def _small_words(setup: Setup) -> str:
    kept = f"keys and values in {setup.kv_bits} bits, " if setup.kv_bits else ""
    pieces = f"pieces of {setup.chunk} tokens, pictures of one million pixels, "
    return f"{kept}{pieces}at most {setup.context:,} tokens in a conversation"


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
