"""The five questions that show what the demo model can do, each with its pictures or its clip.

Knows: the questions, the files they are about, what stands on their cards.
Does not know: how a card is drawn, how a question is asked, Gradio.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.config import PROJECT

FOLDER = PROJECT / "assets" / "examples"


@dataclass(frozen=True)
class Example:
    """A question and the names of its files. poster: the picture that stands for a clip, its first frame."""

    question: str
    files: tuple[str, ...]
    poster: str | None = None

    @property
    def paths(self) -> list[Path]:
        return [FOLDER / name for name in self.files]

    def card(self) -> dict[str, Any]:
        """What the page draws; the pictures, a few kB each, lie in it."""
        shown = (self.poster,) if self.poster else self.files
        pictures = [_inline(FOLDER / name) for name in shown]
        return {"question": self.question, "pictures": pictures, "clip": self.poster is not None}


EXAMPLES = (
    Example("What is in the picture?", ("scene.png",)),
    Example("Where are all the circles?", ("circles.png",)),
    Example("What does it say?", ("word.png",)),
    Example("What changed?", ("before.png", "after.png")),
    # VP8: the one codec that OpenCV can write everywhere and that both Chromium and Safari play
    Example("Which way does the ball move?", ("ball.webm",), poster="ball.png"),
)


def asked(question: object) -> Example | None:
    """The example with these words; None for anything else a page may send."""
    return next((example for example in EXAMPLES if example.question == question), None)


def _inline(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
