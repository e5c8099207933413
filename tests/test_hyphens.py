"""Words that were broken at the end of a line are mended, and nothing else changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.documents.hyphens import mended


def test_halves_become_a_word_that_the_document_has_elsewhere() -> None:
    assert mended(["the inter\x02national", "An INTERNATIONAL matter"])[0] == "the international"


def test_what_nobody_writes_as_one_word_keeps_its_hyphen() -> None:
    assert mended(["day-to\x02day", "today is a day"]) == ["day-to-day", "today is a day"]


def test_a_soft_hyphen_is_never_part_of_a_word() -> None:
    assert mended(["unseen\xad\nly here", "a\xad b"]) == ["unseenly here", "a b"]


def test_a_hyphen_beside_something_else_stays_one() -> None:
    assert mended(["pages 3\x024", "\x02", "x\x02"]) == ["pages 3-4", "-", "x-"]


@given(st.lists(st.text(alphabet="ab \n\x02\xad-Ä国")))
def test_only_the_marks_of_breaking_change(texts: list[str]) -> None:
    found = mended(texts)
    assert len(found) == len(texts)
    for before, after in zip(texts, found, strict=True):
        assert "\x02" not in after and "\xad" not in after
        assert [c for c in before if c not in "\x02\xad-\n"] == [c for c in after if c not in "-\n"]
