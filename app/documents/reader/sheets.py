"""Workbooks (XLSX): every sheet's values as blocks of rows, and the boxes over them.

Knows: openpyxl's streaming reader, how values look to a person.
Does not know: formulas' meaning; what a program stored as their result is read, and where none did, that is
    told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import openpyxl

from . import archive, boxes
from .items import TEXT, TITLE, Entry, Item, Leaf, Note, Opened
from .rows import Row, leaves

COLUMNS = 1000  # of a row that are read; the rest of the 16,384 is empty in honest files
PIECE, LONGEST = 1 << 20, 10_000  # bytes that are looked through at once, and of a cell with its formula
# A cell with a formula and without a value; t="str" is one whose value is an empty text.
_UNSAVED = re.compile(
    rb"<(?:\w{1,9}:)?c(?![^<>]{0,300}t=.str)(?:\s[^<>]{0,300})?>\s{0,9}"
    rb"<(?:\w{1,9}:)?f(?:\s[^<>]{0,300})?(?:/>|>[^<]{0,8200}</(?:\w{1,9}:)?f>)\s{0,9}"
    rb"(?:</(?:\w{1,9}:)?c>|<(?:\w{1,9}:)?v\s?/>|<(?:\w{1,9}:)?v></(?:\w{1,9}:)?v>)"
)


def read(path: Path, kind: str) -> Iterator[Item]:
    # by a path, openpyxl would go by its extension
    with archive.opened(path) as package, path.open("rb") as file:
        unsaved, names = _unsaved(package), package.namelist()
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        yield Opened(kind, str(book.properties.title or ""))
        yield from _sheets(book, package)
    if unsaved:
        cells = "1 cell holds a formula" if unsaved == 1 else f"{unsaved:,} cells hold formulas"
        yield Note(f"{cells} whose result was never saved. Open and save it in a spreadsheet program.")
    if any(name.startswith(("xl/comments", "xl/threadedComments/")) for name in names):
        yield Note("The comments on its cells are not read.")


def _unsaved(package: ZipFile) -> int:
    """How many cells hold a formula that no program has worked out."""
    count = 0
    for name in package.namelist():
        if name.startswith("xl/worksheets/") and name.endswith(".xml"):
            with package.open(name) as part:
                rest = b""
                while piece := part.read(PIECE):
                    data = rest + piece
                    end = 0
                    for found in _UNSAVED.finditer(data):
                        count, end = count + 1, found.end()
                    rest = data[max(end, len(data) - LONGEST) :]
    return count


def _sheets(book: Any, package: ZipFile) -> Iterator[Item]:
    number = 0
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a sheet claims as its size would be padded with empty cells
        name = sheet.title if sheet.sheet_state == "visible" else f"{sheet.title} (hidden)"
        first = number + 1
        for leaf in chain(leaves(_rows(sheet), name), _over(package, sheet, name)):
            number += 1
            if number == first:
                yield Entry(1, name, number)
            yield leaf


def _over(package: ZipFile, sheet: Any, name: str) -> Iterator[Leaf]:
    """What lies over its cells, as a page behind them."""
    if text := boxes.told(package, sheet._worksheet_path):
        yield Leaf(f"{name}, text boxes"[:TITLE], text[:TEXT])


def _rows(sheet: Any) -> Iterator[Row]:
    for number, cells in enumerate(sheet.iter_rows(), 1):
        values = [_shown(cell) for cell in cells[:COLUMNS]]
        if any(values):
            yield number, values


def _shown(cell: Any) -> str:
    """A cell's value as a person sees it, about: dates as ISO, percentages as such."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        plain = value.time() == time() and value.microsecond == 0
        return value.date().isoformat() if plain else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, int | float) and "%" in (cell.number_format or ""):
        return f"{value * 100:.10g}%"
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)
