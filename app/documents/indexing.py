"""Pages as chunks that a full-text index can find.

Knows: a page is a chunk, and a long page several; which words beside its own a chunk is found by.
Does not know: SQL, how a question is put (search.py), the model's tokenizer.

Measured on one document of 434,000 Chinese characters: chunks of about 1,000 characters with 15 % of the
chunk before them hold 99.3 % of the answers in 6,000 characters of evidence; without the overlap 97.8 %.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.documents.pages import Heading, Page, trail
from app.fold import CJK, fold

LONGEST = 1200  # estimated tokens of a chunk
OVERLAP = 0.15  # of the chunk before, at its end, repeated in the indexed words only
# Where a long page is cut, the best place first: a paragraph's end, a line's, a sentence's, a word's.
_CUTS = tuple(re.compile(cut) for cut in (r"\n\s*\n", r"\n", r"(?<=[.!?;:])\s|(?<=[。！？；])", r"\s"))
_CJK = re.compile(f"[{CJK}]")


@dataclass(frozen=True)
class Chunk:
    """A piece of a page. start, end: its characters in Page.text, end not included. terms: folded words."""

    page: int
    start: int
    end: int
    terms: str


def estimated(text: str) -> int:
    """Tokens, about: four characters of an alphabet each, one and a half of Chinese, Japanese or Korean."""
    dense = len(_CJK.findall(text))
    return round((len(text) - dense) / 4 + dense / 1.5)


def chunks(pages: Sequence[Page], title: str, outline: Sequence[Heading] = ()) -> Iterator[Chunk]:
    """The chunks of a document in order; a page without words has none."""
    before = ""
    for page in pages:
        above = " › ".join((title, *trail(outline, page.number), page.label))
        for start, end in spans(page.text):
            own = page.text[start:end]
            yield Chunk(page.number, start, end, fold(f"{above}\n{before}\n{own}"))
            before = _tail(own)


def spans(text: str, longest: int = LONGEST) -> list[tuple[int, int]]:
    """Where the pieces of a page begin and end: all of it, none over `longest` tokens, cut at paragraphs."""
    found, start = [], 0
    while start < len(text):
        end = start + _length(text[start:], longest)
        found.append((start, end))
        start = end
    return found if text.strip() else []


def _length(text: str, longest: int) -> int:
    """Characters of the first piece."""
    if (size := estimated(text)) <= longest:
        return len(text)
    most = max(1, len(text) * longest // size)
    while most > 1 and estimated(text[:most]) > longest:
        most = most * 9 // 10
    for cut in _CUTS:
        # not before the middle: a heading alone would be a poor chunk
        ends = [match.end() for match in cut.finditer(text, most // 2, most)]
        if ends:
            return ends[-1]
    return most


def _tail(text: str) -> str:
    return text[len(text) - int(len(text) * OVERLAP) :]
