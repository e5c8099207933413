"""Cells: a value is as good as the words it is taken from, and these are looked for by the program."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.documents.pages import Page
from app.extract.cells import EMPTY, Cell, Row, checked, holds, kept, merged, stored
from app.extract.columns import Column

PAGES = {
    1: Page(1, "page 1", "Invoice number: INV-7\nIssued on 3 March 2026\nTotal to pay: 1.204,50 EUR"),
    2: Page(2, "page 2", "Thank you for your custom.", image_only=False),
    3: Page(3, "page 3", "", 600, 800, image_only=True),
}
NUMBER, DATE, TOTAL = Column("number"), Column("date", "date"), Column("total", "number")


def cell(column: Column, value: Any, quote: Any, page: Any = 1, **more: Any) -> Cell:
    return checked([column], {column.name: {"value": value, "quote": quote, "page": page, **more}}, PAGES)[0]


def test_words_that_stand_on_the_page_and_hold_the_value_prove_it() -> None:
    found = cell(NUMBER, "INV-7", "Invoice  number: INV-7")
    assert (found.mark, found.page, found.label) == ("verified", 1, "page 1")
    assert PAGES[1].text[found.start : found.end] == "Invoice number: INV-7"
    assert cell(TOTAL, 1204.5, "Total to pay: 1.204,50 EUR").mark == "verified"
    assert cell(DATE, "2026-03-03", "Issued on 3 March 2026").mark == "verified"


def test_a_wrong_page_is_corrected() -> None:
    assert cell(NUMBER, "INV-7", "Invoice number: INV-7", page=2).page == 1
    assert cell(NUMBER, "INV-7", "Invoice number: INV-7", page=99).mark == "verified"


def test_what_is_not_proven_says_so() -> None:
    assert cell(NUMBER, "INV-8", "Invoice number: INV-8").mark == "missing"
    assert cell(NUMBER, "INV-7", "").mark == "missing"
    assert cell(TOTAL, 99.0, "Total to pay: 1.204,50 EUR").mark == "unlike"
    assert cell(NUMBER, "Acme", "Invoice number: INV-7").mark == "unlike"
    assert cell(DATE, "2026-04-03", "Thank you for your custom").mark == "unlike"


def test_of_a_picture_nothing_can_be_looked_up() -> None:
    found = cell(NUMBER, "INV-7", "Invoice number: INV-7", page=3, box=[10, 20, 300, 40])
    assert (found.mark, found.page, found.box) == ("seen", 3, (10, 20, 300, 40))
    for box in ([1, 2, 3], [300, 0, 10, 5], [0, 0, 2000, 5], ["a", 0, 1, 1], "x", None):
        assert cell(NUMBER, "a", "b", page=3, box=box).box == ()


def test_a_transcript_proves_nothing() -> None:
    page = Page(1, "page 1", PAGES[1].text, 600, 800, image_only=True, source="vlm-ocr")
    given = {"number": {"value": "INV-7", "quote": "Invoice number: INV-7", "page": 1}}
    (found,) = checked([NUMBER], given, {1: page})
    assert (found.mark, found.page, found.start) == ("seen", 1, 0)
    (other,) = checked([NUMBER], {"number": {**given["number"], "quote": "Bill number 7"}}, {1: page})
    assert other.mark == "missing"


def test_a_choice_is_judged_by_its_words_alone() -> None:
    assert cell(Column("state", choices=("due", "paid")), "due", "Total to pay: 1.204,50").mark == "verified"


@pytest.mark.parametrize("given", [None, "", "  ", [], {}, {"value": None}, {"value": ["x"]}, 3.5e300])
def test_what_is_no_value_is_an_empty_cell(given: Any) -> None:
    assert checked([DATE], {"date": given} if not isinstance(given, float) else {}, PAGES) == (EMPTY,)


def test_values_become_what_their_column_holds() -> None:
    assert cell(TOTAL, "12.50", "x").value == 12.5
    assert cell(TOTAL, "twelve", "x").value == "twelve"
    assert cell(TOTAL, True, "x").value is None
    assert cell(NUMBER, 7, "x").value == "7"
    assert cell(Column("paid", "yesno"), False, "x").value is False
    assert cell(NUMBER, "a\x00\u202eb\n c", "x").value == "ab c"


@pytest.mark.parametrize(
    ("quote", "value", "true"),
    [
        ("Total 1,204.50", 1204.5, True),
        ("Total 1 204,50 EUR", 1204.5, True),
        ("Total 12,345", 12345, True),
        ("Total 12,345", 12.345, True),
        ("1.204.500,25", 1204500.25, True),
        ("Rows 12 and 13", 13, True),
        ("credit of -12.50", -12.5, True),
        ("Total 1,204.50", 1204, False),
        ("Total 1,204.50", 204.5, False),
        ("on 03.02.26", "2026-02-03", True),
        ("am 3. Februar 2026", "2026-02-03", True),
        ("2026年2月3日", "2026-02-03", True),
        ("on 04.02.26", "2026-02-03", False),
        ("in 2025", "2026-02", False),
        ("Müller & Söhne", "Muller & Sohne", True),
        ("Söhne, Müller", "Müller Söhne", True),
        ("Müller", "Meier", False),
        ("five %", "%", True),
        ("five", "%", False),
    ],
)
def test_whether_words_hold_a_value(quote: str, value: Any, true: bool) -> None:
    assert holds(quote, value) is true


def row(*values: Any, mark: Any = "verified") -> Row:
    return tuple(EMPTY if value is None else Cell(value, mark=mark) for value in values)


def test_parts_of_one_thing_are_put_together() -> None:
    assert merged([[row("a", None)], [], [row(None, 3)]]) == [row("a", 3)]
    better = merged([[row("a", 3, mark="missing")], [row("A", None)]])
    assert better == [(Cell("A", mark="verified"), Cell(3, mark="missing"))]


def test_what_contradicts_itself_or_is_a_list_stays_rows() -> None:
    assert merged([[row("a", 1)], [row("b", None)]]) == [row("a", 1), row("b", None)]
    assert merged([[row("a", 1), row("a", 1)], [row("c", 2)]]) == [row("a", 1), row("a", 1), row("c", 2)]
    assert merged([[row(None, None)], []]) == []


def test_a_row_is_kept_and_comes_back() -> None:
    one = (Cell("a", "b", 3, "page 3", "seen", box=(1, 2, 3, 4)), EMPTY)
    assert stored(kept(one)) == one


anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=12),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(some.fixed_dictionaries({"value": anything, "quote": anything, "page": anything, "box": anything}))
def test_whatever_a_model_says_is_a_cell(given: Any) -> None:
    for column in (NUMBER, DATE, TOTAL, Column("b", "yesno")):
        found = checked([column], {column.name: given}, PAGES)[0]
        assert found.mark in ("verified", "unlike", "missing", "seen", "empty")
        assert (found.value is None) == (found.mark == "empty")
