"""What each switch saves and costs, for one model on one computer, by the planner.

Knows: the ways each switch can stand, their price in words, which of them suit a computer.
Does not know: how switches are kept (switches.py) or shown (plan.py, ui/memory.py), the arithmetic.

A way's saving is the planner's sum with the switch at its plainest less the sum with that way, all else as
it stands: so the savings shown are what the sum on the page changes by, to the byte.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from app.choices import DETAIL
from app.switches import Switches
from mlx_backend import (
    Calibration,
    Machine,
    Plan,
    Setup,
    Shape,
    Weights,
    best,
    judge,
    largest_context,
    plan,
    small,
)

What = Literal["kv_bits", "late", "pictures", "context", "share"]
LENGTHS = (4096, 8192, 16_384, 32_768, 65_536)  # tokens, where the model has more
SHARES = (0.75, 0.5, 0.25)
USEFUL = 32_768  # tokens: a shorter conversation is worth reading the tower late
SLOW_CONTEXT = 8192  # tokens: slow mode gives the rest to experts
# No figures for keys and values in fewer bits: the median relative error of the logits is 0.3 % and 4 % with
# the tests' tiny model (tests/test_kv_bits.py), 1.2 % and 18 % with the demo model on random tokens. What it
# is with GLM-4.5V nobody has measured here.
COSTS: dict[tuple[What, object], str] = {
    ("kv_bits", 8): "half the memory of a conversation; answers may differ in some words; how much was not "
    "measured on GLM-4.5V",
    ("kv_bits", 4): "a quarter of the memory of a conversation; answers get worse; how much was not measured "
    "on GLM-4.5V",
    (
        "late",
        True,
    ): "the vision tower is read from the disk when a picture comes, some seconds each time: then "
    "nothing is saved",
    ("pictures", "medium"): "pictures are shrunk to a million pixels: small print is lost",
    ("pictures", "low"): "pictures are shrunk to 200,000 pixels: only large things are seen",
    ("context", True): "longer conversations must start anew",
    ("share", True): "the other experts are read from the disk as they are needed: a few tokens a second, "
    "minutes for a picture",
}


@dataclass(frozen=True)
class Weighed:
    """A model on a computer. picture: patches of the largest picture its rules let through.

    apart: its experts lie one by one on the disk, so that slow mode is possible.
    """

    shape: Shape
    weights: Weights
    machine: Machine
    calibration: Calibration | None = None
    picture: int = Setup.patches
    apart: bool = False

    def setup(self, switches: Switches, detail: str = "full") -> Setup:
        """What is planned for: the longest conversation and the largest picture that the switches let in."""
        most, tokens = self.shape.max_context, DETAIL[detail]
        patches = self.picture if tokens is None else min(self.picture, tokens * self.shape.merge**2)
        context = min(switches.context or most, most)
        return replace(switches.setup, context=context, patches=patches)

    def judge(self, switches: Switches, detail: str = "full") -> Plan:
        """The sum as it would be loaded, and whether it fits as a whole."""
        setup = self._as_loaded(switches, detail)
        return judge(self.shape, self.weights, self.machine, setup, self.calibration)

    def plan(self, switches: Switches, detail: str = "full") -> Plan:
        """The same, with the changes that would make it fit."""
        setup = self._as_loaded(switches, detail)
        return plan(self.shape, self.weights, self.machine, setup, self.calibration)

    def _as_loaded(self, switches: Switches, detail: str) -> Setup:
        """With smaller caches and shorter pieces of a prompt where only that fits, as the guard does."""
        setup = self.setup(switches, detail)
        careful = replace(small(setup), patches=setup.patches)
        return careful if not self._fits(setup) and self._fits(careful) else setup

    def _fits(self, setup: Setup) -> bool:
        return judge(self.shape, self.weights, self.machine, setup, self.calibration).fits

    def longest(self, switches: Switches, detail: str = "full") -> int:
        """Tokens of the longest conversation that can be had so, with smaller caches; 0: it cannot be run."""
        setup = self.setup(switches, detail)
        most = max(
            largest_context(self.shape, self.weights, self.machine, tried, self.calibration)
            for tried in (setup, small(setup))
        )
        return min(most, setup.context)


@dataclass(frozen=True)
class Way:
    """One way a switch can stand. takes: the sum then, bytes of metal_peak; saves: what it is less by.

    cost: "" for none. fits: whether all of it fits then. chosen: it stands so.
    """

    what: What
    value: object
    takes: int
    saves: int
    cost: str
    fits: bool
    chosen: bool


def ways(model: Weighed, switches: Switches, detail: str = "full") -> Iterator[Way]:
    """Every way of every switch, the plainest of each first. Slow mode only where it is possible."""
    for value in (None, 8, 4):
        yield _way(model, "kv_bits", value, switches, detail)
    for late in (False, True):
        yield _way(model, "late", late, switches, detail)
    for name in ("full", "medium", "low"):
        yield _way(model, "pictures", name, switches, detail)
    lengths = {length for length in LENGTHS if length < model.shape.max_context}
    if 0 < switches.context < model.shape.max_context:
        lengths.add(switches.context)
    for length in (0, *sorted(lengths, reverse=True)):
        yield _way(model, "context", length, switches, detail)
    if model.apart:
        shares = {1.0, *SHARES, switches.share}
        for share in sorted(shares, reverse=True):
            yield _way(model, "share", share, switches, detail)


def _way(model: Weighed, what: What, value: object, switches: Switches, detail: str) -> Way:
    def found(value: object) -> Plan:
        return model.judge(*_turned(switches, detail, what, value))

    plainest: dict[What, object] = {
        "kv_bits": None,
        "late": False,
        "pictures": "full",
        "context": 0,
        "share": 1.0,
    }
    stands = detail if what == "pictures" else getattr(switches, what)
    here, plain = found(value), plainest[what]
    general = value != plain if what in ("context", "share") else value
    saves = found(plain).metal_peak - here.metal_peak
    return Way(
        what, value, here.metal_peak, saves, COSTS.get((what, general), ""), here.fits, stands == value
    )


def _turned(switches: Switches, detail: str, what: What, value: object) -> tuple[Switches, str]:
    if what == "pictures":
        return switches, str(value)
    return replace(switches, **{what: value}), detail  # type: ignore[arg-type]  # its own kind of value


def recommended(model: Weighed) -> tuple[Switches, str] | None:
    """Switches and picture detail that suit this computer; None where nothing makes the model fit.

    The longest conversation with plain keys and values where there is room for it; else what `best` gives;
    the tower is left on the disk only where that makes a useful conversation out of a short one.
    """
    found: Plan | None = None
    for late in (False, True):
        base = model.setup(Switches(late=late))
        tried = best(model.shape, [model.weights], model.machine, model.calibration, base)
        if tried and (found is None or tried.setup.context > found.setup.context):
            found = tried
        if found and found.setup.context >= min(USEFUL, model.shape.max_context):
            break
    if found is None:
        return _slow(model) if model.apart else None
    setup = found.setup
    context = 0 if setup.context >= model.shape.max_context else setup.context
    detail = "full" if setup.patches >= model.picture else "medium"
    return Switches(setup.kv_bits, not setup.vision, 1.0, context), detail


def _slow(model: Weighed) -> tuple[Switches, str] | None:
    """As many experts in memory as a short conversation leaves room for."""
    switches = Switches(kv_bits=8, late=True, context=min(SLOW_CONTEXT, model.shape.max_context))
    setup = replace(small(model.setup(switches, "medium")), experts_share=0.0)
    spare = judge(model.shape, model.weights, model.machine, setup, model.calibration).spare
    share = math.floor(100 * spare / max(1, model.weights.experts)) / 100
    return (replace(switches, share=share), "medium") if 0 < share < 1 else None
