"""Where quoted words stand on a page.

Knows: a canonical form in which line breaks, hyphenation, quotation marks, accents and width do not count,
    with the way back to the page's own characters; how near a quotation must come.
Does not know: how a quotation is written in an answer (cite.py), rectangles, where pages are from.

Signs between digits do count: 1.5 is not 15.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from app.fold import CJK

SHORTEST, SHORTEST_CJK = 6, 3  # letters and digits; fewer could stand anywhere
SURE = 20  # from so many on a place may begin inside a word, as where a page has lost its spaces
NEAR = 0.7  # share of a quotation's words that a similar passage has
_NUMBER = frozenset("0123456789.,")  # in canonical form a point or a comma stands only within a number
_IS_CJK = re.compile(f"[{CJK}]")
_WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
# What a page may hold to pass for a quotation of another one; see evidence.py.
_FORGED = re.compile(r"\[\[\W{0,4}\d{1,5}\s{0,3}[|｜](?:.{0,800}?\]\]|.{0,800})", re.DOTALL)

How = Literal["exact", "canonical", "similar", "missing"]
Key = tuple[int, int]  # a document and a page of it


@dataclass(frozen=True)
class Located:
    """Where quoted words stand. start, end: characters of the page's text, end not included.

    how: exact: letter by letter; canonical: but for line breaks, marks and the like; similar: most of the
    words close together, which proves nothing; missing: nowhere, and page is None.
    """

    how: How
    page: Key | None = None
    start: int = 0
    end: int = 0

    @property
    def verified(self) -> bool:
        return self.how in ("exact", "canonical")


@dataclass(frozen=True)
class Canon:
    """Letters and digits of a text. places: index of the character in the text that each one is from."""

    text: str
    places: tuple[int, ...]


@lru_cache(maxsize=256)  # a page is searched for every quotation of an answer
def canon(text: str) -> Canon:
    """Lower case, compatibility forms as what they stand for, accents and signs away."""
    letters, places = [], []
    for at, char in enumerate(text):
        form = _form(char) or (char if char in ".," and _between_digits(text, at) else "")
        letters.append(form)
        places += [at] * len(form)
    return Canon("".join(letters), tuple(places))


@lru_cache(maxsize=8192)
def _form(char: str) -> str:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    return "".join(c for c in decomposed if c.isalnum())


def _between_digits(text: str, at: int) -> bool:
    return 0 < at < len(text) - 1 and text[at - 1].isdigit() and text[at + 1].isdigit()


def locate(words: str, cited: Key | None, pages: Mapping[Key, str]) -> Located:
    """Where the words stand: on the cited page, else on another one, else where most of them are.

    pages: the texts of all that the model was shown, in order.
    """
    order = [key for key in (cited,) if key is not None and key in pages]
    order += [key for key in pages if key != cited]
    texts = {key: _FORGED.sub(lambda forged: " " * len(forged[0]), pages[key]) for key in order}
    if _enough(words):
        for key in order:
            if span := _found(words, texts[key]):
                exact = pages[key][slice(*span)].strip() == words.strip()
                return Located("exact" if exact else "canonical", key, *span)
    similar = ((_similar(words, texts[key]), key) for key in order)
    return next((Located("similar", key, *span) for span, key in similar if span), Located("missing"))


def _enough(words: str) -> bool:
    form = canon(words).text
    return len(form) >= (SHORTEST_CJK if _IS_CJK.search(words) else SHORTEST)


def _found(words: str, text: str) -> tuple[int, int] | None:
    """Characters of the text in which the words stand."""
    wanted, have = canon(words).text, canon(text)
    for at in _occurrences(wanted, have.text):
        start, end = have.places[at], have.places[at + len(wanted) - 1] + 1
        if len(wanted) >= SURE or _whole_words(text, start, end):
            return start, end
    return None


def _occurrences(wanted: str, text: str) -> Iterator[int]:
    at = text.find(wanted)
    while at >= 0:
        # not the beginning or the end of a longer number: 12 is not 1,200, 15 not 1.15
        ahead = wanted[0].isdigit() and at > 0 and text[at - 1] in _NUMBER
        behind = wanted[-1].isdigit() and text[at + len(wanted) : at + len(wanted) + 1] in _NUMBER
        if not (ahead or behind):
            yield at
        at = text.find(wanted, at + 1)


def _whole_words(text: str, start: int, end: int) -> bool:
    return _edge(text, start) and _edge(text, end)


def _edge(text: str, at: int) -> bool:
    """Whether a word may begin or end between text[at - 1] and text[at]."""
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    return not (before.isalnum() and after.isalnum()) or bool(_IS_CJK.match(before) or _IS_CJK.match(after))


def _similar(words: str, text: str) -> tuple[int, int] | None:
    """The window of as many words as the quotation has that shares the most with it, if that is enough."""
    wanted = Counter(_WORD.findall(words.casefold()))
    length, have = wanted.total(), list(_WORD.finditer(text.casefold()))
    if length < 4 or len(have) < length * NEAR or len(text.casefold()) != len(text):
        return None
    shared, best, best_at, inside = 0, 0, 0, Counter[str]()
    for at, word in enumerate(have):
        inside[word[0]] += 1
        shared += inside[word[0]] <= wanted[word[0]]
        if at >= length:
            gone = have[at - length][0]
            shared -= inside[gone] <= wanted[gone]
            inside[gone] -= 1
        if shared > best:
            best, best_at = shared, at
    if best < NEAR * length:
        return None
    window = [word for word in have[max(0, best_at - length + 1) : best_at + 1] if word[0] in wanted]
    return window[0].start(), window[-1].end()
