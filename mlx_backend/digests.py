"""Names of files and bytes made from their content.

Knows: how to tell an unchanged file without reading it again. Does not know: what is in the files.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


class Digests:
    """SHA-256 of files and bytes; a file is read again only when its size, times or place changed."""

    def __init__(self) -> None:
        self._seen: dict[tuple[object, ...], str] = {}

    def of(self, source: Path | bytes) -> str:
        """Raises OSError when the file cannot be read."""
        if isinstance(source, bytes):
            return hashlib.sha256(source).hexdigest()
        stat = source.stat()
        # ctime too: it moves even when a tool restores a file's modification time.
        identity = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if identity not in self._seen:
            with source.open("rb") as stream:
                self._seen[identity] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self._seen[identity]
