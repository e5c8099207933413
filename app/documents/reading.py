"""A file as a document, read in a process of its own: what was read before anything went wrong is kept.

Knows: what the child says and in which order, how pages are numbered, what is told of what is missing.
Does not know: formats, the index, the window.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast, get_args

from . import said
from .hyphens import mended
from .isolated import GUARD, Child, Guard, never
from .pages import Document, Heading, Kind, Page, Unreadable
from .reader.items import End, Entry, Item, Leaf, Lost, Note, Opened, Refused, decode

KINDS = get_args(Kind)
OnPage = Callable[[int, int], None]  # pages done, pages in all or 0 where that is not known


def _ignore(done: int, total: int) -> None:
    pass


@dataclass
class _Taken:
    """What has come of a document so far."""

    opened: Opened | None = None
    pages: list[Page] = field(default_factory=list)
    outline: list[Heading] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seen: int = 0  # pages that came or were lost
    refused: Refused | None = None
    whole: bool = False

    def take(self, item: Item) -> None:
        if isinstance(item, Opened):
            self.opened = item
        elif isinstance(item, Leaf):
            self.seen += 1
            self.pages.append(_page(self.seen, item))
        elif isinstance(item, Lost):
            self.seen += 1
        elif isinstance(item, Entry):
            self.outline.append(Heading(item.level, item.text, item.page))
        elif isinstance(item, Note):
            self.notes.append(item.text)
        elif isinstance(item, Refused):
            self.refused = item
        else:
            self.whole = isinstance(item, End)


def _page(number: int, leaf: Leaf) -> Page:
    share = min(1.0, max(0.0, leaf.pictured))
    return Page(number, leaf.label, leaf.text, leaf.width, leaf.height, leaf.image_only, share)


def read(
    path: Path,
    name: str = "",
    on_page: OnPage = _ignore,
    stopped: Callable[[], bool] = never,
    guard: Guard = GUARD,
) -> Document:
    """The document in a file; blocks until it is read.

    name: what the person calls it, for the title where the file has none. on_page: called in this thread
    after every page. stopped: asked twenty times a second; where it says so the process ends at once and
    Unreadable ("stopped") is raised.
    A page keeps its number where pages before it were lost. Raises Unreadable where nothing can be used.
    """
    return gathered(Child(["read", str(path)], guard, stopped), name or path.name, on_page)


def gathered(child: Child, name: str, on_page: OnPage = _ignore) -> Document:
    """The document that a child reads, as read() says."""
    taken = _Taken()
    for item in _items(child):
        taken.take(item)
        if isinstance(item, Leaf | Lost) and taken.opened is not None:
            on_page(taken.seen, taken.opened.total)
    if child.ended == "stopped":
        raise said.ended("stopped")
    if not taken.pages or taken.opened is None:
        raise said.refusal(taken.refused) if taken.refused else _nothing(child, taken)
    if not any(page.text.strip() or page.image_only for page in taken.pages):
        raise said.refusal(Refused("empty"))
    return _document(taken, Path(name).stem, _how(child, taken))


def _items(child: Child) -> Iterator[Item]:
    """What the child says until it ends, is ended, or talks nonsense."""
    with contextlib.closing(child.lines()) as lines:
        for line in lines:
            try:
                item = decode(line)
            except (ValueError, RecursionError):
                item = None
            if item is None or (isinstance(item, Opened) and item.kind not in KINDS):
                child.ended = "crashed"  # it is no longer ours
                return
            yield item


def _nothing(child: Child, taken: _Taken) -> Unreadable:
    if taken.whole and not taken.seen:
        return Unreadable("empty", " ".join([str(said.refusal(Refused("empty"))), *taken.notes]))
    return said.ended(child.ended)


def _how(child: Child, taken: _Taken) -> str:
    """What ended the reading before its end; "" where it did not."""
    if taken.whole:
        return ""
    return taken.refused.code if taken.refused else child.ended


def _document(taken: _Taken, name: str, how: str) -> Document:
    assert taken.opened is not None
    texts = mended([page.text for page in taken.pages])
    pages = tuple(replace(page, text=text) for page, text in zip(taken.pages, texts, strict=True))
    total = max(taken.opened.total, taken.seen)
    problems = list(taken.notes)
    if how or (len(pages) < taken.seen):
        problems.insert(0, said.partly(len(pages), total, how))
    last = max(page.number for page in pages)
    outline = sorted((h for h in taken.outline if 1 <= h.page <= last), key=lambda heading: heading.page)
    kind = cast(Kind, taken.opened.kind)
    return Document(kind, taken.opened.title or name, pages, tuple(outline), total, tuple(problems))
