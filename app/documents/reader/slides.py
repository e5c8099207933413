"""Presentations (PPTX): one page per slide, with its tables, charts and the speaker's notes.

Knows: python-pptx, shapes in groups, slides that are hidden.
Does not know: how a slide looks; pictures on it are counted, not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pptx
from pptx.enum.shapes import MSO_SHAPE_TYPE
from pptx.oxml.ns import qn

from . import archive, charts
from .items import TEXT, TITLE, Entry, Item, Leaf, Note, Opened, Refusal
from .rows import line
from .wording import MC

DEEP = 20  # groups in groups
FEW = 20  # characters: less than this beside a picture says that the picture is the slide


def read(path: Path, kind: str) -> Iterator[Item]:
    archive.opened(path).close()
    try:
        deck = pptx.Presentation(str(path))
    except ValueError as error:
        raise Refusal("unsupported", "a template or a presentation with macros; save it as PPTX") from error
    yield Opened(kind, deck.core_properties.title or "", len(deck.slides))
    blind = pictures = 0
    for number, slide in enumerate(deck.slides, 1):
        title = _title(slide)
        if title:
            yield Entry(1, title[:TITLE], number)
        text = "\n".join(
            part for part in (*_texts(slide, slide.shapes), *_newer(slide), _notes(slide)) if part.strip()
        )
        drawn = sum(1 for _ in slide.shapes._spTree.iter(qn("p:pic")))
        only = len(text) < FEW and (drawn > 0 or any(_drawn(shape) for shape in slide.shapes))
        blind, pictures = blind + only, pictures + (0 if only else drawn)
        hidden = " (hidden)" if slide._element.get("show") in ("0", "false") else ""
        yield Leaf(f"slide {number}{hidden}", text[:TEXT], image_only=only)
    if blind:
        slides = "1 slide is a picture" if blind == 1 else f"{blind} slides are pictures"
        yield Note(f"{slides} without text. To have them seen, save the presentation as PDF.")
    if pictures:
        things = "1 picture" if pictures == 1 else f"{pictures} pictures"
        yield Note(f"It holds {things}, which are not read. To have them seen, save it as PDF.")


def _title(slide: Any) -> str:
    shape = slide.shapes.title
    return " ".join(shape.text_frame.text.split()) if shape is not None else ""


def _texts(slide: Any, shapes: Iterable[Any], depth: int = 1) -> Iterator[str]:
    for shape in shapes:
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP and depth < DEEP:
            yield from _texts(slide, shape.shapes, depth + 1)
        elif shape.has_text_frame:
            yield shape.text_frame.text.replace("\v", "\n")
        elif getattr(shape, "has_table", False):
            yield "\n".join(line(cell.text for cell in row.cells) for row in shape.table.rows)
        else:
            for element in filter(charts.refers, shape._element.iter()):
                yield charts.told(element, slide.part)


def _newer(slide: Any) -> Iterator[str]:
    """Words of shapes that are told in two ways, for old and new programs: python-pptx sees neither."""
    for choice in slide.shapes._spTree.iter(MC + "Choice"):
        for paragraph in choice.iter(qn("a:p")):
            yield "".join(text.text or "" for text in paragraph.iter(qn("a:t")))


def _notes(slide: Any) -> str:
    if not slide.has_notes_slide:
        return ""
    frame = slide.notes_slide.notes_text_frame
    text = frame.text.strip() if frame is not None else ""
    return f"Notes: {text}" if text else ""


def _drawn(shape: Any) -> bool:
    return shape.shape_type in (MSO_SHAPE_TYPE.CHART, MSO_SHAPE_TYPE.GROUP)
