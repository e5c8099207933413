"""The models a person can choose from: what is published, what is here, what fits this computer.

Knows: the planner's judgement of each, which one is recommended. Shown by the command and by the window.
Does not know: how anything is shown, downloaded or deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from app import places
from mlx_backend import (
    KNOWN,
    BackendError,
    Found,
    Known,
    Machine,
    Setup,
    Shape,
    Weights,
    best,
    known,
    ladder,
    largest_context,
    named,
    plan,
    published_shape,
    shape_of_folder,
    small,
    this_machine,
    unsupported,
    weigh_folder,
)


@dataclass(frozen=True)
class Fit:
    """Whether this computer can run a model.

    context: the longest conversation, in tokens; 0: it does not fit. small: only with small settings (short
    pieces of a prompt, pictures of a megapixel). why: in words.
    """

    context: int
    small: bool = False
    recommended: bool = False
    why: str = ""


@dataclass(frozen=True)
class Row:
    """A model as it is shown: published, here, or both.

    title: for people. found: None where it is not here. fit: None where it cannot be told.
    """

    name: str
    title: str
    published: Known | None
    found: Found | None
    fit: Fit | None = None

    @property
    def size(self) -> int:
        """Bytes: of its weights where that is known before a download, else of what is here."""
        if self.published and self.published.weight_bytes:
            return self.published.weight_bytes
        return (self.found.total or self.found.size) if self.found else 0

    @property
    def unsupported(self) -> str:
        return unsupported(self.name)


def rows(home: Path, machine: Machine | None = None) -> list[Row]:
    """Everything that can be chosen: what is published in the order of its size, then what else is here.

    machine: the computer it shall fit; None: this one, asked now.
    """
    machine = machine or this_machine()
    chosen = best(published_shape(), ladder(), machine)
    here = sorted(places.here(home), key=lambda f: (f.state != "whole", f.cached))
    listed = []
    for entry in KNOWN:
        mine = next((f for f in here if f.name.lower() == entry.repo.lower()), None)
        weights = None if entry.unsupported else named(f"{entry.bits}-bit")
        fits = fit(published_shape(), weights, machine) if weights else None
        if fits and chosen and weights and chosen.weights.name == weights.name:
            fits = replace(fits, recommended=True)
        listed.append(Row(entry.repo, entry.title, entry, mine, fits))
    others = [f for f in here if known(f.name) is None]
    return listed + [Row(f.name, f.name, None, f, _fit_of(f, machine)) for f in others]


def fit(shape: Shape, weights: Weights, machine: Machine) -> Fit:
    """Judge a model for a computer, by the planner."""
    usual = Setup()
    if most := largest_context(shape, weights, machine, usual):
        return Fit(most)
    tight = small(usual)
    most = largest_context(shape, weights, machine, tight)
    return Fit(most, True, why=plan(shape, weights, machine, usual).why)


def _fit_of(model: Found, machine: Machine) -> Fit | None:
    """The same for a folder, from the headers of its files."""
    if model.state != "whole":
        return None
    item = 2 if machine.gpu else 4  # a processor computes in float32
    try:
        weights = weigh_folder(model.folder, None if machine.gpu else item)
        return fit(shape_of_folder(model.folder, item), weights, machine)
    except BackendError:
        return None
