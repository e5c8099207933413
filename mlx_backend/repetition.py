"""Notices an answer that has fallen into a loop.

Knows: token ids. Does not know: what they mean, or what becomes of the answer.
"""

from __future__ import annotations

import numpy as np

# A table of equal rows or a long rule of dashes is legitimate; some hundred tokens of nothing new are not.
LONGEST_PERIOD = 256
FEWEST_TOKENS = 256
FEWEST_REPEATS = 4


class RepetitionDetector:
    """Fed token by token; True once the tail is one passage over and over.

    A loop of period p is hopeless after max(FEWEST_TOKENS, FEWEST_REPEATS * p) tokens that each equal the one
    p before.
    """

    def __init__(self) -> None:
        self._tail = np.full(LONGEST_PERIOD, -1, np.int64)  # newest first
        self._runs = np.zeros(LONGEST_PERIOD, np.int64)  # tokens in a row that equal the one p + 1 before
        self._enough = np.maximum(FEWEST_TOKENS, FEWEST_REPEATS * np.arange(1, LONGEST_PERIOD + 1))

    def feed(self, token: int) -> bool:
        self._runs = np.where(self._tail == token, self._runs + 1, 0)
        self._tail = np.roll(self._tail, 1)
        self._tail[0] = token
        return bool((self._runs >= self._enough).any())
