"""A file that somebody hands in: a zip or plain JSON, read within limits and never by its own account.

Knows: what is in the zip, how much of it may be read, how errors of the format are told to a person.
Does not know: what the documents mean, where their media go.

Nothing is ever written under a name from the zip. Python's zip reader gives no more bytes than an entry
declares, so what is declared is what has to be bounded.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Any

from app.transfer.loose import BadImport
from app.transfer.media import HEAD

# everything that a damaged or malicious zip makes Python's reader raise
ZIP_ERRORS = (
    zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, NotImplementedError, OSError, EOFError,
    ValueError, zlib.error, lzma.LZMAError, struct.error, OverflowError,
)  # fmt: skip
_FILE_ID = re.compile(r"file[-_][0-9A-Za-z]+")  # what ChatGPT's exports begin the names of media with
_CONVERSATIONS = re.compile(r"conversations(-\d+)?\.json", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """How much is read. json, media: bytes of one document, of one picture or video; total: of all media.

    ratio: how many times larger than packed an entry of more than `small` bytes may be. Text packs to a
    twentieth, zeros to a thousandth.
    """

    json: int = 1 << 30
    media: int = 4 << 30
    total: int = 64 << 30
    entries: int = 200_000
    ratio: int = 200
    small: int = 10 << 20


class Source:
    """An open file. Raises BadImport wherever it cannot be read; use as a context."""

    def __init__(self, file: Path, limits: Limits | None = None) -> None:
        self.file = file
        self._limits = limits or Limits()
        self._read = 0  # bytes of media so far
        self._zip: zipfile.ZipFile | None = None
        try:
            with file.open("rb") as opened:
                packed = opened.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
            if packed:
                self._zip = zipfile.ZipFile(file)
        except ZIP_ERRORS as error:
            raise BadImport(f"{file.name} cannot be opened ({_why(error)}). Nothing was imported.") from error
        if self._zip and len(self._zip.infolist()) > self._limits.entries:
            self._zip.close()
            raise BadImport(
                f"{file.name} holds more than {self._limits.entries:,} files. Nothing was imported."
            )

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._zip:
            self._zip.close()

    # --- documents -----------------------------------------------------------------------------------

    def documents(self) -> list[tuple[str, int]]:
        """Names and sizes (bytes) of what may hold conversations: those called so, else all JSON there is."""
        if self._zip is None:
            return [(self.file.name, self.file.stat().st_size)]
        found = [entry for entry in self._entries if entry.filename.lower().endswith(".json")]
        named = [entry for entry in found if _CONVERSATIONS.fullmatch(_base(entry))]
        return sorted((entry.filename, entry.file_size) for entry in named or found)

    def json(self, name: str) -> Any:
        """One of the documents. Raises BadImport where it is too large or no JSON."""
        try:
            return json.loads(self._bytes(name))
        except (ValueError, RecursionError) as error:
            nested = isinstance(error, RecursionError)
            why = "it is nested deeper than any export" if nested else "it is not whole, or not JSON"
            raise BadImport(f"{name} cannot be read: {why}. Export it again.") from error

    def _bytes(self, name: str) -> bytes:
        limit = self._limits.json
        try:
            if self._zip is not None:
                entry = self._zip.getinfo(name)
                self._check(entry, limit)
                return self._zip.read(entry)
            if self.file.stat().st_size <= limit:
                return self.file.read_bytes()
        except ZIP_ERRORS as error:
            raise BadImport(f"{name} cannot be read ({_why(error)}). Export it again.") from error
        raise BadImport(f"{name} is larger than {limit:,} bytes, the most that can be imported.")

    # --- media ---------------------------------------------------------------------------------------

    def find(self, key: str) -> str | None:
        """The entry that a document calls so: by its name, with its ending or not, or by a file id."""
        if found := self._keys.get(key):
            return found
        ids = _FILE_ID.findall(key)
        return next((entry for one in reversed(ids) if (entry := self._keys.get(one))), None)

    def copy(self, name: str, out: IO[bytes]) -> tuple[bytes, str]:
        """Unpack an entry; returns its first bytes and its SHA-256.

        Raises BadImport where it is too large or damaged, OSError where it cannot be written.
        """
        assert self._zip is not None  # find gave the name
        entry = self._zip.getinfo(name)
        self._check(entry, self._limits.media)
        self._read += entry.file_size
        if self._read > self._limits.total:
            raise BadImport(f"The media are larger than {self._limits.total:,} bytes together.")
        head, digest = b"", hashlib.sha256()
        for block in self._blocks(entry):
            head = head or block[:HEAD]
            digest.update(block)
            out.write(block)
        return head, digest.hexdigest()

    def _blocks(self, entry: zipfile.ZipInfo) -> Iterator[bytes]:
        assert self._zip is not None
        try:
            with self._zip.open(entry) as packed:
                while block := packed.read(1 << 20):
                    yield block
        except ZIP_ERRORS as error:
            raise BadImport(f"{entry.filename} cannot be unpacked ({_why(error)}).") from error

    def _check(self, entry: zipfile.ZipInfo, limit: int) -> None:
        if entry.file_size > limit:
            raise BadImport(
                f"{entry.filename} is larger than {limit:,} bytes, the most that can be imported."
            )
        packed = max(1, entry.compress_size)
        if entry.file_size > self._limits.small and entry.file_size / packed > self._limits.ratio:
            raise BadImport(f"{entry.filename} is packed so tightly that no honest export looks like it.")

    @cached_property
    def _entries(self) -> list[zipfile.ZipInfo]:
        """What somebody put there; a Mac's archiver adds shadows of every file."""
        assert self._zip is not None
        found = (entry for entry in self._zip.infolist() if not entry.is_dir())
        return [e for e in found if not e.filename.startswith("__MACOSX/") and not _base(e).startswith("._")]

    @cached_property
    def _keys(self) -> dict[str, str]:
        keys: dict[str, str] = {}
        for entry in self._entries if self._zip else ():
            for key in _keys_of(_base(entry)):
                keys.setdefault(key, entry.filename)
        return keys


def _keys_of(base: str) -> Iterator[str]:
    yield base
    yield PurePosixPath(base).stem
    if match := _FILE_ID.match(base):
        yield match.group()


def _base(entry: zipfile.ZipInfo) -> str:
    return entry.filename.rsplit("/", 1)[-1]


def _why(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, RuntimeError) and "password" in str(error):
        return "it is locked with a password"
    return "the file is damaged"
