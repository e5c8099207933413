"""Word documents (DOCX): paragraphs and tables in their order, cut at headings.

Knows: python-docx, styles that mean a heading, tables in tables.
Does not know: pages as printed; a DOCX has none until a program lays it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docx
from docx.document import Document as Docx
from docx.oxml.ns import qn
from docx.table import Table, _Cell
from docx.text.paragraph import Paragraph

from . import archive
from .items import Item, Note, Opened, Refusal
from .rows import line
from .sections import Block, pages

DEEP = 6  # tables in tables; what lies deeper is read as text


def read(path: Path, kind: str) -> Iterator[Item]:
    archive.opened(path).close()
    try:
        document = docx.Document(str(path))
    except ValueError as error:  # macros or a template: another content type
        raise Refusal("unsupported", "a Word template or a document with macros; save it as DOCX") from error
    yield Opened(kind, document.core_properties.title or "")
    yield from pages(_blocks(document))
    drawn = len(document.inline_shapes)
    if drawn:
        things = "1 picture" if drawn == 1 else f"{drawn} pictures"
        yield Note(f"It holds {things}, which are not read. To have them seen, save it as PDF.")


def _blocks(document: Docx) -> Iterator[Block]:
    levels = _levels(document)
    for element in document.iter_inner_content():
        if isinstance(element, Paragraph):
            yield levels.get(_style(element), 0), element.text
        else:
            yield 0, "\n".join(_lines(element))


def _levels(document: Docx) -> dict[str, int]:
    """The level of every style that is, or is based on, a heading; by the style's id."""
    levels = {}
    for style in document.styles.element.style_lst:
        name = (style.name_val or "").lower()
        if name == "title":
            levels[style.styleId] = 1
        elif name.startswith("heading ") and name[8:].isdigit():
            levels[style.styleId] = min(6, int(name[8:]))
    for style in document.styles.element.style_lst:
        base = style.basedOn_val if hasattr(style, "basedOn_val") else None
        if base in levels:
            levels.setdefault(style.styleId, levels[base])
    return levels


def _style(paragraph: Paragraph) -> str:
    # paragraph.style would look the style up anew for each of ten thousand paragraphs
    found = paragraph._p.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
    return "" if found is None else str(found.get(qn("w:val")))


def _lines(table: Table, depth: int = 1) -> Iterator[str]:
    for row in table.rows:
        cells: list[str] = []
        last = None
        for cell in row.cells:
            if cell._tc is not last:  # a merged cell comes once for each column it spans
                cells.append(_inside(cell, depth))
            last = cell._tc
        if text := line(cells):
            yield text


def _inside(cell: _Cell, depth: int) -> str:
    if depth >= DEEP:
        return " ".join(str(text) for text in cell._tc.itertext())
    parts = []
    for element in cell.iter_inner_content():
        parts.append(
            element.text if isinstance(element, Paragraph) else " / ".join(_lines(element, depth + 1))
        )
    return " ".join(parts)
