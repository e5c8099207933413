"""How a model is run: what a person trades for memory, kept for each model.

Knows: the switches, how they are named, bounded and kept. Does not know: what they save (savings.py), how
they are shown, how a model is loaded.

Everything read back may have been written by an older app or by a page: what does not fit is the default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from app import kept
from mlx_backend import Setup

FILE = "switches.json"
KV_BITS = (None, 8, 4)
# Tokens. A conversation shorter than the first is of no use; no model here has more than the last.
SHORTEST, LONGEST = 1024, 2**20
LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Switches:
    """What is traded for memory.

    kv_bits: of keys and values, 8, 4, or None for plain. late: the vision tower waits on the disk until a
    picture comes. share: of the experts that may be in memory, 1 for all; less is slow mode. context: tokens
    of a conversation at the most; 0: as many as the model has.
    """

    kv_bits: int | None = None
    late: bool = False
    share: float = 1.0
    context: int = 0

    @property
    def setup(self) -> Setup:
        """As the engine takes it."""
        context = self.context or Setup.context
        return Setup(context=context, kv_bits=self.kv_bits, vision=not self.late, experts_share=self.share)


PLAIN = Switches()


def read(kept: object) -> Switches:
    """Switches as they were kept, or as a page sends them."""
    switches = PLAIN
    for field in fields(Switches):
        value = kept.get(field.name) if isinstance(kept, Mapping) else None
        if value is not None and (fitting := _fitting(field.name, value)) is not None:
            switches = replace(switches, **{field.name: fitting})
    return switches


def _fitting(name: str, value: Any) -> Any:
    if name == "late":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):  # an int may be too large to ask
        return None
    if name == "kv_bits":
        return int(value) if value in KV_BITS else None
    if name == "share":
        return float(min(max(value, LEAST_SHARE), 1.0))
    return int(min(max(value, SHORTEST), LONGEST)) if value > 0 else 0


def switches_of(home: Path, folder: Path) -> Switches:
    """Those that were kept for the model in this folder; the plain ones where none were."""
    return read(_every(home).get(_name(folder)))


def keep(home: Path, folder: Path, switches: Switches) -> None:
    """Run the model in this folder so from its next load on. Raises OSError; then nothing was changed."""
    every = _every(home)
    every.pop(_name(folder), None)
    if switches != PLAIN:
        every[_name(folder)] = asdict(switches)
    if every or (home / FILE).exists():
        kept.write(home / FILE, every)


def _name(folder: Path) -> str:
    return str(folder.expanduser().resolve())


def _every(home: Path) -> dict[str, Any]:
    said = kept.read(home / FILE)
    return said if isinstance(said, dict) else {}
