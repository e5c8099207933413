"""Which model a person chose in the window, kept for the next start.

Knows: the file it is kept in. Does not know: what the name means (config.py), whether that model is there.

A file of its own beside the database: the terminal asks without opening any conversation.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FILE = "model.json"


def chosen(home: Path) -> str:
    """The name, "" where none was chosen or the file cannot be read."""
    try:
        said = json.loads((home / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    name = said.get("model") if isinstance(said, dict) else ""
    return name if isinstance(name, str) else ""


def choose(home: Path, name: str) -> None:
    """Keep the name. Raises OSError; then the one kept before stays."""
    draft = home / f"{FILE}.{os.getpid()}"
    draft.write_text(json.dumps({"model": name}), encoding="utf-8")
    draft.replace(home / FILE)
