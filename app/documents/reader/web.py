"""HTML as a person sees it: text, headings and tables. Nothing is fetched, run or shown that the page hides.

Knows: lxml's HTML parser, which elements begin a line, which hold no text for people.
Does not know: styles in sheets, scripts, where the file is from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from .encoding import decoded
from .items import TITLE, Item, Note, Opened
from .plain import MOST
from .rows import line
from .sections import Block, pages

_SILENT = frozenset(
    """
    script style noscript template head svg math iframe object embed canvas audio video select textarea
    """.split()  # noqa: SIM905
)
_BLOCKS = frozenset(
    """
    p div section article aside main header footer nav ul ol dl dt dd blockquote figure figcaption pre
    address table thead tbody tfoot caption form fieldset details summary hr body html tr
    """.split()  # noqa: SIM905
)
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])"
)


def read(path: Path, kind: str) -> Iterator[Item]:
    with path.open("rb") as file:
        data = file.read(MOST + 1)
    tree = parsed(data[:MOST])
    yield Opened(kind, title(tree))
    yield from pages(blocks(tree))
    if len(data) > MOST:
        yield Note(f"Only its first {MOST // 1_000_000} MB were read.")


def parsed(data: bytes) -> Any:
    """The tree, None where there is nothing. Damaged markup is mended as browsers do."""
    try:
        data.decode("utf-8")
        encoding: str | None = "utf-8"
    except UnicodeDecodeError:
        encoding = None  # the page's own word for it
        if not re.search(rb"charset|encoding=", data[:4096], re.I):
            data, encoding = (decoded(data) or "").encode("utf-8"), "utf-8"
    parser = etree.HTMLParser(
        encoding=encoding, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    return etree.fromstring(data, parser) if data.strip() else None


def title(tree: Any) -> str:
    found = None if tree is None else tree.find(".//title")
    return " ".join("".join(found.itertext()).split())[:TITLE] if found is not None else ""


def blocks(tree: Any) -> Iterator[Block]:
    """Headings, paragraphs, items and tables in their order."""
    if tree is not None:
        yield from _Walk().over(tree)


class _Walk:
    """One pass over a tree without recursion: pages nest as deep as they like."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.cells: list[str] | None = None  # of the table row that is open
        self.rows: list[str] = []
        self.silent = 0  # how many open elements say nothing
        self.tables = 0
        self.kept = 0  # open <pre>

    def over(self, tree: Any) -> Iterator[Block]:
        for event, element in etree.iterwalk(tree, events=("start", "end")):
            tag = element.tag if isinstance(element.tag, str) else ""
            tag = tag.rpartition("}")[2].lower()
            if event == "start":
                yield from self._start(tag, element)
            else:
                yield from self._end(tag, element)
                if not self.silent and element is not tree:
                    self._say(element.tail)
        yield from self._flush()

    def _start(self, tag: str, element: Any) -> Iterator[Block]:
        if self.silent or _unseen(tag, element):
            self.silent += 1
            return
        if tag == "table":
            yield from self._flush()
            self.tables += 1
        elif tag == "tr" and self.tables:
            self.words, self.cells = [], []
        elif tag in _BLOCKS or _level(tag):
            if self.cells is None:
                yield from self._flush()
            else:
                self.words.append(" ")
        elif tag == "br":
            self.words.append("\n" if self.cells is None else " ")
        elif tag == "li":
            yield from self._flush()
            self.words.append("- ")
        elif tag == "img" and (words := (element.get("alt") or "").strip()):
            self.words.append(f"[picture: {words}]")
        self.kept += tag == "pre"
        self._say(element.text)

    def _end(self, tag: str, element: Any) -> Iterator[Block]:
        if self.silent:
            self.silent -= 1
            return
        if tag in ("td", "th") and self.cells is not None:
            self.cells.append(self._taken())
        elif tag == "tr" and self.cells is not None:
            self.rows.append(line(self.cells))
            self.cells = None
        elif tag == "table":
            self.tables -= 1
            if not self.tables:
                yield 0, "\n".join(row for row in self.rows if row)
                self.rows, self.cells = [], None
        elif (level := _level(tag)) and self.cells is None:
            yield level, self._taken()
        elif tag in _BLOCKS or tag == "li":
            if self.cells is None:
                yield from self._flush()
            else:
                self.words.append(" ")
        self.kept -= tag == "pre"

    def _say(self, text: str | None) -> None:
        if text:
            self.words.append(text if self.kept else re.sub(r"[ \t\r\n]+", " ", text))

    def _taken(self) -> str:
        text = "".join(self.words)
        self.words = []
        return re.sub(r" *\n *", "\n", text).strip() if not self.kept else text.strip("\n")

    def _flush(self) -> Iterator[Block]:
        if text := self._taken():
            yield 0, text


def _unseen(tag: str, element: Any) -> bool:
    return (
        tag in _SILENT
        or element.get("hidden") is not None
        or bool(_HIDDEN.search(element.get("style") or ""))
    )


def _level(tag: str) -> int:
    return int(tag[1]) if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456" else 0
