"""Places that an answer points at, as the page draws them on the picture.

Knows: which picture of the conversation a place is on, how places are numbered.
Does not know: pixels, how they are drawn (places.js), Gradio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.store import Message, Part
from app.ui.saw import given

ADDRESS = "#place-"  # a link to it is drawn as a numbered mark; it leads nowhere


def numbered(parts: Sequence[Part]) -> Iterator[tuple[Part, int]]:
    """The boxed parts that hold places, each with the number of its first one; numbers count from 1."""
    number = 1
    for part in parts:
        if part.type == "box" and part.data.get("boxes"):
            yield part, number
            number += len(part.data["boxes"])


def marks(first: int, count: int) -> str:
    """Markdown that stands for places in the text."""
    return " ".join(f"[{number}]({ADDRESS}{number})" for number in range(first, first + count))


def figures(path: Sequence[Message]) -> dict[str, list[dict[str, Any]]]:
    """By answer, the pictures it points at: {src, name, places: [{n, box, label}]}.

    box: 4 or 2 numbers, 0 to 1000 of the picture's width and height.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for answer, files in given(path):
        if drawn := _drawn(answer.parts, [part for part in files if part.type == "image"]):
            found[answer.id] = drawn
    return found


def _drawn(parts: Sequence[Part], pictures: Sequence[Part]) -> list[dict[str, Any]]:
    by_picture: dict[int, list[dict[str, Any]]] = {}
    for part, first in numbered(parts):
        index = int(part.data.get("image", 0))
        if 0 <= index < len(pictures) and pictures[index].sha256:  # not a document's page
            by_picture.setdefault(index, []).extend(
                {"n": n, "box": list(box), "label": str(part.data.get("label") or "")}
                for n, box in enumerate(part.data["boxes"], first)
            )
    return [
        {
            "src": f"/media/{pictures[index].sha256}",
            "name": str(pictures[index].data.get("name", "picture")),
            "places": places,
        }
        for index, places in sorted(by_picture.items())
    ]
