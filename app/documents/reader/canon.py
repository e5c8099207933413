"""The letters of a text and where each of them stands: what two writings of one sentence have in common.

Knows: compatibility forms, case, and that spaces, line breaks, hyphens and quotation marks prove nothing.
Does not know: pages, quotations.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def canon(text: Iterable[str]) -> tuple[str, list[int]]:
    """Letters and digits in plain form, and for each of them the index of the character it is from.

    One character may become several (a ligature, ß); whatever is neither letter nor digit is dropped.
    """
    letters: list[str] = []
    places: list[int] = []
    for at, char in enumerate(text):
        forms = char.lower() if char.isascii() else unicodedata.normalize("NFKC", char).casefold()
        for form in forms:
            if form.isalnum():
                letters.append(form)
                places.append(at)
    return "".join(letters), places


def nearest(text: str, wanted: str, near: int) -> int:
    """Where `wanted` stands in `text`, the occurrence that begins nearest to `near`; -1: nowhere."""
    best = text.find(wanted)
    at = best
    while at >= 0:
        if abs(at - near) < abs(best - near):
            best = at
        if at > near:
            break
        at = text.find(wanted, at + 1)
    return best
