"""Words that a PDF breaks at the end of a line, made whole.

Knows: U+0002, which PDFium writes for a hyphen at a line's end, and the words of the whole document.
Does not know: PDF, pages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# day-to-day is broken as day-to\x02day: after a hyphen another one is meant
_BROKEN = re.compile(r"(?<![-\w])([^\W\d_]+)[\x02\xad]\n?(\w+)")
_WORD = re.compile(r"[^\W\d_]+")


def mended(texts: Sequence[str]) -> list[str]:
    """The texts without U+0002: halves become one word where the document has it elsewhere, else a-b."""
    wanted = {
        (broken[1] + broken[2]).casefold()
        for text in texts
        if "\x02" in text or "\xad" in text
        for broken in _BROKEN.finditer(text)
    }
    known = {
        word for text in texts for word in map(str.casefold, _WORD.findall(text)) if word in wanted
    } if wanted else set()  # fmt: skip
    return [_mended(text, known) for text in texts]


def _mended(text: str, known: set[str]) -> str:
    if "\x02" not in text and "\xad" not in text:
        return text
    text = _BROKEN.sub(lambda broken: _join(broken, known), text)
    return text.replace("\x02", "-").replace("\xad", "")


def _join(broken: re.Match[str], known: set[str]) -> str:
    soft = "\xad" in broken[0]  # a soft hyphen is never part of the word
    whole = broken[1] + broken[2]
    return whole if soft or whole.casefold() in known else f"{broken[1]}-{broken[2]}"
