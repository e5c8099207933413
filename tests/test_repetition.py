"""Loops are noticed, legitimate repetition is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_backend.repetition import FEWEST_REPEATS, FEWEST_TOKENS, LONGEST_PERIOD, RepetitionDetector


def noticed_after(tokens) -> int | None:
    detector = RepetitionDetector()
    return next((n for n, token in enumerate(tokens, 1) if detector.feed(int(token))), None)


@pytest.mark.parametrize("period", [1, 2, 7, 60, 64, 65, 255, 256])
def test_a_loop_is_noticed_behind_other_text(period):
    rng = np.random.default_rng(period)
    before, loop = rng.integers(0, 5000, 300), rng.permutation(5000)[:period]
    enough = max(FEWEST_TOKENS, FEWEST_REPEATS * period)
    assert noticed_after([*before, *np.tile(loop, 2000 // period + 10)]) == 300 + period + enough


def test_a_longer_period_is_out_of_reach():
    assert noticed_after(np.tile(np.arange(LONGEST_PERIOD + 1), 12)) is None


def test_a_table_of_similar_rows_is_no_loop():
    rows = [[1, 2, 3, 100 + n, 4, 5] for n in range(400)]
    assert noticed_after(token for row in rows for token in row) is None


@given(st.lists(st.integers(0, 2), max_size=600))
def test_against_the_definition(tokens):
    def looping(end: int) -> bool:
        for period in range(1, LONGEST_PERIOD + 1):
            need = max(FEWEST_TOKENS, FEWEST_REPEATS * period)
            if end >= need + period and all(tokens[i] == tokens[i - period] for i in range(end - need, end)):
                return True
        return False

    found = noticed_after(tokens)
    assert found is None or looping(found)
    if found is None and tokens:
        assert not looping(len(tokens))
