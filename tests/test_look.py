"""How a video is looked at, from whoever wrote it: what makes sense stays, the rest is left out."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.look import look

ANYTHING = st.one_of(
    st.none(), st.booleans(), st.text(), st.integers(), st.floats(), st.lists(st.integers(), max_size=2)
)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({}, {}),
        ({"name": "a.mp4"}, {}),
        ({"fps": 1, "start": 10, "end": 20}, {"fps": 1.0, "start": 10.0, "end": 20.0}),
        ({"start": 0, "end": 5}, {"end": 5.0}),
        ({"start": 5}, {"start": 5.0}),
        ({"start": 20, "end": 10, "fps": 8}, {"fps": 8.0}),
        ({"start": 5, "end": 5}, {}),
        ({"start": -1, "end": 5}, {}),
        ({"start": 5, "end": "9"}, {}),
        ({"fps": 0}, {}),
        ({"fps": 0.05}, {}),
        ({"fps": 9}, {}),
        ({"fps": math.nan, "start": math.nan}, {}),
        ({"fps": math.inf, "end": math.inf}, {}),
        ({"fps": True, "start": True}, {}),
        ({"fps": "1; drop table"}, {}),
        ({"end": 10**400}, {}),
    ],
)
def test_what_makes_sense_stays(data: dict[str, Any], found: dict[str, float]) -> None:
    assert look(data) == found


@given(st.fixed_dictionaries({}, optional={"fps": ANYTHING, "start": ANYTHING, "end": ANYTHING}))
def test_whatever_is_there_the_result_can_be_meant(data: dict[str, Any]) -> None:
    found = look(data)
    assert all(type(value) is float and math.isfinite(value) for value in found.values())
    assert 0.1 <= found.get("fps", 1.0) <= 8
    assert 0 <= found.get("start", 0.0) < found.get("end", math.inf)
    assert look(found) == found
