"""Plain text, Markdown and source code.

Knows: Markdown's headings, paragraphs, and that code is cited by its lines.
Does not know: what a file is (kind.py), how long a page is (sections.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .encoding import decoded
from .items import TITLE, Item, Leaf, Note, Opened, Refusal
from .sections import FULL, Block, pages, pieces, weight

MOST = 40_000_000  # bytes of a text that are read
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)\s*$")


def read(path: Path, kind: str) -> Iterator[Item]:
    """Sections of Markdown, numbered lines of anything else."""
    text, cut = whole(path)
    if kind == "markdown":
        yield Opened(kind, _title(text))
        yield from pages(blocks(text.splitlines()))
    else:
        yield Opened(kind)
        yield from numbered(text.splitlines())
    if cut:
        yield Note(f"Only its first {MOST // 1_000_000} MB were read.")


def whole(path: Path) -> tuple[str, bool]:
    """The text, its lines ended by "\\n", and whether it was cut short."""
    with path.open("rb") as file:
        data = file.read(MOST + 1)
    cut = len(data) > MOST
    text = decoded(data[:MOST], cut=cut)
    if text is None:
        raise Refusal("unsupported", "not a document")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace("\0", ""), cut


def blocks(lines: list[str]) -> Iterator[Block]:
    """Headings and paragraphs of Markdown; code between fences is one block, whatever it holds."""
    paragraph: list[str] = []
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if fence or mark:
            paragraph.append(line)
            if mark and not fence:
                fence = mark[1]
            elif mark and mark[1].startswith(fence):
                fence = ""
        elif heading := _HEADING.match(line):
            yield 0, "\n".join(paragraph)
            paragraph = []
            yield len(heading[1]), heading[2]
        elif _UNDERLINE.match(line) and len(paragraph) == 1 and paragraph[0].strip():
            yield 1 if "=" in line else 2, paragraph[0]
            paragraph = []
        elif not line.strip():
            yield 0, "\n".join(paragraph) + "\n"
            paragraph = []
        else:
            paragraph.append(line)
    yield 0, "\n".join(paragraph)


def _title(text: str) -> str:
    first = next((block for block in blocks(text.splitlines()[:60]) if block[0]), None)
    return first[1].strip()[:TITLE] if first else ""


def numbered(lines: list[str]) -> Iterator[Leaf]:
    """Pages of whole lines, cut where a line is empty if there is one in the last third."""
    start = 0
    while start < len(lines):
        end = _end(lines, start)
        text = "\n".join(lines[start:end])
        label = f"lines {start + 1}-{end}" if end > start + 1 else f"line {end}"
        if text.strip():
            yield from _leaves(label, text)
        start = end


def _leaves(label: str, text: str) -> Iterator[Leaf]:
    # a line may be longer than a page: minified code, a paragraph that was never wrapped
    whole = list(pieces(text))
    for number, piece in enumerate(whole, 1):
        yield Leaf(label if len(whole) == 1 else f"{label}, part {number}", piece)


def _end(lines: list[str], start: int) -> int:
    full, end, gap = 0.0, start, 0
    while end < len(lines) and (full < FULL or end == start):
        full += weight(lines[end]) + 1
        if full > FULL and end > start:
            break
        end += 1
        if end < len(lines) and not lines[end].strip() and full > FULL * 2 / 3:
            gap = end
    return gap if gap and end < len(lines) else end
