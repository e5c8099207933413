"""Tables as text: rows of cells, cut into blocks that each repeat the header.

Knows: CSV with any separator, how a row is written on a page.
Does not know: workbooks (sheets.py uses what is here).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from .items import TEXT, TITLE, Item, Leaf, Note, Opened
from .kind import separator
from .plain import MOST, whole
from .sections import FULL, weight

BLOCK = 40  # rows of a page
CELL = 20_000  # characters of a cell that are shown

Row = tuple[int, list[str]]  # its number in the file, from 1, and its cells


def read(path: Path, kind: str) -> Iterator[Item]:
    """The rows of a CSV file. A row's number counts rows, as a spreadsheet program would show them."""
    text, cut = whole(path)
    csv.field_size_limit(len(text) + 1)  # a quotation mark that is never closed takes in the rest
    yield Opened(kind)
    lines = csv.reader(text.splitlines(keepends=True), delimiter=separator(text[:200_000]) or ",")
    yield from leaves(((number, row) for number, row in enumerate(lines, 1)), "")
    if cut:
        yield Note(f"Only its first {MOST // 1_000_000} MB were read.")


def line(cells: Iterable[str]) -> str:
    """A row on one line: "a | b | c", without empty cells at its end."""
    flat = [" ".join(cell[:CELL].split()) for cell in cells]
    while flat and not flat[-1]:
        flat.pop()
    return " | ".join(flat)


def leaves(rows: Iterable[Row], name: str) -> Iterator[Leaf]:
    """Pages of rows. name: the sheet's, empty where the file is one table."""
    header = ""
    lines: list[str] = []
    numbers: list[int] = []
    full = 0.0
    for number, cells in rows:
        text = line(cells)
        if not text:
            continue
        if not header and not lines:
            header = text
        if lines and (len(lines) > BLOCK or full + weight(text) > 2 * FULL):
            yield _leaf(name, lines, numbers)
            lines, numbers, full = [header], [], weight(header)
        lines.append(text)
        numbers.append(number)
        full += weight(text)
    if numbers:
        yield _leaf(name, lines, numbers)


def _leaf(name: str, lines: list[str], numbers: list[int]) -> Leaf:
    first, last = numbers[0], numbers[-1]
    span = f"rows {first}-{last}" if last > first else f"row {first}"
    return Leaf((f"{name}, {span}" if name else span)[:TITLE], "\n".join(lines)[:TEXT])
