"""A table as a file for other programs: CSV, XLSX, JSON.

Knows: the three formats, what a spreadsheet takes for a formula, what a cell's mark is called.
Does not know: where the file goes, how a table is filled.

Whatever a document says ends up in somebody's spreadsheet: no text of a cell, a header or a file's name may
begin to compute there.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.extract.cells import Mark, Row, Value
from app.extract.columns import Column

# What begins a formula in a spreadsheet, the wide signs of Japanese and Chinese keyboards included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_UNPRINTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_LONGEST = 32_000  # characters of a cell; a spreadsheet holds 32,767
MARKS: Mapping[Mark, str] = {
    "verified": "verified",
    "unlike": "words found, value not in them",
    "missing": "words not found",
    "seen": "read off a picture",
    "empty": "",
}
UNSURE: tuple[Mark, ...] = ("unlike", "missing")
_TINTS: Mapping[Mark, str] = {"unlike": "FFF3CD", "missing": "FDE2E1", "seen": "E7EEFB"}
_WIDTHS = (8, 48)  # characters of a column in a workbook


@dataclass(frozen=True)
class Filled:
    """What a file of the table gave. state: waiting, done or failed. problem: for the person."""

    name: str
    state: str
    rows: tuple[Row, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Table:
    """A table as far as it is filled."""

    title: str
    columns: tuple[Column, ...]
    files: tuple[Filled, ...]
    question: str = ""


def lines(table: Table) -> Iterator[list[Value]]:
    """Headers, then a line for each row: the file, its values, what is not proven, what is to be told.

    A file without rows has a line of its own, with why.
    """
    yield ["File", *(column.name for column in table.columns), "Not verified", "Note"]
    for file in table.files:
        note = file.problem or ("not asked yet" if file.state == "waiting" else "")
        for n, row in enumerate(file.rows):
            unsure = [c.name for c, cell in zip(table.columns, row, strict=True) if cell.mark in UNSURE]
            yield [file.name, *(cell.value for cell in row), ", ".join(unsure), "" if n else note]
        if not file.rows:
            yield [file.name, *[None] * len(table.columns), "", note]


def as_csv(table: Table) -> bytes:
    """With a mark at its beginning by which spreadsheets know that it is UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for line in lines(table):
        writer.writerow([harmless(value) if isinstance(value, str) else _told(value) for value in line])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace")


def harmless(text: str) -> str:
    """A text that no spreadsheet computes: with an apostrophe before what would begin a formula."""
    text = _UNPRINTED.sub("", text)[:_LONGEST]
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) or text.startswith(_FORMULA) else text


def _told(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)


def as_xlsx(table: Table) -> bytes:
    """Two sheets: the table, tinted where a value is not proven, and the evidence of every cell."""
    from openpyxl import Workbook  # here: the server loads no library that reads files
    from openpyxl.styles import PatternFill

    book = Workbook()
    sheet = book.active
    sheet.title = "Table"
    _fill(sheet, lines(table))
    at = 2
    for file in table.files:
        for row in file.rows or ((),):
            for column, cell in enumerate(row, 2):
                if tint := _TINTS.get(cell.mark):
                    sheet.cell(at, column).fill = PatternFill("solid", fgColor=tint)
            at += 1
    _fill(book.create_sheet("Evidence"), _evidence(table))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _fill(sheet: Any, rows: Iterator[list[Value]]) -> None:
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    widths: dict[int, int] = {}
    for at, row in enumerate(rows, 1):
        for column, value in enumerate(row, 1):
            cell = sheet.cell(at, column)
            text = _UNPRINTED.sub("", value)[:_LONGEST] if isinstance(value, str) else value
            cell.value = text
            if isinstance(text, str):
                cell.data_type = "s"  # openpyxl takes "=…" for a formula; this says that it is none
            if at == 1:
                cell.font = Font(bold=True)
            widths[column] = max(widths.get(column, 0), len(_told(text)))
    for column, width in widths.items():
        letter = get_column_letter(column)
        sheet.column_dimensions[letter].width = min(max(width + 2, _WIDTHS[0]), _WIDTHS[1])
    sheet.freeze_panes = "B2"


def _evidence(table: Table) -> Iterator[list[Value]]:
    yield ["File", "Row", "Column", "Value", "Words", "Where", "Check"]
    for file in table.files:
        for n, row in enumerate(file.rows, 1):
            for column, cell in zip(table.columns, row, strict=True):
                if cell.mark != "empty":
                    yield [file.name, n, column.name, cell.value, cell.quote, cell.label, MARKS[cell.mark]]


def as_json(table: Table) -> bytes:
    """Everything, evidence included."""
    names = [column.name for column in table.columns]
    told = {
        "title": table.title,
        "question": table.question,
        "columns": [asdict(column) for column in table.columns],
        "files": [
            {
                "name": file.name,
                "state": file.state,
                "note": file.problem,
                "rows": [_row(names, row) for row in file.rows],
            }
            for file in table.files
        ],
    }
    return json.dumps(told, ensure_ascii=False, indent=2).encode("utf-8", "replace") + b"\n"


def _row(names: Sequence[str], row: Row) -> dict[str, Any]:
    cells = zip(names, row, strict=True)
    return {
        name: {
            "value": cell.value,
            "quote": cell.quote,
            "page": cell.page or None,
            "where": cell.label,
            "check": cell.mark,
        }
        | ({"box": list(cell.box)} if cell.box else {})
        for name, cell in cells
    }


SAVED = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "xlsx": (as_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "json": (as_json, "application/json"),
}
