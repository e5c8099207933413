"""Archives (DOCX, PPTX, XLSX, EPUB are ZIP files), opened only after all that lies in them was counted.

Knows: what an honest document never holds: bombs, ways out of its folder, archives in archives, entities.
Does not know: any format inside.

The directory of an archive may lie about sizes, so every entry is unpacked once, by pieces, and counted.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from pathlib import Path

from .items import Refusal
from .kind import ENTRIES

UNPACKED = 500_000_000  # bytes of all entries together
RATIO = 200  # unpacked to packed; text rarely gets beyond 20
FREE = 5_000_000  # bytes that may be packed however well: an empty sheet of a million rows is small
PART = 64_000_000  # bytes of one XML part: a parser builds a tree of several times its size
PIECE = 1 << 18
_ARCHIVES = (".zip", ".7z", ".rar", ".gz", ".xz", ".bz2", ".tar")
_XML = (".xml", ".rels", ".xhtml", ".html", ".htm", ".opf", ".ncx")


def opened(path: Path, entities: bool = False) -> zipfile.ZipFile:
    """The archive, checked. entities: its parts may say DOCTYPE (XHTML does; Office files never do).

    Raises Refusal: "bomb" for what is built to harm, "password", "corrupt".
    """
    try:
        archive = zipfile.ZipFile(path)
        _check_directory(archive.infolist())
        size = 0
        for entry in archive.infolist():
            size += _count(archive, entry, UNPACKED - size, entities)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError) as error:
        raise Refusal("corrupt", "a damaged archive") from error
    except NotImplementedError as error:
        raise Refusal("unsupported", "an archive packed in a way that no Office program uses") from error
    return archive


def _check_directory(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > ENTRIES:
        raise Refusal("bomb", f"{len(entries):,} files in it, more than any document needs")
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
            raise Refusal("bomb", "a file in it that would land outside its folder")
        if entry.flag_bits & 1:
            raise Refusal("password")
        if name.lower().endswith(_ARCHIVES):
            raise Refusal("bomb", "an archive inside it")
    if sum(entry.file_size for entry in entries) > UNPACKED:
        raise Refusal("bomb", "more than 500 MB once unpacked")


def _count(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int, entities: bool) -> int:
    size, xml = 0, entry.filename.lower().endswith(_XML)
    with archive.open(entry) as part:
        while piece := part.read(PIECE):
            if size == 0 and xml and not entities and _declares(piece):
                raise Refusal("bomb", "entity declarations, which no Office program writes")
            size += len(piece)
            if size > left:
                raise Refusal("bomb", "more than 500 MB once unpacked")
            if size > FREE and size > RATIO * max(1, entry.compress_size):
                raise Refusal("bomb", "a part that unpacks to more than 200 times its size")
            if xml and size > PART and not _streamed(entry.filename):
                raise Refusal("too-large", "a single part of more than 64 MB")
    return size


def _declares(piece: bytes) -> bool:
    flat = piece.replace(b"\0", b"")  # the same in UTF-16
    return b"<!DOCTYPE" in flat or b"<!ENTITY" in flat


def _streamed(name: str) -> bool:
    # openpyxl reads sheets row by row
    return posixpath.dirname(name) == "xl/worksheets"


def part(archive: zipfile.ZipFile, name: str) -> bytes:
    """An entry's bytes. Raises Refusal where the document names an entry it does not have."""
    try:
        return archive.read(name)
    except KeyError as error:
        raise Refusal("corrupt", "a part that it names is missing") from error
