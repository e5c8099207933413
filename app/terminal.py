"""What others wrote, made harmless for the terminal: escape sequences and other control characters dropped.

Knows: which characters steer a terminal. Does not know: who wrote them: a model, a page, a file's name.
"""

from __future__ import annotations

import re

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(words: str, instead: str = "") -> str:
    """The same words with `instead` for each control character but tabs and line feeds."""
    return _STEERING.sub(instead, words)
