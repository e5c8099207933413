"""Conversations as an export tells them, before they are put in order: loose messages that name each other.

Knows: the values that every reader makes, and how a stranger's text, time or name becomes one to be kept.
Does not know: any file format, the store, where files lie.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from app.store import Held, Part, Status

MAX_TEXT = 5_000_000  # characters of one part; a long novel has two million
MAX_NAME = 200  # characters of a title or a folder's name
MAX_FILE_NAME = 255
LATEST = 253_370_764_800.0  # the year 9999 in seconds since 1970: what a date can still be made of

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


Watch = Callable[[float], None]  # is told which share is done, 0 to 1


class BadImport(Exception):
    """A file cannot be imported. Its text is for the person at the screen: what happened, what was kept."""


class Broken(Exception):
    """One conversation cannot be read. Its text goes on after "Title: "."""


@dataclass(frozen=True)
class File:
    """A picture, video or document that should lie in the export. key: what the export calls it; sha256: what
    its content must be, None where the export does not say. data: as in Part, its name included.
    """

    key: str
    sha256: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    document: bool = False

    @property
    def name(self) -> str:
        return str(self.data.get("name") or "a picture or video")


@dataclass(frozen=True)
class Said:
    """A message. parent: id of the one it follows. role None: it says nothing and only links two others."""

    id: str
    parent: str | None
    role: Literal["user", "assistant"] | None
    parts: tuple[Part | File, ...] = ()
    created_at: float | None = None
    status: Status = "complete"
    options: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    stats: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chat:
    """A conversation. head: id of the message that was looked at last. Times None: the file does not say.

    pieces: whether its messages come in pieces, so that neighbouring texts are set apart by a blank line.
    documents: what it reads; the places of evidence count these.
    """

    title: str
    said: tuple[Said, ...]
    head: str | None = None
    created_at: float | None = None
    updated_at: float | None = None
    pinned: bool = False
    folder: str | None = None
    pieces: bool = False
    documents: tuple[Held, ...] = ()


def words(value: Any) -> str:
    """A text that can be stored; "" for what is none, and shortened where it is absurdly long."""
    if not isinstance(value, str):
        return ""
    if len(value) > MAX_TEXT:
        value = f"{value[:MAX_TEXT]}\n\n[cut here by the import: {len(value):,} characters]"
    return storable(value)


def storable(value: str) -> str:
    """Half of a surrogate pair is valid JSON, but no database and no file takes it."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def one_line(value: Any) -> str:
    """A title or a folder's name; "" where there is none."""
    return " ".join(words(value).split())[:MAX_NAME].rstrip() if isinstance(value, str) else ""


def file_name(value: Any) -> str:
    """The last component of a name, without controls and what turns the reading direction; "" for none."""
    last = re.split(r"[/\\]", words(value))[-1] if isinstance(value, str) else ""
    return _UNSEEN.sub("", last).strip()[-MAX_FILE_NAME:]


def seconds(value: Any) -> float | None:
    """Seconds since 1970 from a number or an ISO date, without a zone taken as UTC; None for neither."""
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value.strip()[:64])
            value = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < LATEST and math.isfinite(value) else None


def kind_of(value: Any) -> str:
    """The name of a kind; "" where it is no text."""
    return value if isinstance(value, str) else ""


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; none where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def note(what: str) -> Part:
    """An honest word in place of what is not taken over."""
    return Part("text", f"[not imported: {one_line(what) or 'something unknown'}]")


def is_note(part: Part | File) -> bool:
    return isinstance(part, Part) and part.type == "text" and part.text.startswith("[not imported: ")


def flow(parts: Iterable[Part | File]) -> tuple[Part | File, ...]:
    """Parts of one message: neighbouring texts become one, a blank line between them; each note once."""
    kept: list[Part | File] = []
    notes: set[str] = set()
    for part in parts:
        if is_note(part):
            assert isinstance(part, Part)
            if part.text in notes:
                continue
            notes.add(part.text)
        last = kept[-1] if kept else None
        if isinstance(part, Part) and part.type == "text" and isinstance(last, Part) and last.type == "text":
            kept[-1] = Part("text", f"{last.text}\n\n{part.text}")
        else:
            kept.append(part)
    return tuple(kept)


def fenced(text: str, info: str = "") -> str:
    """A code block whose fence the text cannot close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{re.sub(r'[^0-9A-Za-z+#_.-]', '', info)[:30]}\n{text}\n{fence}"
