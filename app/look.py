"""How a person wants a video looked at: so many frames a second, from here to there.

Knows: which values make sense, whoever wrote them: the page, an imported file, an older version of the app.
Does not know: the clip (the engine says what is not in it), where it is stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

SLOWEST, FASTEST = 0.1, 8.0  # frames per second
LONGEST = 1e6  # seconds


def look(data: Mapping[str, Any]) -> dict[str, float]:
    """What of {"fps", "start", "end"} can be meant; the rest is left out. A range makes sense as a whole."""
    found: dict[str, float] = {}
    if _number(data.get("fps")) and SLOWEST <= data["fps"] <= FASTEST:
        found["fps"] = float(data["fps"])
    start, end = data.get("start", 0.0), data.get("end")
    if _number(start) and 0 <= start < LONGEST and (end is None or (_number(end) and start < end <= LONGEST)):
        found |= {"start": float(start)} if start else {}
        found |= {"end": float(end)} if end is not None else {}
    return found


def _number(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, float) and math.isfinite(value))
