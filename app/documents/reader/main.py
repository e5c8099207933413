"""What the child does with its orders: the right parser for the content, and what it yields as lines.

Knows: which parser reads which kind, how much of a document is read.
Does not know: how any format is parsed, who reads the lines.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from .items import ENTRIES, End, Entry, Item, Leaf, Note, Opened, Refusal, Refused, encode, plain
from .kind import kind_of

PAGES = 5000  # of one document; what is beyond them is told, not read
CHARACTERS = 20_000_000  # of all its pages together: about ten long novels
PARSERS = {
    "pdf": "pdf",
    "docx": "word",
    "pptx": "slides",
    "xlsx": "sheets",
    "csv": "rows",
    "html": "web",
    "epub": "book",
    "markdown": "plain",
    "text": "plain",
    "source": "plain",
    "picture": "picture",
}


def items(path: Path) -> Iterator[Item]:
    """All that can be said of a file. Raises Refusal, or whatever a parser raises on a damaged file."""
    kind = kind_of(path)
    parser = importlib.import_module(f".{PARSERS[kind]}", __package__)
    pages = characters = entries = 0
    for item in parser.read(path, kind):
        if isinstance(item, Leaf):
            pages, characters = pages + 1, characters + len(item.text)
        if pages > PAGES or characters > CHARACTERS:
            yield Note(f"Only the first {pages - 1:,} pages were read: the document is too large for more.")
            break
        entries += isinstance(item, Entry)
        if entries <= ENTRIES or not isinstance(item, Entry):
            yield _clean(item, kind)
    yield End()


def _clean(item: Item, kind: str) -> Item:
    if isinstance(item, Leaf):
        text = plain(item.text)
        return replace(
            item, label=plain(item.label), text=text if kind == "pdf" else text.replace("\x02", "")
        )
    if isinstance(item, Opened):
        return replace(item, title=plain(item.title))
    return replace(item, text=plain(item.text)) if isinstance(item, Entry) else item


def main(arguments: Sequence[str]) -> int:
    """The exit status. `read FILE`: items as lines; `draw FILE ORDER`: see draw.py."""
    warnings.simplefilter("ignore")  # parsers warn about oddities of files on standard error, for nobody
    command, name, *rest = arguments
    try:
        if command == "draw":
            drawing = importlib.import_module(".draw", __package__)
            sys.stdout.buffer.write(drawing.answer(Path(name), rest[0]))
        else:
            for item in items(Path(name)):
                _say(item)
    except Refusal as refusal:
        return _end(refusal.item)
    except MemoryError:
        return _end(Refused("memory"))
    except Exception as error:  # a parser meets a file nobody foresaw: an expected input, not a defect
        return _end(Refused("corrupt", type(error).__name__))
    sys.stdout.buffer.flush()
    return 0


def _say(item: Item) -> None:
    sys.stdout.buffer.write(encode(item))
    sys.stdout.buffer.flush()  # what was said is kept, whatever happens next


def _end(refused: Refused) -> int:
    _say(refused)
    return 1
