"""The headings of a document: what of them a prompt holds, and which of them a question names.

Knows: outlines, how people speak of sections and chapters, how many headings are worth their room.
Does not know: which documents are read (route.py), storage.

Pure: the same outline gives the same words in every later request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from app.documents.evidence import BAR, one_line, plain
from app.documents.indexing import estimated
from app.documents.pages import Heading, Page

MOST = 1_000  # tokens of one document's headings, about
ASKED = 2_000  # characters of a question that are looked through
_KEY = (
    "sections?|chapters?|parts?|appendix|annex|articles?|clauses?|abschnitte?s?|kapitels?|teil|anhang|artikel|"
    "chapitres?|sección|seccion|capítulo|capitulo|capitolo|sezione"
)
_NUMBERED = re.compile(
    rf"(?:\b(?i:{_KEY})|§§?)\s*(\d{{1,4}}(?:\.\d{{1,4}}){{0,5}}|[A-Z](?:\.\d{{1,4}}){{0,5}}|[IVXLC]{{2,7}})"
    r"(?![\w]|\.\d)"
)
_COUNTED = re.compile(r"第\s*([0-9]{1,4}|[一二三四五六七八九十]{1,3})\s*(章|节|節|条|條|部分|編|编|장|절|조)")
# what stands before a heading's own words
_OWN_NUMBER = re.compile(
    rf"^\W*(?:(?:{_KEY})\s+(?:[A-Z]|[IVXLC]+|\d[\d.]*)\b|\d[\d.]*(?!\w)|[A-Z]\.)\W*|^第\S{{1,4}}?[章节節条條編编장절조]\s*",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“„«「『《]([^\"“”„«»「」『』《》]{2,100})[\"”“»」』》]")
_FILLER = re.compile(r"^(?:(?:on|about|called|named|titled|of|the|a|über|zu|sur) )*")
_DIGITS = {digit: value for value, digit in enumerate("一二三四五六七八九", 1)}


def told(title: str, outline: Sequence[Heading], total: int, nonce: str) -> str:
    """The headings as they are laid before the model: as deep as there is room, then as many."""
    shown = bounded(outline)
    lines = [f"{BAR}{'  ' * min(5, h.level - 1)}{plain(one_line(h.text), nonce)} · {h.page}" for h in shown]
    if len(shown) < len(outline):
        lines.append(f"{BAR}… and {len(outline) - len(shown):,} more")
    first = f'[{nonce} headings of "{one_line(title)}", each with the page of {total} that it begins on]'
    return "\n".join([first, *lines, f"[{nonce} end of the headings]"])


def bounded(outline: Sequence[Heading]) -> tuple[Heading, ...]:
    """The headings that fit: of all levels, else of the higher ones, else the first of the highest."""
    for deepest in sorted({heading.level for heading in outline}, reverse=True):
        chosen = tuple(heading for heading in outline if heading.level <= deepest)
        if sum(map(_cost, chosen)) <= MOST:
            return chosen
    left, first = MOST, []
    highest = min((heading.level for heading in outline), default=1)
    for heading in outline:
        if heading.level == highest and (left := left - _cost(heading)) >= 0:
            first.append(heading)
    return tuple(first)


def cost(outline: Sequence[Heading]) -> int:
    """Tokens of a document's headings, about."""
    return sum(map(_cost, bounded(outline))) + 60 if outline else 0


def _cost(heading: Heading) -> int:
    return estimated(one_line(heading.text)) + 6


def named(question: str, outline: Sequence[Heading], pages: Sequence[Page]) -> list[int]:
    """Pages of the sections that a question names, by number or by title, in order.

    Where the outline has no such number, pages with a line that begins with it.
    """
    question = question[:ASKED]
    numbers = [found[1] for found in _NUMBERED.finditer(question)]
    numbers += [found[0] for found in _COUNTED.finditer(question)]
    last = max((page.number for page in pages), default=0)
    wanted: dict[int, None] = {}
    for number in numbers:
        spans = [page for at in _by_number(number, outline) for page in _span(outline, at, last)]
        wanted |= dict.fromkeys(spans or _by_line(number, pages))
    for at in _titled(question, outline):
        wanted |= dict.fromkeys(_span(outline, at, last))
    return list(wanted)


def _span(outline: Sequence[Heading], at: int, last: int) -> range:
    """The pages of a section: from its heading to the next one that is not below it."""
    heading = outline[at]
    after = (h.page for h in outline[at + 1 :] if h.level <= heading.level)
    return range(heading.page, max(heading.page, next(after, last + 1) - 1) + 1)


def _by_number(number: str, outline: Sequence[Heading]) -> list[int]:
    pattern = _begins(number)
    found = [at for at, heading in enumerate(outline) if pattern.match(heading.text)]
    highest = min((outline[at].level for at in found), default=0)  # "3" is a chapter before it is a list
    return [at for at in found if outline[at].level == highest]


def _begins(number: str) -> re.Pattern[str]:
    if counted := _COUNTED.fullmatch(number):
        value = _value(counted[1])
        forms = {str(value), counted[1], *(form for form in (_chinese(value),) if form)}
        return re.compile(rf"\s*第?\s*(?:{'|'.join(sorted(forms))})\s*(?:{counted[2]}|[.、．:：\s])")
    return re.compile(rf"\s*(?:(?:{_KEY})\s*|§\s*)?(?i:{re.escape(number)})(?![\w])(?!\.\d)", re.IGNORECASE)


def _by_line(number: str, pages: Sequence[Page]) -> list[int]:
    """The first two pages with such a line. One that ends in a number is of a table of contents."""
    line = re.compile(_begins(number).pattern + r"[.:)\s]{1,4}[^\W\d].{0,200}(?<!\d)$", re.IGNORECASE)
    found = (page.number for page in pages if any(line.match(one.strip()) for one in page.text.splitlines()))
    return list(islice(found, 2))


def _titled(question: str, outline: Sequence[Heading]) -> Iterator[int]:
    """Headings that stand in the question: in quotation marks, or beside the word for a section."""
    quoted = {_flat(found[1]) for found in _QUOTED.finditer(question)}
    flat = _flat(question)
    around = [(flat[: key.start()].rstrip(), _FILLER.sub("", flat[key.end() :].lstrip()))
              for key in re.finditer(rf"\b(?:{_KEY})\b", flat)]  # fmt: skip
    for at, heading in enumerate(outline if quoted or around else ()):
        title = _flat(_OWN_NUMBER.sub("", heading.text))
        if len(title) > 1 and (
            title in quoted
            or any(f"{after} ".startswith(f"{title} ") for _, after in around)
            or any(f" {before}".endswith(f" {title}") for before, _ in around)
        ):
            yield at


def _flat(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _value(number: str) -> int:
    if number.isascii():
        return int(number)
    tens, _, ones = number.rpartition("十")
    return (_DIGITS.get(tens, 1) * 10 if "十" in number else 0) + _DIGITS.get(ones, 0)


def _chinese(value: int) -> str:
    digits = {value: digit for digit, value in _DIGITS.items()}
    if not 0 < value < 100:
        return ""
    tens, ones = divmod(value, 10)
    return (digits[tens] if tens > 1 else "") + ("十" if tens else "") + digits.get(ones, "")
