"""A file that wants to crash, hang, swell, escape or lie, and what must come of it.

Knows: how a case is named and written. Does not know: how any file is built, how files are read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """outcomes: codes of Unreadable, or "read". hidden: words that no page may hold."""

    name: str
    outcomes: frozenset[str]
    source: object
    arguments: tuple[object, ...]
    hidden: str = "root:"

    def without(self, words: str) -> Case:
        return replace(self, hidden=words)

    def write(self, file: Path) -> None:
        """Only now is the content made: some of it is large."""
        if self.source in (os.mkfifo, Path.mkdir):
            self.source(file)  # type: ignore[operator]
            return
        data = self.source(*self.arguments) if callable(self.source) else self.source
        file.write_bytes(data.encode() if isinstance(data, str) else data)


def case(name: str, outcomes: str, source: object, *arguments: object) -> Case:
    """source: the content, or what makes it out of the arguments."""
    return Case(name, frozenset(outcomes.split()), source, arguments)
