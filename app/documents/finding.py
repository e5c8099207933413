"""Words that a person looks for in one document: on which pages, and where on each.

Knows: when typed words stand on a page, what of the page is shown around them.
Does not know: SQL, the index that questions are answered from (search.py), how a page looks.

Every page is read, not the index: it is few pages, and what stands between two words of a phrase counts here.
Typed words stand one after the other, the last one may go on; where no page has them so, pages are found that
have them all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from app import fold
from app.documents.pages import Page

LONGEST = 200  # characters of what is looked for
MOST_HITS = 200  # pages that are told
MOST_MARKS = 200  # places on one page
_APART = r"[\W_]{1,40}"  # between two words
_WITHIN = r"[\s\u00ad-]{0,4}"  # between two characters of a language without spaces: a line's end
_IS_CJK = re.compile(f"[{fold.CJK}]")

Span = tuple[int, int]  # characters of a page's text, the end not included


@dataclass(frozen=True)
class Hit:
    """A page on which the words stand. count: how often. excerpt: plain, match, plain, … as fold.marked."""

    page: int
    label: str
    count: int
    excerpt: tuple[str, ...]


class _Forms(dict[str, str]):
    """Each character in plain form, worked out once: a thousand pages are three million of them."""

    def __missing__(self, char: str) -> str:
        self[char] = fold.plain(unicodedata.normalize("NFKC", char))
        return self[char]


_forms = _Forms()


def found(pages: Sequence[Page], words: str) -> list[Hit]:
    """The pages, in order, on which the words stand; of each the text around the first place."""
    for pattern in _patterns(words):
        hits = [
            Hit(page.number, page.label, len(spans), _excerpt(page.text, spans))
            for page in pages
            if (spans := _spans(page.text, pattern))
        ]
        if hits:
            return hits
    return []


def marks(text: str, words: str) -> list[Span]:
    """Where the words stand in one page's text, at most MOST_MARKS places."""
    return next((spans for one in _patterns(words) if (spans := _spans(text, one))), [])[:MOST_MARKS]


Pattern = tuple[re.Pattern[str], ...]  # all of them must be there


def _patterns(words: str) -> list[Pattern]:
    """The words as a phrase, then each by itself."""
    runs = fold.runs(words[:LONGEST])
    if not runs:
        return []
    each = tuple(re.compile(_word(run)) for run in dict.fromkeys(runs))
    return [(re.compile(_phrase(runs)),), *([each] if len(each) > 1 else [])]


def _phrase(runs: Sequence[str]) -> str:
    made = _word(runs[0])
    for before, run in pairwise(runs):
        between = _WITHIN if _IS_CJK.match(before) or _IS_CJK.match(run) else _APART
        made += between + _word(run, first=False)
    return made


def _word(run: str, first: bool = True) -> str:
    if _IS_CJK.match(run):
        return _WITHIN.join(map(re.escape, run))
    return (rf"(?<![^\W_{fold.CJK}])" if first else "") + re.escape(run)


def _spans(text: str, pattern: Pattern) -> list[Span]:
    forms = [_forms[char] for char in text]
    flat = "".join(forms)
    matches = [[match.span() for match in one.finditer(flat)] for one in pattern]
    if not all(matches):
        return []
    places = [at for at, form in enumerate(forms) for _ in form]
    spans = sorted((places[start], places[end - 1] + 1) for each in matches for start, end in each)
    return [span for n, span in enumerate(spans) if n == 0 or span[0] >= spans[n - 1][1]]


def _excerpt(text: str, spans: Sequence[Span], width: int = 160) -> tuple[str, ...]:
    start = max(0, spans[0][0] - width // 3)
    end = min(len(text), start + width)
    pieces, at = ["…" if start else ""], start
    for first, last in spans:
        if first >= end:
            break
        pieces[-1] += text[at:first]
        pieces += [text[first:last][:width], ""]
        at = last
    pieces[-1] += text[at:end] + ("…" if end < len(text) else "")
    return tuple(re.sub(r"\s+", " ", piece) for piece in pieces)
