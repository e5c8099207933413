"""Work of minutes that a page asks for beside answers: measuring this computer, a copy for slow mode.

Knows: when measuring is worth offering, where a copy goes, one of each at a time.
Does not know: how either is done, how it is shown.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from app import places
from app.weighed import of_folder
from mlx_backend import BackendError, Machine, Measurement, Pace, Preparation, Status

MOST_ON_A_PROCESSOR = 10**9  # bytes of weights: a larger model takes a processor too long to measure for
SLOW = " slow"  # a copy for slow mode is called as the model, and this


class Roomy(Protocol):
    """What is asked of an engine here."""

    def status(self) -> Status: ...

    def alone(self) -> AbstractContextManager[None]: ...


class Chores:
    """One per run of the app."""

    def __init__(self, home: Path, engine: Roomy) -> None:
        self.home, self._engine = home, engine
        self._measuring: Measurement | None = None
        self._copying: Preparation | None = None
        self._problem = ""
        self._looked, self._worth = Path(), False
        self._lock = threading.Lock()

    # --- measuring -------------------------------------------------------------------------------------

    def worth_measuring(self, folder: Path, machine: Machine) -> bool:
        """Whether a model was loaded here, rests now, and is planned for with estimates alone."""
        status = self._engine.status()
        if status.state != "idle" or status.model != str(folder):
            return False
        if self._looked != folder:  # the files' headers are not read again with every look at the memory
            self._looked, self._worth = folder, self._is_modelled(folder, machine)
        return self._worth

    def _is_modelled(self, folder: Path, machine: Machine) -> bool:
        try:
            model = of_folder(self.home, folder, machine)
        except BackendError:
            return False
        small = model.weights.total < MOST_ON_A_PROCESSOR
        return model.calibration is None and (machine.gpu or small)

    @property
    def measuring(self) -> Pace:
        """How far it is, or how it ended."""
        if self._problem:
            return Pace("failed", error=self._problem)
        return self._measuring.progress if self._measuring else Pace()

    def measure(self, folder: Path, machine: Machine) -> None:
        """Begin, with the memory to itself: the model's is given back, questions wait. Once at a time."""
        with self._lock:
            if self._measuring and not self._measuring.progress.over:
                return
            model = of_folder(self.home, folder, machine)
            config = folder / "config.json"
            self._problem = ""
            self._measuring = Measurement(self.home, machine, model.shape, config)
        work = (self._measuring,)
        threading.Thread(target=self._measure, args=work, name="measure", daemon=True).start()

    def _measure(self, measuring: Measurement) -> None:
        try:
            with self._engine.alone():
                if not measuring.progress.over:
                    measuring.start()
                    measuring.wait()
                self._looked = Path()
        except BackendError as error:
            self._problem = str(error)

    def stop_measuring(self) -> None:
        if self._measuring:
            self._measuring.stop()

    # --- a copy for slow mode --------------------------------------------------------------------------

    def copying(self, folder: Path) -> Pace:
        """How far the copy of the model in this folder is, bytes."""
        mine = self._copying and self._copying.source == folder
        return self._copying.progress if self._copying and mine else Pace()

    def copy_of(self, folder: Path) -> Path:
        """Where its copy goes."""
        return places.own_place(self.home) / f"{folder.name}{SLOW}"

    def copy(self, folder: Path) -> None:
        """Begin to write it. Raises BackendError."""
        with self._lock:
            if self._copying and not self._copying.progress.over:
                raise BackendError("A copy is being written already. Wait until it ends.")
            places.own_place(self.home).mkdir(parents=True, exist_ok=True)
            copying = Preparation(folder, self.copy_of(folder))
            copying.start()
            self._copying = copying

    def stop_copying(self) -> None:
        if self._copying:
            self._copying.stop()

    def close(self) -> None:
        """End both: nothing half is left."""
        self.stop_measuring()
        self.stop_copying()
