"""Workbooks (XLSX): every sheet's values as blocks of rows.

Knows: openpyxl's streaming reader, how values look to a person.
Does not know: formulas' meaning; what a program stored as their result is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl

from . import archive
from .items import Entry, Item, Opened
from .rows import Row, leaves

COLUMNS = 1000  # of a row that are read; the rest of the 16,384 is empty in honest files


def read(path: Path, kind: str) -> Iterator[Item]:
    archive.opened(path).close()
    with path.open("rb") as file:  # by a path, openpyxl would go by its extension
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        yield Opened(kind, str(book.properties.title or ""))
        yield from _sheets(book)


def _sheets(book: Any) -> Iterator[Item]:
    number = 0
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a sheet claims as its size would be padded with empty cells
        name = sheet.title if sheet.sheet_state == "visible" else f"{sheet.title} (hidden)"
        first = number + 1
        for leaf in leaves(_rows(sheet), name):
            number += 1
            if number == first:
                yield Entry(1, name, number)
            yield leaf


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
