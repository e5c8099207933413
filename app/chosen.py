"""Which model a person chose in the window, kept for the next start; and which one could not be loaded.

Knows: the file both are kept in. Does not know: what the name means (config.py), whether that model is there.

A file of its own beside the database: the terminal asks without opening any conversation.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from app import kept

FILE = "model.json"


def chosen(home: Path) -> str:
    """The name, "" where none was chosen or the file cannot be read."""
    name = _read(home).get("model")
    return name if isinstance(name, str) else ""


def choose(home: Path, name: str) -> None:
    """Keep the name; the note of a broken one goes. Raises OSError; nothing is changed then."""
    kept.write(home / FILE, {"model": name})


def note_broken(home: Path, folder: Path, words: str) -> None:
    """Keep why the model in this folder could not be loaded; the choice stays what it is.

    Where it cannot be written nothing is kept: then the next start meets the error itself.
    """
    if not broken(home, folder):
        note = {"folder": str(folder), "files": _state(folder), "words": words}
        with suppress(OSError):
            kept.write(home / FILE, {"model": chosen(home), "broken": note})


def broken(home: Path, folder: Path) -> str:
    """Why the model in this folder could not be loaded; "" where it could, or its files changed since."""
    note = _read(home).get("broken")
    if not isinstance(note, dict) or (note.get("folder"), note.get("files")) != (str(folder), _state(folder)):
        return ""
    words = note.get("words")
    return words if isinstance(words, str) else ""


def _state(folder: Path) -> str:
    """Another one when a file of the folder comes, goes or is written."""
    files = []
    with suppress(OSError):
        for file in sorted(folder.iterdir()):
            about = file.stat()
            files.append((file.name, about.st_size, about.st_mtime_ns))
    return hashlib.sha256(repr(files).encode()).hexdigest()


def _read(home: Path) -> dict[str, Any]:
    said = kept.read(home / FILE)
    return said if isinstance(said, dict) else {}
