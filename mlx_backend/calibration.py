"""What the probe measured, kept in a small file by chip, MLX version and model.

Knows: the file, how the probe is started. Does not know: how it measures (probe.py), MLX.
"""

from __future__ import annotations

import json
import os
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .chore import Chore
from .errors import BackendError
from .sizes import Calibration, Machine, Shape

FILE = "calibration.json"
# Names the folder of the file to the worker, which knows nothing of the app's folders.
FOLDER = "GLM_CHAT_CALIBRATION"
# A share outside of these was not measured right, whatever the file says.
SANE = (0.1, 10.0)
PATIENCE = 900  # seconds


def measure_here(home: Path, machine: Machine, shape: Shape, config: Path | None = None) -> Calibration:
    """Run the probe in a process of its own, keep what it found in `home` and return it.

    config: the config.json of a checkpoint; None: the published one. Takes seconds on a Mac and some GB of
    memory; on a processor minutes, and only small checkpoints. Raises BackendError where it fails.
    """
    measuring = Measurement(home, machine, shape, config)
    measuring.start()
    try:
        measuring.wait(PATIENCE)
    finally:
        measuring.stop()
    if measuring.found is None:
        raise BackendError(measuring.progress.error or failure("it took too long"))
    return measuring.found


def failure(why: str) -> str:
    return f"Measuring failed ({why}). Nothing was kept; estimates are used."


class Measurement(Chore):
    """The probe under way. done, total: computations. found: what it measured and kept, once it is done.

    The arguments are those of measure_here.
    """

    def __init__(self, home: Path, machine: Machine, shape: Shape, config: Path | None = None) -> None:
        super().__init__("mlx_backend.probe", str(config or "-"))
        self._home, self._machine, self._shape = home, machine, shape
        self.found: Calibration | None = None

    def finish(self, last: dict[str, Any]) -> None:
        found = _usable(last, "measured here today")
        if found is None:
            raise BackendError(failure("it gave no usable number"))
        store_calibration(self._home, self._machine, self._shape, found, time.strftime("%Y-%m-%d"))
        self.found = found

    def failed(self, code: int, words: str) -> str:
        return failure(words.splitlines()[-1] if words else f"exit code {code}")


def key_of(machine: Machine, shape: Shape) -> str:
    """Chip, MLX version and the model's widths: what a moment takes depends on these."""
    try:
        mlx = version("mlx")
    except PackageNotFoundError:
        mlx = "none"
    widths = f"{shape.hidden}.{shape.heads}.{shape.expert}.{shape.top_k}.{shape.vision_hidden}"
    return f"{machine.name} | MLX {mlx} | {widths}"


def stored_calibration(home: Path, machine: Machine, shape: Shape) -> Calibration | None:
    """What was measured here, or None where nothing usable is stored. Raises nothing."""
    found = _read(home / FILE).get(key_of(machine, shape))
    day = found.get("day") if isinstance(found, dict) else None
    return _usable(found, f"measured here on {day}")


def use_calibration(home: Path) -> None:
    """Workers that are started from now on plan with what is stored in `home`."""
    os.environ[FOLDER] = str(home)


def calibration_in_use(machine: Machine, shape: Shape) -> Calibration | None:
    """What this process was told to plan with, or None."""
    home = os.environ.get(FOLDER)
    return stored_calibration(Path(home), machine, shape) if home else None


def store_calibration(home: Path, machine: Machine, shape: Shape, found: Calibration, day: str) -> Path:
    """Keep it beside what was measured for other chips, versions and models; returns the file."""
    path = home / FILE
    values = {"prefill": found.prefill, "vision": found.vision, "fused": found.fused, "day": day}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(_read(path) | {key_of(machine, shape): values}, indent=1), encoding="utf-8")
    fresh.replace(path)
    return path


def _usable(found: Any, source: str) -> Calibration | None:
    try:
        prefill, vision, fused = float(found["prefill"]), float(found["vision"]), bool(found["fused"])
    except (TypeError, KeyError, ValueError):
        return None
    sane = all(SANE[0] <= share <= SANE[1] for share in (prefill, vision))
    return Calibration(prefill, vision, fused, source) if sane else None


def _read(path: Path) -> dict[str, Any]:
    """Nothing, where the file is absent or damaged: what it holds can be measured again."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
