"""The words of WordprocessingML: paragraphs and tables as text, and what hangs on them.

Knows: which elements hold words that a person sees, that text boxes, notes and comments stand elsewhere than
    where they are read, what is hidden or deleted.
Does not know: files, what a style means, headings.

A note's mark is a sign and no number: quotations are compared by letters and digits, and whoever quotes the
sentence leaves its mark out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import charts
from .numbering import Numbers, W
from .rows import line

MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
SIGNS = "*†‡§‖¶"
_BREAKS = {W + "tab": "\t", W + "ptab": "\t", W + "br": "\n", W + "cr": "\n", W + "noBreakHyphen": "-"}
_REFERENCES = {W + f"{kind}Reference": kind for kind in ("footnote", "endnote", "comment")}
# what was deleted, properties, readings beside characters (the characters themselves are read)
_SILENT = frozenset(W + tag for tag in ("del", "moveFrom", "pPr", "rPr", "tblPr", "trPr", "sdtPr", "rt"))
_OFF = ("0", "false", "off")

Told = tuple[str, list[str]]  # words, and what hangs on them


class Wording:
    """One part of a document. hidden: runs so far that the document itself does not show."""

    def __init__(
        self, part: Any, notes: Mapping[tuple[str, str], str], numbers: Numbers | None = None
    ) -> None:
        """part: what pictures' and charts' ids refer to. notes: their words by kind and id."""
        self.hidden = 0
        self._part, self._notes, self._numbers = part, notes, numbers

    def blocks(self, element: Any) -> Iterator[tuple[Any, Told]]:
        """Paragraphs, with their element, and tables, with None, in order."""
        for child in _children(element):
            if child.tag == W + "p":
                yield child, self._paragraph(child)
            elif child.tag == W + "tbl":
                yield from self._table(child)
            elif child.tag not in _SILENT and not _contents(child):
                yield from self.blocks(child)

    def flat(self, element: Any) -> str:
        """All words in it, a line for each paragraph and row, what hangs on them behind."""
        lines = (part for _, (words, beside) in self.blocks(element) for part in (words, *beside))
        return "\n".join(words for words in lines if words.strip())

    def _paragraph(self, paragraph: Any) -> Told:
        words: list[str] = []
        beside: list[str] = []
        self._gather(paragraph, words, beside)
        number = self._numbers.before(paragraph, style_id(paragraph)) if self._numbers else ""
        text = "".join(words)
        return f"{number} {text}" if number and text.strip() else text, beside

    def _gather(self, element: Any, words: list[str], beside: list[str]) -> None:
        for child in _children(element):
            if (seen := _seen(child)) is not None:
                words.append(seen)
            elif child.tag in _REFERENCES:
                if note := self._notes.get((_REFERENCES[child.tag], str(child.get(W + "id")))):
                    sign = SIGNS[len(beside) % len(SIGNS)] * (1 + len(beside) // len(SIGNS))
                    words.append(sign)
                    beside.append(f"{sign} {note}")
            elif child.tag == W + "txbxContent" or charts.refers(child):
                beside += self._box(child)
            elif child.tag == W + "r" and _hidden(child):
                self.hidden += 1
            elif child.tag not in _SILENT:
                self._gather(child, words, beside)

    def _box(self, element: Any) -> list[str]:
        if element.tag != W + "txbxContent":
            told = charts.told(element, self._part)
            return [told] if told else []
        words = self.flat(element)
        return [f"[text box] {words}"] if words else []

    def _table(self, table: Any) -> Iterator[tuple[Any, Told]]:
        rows = [list(_inner(row, W + "tc")) for row in _inner(table, W + "tr")]
        if all(len(row) < 2 for row in rows):  # a frame around text that flows
            for row in rows:
                for cell in row:
                    yield from self.blocks(cell)
            return
        beside: list[str] = []
        lines = [line(cells) for cells in self._cells(rows, beside)]
        yield None, ("\n".join(text for text in lines if text), beside)

    def _cells(self, rows: list[list[Any]], beside: list[str]) -> Iterator[list[str]]:
        """A row's cells; one that goes on from the row above says the same again."""
        above: dict[int, str] = {}
        for row in rows:
            cells: dict[int, str] = {}
            at = 0
            for cell in row:
                merged = cell.find(f"{W}tcPr/{W}vMerge")
                goes_on = merged is not None and merged.get(W + "val", "continue") == "continue"
                cells[at] = above.get(at, "") if goes_on else self._cell(cell, beside)
                at += _span(cell)
            above = cells
            yield list(cells.values())

    def _cell(self, cell: Any, beside: list[str]) -> str:
        parts: list[str] = []
        for paragraph, (words, hanging) in self.blocks(cell):
            parts.append(words if paragraph is not None else words.replace("\n", " / "))
            beside += hanging
        return " ".join(parts)


def style_id(paragraph: Any) -> str:
    """The id of its style. python-docx would look the style up anew for each of ten thousand paragraphs."""
    found = paragraph.find(f"{W}pPr/{W}pStyle")
    return "" if found is None else str(found.get(W + "val"))


def note(kind: str, element: Any, words: str) -> str:
    """A note's words as they are read behind the paragraph that it belongs to."""
    who = " ".join((element.get(W + "author") or "").split())[:60]
    return f"[{kind}{f' by {who}' if who else ''}] {' '.join(words.split())}" if words.strip() else ""


def _children(element: Any) -> Iterator[Any]:
    """Its elements; of a thing that is told in several ways for old and new programs the newest."""
    for child in element:
        if child.tag == MC + "AlternateContent":
            chosen = child.find(MC + "Choice")
            chosen = child.find(MC + "Fallback") if chosen is None else chosen
            if chosen is not None:
                yield chosen
        elif isinstance(child.tag, str):
            yield child


def _seen(element: Any) -> str | None:
    """What an element without others in it shows."""
    return (element.text or "") if element.tag in (W + "t", M + "t") else _BREAKS.get(element.tag)


def _inner(element: Any, wanted: str) -> Iterator[Any]:
    """The rows of a table or the cells of a row, those in content controls too."""
    for child in element:
        if child.tag == wanted:
            yield child
        elif child.tag in (W + "sdt", W + "sdtContent", W + "customXml", W + "ins"):
            yield from _inner(child, wanted)


def _contents(element: Any) -> bool:
    """Whether it is a table of contents: every page's words without what they are about."""
    gallery = element.find(f"{W}sdtPr/{W}docPartObj/{W}docPartGallery")
    return gallery is not None and gallery.get(W + "val") == "Table of Contents"


def _span(cell: Any) -> int:
    found = cell.find(f"{W}tcPr/{W}gridSpan")
    value = "" if found is None else str(found.get(W + "val"))
    return min(1000, int(value)) if value.isascii() and value.isdigit() else 1


def _hidden(run: Any) -> bool:
    found = run.find(f"{W}rPr/{W}vanish")
    return found is not None and found.get(W + "val") not in _OFF
