"""Whether a cell is true: its words are looked for on the page they should be from, its value in the words.

Knows: what a cell is and which mark it gets, how numbers and dates of two writings are one, how the rows of
    several answers about one thing are put together.
Does not know: prompts, files, how a table is shown or saved.

The model's answer is taken for what it may be: anything. What does not fit a cell makes it empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from app.documents import quotes, route
from app.documents.evidence import plain
from app.documents.pages import Page
from app.extract.columns import Column

Value = str | float | int | bool | None
# verified: the words stand on the page and hold the value. unlike: they do, and it is not in them.
# missing: they stand nowhere. seen: read off a picture, where nothing can be looked up. empty: no value.
Mark = Literal["verified", "unlike", "missing", "seen", "empty"]

TEXT, QUOTE = 2_000, 400  # characters
_NUMBER = re.compile(r"\d[\d.,'’\u00a0\u202f ]*")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Cell:
    """A value and what it is taken from.

    page: number of the page, 0 where there is none. label: what a person calls it. start, end: where the
    words stand in the page's text, where they do. box: of a picture, 0 to 1000 of its width and height, or
    empty.
    """

    value: Value = None
    quote: str = ""
    page: int = 0
    label: str = ""
    mark: Mark = "empty"
    start: int = 0
    end: int = 0
    box: tuple[int, ...] = ()


Row = tuple[Cell, ...]  # as many as there are columns
EMPTY = Cell()


def checked(columns: Sequence[Column], given: Mapping[str, Any], pages: Mapping[int, Page]) -> Row:
    """A row of an answer, each cell proven or not. pages: those that were asked about, by number."""
    texts = {(0, number): page.text for number, page in pages.items() if not route.blank(page)}
    return tuple(_cell(column, given.get(column.name), pages, texts) for column in columns)


def stored(row: Sequence[Mapping[str, Any]]) -> Row:
    """A row from what was kept of it."""
    return tuple(Cell(**{**cell, "box": tuple(cell.get("box", ()))}) for cell in row)


def kept(row: Row) -> list[dict[str, Any]]:
    """A row as JSON values."""
    return [asdict(cell) for cell in row]


def _cell(column: Column, given: Any, pages: Mapping[int, Page], texts: Mapping[quotes.Key, str]) -> Cell:
    given = given if isinstance(given, dict) else {"value": given}
    value = _value(column, given.get("value"))
    if value is None:
        return EMPTY
    quote = _line(given.get("quote"), QUOTE)
    number = given.get("page")
    page = pages.get(number) if isinstance(number, int) and not isinstance(number, bool) else None
    if page is None and len(pages) == 1:
        page = next(iter(pages.values()))
    if page is not None and route.blank(page):
        return Cell(value, quote, page.number, page.label, "seen", box=_box(given.get("box")))
    at = (
        quotes.locate(quote, (0, page.number) if page else None, texts)
        if quote
        else quotes.Located("missing")
    )
    where = pages[at.page[1]] if at.page else page
    mark: Mark = "missing"
    if at.verified:
        mark = "verified" if column.choices or holds(quote, value) else "unlike"
    if mark == "verified" and where is not None and where.source != "file":
        mark = "seen"  # the page's words are the model's own: they prove nothing
    number, label = (where.number, where.label) if where else (0, "")
    return Cell(value, quote, number, label, mark, at.start, at.end)


def _value(column: Column, given: Any) -> Value:
    if isinstance(given, bool):
        return given if column.kind == "yesno" else None if column.kind == "number" else str(given).lower()
    if isinstance(given, int | float):
        usable = abs(given) < 1e15 and math.isfinite(given)
        return given if usable and column.kind == "number" else _line(str(given), TEXT) or None
    words = _line(given, TEXT)
    if column.kind == "number" and (number := _number(words)) is not None:
        return number
    return words or None


def _number(words: str) -> float | None:
    """A number that is written as one, and as nothing else."""
    return float(words) if re.fullmatch(r"-?\d{1,15}(\.\d{1,10})?", words) else None


def _line(given: Any, most: int) -> str:
    words = given if isinstance(given, str) else ""
    return " ".join(plain(words).replace("\u2060", "").split())[:most]


def _box(given: Any) -> tuple[int, ...]:
    sides = given if isinstance(given, list) and len(given) == 4 else ()
    good = all(isinstance(side, int) and 0 <= side <= 1000 for side in sides)
    x1, y1, x2, y2 = sides if sides and good else (0, 0, 0, 0)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else ()


# --- whether words hold a value ----------------------------------------------------------------------------


def holds(quote: str, value: Value) -> bool:
    """Whether the value can be read in the words; of yes and no the words alone cannot tell, so they can."""
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        return any(math.isclose(abs(value), one, rel_tol=1e-9) for one in _numbers(quote))
    if (date := re.fullmatch(r"(\d{4})-(\d\d)(?:-(\d\d))?", value)) is not None:
        parts = {int(found) for found in re.findall(r"\d+", quote)}
        year, month, day = int(date[1]), int(date[2]), int(date[3] or 0)
        named = re.search(r"[^\W\d]{3}", quote) is not None  # a month may be a word, in any language
        return bool({year, year % 100} & parts) and (not day or day in parts) and (named or month in parts)
    have = quotes.canon(quote).text
    words = [quotes.canon(word).text for word in _WORD.findall(value)]
    return value in quote or (any(words) and all(word in have for word in words))


def _numbers(words: str) -> Iterator[float]:
    """Every number in the words, under either meaning of a point and a comma."""
    for found in _NUMBER.findall(words):
        plain_digits = re.sub(r"[^\d.,]", "", found).strip(".,")
        for decimal in ".,":
            thousands = "," if decimal == "." else "."
            text = plain_digits.replace(thousands, "").replace(decimal, ".")
            if text.count(".") <= 1:
                yield float(text)
        yield from (float(piece) for piece in re.findall(r"\d+", found)[:40])


# --- several answers about one file ------------------------------------------------------------------------


def merged(answers: Sequence[Sequence[Row]]) -> list[Row]:
    """The rows of all answers, in order, none empty.

    Where each answer has one row at most and no two of them contradict each other, they are about one thing,
    and the best of each cell is its row.
    """
    filled = [[row for row in rows if any(cell.mark != "empty" for cell in row)] for rows in answers]
    if all(len(rows) <= 1 for rows in filled):
        single = [row for rows in filled for row in rows]
        if len(single) > 1 and not any(_clash(column) for column in zip(*single, strict=True)):
            return [tuple(min(column, key=_rank) for column in zip(*single, strict=True))]
    return [row for rows in filled for row in rows]


_ORDER: tuple[Mark, ...] = ("verified", "seen", "unlike", "missing", "empty")


def _rank(cell: Cell) -> int:
    return _ORDER.index(cell.mark)


def _clash(column: Sequence[Cell]) -> bool:
    said = {quotes.canon(str(cell.value)).text for cell in column if cell.value is not None}
    return len(said) > 1
