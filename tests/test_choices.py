"""What a person chooses for an answer survives every way of being kept, and nothing strange comes back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.choices import DETAIL, OWN, PRESETS, Choices, read


@given(
    st.builds(
        Choices,
        thinking=st.booleans(),
        thinking_budget=st.integers(0, 65_536),
        preset=st.sampled_from([*PRESETS, OWN]),
        temperature=st.floats(0, 2),
        top_p=st.floats(0.01, 1),
        max_tokens=st.integers(1, 65_536),
        detail=st.sampled_from(list(DETAIL)),
        system=st.text(max_size=50).map(str.strip),
    )
)
def test_what_is_kept_comes_back(choices: Choices) -> None:
    assert read(choices.options()) == choices


@pytest.mark.parametrize(
    "kept",
    [
        None,
        {},
        {"thinking": "yes", "preset": "Nonsense", "detail": 3, "system": ["x"], "temperature": "hot"},
        {"temperature": float("nan"), "top_p": True, "max_tokens": None, "more": 1},
    ],
)
def test_what_does_not_fit_is_the_default(kept: Any) -> None:
    assert read(kept) == Choices()


def test_numbers_are_brought_into_their_bounds() -> None:
    choices = read({"temperature": 9, "top_p": 0, "max_tokens": -5, "thinking_budget": 1e9})
    assert (choices.temperature, choices.top_p, choices.max_tokens) == (2.0, 0.01, 1)
    assert choices.thinking_budget == 65_536


def test_presets_are_the_makers_figures() -> None:
    assert read({"preset": "Extract text"}).sampling.temperature == 0.1
    own = read({"preset": OWN, "temperature": 0.0, "top_p": 0.5}).sampling
    assert (own.temperature, own.top_p) == (0.0, 0.5)
    assert Choices().sampling.seed is None
