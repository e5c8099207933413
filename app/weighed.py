"""A model by its name, weighed for a computer: what the switches' savings are reckoned from.

Knows: which names are folders and which are of the published list, that a processor computes in float32, what
was measured here. Does not know: switches, how anything is shown.
"""

from __future__ import annotations

from pathlib import Path

from app.savings import Weighed
from mlx_backend import (
    Machine,
    is_repacked,
    known,
    largest_picture,
    named,
    published_shape,
    shape_of_folder,
    stored_calibration,
    weigh_folder,
)


def of_folder(home: Path, folder: Path, machine: Machine) -> Weighed:
    """From the headers of its files. Raises ModelMissing or ModelBroken."""
    item = 2 if machine.gpu else 4  # a processor computes in float32 and holds what is not quantized as such
    shape = shape_of_folder(folder, item)
    weights = weigh_folder(folder, None if machine.gpu else item)
    measured = stored_calibration(home, machine, shape)
    return Weighed(shape, weights, machine, measured, largest_picture(folder), is_repacked(folder))


def of_published(home: Path, name: str, machine: Machine) -> Weighed | None:
    """By its config, before a byte of it is here; None: it is not of the list, or not supported."""
    entry = known(name)
    weights = named(f"{entry.bits}-bit") if entry and not entry.unsupported else None
    shape = published_shape()
    return Weighed(shape, weights, machine, stored_calibration(home, machine, shape)) if weights else None
