"""Whether a model, or a request to it, fits into this computer's memory: refused in words before it is tried.

Knows: the plan of a load and of a request, which chunk still fits, the limit a person may set.
Does not know: the arithmetic (budget.py), how a computer is asked (device.py), MLX.

Nothing is refused because of what might come: a load is weighed with a short conversation, a request with its
own prompt. What an answer may still grow by is bounded instead, see Fit.most.
GLM_CHAT_MEMORY_LIMIT lowers what the model may hold, to leave room or to try out a refusal: a number of
bytes, or with a unit, as 40GB or 37.5 GiB. GB and G are 10**9 bytes, GiB 2**30.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from .budget import first_change, small
from .device import this_machine
from .errors import BackendError, ModelTooLarge, NotEnoughMemory
from .sizes import CHUNKS, OVERHEAD, STEP, Calibration, Machine, Plan, Remedy, Setup, Shape, Weights
from .sums import judge, largest_context, looks

LIMIT = "GLM_CHAT_MEMORY_LIMIT"
AMOUNT = re.compile(r"(\d+(?:\.\d+)?) ?(?:([KMGT])(I?)B?|B)?", re.IGNORECASE | re.ASCII)
POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
# Tokens. A model that has no room for so short a conversation is of no use.
LEAST = 2048
# Of the memory, and bytes: what must stay free of what the GPU holds fast. macOS can neither page that out
# nor compress it: Macs whose memory was nearly all held were reported to flicker, freeze and restart. macOS's
# own limit leaves about as large a share of a 128 GB Mac (107.5 of 128 GiB may be held).
UNWIRED_SHARE, UNWIRED = 0.15, 8 * 10**9

Grid = tuple[int, int, int]
Refusal = tuple[str, int, int, Sequence[tuple[str, int]], str, str, Remedy | None]  # of NotEnoughMemory

NOTHING_HELPS = "Close other programs, choose a smaller model, or start a new, shorter conversation."
ANYWAY = " It can be loaded anyway, but then this computer may become very slow, freeze or restart."
LOADING = ("Loading this model", "Nothing was loaded.", ANYWAY)
ASKING = ("This conversation", "Nothing was computed and nothing is lost.", "")


def machine_now(facts: Mapping[str, object], held: int = 0) -> Machine:
    """This computer. facts: mx.device_info(). held: bytes MLX holds in this process, in use or not.

    Raises BackendError where GLM_CHAT_MEMORY_LIMIT is no amount.
    """
    machine = this_machine(facts, held + OVERHEAD if held else 0)
    text = os.environ.get(LIMIT, "").strip()
    if not text:
        return machine
    return replace(machine, working_set=min(machine.working_set, amount(text)), source=LIMIT)


def amount(text: str) -> int:
    """Bytes that a person wrote: 40000000000, 40GB, 40 G, 37.5 GiB. Raises BackendError for anything else."""
    found = AMOUNT.fullmatch(text)
    size = 0
    if found:
        base = 1024 if found[3] else 1000
        size = int(Decimal(found[1]) * base ** POWERS[(found[2] or "").lower()])
    if not size:
        raise BackendError(
            f"{LIMIT} is {text[:40]}, which is no amount of memory. Nothing was loaded or computed. Write it "
            "as 40000000000, 40GB or 37.5 GiB, or leave it out, then start again."
        )
    return size


@dataclass(frozen=True)
class Needs:
    """What a request asks of the memory. Tokens and bytes.

    prompt: the whole. reused: of it, what was computed before. room: positions that keys and values have room
    for already. pictures: grids of each picture or video that must be looked at. kept: vectors in memory.
    """

    prompt: int
    reused: int = 0
    room: int = 0
    pictures: Sequence[Sequence[Grid]] = ()
    kept: int = 0


@dataclass(frozen=True)
class Fit:
    """How a request is run. chunk: tokens of a prompt at once. most: tokens of prompt and answer together."""

    chunk: int
    most: int


@dataclass(frozen=True)
class Guard:
    """Of one loaded or wanted checkpoint. force: nothing is refused.

    layer: bytes of one layer's experts where they are read from disk as they are needed, else 0.
    setup.vision False: the tower is in memory only while pictures are looked at. calibration: None takes the
    model's own numbers for such a machine.
    """

    shape: Shape
    weights: Weights
    setup: Setup
    calibration: Calibration | None = None
    force: bool = False
    others: Sequence[Weights] = ()
    layer: int = 0

    def load(self, machine: Machine) -> Setup:
        """The setup to load with: the wanted one where it fits as a whole, else one with smaller caches.

        Experts that lie on disk get what is left when keys and values of the whole context have theirs.
        Raises NotEnoughMemory when not even a short conversation fits.
        """
        if self.layer:
            return self._streaming(machine)
        if self._judge(machine, self.setup).fits:
            return self.setup
        length, piece = min(LEAST, self.setup.context), min(CHUNKS[-1], self.setup.chunk)
        short = replace(self.setup, context=length, chunk=piece, patches=0, picture_tokens=0)
        found = self._judge(machine, small(short))
        if not (found.fits or self.force):
            raise ModelTooLarge(*self._refusal(found, LOADING))
        careful = small(self.setup)
        return replace(careful, chunk=self.setup.chunk, patches=self.setup.patches)

    def _streaming(self, machine: Machine) -> Setup:
        """As many experts in memory as fit beside all else; the whole context first, then a short one."""
        careful = small(self.setup)
        for setup in (self.setup, careful, replace(careful, context=min(LEAST, careful.context))):
            found = self._judge(machine, replace(setup, experts_share=self.layer / self.weights.experts))
            if found.fits:
                share = (self.layer + found.spare) / self.weights.experts
                return replace(setup, experts_share=min(setup.experts_share, share))
        if self.force:
            return replace(setup, experts_share=self.layer / self.weights.experts)
        raise ModelTooLarge(*self._refusal(found, LOADING))

    def request(self, machine: Machine, needs: Needs) -> Fit:
        """The largest chunk with which it fits. Raises NotEnoughMemory when it does not with the smallest."""
        most = self.shape.max_context
        for chunk in self._chunks():
            found = self._request(machine, needs, chunk, needs.prompt + STEP)
            if found.fits:
                after = replace(found.setup, patches=0, chunk=8)
                most = largest_context(self.shape, found.weights, machine, after, self.calibration)
                return Fit(chunk, max(most, needs.prompt + STEP))
        if self.force:
            return Fit(chunk, most)
        raise NotEnoughMemory(*self._refusal(found, ASKING))

    def limit(self, machine: Machine) -> int:
        """Bytes that may be held, by whichever bound is nearer."""
        found = self._judge(machine, self.setup)
        return max(0, found.metal_peak + found.spare)

    def peak(self, machine: Machine, needs: Needs, chunk: int, tokens: int) -> int:
        """What MLX should hold at most for a request that came to `tokens` with its answer."""
        return self._request(machine, needs, chunk, tokens).peak

    def wired(self, machine: Machine, plan: Setup) -> int:
        """Bytes that the GPU may hold fast: weights, keys and values; 0 where too little would stay free."""
        found = self._judge(machine, plan)
        fast = sum(item.bytes for item in found.items if item.exact and not item.name.startswith("buffers"))
        free = machine.physical - fast
        enough = free >= max(UNWIRED, machine.physical * UNWIRED_SHARE)
        return fast if machine.gpu and enough and fast <= machine.working_set else 0

    def _chunks(self) -> Iterator[int]:
        yield self.setup.chunk
        yield from (chunk for chunk in CHUNKS if chunk < self.setup.chunk)

    def _judge(self, machine: Machine, setup: Setup) -> Plan:
        return judge(self.shape, self.weights, machine, setup, self.calibration)

    def _request(self, machine: Machine, needs: Needs, chunk: int, tokens: int) -> Plan:
        """The moment that takes most: while looking at the pictures, or while reading."""
        context = max(tokens, needs.room)
        tokens_kept = needs.kept // (self.shape.hidden * self.shape.item)
        patches, each = looks(needs.pictures)
        new = sum(h * w for grids in needs.pictures for _, h, w in grids) // self.shape.merge**2
        setup = replace(
            self.setup,
            vision=True,
            context=context,
            chunk=max(1, min(chunk, needs.prompt - needs.reused)),
            reused=needs.reused,
            patches=patches,
            picture=each,
            picture_tokens=tokens_kept + new,
        )
        whole = replace(self.weights, stacked=True)  # stacking is over
        if self.setup.vision:
            return judge(self.shape, whole, machine, setup, self.calibration)
        bare = replace(whole, vision=0)
        reading = judge(self.shape, bare, machine, replace(setup, patches=0), self.calibration)
        if not needs.pictures:
            return reading
        before = replace(setup, context=max(needs.room, 1), chunk=8)
        seeing = judge(self.shape, whole, machine, before, self.calibration)
        return max(seeing, reading, key=lambda plan: plan.metal_peak)

    def _refusal(self, found: Plan, words: tuple[str, str, str]) -> Refusal:
        """What the errors say; words: what it is, what became of it, what may be done all the same."""
        by_gpu = found.metal_peak > found.limit
        needed, limit = (found.metal_peak, found.limit) if by_gpu else (found.process, found.room)
        counted = found.items[:-1] if by_gpu else found.items  # the last one is Python's, not the GPU's
        items = sorted(((item.name, item.bytes) for item in counted), key=lambda item: -item[1])
        change = first_change(self.shape, found, self.calibration, self.others)
        remedy = f"What would help: {change.text}." if change else NOTHING_HELPS
        what, kept, anyway = words
        return what, needed, limit, items, kept, f"{remedy}{anyway}", change
