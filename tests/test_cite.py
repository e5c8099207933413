"""Quotations found in an answer, however it arrives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.documents.cite import LONGEST, Cited, said

PAGES = 9


def source(pieces: list[str | Cited]) -> str:
    return "".join(piece.source if isinstance(piece, Cited) else piece for piece in pieces)


def cited(answer: str) -> list[tuple[int, str]]:
    return [(piece.number, piece.words) for piece in said(answer, PAGES) if isinstance(piece, Cited)]


@pytest.mark.parametrize(
    ("answer", "quotations"),
    [
        ('It floats [[3|"wood floats on water"]].', [(3, "wood floats on water")]),
        ("It floats [[3|“wood floats”]] and [[ 4 | 'iron sinks' ]]", [(3, "wood floats"), (4, "iron sinks")]),
        (
            "木头浮在水上[[3|「木头浮在水上」]]，铁沉下去[[4｜“铁沉下去”]]。",
            [(3, "木头浮在水上"), (4, "铁沉下去")],
        ),
        ('[[1|"he said "no" twice"]]', [(1, 'he said "no" twice')]),
        ('[[1|"a list[1] of [[2]] things"]]', [(1, "a list[1] of [[2]] things")]),
        ('[[1|"over\ntwo lines"]]', [(1, "over\ntwo lines")]),
        ("[[1|no marks at all]]", [(1, "no marks at all")]),
        ('[[1|"its end is missing]] and more', [(1, "its end is missing")]),
        ("[[2]] [[3|]]", [(2, ""), (3, "")]),
        ('[[[1|"a third bracket"]]]', [(1, "a third bracket")]),
        ('[[1|"two"]][[2|"at once"]]', [(1, "two"), (2, "at once")]),
    ],
)
def test_a_quotation_is_read(answer: str, quotations: list[tuple[int, str]]) -> None:
    assert cited(answer) == quotations
    assert source(said(answer, PAGES)) == answer


@pytest.mark.parametrize(
    "answer",
    [
        '[[0|"no such page"]]',
        '[[10|"no such page"]]',
        '[[12345|"no such page"]]',
        "[[100, 200, 300, 400]]",
        "if [[ -f x ]]; then",
        "[[1, 2], [3, 4]]",
        "[[wiki link]]",
        "[[1|never closed",
        "[[1|" + "x" * LONGEST + "]]",
        "[1] and [2|x]",
    ],
)
def test_other_brackets_are_words(answer: str) -> None:
    assert said(answer, PAGES) == [answer]


def test_what_may_become_a_quotation_is_held_back() -> None:
    answer = 'Yes [[3|"wood floats"]] it does'
    for end in range(5, len('Yes [[3|"wood floats"]]')):
        assert said(answer[:end], PAGES, over=False) == ["Yes "], answer[:end]
    assert said('Yes [[3|"wood', PAGES) == ['Yes [[3|"wood']  # over: no word is lost


# what an answer may be made of, brackets and marks far more often than in life
PIECES = st.sampled_from(
    ['[[3|"', '"]]', "[[", "]]", "[", "]", "|", '"', "“", "”]]", "[[2]]", "[[12", "5", " ", "a", "词", "\n"]
)
ANSWERS = st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=25).map("".join)


def drawn(pieces: list[str | Cited]) -> list[str | Cited]:
    """Letter by letter, so that where words were cut does not matter."""
    return [part for piece in pieces for part in (piece if isinstance(piece, str) else [piece])]


@settings(deadline=None)
@given(ANSWERS, st.integers(1, 40))
def test_every_beginning_shows_the_beginning_of_the_whole(answer: str, longest: int) -> None:
    whole = drawn(said(answer, PAGES))
    assert source(said(answer, PAGES)) == answer
    for end in range(len(answer) + 1):
        begun = drawn(said(answer[:end], PAGES, over=False))
        assert begun == whole[: len(begun)], answer[:end]
        assert source(said(answer[:end], PAGES)) == answer[:end]


def test_a_quotation_that_grows_too_long_is_words_at_every_moment() -> None:
    answer = 'a [[3|"' + "x " * LONGEST + '"]] b [[3|"wood floats"]]'
    whole = drawn(said(answer, PAGES))
    found = [piece for piece in whole if isinstance(piece, Cited)]
    assert found == [Cited('[[3|"wood floats"]]', 3, "wood floats")]
    for end in range(0, len(answer) + 1, 7):
        begun = drawn(said(answer[:end], PAGES, over=False))
        assert begun == whole[: len(begun)]
