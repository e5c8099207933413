"""Small JSON files of the home: what is kept beside the database, and is whole after any crash.

Knows: how one is read where somebody may have damaged it, and written. Does not know: what is in it.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any


def read(file: Path) -> Any:
    """What it holds; None where it is not there or cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def write(file: Path, value: Any) -> None:
    """Hold this from now on. Raises OSError; then the file holds what it held."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
    draft.write_text(json.dumps(value, indent=1), encoding="utf-8")
    draft.replace(file)
