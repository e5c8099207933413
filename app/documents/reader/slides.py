"""Presentations (PPTX): one page per slide, with its tables and the speaker's notes.

Knows: python-pptx, shapes in groups.
Does not know: how a slide looks; pictures on it are counted, not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pptx
from pptx.enum.shapes import MSO_SHAPE_TYPE

from . import archive
from .items import TEXT, TITLE, Entry, Item, Leaf, Note, Opened, Refusal
from .rows import line

DEEP = 20  # groups in groups
FEW = 20  # characters: less than this beside a picture says that the picture is the slide


def read(path: Path, kind: str) -> Iterator[Item]:
    archive.opened(path).close()
    try:
        deck = pptx.Presentation(str(path))
    except ValueError as error:
        raise Refusal("unsupported", "a template or a presentation with macros; save it as PPTX") from error
    yield Opened(kind, deck.core_properties.title or "", len(deck.slides))
    blind = 0
    for number, slide in enumerate(deck.slides, 1):
        shapes = list(slide.shapes)
        title = _title(slide)
        if title:
            yield Entry(1, title[:TITLE], number)
        text = "\n".join(part for part in (*_texts(shapes), _notes(slide)) if part.strip())
        only = len(text) < FEW and any(_pictured(shape) for shape in shapes)
        blind += only
        yield Leaf(f"slide {number}", text[:TEXT], image_only=only)
    if blind:
        slides = "1 slide is a picture" if blind == 1 else f"{blind} slides are pictures"
        yield Note(f"{slides} without text. To have them seen, save the presentation as PDF.")


def _title(slide: Any) -> str:
    shape = slide.shapes.title
    return " ".join(shape.text_frame.text.split()) if shape is not None else ""


def _texts(shapes: Iterable[Any], depth: int = 1) -> Iterator[str]:
    for shape in shapes:
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP and depth < DEEP:
            yield from _texts(shape.shapes, depth + 1)
        elif shape.has_text_frame:
            yield shape.text_frame.text.replace("\v", "\n")
        elif getattr(shape, "has_table", False):
            yield "\n".join(line(cell.text for cell in row.cells) for row in shape.table.rows)


def _notes(slide: Any) -> str:
    if not slide.has_notes_slide:
        return ""
    frame = slide.notes_slide.notes_text_frame
    text = frame.text.strip() if frame is not None else ""
    return f"Notes: {text}" if text else ""


def _pictured(shape: Any) -> bool:
    return shape.shape_type in (MSO_SHAPE_TYPE.PICTURE, MSO_SHAPE_TYPE.CHART, MSO_SHAPE_TYPE.GROUP)
