"""Quotations in an answer, written [[3|"words of the page"]]: found while it arrives, then checked.

Knows: how a quotation is written, what of an answer may be shown while one is still on its way, what it says.
Does not know: where words stand on a page (quotes.py), how a quotation is drawn, where it is stored.

A pure function of the answer so far: whatever pieces the answer came in, the same comes out, and what it
gives for the beginning of an answer is the beginning of what it gives for all of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST = 800  # characters of a quotation with its marks; what goes on longer is no quotation

_HEAD = re.compile(r"\[\[\s{0,3}(\d{1,4})\s{0,3}(?:([|｜])|\]\])")
# every beginning of a head, up to the end of what there is
_BEGUN = re.compile(r"\[(?:\[\s{0,3}(?:\d{1,4}\s{0,3}\]?)?)?\Z")
_QUOTES = {'"': '"', "“": "”", "„": "“”", "'": "'", "‘": "’", "«": "»", "「": "」", "『": "』", "＂": "＂"}


@dataclass(frozen=True)
class Cited:
    """A quotation. source: as the model wrote it. number: of the evidence. words: quoted; may be empty."""

    source: str
    number: int
    words: str = ""


Said = str | Cited


def said(answer: str, highest: int, over: bool = True) -> list[Said]:
    """The answer as words and quotations in order; joined, their sources are the answer.

    highest: number of the last evidence there is; what bears a higher one is no quotation. over: False while
    the answer arrives: what may become a quotation is held back.
    """
    found: list[Said] = []
    at = words_from = 0
    while (at := answer.find("[", at)) >= 0:
        end, cited = _quotation(answer, at, highest, over)
        if end is None:  # may still become one
            break
        if cited is not None:
            found += [answer[words_from:at], cited]
            words_from = end
        at = end
    else:
        at = len(answer)
    found.append(answer[words_from:at])
    return [piece for piece in found if piece]


def _quotation(answer: str, at: int, highest: int, over: bool) -> tuple[int | None, Cited | None]:
    """Where to look on, and the quotation that begins at the bracket; no end: nobody can say yet."""
    head = _HEAD.match(answer, at)
    if head is None:
        waits = not over and _BEGUN.match(answer, at) is not None
        return (None if waits else at + 1), None
    number = int(head[1])
    if not 1 <= number <= highest:
        return at + 1, None
    if head[2] is None:
        return head.end(), Cited(head[0], number)
    window = answer[head.end() : at + LONGEST]
    ended = over or len(answer) >= at + LONGEST
    if not window.strip() or (inside := _inside(window, ended)) is None:
        return (at + 1 if ended else None), None
    end = head.end() + inside[0]
    return end, Cited(answer[at:end], number, inside[1])


def _inside(window: str, ended: bool) -> tuple[int, str] | None:
    """Length up to and with the closing brackets, and the words; None: they are not closed (yet)."""
    text = window.lstrip()
    closing = _QUOTES.get(text[0])
    if closing is not None:
        close = re.search(rf"[{closing}]\s{{0,3}}\]\]", text[1:])
        if close is not None:
            gap = len(window) - len(text)
            return gap + 1 + close.end(), text[1 : 1 + close.start()].strip()
        if not ended:
            return None
    close = re.search(r"\]\]", window)
    return None if close is None else (close.end(), _bare(window[: close.start()]))


def _bare(words: str) -> str:
    return words.strip().strip("".join(_QUOTES) + "".join(_QUOTES.values())).strip()
