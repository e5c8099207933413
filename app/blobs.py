"""Pictures and videos as files named by their content.

Knows: how to put a file away so that it is whole or absent, where it lies, how to remove it safely.
Does not know: what the files are called by people, who refers to them, SQLite.

Layout: <root>/ab/cdef… where abcdef… is the SHA-256 of the bytes. A file without a row in the database is
garbage, not damage; a row is only written after its file is in place. A file's time is when it last came.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20  # bytes read at a time: videos are larger than memory should pay for
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Blob:
    """A stored file. bytes: its size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Swept:
    """What was removed. bytes: their sizes together."""

    files: int
    bytes: int


class Blobs:
    """The folder of stored files; private to the user (0700, files 0600)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._settling = threading.Lock()  # no file is removed between its coming again and its being young
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where the content lies, whether or not it is there. Raises ValueError on anything but a SHA-256."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a content name: {sha256[:80]!r}")
        return self.root / sha256[:2] / sha256[2:]

    def put(self, source: Path) -> Blob:
        """Copy a file in. The same content twice is one file, and young again: sweep relies on that.

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

    def free(self) -> int:
        """Bytes that can still be written to this disk."""
        return shutil.disk_usage(self.root).free

    def sweep(self, needed: Container[str], before: float) -> Swept:
        """Remove every file that `needed` does not name and that came before then (seconds since 1970).

        So goes, too, what a crash left of files on their way. Files that are not ours are left alone.
        """
        files = size = 0
        for file in [*self.root.glob("??/*"), *self.root.glob("incoming-*")]:
            name = file.parent.name + file.name
            if name in needed or not (_SHA256.fullmatch(name) or file.parent == self.root):
                continue
            # one on its way may have arrived meanwhile
            with self._settling, contextlib.suppress(FileNotFoundError):
                if (stat := file.stat()).st_mtime < before:
                    file.unlink()
                    files, size = files + 1, size + stat.st_size
        return Swept(files, size)

    def _settle(self, temporary: Path, final: Path) -> None:
        final.parent.mkdir(mode=0o700, exist_ok=True)
        with self._settling:
            temporary.rename(final)  # atomic: a reader sees the whole file or none
        for folder in (final.parent, self.root):
            sync_folder(folder)


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


def sync_folder(folder: Path) -> None:
    # The rename itself must survive a power cut, and that lives in the folder, not in the file.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
