"""What the child says to its parent: one JSON object per line, each flushed when it is known.

Knows: the items and their form on the line.
Does not know: parsers, processes.

The parent takes nothing on trust: a child that a hostile file has taken over may write anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

TITLE = 300  # characters of a title, a label or a heading
TEXT = 200_000  # characters of a page
ENTRIES = 2000  # of an outline
# What only machines see: controls, marks of byte order, and tags, in which words can hide. U+0002 is a broken
# word in a PDF, which the parent mends.
_NOISE = re.compile("[\0\x01\x03-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff\U000e0000-\U000e007f]")


@dataclass(frozen=True)
class Opened:
    """The file is what `kind` says. total: pages it claims, 0 where that is not known before the end."""

    kind: str
    title: str = ""
    total: int = 0


@dataclass(frozen=True)
class Leaf:
    """The next page; see Page in pages.py for the fields."""

    label: str
    text: str
    width: float = 0.0
    height: float = 0.0
    image_only: bool = False
    pictured: float = 0.0


@dataclass(frozen=True)
class Lost:
    """The next page exists and could not be read."""

    label: str


@dataclass(frozen=True)
class Entry:
    """A line of the outline. page: its number, from 1. Heading in pages.py, which no child can import."""

    level: int
    text: str
    page: int


@dataclass(frozen=True)
class Note:
    """A sentence for the person about what is missing."""

    text: str


@dataclass(frozen=True)
class Refused:
    """Nothing can be read. code: as in Unreadable; detail: what the file is, where that helps."""

    code: str
    detail: str = ""


@dataclass(frozen=True)
class End:
    """All that is in the file was said."""


Item = Opened | Leaf | Lost | Entry | Note | Refused | End
_CLASSES = {cls.__name__: cls for cls in (Opened, Leaf, Lost, Entry, Note, Refused, End)}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
}


class Refusal(Exception):
    """Raised by a parser: the file cannot be used at all."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.item = Refused(code, detail)


def plain(text: str) -> str:
    """The text without characters that no person sees."""
    return _NOISE.sub("", text)


def encode(item: Item) -> bytes:
    """The line of an item. Lone surrogates, which JSON cannot carry as UTF-8, become question marks."""
    line = json.dumps({"is": type(item).__name__} | asdict(item), ensure_ascii=False)
    return line.encode("utf-8", errors="replace") + b"\n"


def decode(line: bytes) -> Item:
    """The item of a line. Raises ValueError on anything else, whatever it is."""
    data = json.loads(line)
    cls = _CLASSES.get(data.pop("is", "")) if isinstance(data, dict) else None
    if cls is None:
        raise ValueError("not an item")
    kinds = {field.name: _TYPES[str(field.type)] for field in fields(cls)}
    if not all(name in kinds and isinstance(value, kinds[name]) for name, value in data.items()):
        raise ValueError("not what the item holds")
    try:
        item: Item = cls(**data)
    except TypeError as error:
        raise ValueError("an item without all its parts") from error
    return item
