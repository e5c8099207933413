"""Tables of a PDF that are drawn column by column: their rows, by where their words stand.

Knows: lines of a page in the order in which they are drawn, when columns of them are one table's.
Does not know: rulings, pages with lines that run downwards or upwards.

Columns of a text look the same, and to tear a text apart is worse than to leave a table as it is drawn. So
there must be a column of figures that count nothing, every column must be of few words, and the lines must
stand side by side. A table of words alone stays as it is drawn.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import pypdfium2.raw as raw

from .items import TEXT
from .rows import line as written

LEAST = 4  # rows of a table
WIDEST = 20  # columns of one
MOST = 2_000  # lines of a page
SHARED = 0.7  # of a table's rows have several cells, of a column's cells are figures
FULL = 0.5  # of its rows a column has a cell in
WORDS, LETTERS, LONGEST = 5, 32, 60  # of a usual cell, and letters of the longest
NEAR = 0.3  # of a line's height: so far apart lines may stand side by side
SEPARATOR = -1  # in an order of characters: what stands between two cells or lines
_FIGURE = re.compile(r"[^\w\n]{0,4}\d[\d.,:/'’ \u00a0\u202f+-]{0,24}\W{0,3}[^\W\d]{0,3}\W{0,2}|[-–—]")


@dataclass(frozen=True)
class Line:
    """A line as it is drawn. chars: its characters among the page's; the rest in points."""

    chars: range
    text: str
    left: float
    right: float
    middle: float
    height: float


Row = list[Line | None]  # a line alone, or the cells of a table's row, None for an empty one


def likely(text: str) -> bool:
    """Whether a page with this text may hold such a table, so that its lines are worth looking at."""
    # PDFium takes single letters below each other for a word
    figures = (len(line) if line.isdigit() else _figure(line) for line in text.splitlines())
    return text.count("\n") < MOST and sum(figures) >= LEAST


def rows(textpage: Any) -> list[Row]:
    """The page's lines, those of tables as rows; nothing where there is no such table."""
    if textpage.count_chars() > TEXT:
        return []
    lines = _lines(textpage)
    stacks, found = _stacks(lines) if len(lines) < MOST else [], list[Row]()
    at, tables = 0, 0
    while at < len(stacks):
        ends = range(min(len(stacks), at + WIDEST), at + 1, -1)
        tried = ((end, _table(stacks[at:end])) for end in ends)
        end, table = next(((end, table) for end, table in tried if table), (at + 1, None))
        if table is None:
            found += [[line] for line in stacks[at]]
            at = end
            continue
        above, body, stacks[end - 1] = table
        found += [[line] for line in above]
        found += body
        at, tables = end - 1, tables + 1
    return found if tables else []


def text(found: Sequence[Row]) -> str:
    """The rows as a page's text."""
    told = [[cell.text if cell else "" for cell in row] for row in found]
    return "\n".join(written(cells) if len(cells) > 1 else cells[0] for cells in told)


def drawn(found: Sequence[Row]) -> str:
    """The same lines in the order in which they are drawn."""
    lines = [cell for row in found for cell in row if cell]
    return "\n".join(line.text for line in sorted(lines, key=lambda line: line.chars.start))


def order(found: Sequence[Row]) -> list[int]:
    """The page's characters in the order of its text."""
    cells = (cell for row in found for cell in row if cell)
    return [at for cell in cells for at in (*cell.chars, SEPARATOR)]


# --- the page's lines ------------------------------------------------------------------------------------


def _lines(textpage: Any) -> list[Line]:
    codes = [raw.FPDFText_GetUnicode(textpage, at) for at in range(textpage.count_chars())]
    chars = "".join(chr(code) if code < 0x110000 else " " for code in codes)
    lines = (range(*found.span()) for found in re.finditer(r"[^\r\n]+", chars))
    pieces = (
        (piece, chars[piece.start : piece.stop].rstrip())
        for line in lines
        for piece in _level(textpage, line)
    )
    return [
        _line(textpage, range(piece.start, piece.start + len(words)), words)
        for piece, words in pieces
        if words
    ]


def _level(textpage: Any, line: range) -> Iterator[range]:
    """A line, or where it runs downwards, as PDFium takes single letters below each other, its pieces."""
    start = line.start
    _, bottom, _, top = textpage.get_charbox(start, loose=True)
    if bottom < _middle(textpage, line[-1]) < top:
        yield line
        return
    for at in line:
        if not bottom < _middle(textpage, at) < top:
            yield range(start, at)
            start, (_, bottom, _, top) = at, textpage.get_charbox(at, loose=True)
    yield range(start, line.stop)


def _middle(textpage: Any, at: int) -> float:
    _, bottom, _, top = textpage.get_charbox(at, loose=True)
    return float(bottom + top) / 2


def _line(textpage: Any, chars: range, words: str) -> Line:
    first = chars.start + len(words) - len(words.lstrip())
    left, bottom, _, top = textpage.get_charbox(first, loose=True)
    _, _, right, _ = textpage.get_charbox(chars.stop - 1, loose=True)
    return Line(chars, words, left, right, (bottom + top) / 2, max(1.0, top - bottom))


def _stacks(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines each below the one before it; drawing that goes up again begins the next stack."""
    stacks: list[list[Line]] = []
    for line in lines:
        if stacks and line.middle < stacks[-1][-1].middle - NEAR * line.height:
            stacks[-1].append(line)
        else:
            stacks.append([line])
    return stacks


# --- one table -------------------------------------------------------------------------------------------


def _table(stacks: Sequence[list[Line]]) -> tuple[list[Line], list[Row], list[Line]] | None:
    """What stands above a table in its first stack, its rows, what stands below it in its last one; None:
    the stacks are no table."""
    if min(map(len, stacks)) < 2:
        return None
    bands = list(_bands(stacks))
    shared = [at for at, band in enumerate(bands) if len(band) > 1]
    if len(shared) < LEAST:
        return None
    first, last = shared[0], shared[-1]
    above, body, below = bands[:first], bands[first : last + 1], bands[last + 1 :]
    beside = any(0 not in band for band in above) or any(len(stacks) - 1 not in band for band in below)
    columns = [[band[at] for band in body if at in band] for at in range(len(stacks))]
    if beside or len(shared) < SHARED * len(body) or not _are_columns(columns, len(body)):
        return None
    cells = [[band.get(at) for at in range(len(stacks))] for band in body]
    return [band[0] for band in above], cells, [band[len(stacks) - 1] for band in below]


def _bands(stacks: Sequence[list[Line]]) -> Iterator[dict[int, Line]]:
    """Lines that stand side by side, by the number of their stack, from the top."""
    lines = sorted(
        ((at, line) for at, stack in enumerate(stacks) for line in stack), key=lambda one: -one[1].middle
    )
    band: dict[int, Line] = {}
    top = 0.0
    for at, line in lines:
        if band and (at in band or top - line.middle > NEAR * line.height):
            yield band
            band = {}
        top = top if band else line.middle
        band[at] = line
    if band:
        yield band


def _are_columns(columns: Sequence[list[Line]], count: int) -> bool:
    """Whether these lines, stack by stack, are the columns of a table with so many rows."""
    if any(len(column) < FULL * count for column in columns):
        return False
    apart = all(max(one.right for one in a) < min(one.left for one in b) for a, b in pairwise(columns))
    return apart and all(map(_brief, columns)) and any(map(_figures, columns))


def _brief(column: Sequence[Line]) -> bool:
    words = [line.text for line in column]
    usual = median(len(text.split()) for text in words), median(map(len, words))
    return usual[0] <= WORDS and usual[1] <= LETTERS and max(map(len, words)) <= LONGEST


def _figures(column: Sequence[Line]) -> bool:
    """Whether most of it are figures, and not just the numbers of the lines beside them."""
    words = [line.text.strip() for line in column]
    whole = [int(text) for text in words if text.isascii() and text.isdigit() and len(text) < 10]
    steps = Counter(after - before for before, after in pairwise(whole))
    counted = max(steps.values(), default=0) >= SHARED * (len(words) - 1)
    return sum(map(_figure, words)) >= SHARED * len(words) and not counted


def _figure(words: str) -> bool:
    return _FIGURE.fullmatch(words.strip()) is not None
