"""Looking for words in one document: phrases first, in any writing, and back to the page's own text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.documents.finding import MOST_MARKS, found, marks
from app.documents.pages import Page

PAGES = (
    Page(1, "page 1", "The café stands\nbeside the quay. A CAFÉ of old."),
    Page(2, "page 2", "Beside the ﬁnal quay — nothing. Well-known since 1987."),
    Page(3, "page 3", "北京大\n学图书馆在东边。"),
    Page(4, "page 4", ""),
)


def where(words: str) -> dict[int, list[str]]:
    """By page, what is marked."""
    return {p.number: [p.text[a:b] for a, b in marks(p.text, words)] for p in PAGES if marks(p.text, words)}


@pytest.mark.parametrize(
    "words, on",
    [
        ("cafe", {1: ["café", "CAFÉ"]}),
        ("CAFÉ stands beside", {1: ["café stands\nbeside"]}),
        ("final qu", {2: ["ﬁnal qu"]}),
        ("well known", {2: ["Well-known"]}),
        ("北京大学", {3: ["北京大\n学"]}),
        ("馆在", {3: ["馆在"]}),
        ("uay", {}),
        ("", {}),
        ("!?", {}),
        ('" OR 1', {}),
    ],
)
def test_words_are_found_however_they_are_written(words: str, on: dict[int, list[str]]) -> None:
    assert where(words) == on


def test_pages_with_all_the_words_are_found_where_none_has_them_in_a_row() -> None:
    hits = found(PAGES, "quay café")
    assert [(hit.page, hit.count) for hit in hits] == [(1, 3)]
    assert [hit.page for hit in found(PAGES, "beside the")] == [1, 2]


def test_an_excerpt_shows_the_match_as_it_is_written() -> None:
    (hit,) = found(PAGES, "stands beside")
    assert hit.label == "page 1"
    assert hit.excerpt[:2] == ("The café ", "stands beside")
    (long,) = found([Page(1, "page 1", "x " * 500 + "needle" + " y" * 500)], "needle")
    assert long.excerpt[1] == "needle"
    assert long.excerpt[0].startswith("…") and long.excerpt[2].endswith("…")
    assert sum(map(len, long.excerpt)) < 200


def test_one_page_has_only_so_many_marks() -> None:
    assert len(marks("a " * 5000, "a")) == MOST_MARKS
    assert found([Page(1, "page 1", "a " * 5000)], "a")[0].count == 5000


@given(st.text(max_size=80), st.text(max_size=20))
def test_whatever_is_typed_marks_lie_within_the_text_and_in_order(text: str, words: str) -> None:
    spans = marks(text, words)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
