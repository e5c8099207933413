"""What the probe measured, kept in a small file by chip, MLX version and model.

Knows: the file. Does not know: how it is measured (probe.py), MLX.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .sizes import Calibration, Machine, Shape

FILE = "calibration.json"
# A share outside of these was not measured right, whatever the file says.
SANE = (0.1, 10.0)


def key_of(machine: Machine, shape: Shape | None = None) -> str:
    """Chip, MLX version, and the model's widths where it is not the published one."""
    try:
        mlx = version("mlx")
    except PackageNotFoundError:
        mlx = "none"
    widths = f" | {shape.hidden}x{shape.heads}x{shape.experts}x{shape.vision_hidden}" if shape else ""
    return f"{machine.name} | MLX {mlx}{widths}"


def stored_calibration(home: Path, machine: Machine, shape: Shape | None = None) -> Calibration | None:
    """What was measured here, or None where nothing usable is stored. Raises nothing."""
    found = _read(home / FILE).get(key_of(machine, shape))
    if not isinstance(found, dict):
        return None
    try:
        prefill, vision = float(found["prefill"]), float(found["vision"])
        fused, day = bool(found["fused"]), str(found["day"])
    except (TypeError, KeyError, ValueError):
        return None
    if not all(SANE[0] <= share <= SANE[1] for share in (prefill, vision)):
        return None
    return Calibration(prefill, vision, fused, f"measured here on {day}")


def store_calibration(
    home: Path, machine: Machine, shape: Shape | None, found: Calibration, day: str
) -> Path:
    """Keep it beside what was measured for other chips, versions and models; returns the file."""
    path = home / FILE
    values = {"prefill": found.prefill, "vision": found.vision, "fused": found.fused, "day": day}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_read(path) | {key_of(machine, shape): values}, indent=1)
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return path


def _read(path: Path) -> dict[str, Any]:
    """Nothing, where the file is absent or damaged: what it holds can be measured again."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
