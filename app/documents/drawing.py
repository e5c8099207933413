"""Pictures of pages, and where words stand on them: each asked of a process of its own.

Knows: how a character range of a page's text becomes rectangles, how a page becomes a PNG.
Does not know: citations, the viewer, the model's picture sizes.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import said
from .isolated import Child, Guard
from .pages import Page, Rect, Unreadable
from .reader.canon import canon
from .reader.items import Refused, decode

DRAW = Guard(seconds=20.0, per_line=0.0)
LONGEST = 1568  # pixels of a page's long side: what the model is shown
PNG = b"\x89PNG\r\n\x1a\n"
MOST = 64 << 20  # bytes of a picture
ORDER = 100_000  # characters of an order: Linux lets no argument of a program have more than 131,072


@dataclass(frozen=True)
class Place:
    """Rectangles of words on a page, one per line or less.

    exact: what lies under them is these words. Where not, and where there are none, outline the whole page:
    the fonts of the file are not those of this computer.
    """

    rects: tuple[Rect, ...]
    exact: bool


def whole(page: Page) -> Rect:
    """The whole page, which render() outlines."""
    return Rect(0.0, 0.0, page.width, page.height)


def render(path: Path, number: int, rects: Sequence[Rect] = (), longest: int = LONGEST) -> bytes:
    """The page as PNG with the rectangles marked; its long side has at most `longest` pixels (16 to 4000).

    For documents whose kind is in PICTURED. Raises Unreadable.
    """
    boxes = [[rect.left, rect.bottom, rect.right, rect.top] for rect in rects]
    data = _asked(path, {"page": number, "longest": longest, "rects": boxes})
    if not data.startswith(PNG):
        raise _failed(data)
    return data


def place(path: Path, page: Page, start: int, end: int) -> Place:
    """Where page.text[start:end] stands on the page of a PDF. Raises Unreadable."""
    return places(path, page, [(start, end)])[0]


def places(path: Path, page: Page, spans: Sequence[tuple[int, int]]) -> tuple[Place, ...]:
    """The same for several ranges of characters, in their order. Raises Unreadable."""
    if page.source != "file":
        return tuple(Place((), False) for _ in spans)  # the file does not have these words
    letters = canon(page.text)[1]
    wanted = [[page.text[start:end], bisect_left(letters, start)] for start, end in spans]
    order: dict[str, object] = {"page": page.number, "words": wanted}
    if len(json.dumps(order)) > ORDER:
        return tuple(Place((), False) for _ in spans)  # so many words are the whole page
    data = _asked(path, order)
    try:
        return tuple(_place(found) for found in json.loads(data)["places"])
    except (ValueError, TypeError, KeyError) as error:
        raise _failed(data) from error


def _place(found: Mapping[str, Any]) -> Place:
    rects = tuple(Rect(*(float(side) for side in box)) for box in found["rects"])
    return Place(rects, bool(found["exact"]) and bool(rects))


def _asked(path: Path, order: dict[str, object]) -> bytes:
    child = Child(["draw", str(path), json.dumps(order)], DRAW)
    data = child.output(MOST)
    if child.ended not in ("done", "failed"):
        raise said.ended(child.ended)
    return data


def _failed(data: bytes) -> Unreadable:
    try:
        item = decode(data)
    except ValueError:
        return said.ended("crashed")
    return said.refusal(item) if isinstance(item, Refused) else said.ended("crashed")
