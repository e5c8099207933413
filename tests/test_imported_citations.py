"""What an imported file says was verified is not believed."""

from __future__ import annotations

import pytest

from app.store import Part
from app.transfer.archive import _part


def test_a_quotation_comes_in_unchecked() -> None:
    data = {"number": 3, "words": "wood floats", "verified": True, "how": "exact", "title": "x", "page": 1}
    text = '[[3|"wood floats"]]'
    came = _part({"type": "citation", "text": text, "data": data})
    assert came == Part("citation", text, None, {"number": 3, "words": "wood floats"})


@pytest.mark.parametrize(
    "data", [{}, {"number": "3", "words": "x"}, {"number": -1, "words": "x"}, {"number": 3, "words": [1]}]
)
def test_one_that_is_none_comes_in_as_words(data: dict) -> None:
    assert _part({"type": "citation", "text": "so", "data": data}) == Part("text", "so")
