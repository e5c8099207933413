"""Pictures and videos as files named by their content.

Knows: how to put a file away so that it is whole or absent, and where it lies.
Does not know: what the files are called by people, who refers to them, SQLite.

Layout: <root>/ab/cdef… where abcdef… is the SHA-256 of the bytes. A file without a row in the database is
garbage, not damage; a row is only written after its file is in place.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20  # bytes read at a time: videos are larger than memory should pay for
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Blob:
    """A stored file. bytes: its size."""

    sha256: str
    bytes: int


class Blobs:
    """The folder of stored files; private to the user (0700, files 0600)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where the content lies, whether or not it is there. Raises ValueError on anything but a SHA-256."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a content name: {sha256[:80]!r}")
        return self.root / sha256[:2] / sha256[2:]

    def put(self, source: Path) -> Blob:
        """Copy a file in. The same content twice is one file.

        Raises OSError if the source cannot be read or the disk is full; then nothing was stored.
        """
        handle, name = tempfile.mkstemp(dir=self.root, prefix="incoming-")  # mkstemp makes it 0600
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as out:
                blob = _copy(source, out.fileno())
            self._settle(temporary, self.path(blob.sha256))
        finally:
            temporary.unlink(missing_ok=True)
        return blob

    def _settle(self, temporary: Path, final: Path) -> None:
        final.parent.mkdir(mode=0o700, exist_ok=True)
        temporary.rename(final)  # atomic: a reader sees the whole file or none
        for folder in (final.parent, self.root):
            _sync_folder(folder)


def _copy(source: Path, out: int) -> Blob:
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
            size += len(block)
            _write_all(out, block)
    os.fsync(out)
    return Blob(digest.hexdigest(), size)


def _write_all(out: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(out, view) :]


def _sync_folder(folder: Path) -> None:
    # The rename itself must survive a power cut, and that lives in the folder, not in the file.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
