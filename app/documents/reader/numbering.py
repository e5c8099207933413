"""The numbers that Word writes before paragraphs by itself: "1.2", "(a)", "IV.", "第三条".

Knows: lists and their levels, how numbers go on, begin anew and are written.
Does not know: words, files. Bullets say nothing and are left out.

Word keeps no number anywhere: it counts, and so does this, in the order of the document. ECMA-376 part 1,
17.9, says how. What is left out: levels that do not begin anew below a higher one (lvlRestart).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
LEVELS = 9
LONGEST = 60  # characters of a number
DEEPEST = 12  # styles that a style is based on
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
          (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_HAN = "〇一二三四五六七八九"
_SILENT = ("bullet", "none")


@dataclass
class _Level:
    start: int = 1
    form: str = "decimal"
    text: str = ""
    legal: bool = False  # every number in it is written as 1, 2, 3


@dataclass
class _List:
    """What is counted together. counts: of each level, None before its first paragraph."""

    levels: dict[int, _Level] = field(default_factory=dict)
    counts: list[int | None] = field(default_factory=lambda: [None] * LEVELS)
    by_style: dict[str, int] = field(default_factory=dict)  # level of paragraphs of a style


Place = tuple[str, int | None]  # a list's number, and the level where it is said


class Numbers:
    """Of one document. Ask for every paragraph once, in order."""

    def __init__(self, numbering: Any, styles: Any) -> None:
        """numbering, styles: the roots of these parts, or None."""
        self._lists: dict[str, _List] = {}
        self._begins: dict[str, dict[int, int]] = {}  # where a list's use begins anew, until it has
        self._styles = _styles(styles)
        if numbering is not None:
            self._learn(numbering)

    def before(self, paragraph: Any, style: str) -> str:
        """What stands before the paragraph; empty where nothing does. style: its style's id."""
        own = _place(paragraph)
        named = self._styles.get(style)
        number, level = own or named or ("0", None)
        found = self._lists.get(number)
        if found is None:
            return ""
        if level is None:
            level = (named[1] if named else None) or found.by_style.get(style, 0)
        return self._next(found, number, min(level, LEVELS - 1))

    def _next(self, found: _List, number: str, level: int) -> str:
        for at, start in self._begins.pop(number, {}).items():
            found.levels.setdefault(at, _Level()).start, found.counts[at] = start, None
        kind = found.levels.get(level, _Level())
        count = found.counts[level]
        found.counts[level] = kind.start if count is None else count + 1
        found.counts[level + 1 :] = [None] * (LEVELS - 1 - level)
        return "" if kind.form in _SILENT else _written(found, kind)

    def _learn(self, numbering: Any) -> None:
        lists = {str(one.get(W + "abstractNumId")): one for one in numbering.iterchildren(W + "abstractNum")}
        known = {name: _list(one) for name, one in lists.items()}
        uses = {str(one.get(W + "numId")): one for one in numbering.iterchildren(W + "num")}
        for number, use in uses.items():
            name = _value(use, "abstractNumId")
            link = _value(lists[name], "numStyleLink") if name in lists else ""
            if link and (place := self._styles.get(link)) and place[0] in uses:
                name = _value(uses[place[0]], "abstractNumId")
            if name in known:
                self._lists[number] = known[name]
                self._begins[number] = dict(_overridden(use))


def _list(element: Any) -> _List:
    found = _List()
    for one in element.iterchildren(W + "lvl"):
        at = _whole(one.get(W + "ilvl"), 0)
        if at < LEVELS:
            legal = one.find(W + "isLgl") is not None
            start, form = _whole(_value(one, "start"), 1), _value(one, "numFmt") or "decimal"
            found.levels[at] = _Level(start, form, _value(one, "lvlText")[:LONGEST], legal)
            if style := _value(one, "pStyle"):
                found.by_style.setdefault(style, at)
    return found


def _overridden(use: Any) -> Iterable[tuple[int, int]]:
    for one in use.iterchildren(W + "lvlOverride"):
        at, start = _whole(one.get(W + "ilvl"), 0), _value(one, "startOverride")
        if start and at < LEVELS:
            yield at, _whole(start, 1)


def _styles(root: Any) -> dict[str, Place]:
    """The place in a list that a style gives its paragraphs, by the style's id."""
    own: dict[str, Place | None] = {}
    base: dict[str, str] = {}
    for one in root.iterchildren(W + "style") if root is not None else ():
        name = str(one.get(W + "styleId"))
        own[name], base[name] = _place(one), _value(one, "basedOn")
    found = {}
    for name in own:
        above = name
        for _ in range(DEEPEST):
            if own.get(above) or above not in base:
                break
            above = base[above]
        if place := own.get(above):
            found[name] = place
    return found


def _place(element: Any) -> Place | None:
    """What a paragraph or a style says of its list itself."""
    found = element.find(f"{W}pPr/{W}numPr")
    number = _value(found, "numId") if found is not None else ""
    level = _value(found, "ilvl") if found is not None else ""
    return (number, _whole(level, 0) if level else None) if number else None


def _written(found: _List, kind: _Level) -> str:
    def number(match: re.Match[str]) -> str:
        at = int(match[1]) - 1
        level = found.levels.get(at, _Level())
        count = found.counts[at]
        return _form(level.start if count is None else count, "decimal" if kind.legal else level.form)

    return " ".join(re.sub(r"%([1-9])", number, kind.text).split())[:LONGEST]


def _form(count: int, form: str) -> str:
    if form in _SILENT:
        return ""
    if form == "decimalZero":
        return f"{count:02d}"
    if form.endswith("Letter") and 0 < count <= 260:
        text = chr(ord("a") + (count - 1) % 26) * (1 + (count - 1) // 26)
    elif form.endswith("Roman") and 0 < count < 4000:
        text = _roman(count)
    elif "Counting" in form and 0 < count < 100:
        return _han(count)
    else:
        return str(count)
    return text.upper() if form.startswith("upper") else text


def _roman(count: int) -> str:
    text = ""
    for value, sign in _ROMAN:
        text += sign * (count // value)
        count %= value
    return text


def _han(count: int) -> str:
    tens, ones = divmod(count, 10)
    return (_HAN[tens] if tens > 1 else "") + ("十" if tens else "") + (_HAN[ones] if ones else "")


def _value(element: Any, tag: str) -> str:
    found = element.find(W + tag)
    return "" if found is None else str(found.get(W + "val") or "")


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else otherwise
