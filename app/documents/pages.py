"""What a document is once it has been read: pages of text, in order, with what was said about them.

Knows: the values that reading makes and that the index, the search and the citations use.
Does not know: files, parsers, SQL, the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "pdf", "docx", "pptx", "xlsx", "csv", "html", "epub", "markdown", "text", "source", "picture"
]  # fmt: skip
Source = Literal["file", "vlm-ocr"]  # where a page's text is from: the file itself, or read off its picture
PICTURED: tuple[Kind, ...] = ("pdf", "picture")  # their pages can be drawn; the others are shown as text


@dataclass(frozen=True)
class Heading:
    """A line of the outline. level: 1 is the highest. page: number of the page it begins on."""

    level: int
    text: str
    page: int


@dataclass(frozen=True)
class Page:
    """A page, slide, block of rows or section: the unit that is found, placed before the model and cited.

    number: from 1, in the document's order; what is cited.
    label: how a person finds it: "page 7", "slide 3", "Costs, rows 2-41", "Installation".
    text: plain, lines end in "\\n", table rows are "a | b | c". Positions of quotations count its characters.
    width, height: points for a PDF, pixels for a picture, 0 where there is no picture of the page.
    image_only: (nearly) all that is on it is a picture, so its text alone says little or nothing.
    pictured: the share of the page, 0 to 1, that its largest picture covers: figures, stamps, scans.
    """

    number: int
    label: str
    text: str
    width: float = 0.0
    height: float = 0.0
    image_only: bool = False
    pictured: float = 0.0
    source: Source = "file"


@dataclass(frozen=True)
class Document:
    """All that could be read of a file.

    total: pages that the file has as far as is known; more than len(pages) where not all could be read.
    problems: sentences for the person, in the order in which things were found to be missing; usually empty.
    """

    kind: Kind
    title: str
    pages: tuple[Page, ...]
    outline: tuple[Heading, ...] = ()
    total: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rect:
    """A place on a page, in its points (or pixels), from the left and from the BOTTOM as in PDF."""

    left: float
    bottom: float
    right: float
    top: float


class Unreadable(Exception):
    """Nothing of the file can be used; str(error) says what it is, and what the person can do.

    code: "empty", "password", "unsupported", "corrupt", "bomb", "too-large", "too-slow", "memory", "stopped".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def trail(outline: Sequence[Heading], number: int) -> tuple[str, ...]:
    """The headings that are in force where page `number` ends, the highest first."""
    path: list[Heading] = []
    for heading in outline:
        if heading.page > number:
            break
        path = [*(above for above in path if above.level < heading.level), heading]
    return tuple(heading.text for heading in path)
