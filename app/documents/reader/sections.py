"""Text that flows, cut into pages: a page begins at a heading, and no page is longer than can be cited well.

Knows: headings, how long a page may be, what a page without pictures is called.
Does not know: formats. A block is (level, text): level 1 to 6 for a heading, 0 for a paragraph or a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .items import TEXT, TITLE, Entry, Item, Leaf

FULL = 4000  # letters of a page, about a thousand tokens
THIN = 400  # a section shorter than this takes the next one onto its page

Block = tuple[int, str]


@dataclass
class _Sheet:
    """The page that is being filled."""

    texts: list[str] = field(default_factory=list)
    headings: list[Block] = field(default_factory=list)
    weight: float = 0.0


def weight(text: str) -> float:
    """Its length in Latin letters: a Chinese, Japanese or Korean character says as much as 2.5 of them."""
    return len(text) if text.isascii() else len(text) + 1.5 * sum(char > "\u2e7f" for char in text)


def pages(blocks: Iterable[Block], unit: str = "section") -> Iterator[Item]:
    """Pages with their entries of the outline. unit: what a page without a heading is called."""
    number, sheet = 1, _Sheet()
    name = ""  # of the section that goes on over several pages
    part = 1
    for level, text in _short(blocks):
        opens = level > 0 and sheet.weight > THIN
        if sheet.texts and (opens or sheet.weight + weight(text) > FULL):
            yield from _leaf(sheet, number, name, part, unit)
            name, part = (_last(sheet, name), 1 if level else part + 1)
            number, sheet = number + 1, _Sheet()
        if level:
            part = 1
            sheet.headings.append((level, text.strip()))
        sheet.texts.append(text)
        sheet.weight += weight(text)
    if sheet.texts:
        yield from _leaf(sheet, number, name, part, unit)


def _leaf(sheet: _Sheet, number: int, name: str, part: int, unit: str) -> Iterator[Item]:
    for level, text in sheet.headings:
        yield Entry(min(level, 6), text[:TITLE], number)
    yield Leaf(_label(sheet, number, name, part, unit)[:TITLE], "\n".join(sheet.texts)[:TEXT])


def _label(sheet: _Sheet, number: int, name: str, part: int, unit: str) -> str:
    titles = [text for _, text in sheet.headings]
    if titles:
        return titles[0] if len(titles) < 3 else f"{titles[0]} … {titles[-1]}"
    return f"{name}, part {part}" if name else f"{unit} {number}"


def _last(sheet: _Sheet, name: str) -> str:
    return sheet.headings[-1][1] if sheet.headings else name


def _short(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks of which none is longer than a page: a long one is cut at a line, a sentence or a space."""
    for level, text in blocks:
        text = text.strip("\n")
        if not text.strip():
            continue
        for piece in pieces(text):
            yield level, piece
            level = 0


def pieces(text: str) -> Iterator[str]:
    """The text in pieces of a page at most."""
    at = 0
    while at < len(text):
        window = text[at : at + FULL]
        if at + FULL >= len(text) and weight(window) <= FULL:
            yield window
            return
        end = at + _cut(window)
        yield text[at:end].rstrip(" ")
        at = end
        while at < len(text) and text[at] in "\n ":
            at += 1


def _cut(window: str) -> int:
    """Where a page that begins with this ends: at a paragraph, a line, a sentence or a space."""
    most = FULL if weight(window) <= FULL * 1.2 else int(FULL / 2.5)
    for mark in ("\n\n", "\n", "。", ". ", " "):
        at = window.rfind(mark, most // 2, most)
        if at > 0:
            return at + len(mark)
    return min(most, len(window))
