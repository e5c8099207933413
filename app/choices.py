"""How an answer is asked for: thinking, sampling, what the model is told first.

Knows: the choices a person has, the presets, how they are kept with an answer and across starts.
Does not know: messages, the window, SQL.

Everything read back may have been written by an older app or by a page: what does not fit is the default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from mlx_backend import Sampling

LONGEST = 20_000  # characters of a system prompt
# Temperature and top-p as the model's makers recommend them for each kind of work.
PRESETS: dict[str, tuple[float, float]] = {
    "Visual Q&A": (0.6, 0.95),
    "Extract text": (0.1, 0.9),
    "GUI action": (0.3, 0.9),
    "Caption": (0.85, 0.95),
    "Video summary": (0.5, 0.95),
}
OWN = "My own"
# Tokens a picture may take at most; None takes the checkpoint's own bound.
DETAIL: dict[str, int | None] = {"low": 256, "medium": 1280, "full": None}


BOUNDS: dict[str, tuple[float, float]] = {
    "thinking_budget": (0, 65_536),
    "temperature": (0.0, 2.0),
    "top_p": (0.01, 1.0),
    "max_tokens": (1, 65_536),
}


@dataclass(frozen=True)
class Choices:
    """What a person chose.

    thinking_budget: tokens after which thinking is closed, 0 for none. preset: a key of PRESETS, or OWN, for
    which temperature and top_p count. detail: a key of DETAIL. system: told to the model before everything.
    demo: the demo model is to answer, which cannot read documents; of nobody's choosing.
    """

    thinking: bool = True
    thinking_budget: int = 0
    preset: str = "Visual Q&A"
    temperature: float = 0.6
    top_p: float = 0.95
    max_tokens: int = 8192
    detail: str = "full"
    system: str = ""
    demo: bool = False

    @property
    def sampling(self) -> Sampling:
        temperature, top_p = PRESETS.get(self.preset, (self.temperature, self.top_p))
        return Sampling(temperature=temperature, top_p=top_p)

    @property
    def max_image_tokens(self) -> int | None:
        return DETAIL[self.detail]

    def options(self) -> dict[str, Any]:
        """As it is kept: what differs from the defaults, and thinking always."""
        plain = Choices()
        changed = {name: value for name, value in asdict(self).items() if value != getattr(plain, name)}
        return {"thinking": self.thinking, **changed}


# The demo model is small: its likeliest word is right far more often than one drawn at random.
FOR_DEMO = Choices(preset=OWN, temperature=0.0)


def read(kept: Mapping[str, Any] | None) -> Choices:
    """Choices as they were kept."""
    choices = Choices()
    for field in fields(Choices):
        value = (kept or {}).get(field.name)
        if value is not None and (fitting := _fitting(field.name, value)) is not None:
            choices = replace(choices, **{field.name: fitting})
    return choices


def _fitting(name: str, value: Any) -> Any:
    """The value if it can be one, brought into its bounds; None if not."""
    if name in ("thinking", "demo"):
        return value if isinstance(value, bool) else None
    if name in ("preset", "detail", "system"):
        return _fitting_text(name, value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    low, high = BOUNDS[name]
    bounded = min(max(value, low), high)
    return float(bounded) if name in ("temperature", "top_p") else int(bounded)


def _fitting_text(name: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    if name == "system":
        return value.strip()[:LONGEST]
    known = (*PRESETS, OWN) if name == "preset" else tuple(DETAIL)
    return value if value in known else None
