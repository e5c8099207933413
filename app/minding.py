"""The window's engine, which keeps that a model could not be loaded: the next start must not meet it again.

Knows: what an engine raises for a model that is damaged or not whole.
Does not know: what becomes of that at the next start (config.py), how it is kept (chosen.py).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.chosen import note_broken
from mlx_backend import Engine, Event, Measured, ModelBroken, ModelMissing, Request

ELSE = " Choose another model under Models, or download this one again."


class Minding(Engine):
    """Engine, with a home for the note."""

    def __init__(self, home: Path, model: Path, **how: Any) -> None:
        super().__init__(model, **how)
        self._home = home

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        try:
            yield from super().stream(request, cancel)
        except (ModelBroken, ModelMissing) as error:
            raise self._noted(error) from None

    def measure(self, request: Request) -> Measured:
        try:
            return super().measure(request)
        except (ModelBroken, ModelMissing) as error:
            raise self._noted(error) from None

    def _noted(self, error: ModelBroken | ModelMissing) -> ModelBroken | ModelMissing:
        if folder := self.status().model:
            note_broken(self._home, Path(folder), error.message)
        return with_change(error) if isinstance(error, ModelBroken) else error


def with_change(error: ModelBroken) -> ModelBroken:
    """The same error, saying also what can be done; a missing file says so itself."""
    error.message += ELSE
    error.args = (error.message,)
    return error
