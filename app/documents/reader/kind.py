"""What a file is, by its content. Its name is never asked: people rename files, and attackers do.

Knows: the first bytes of formats, what lies in their archives, what text of each kind looks like.
Does not know: how anything is parsed.
"""

from __future__ import annotations

import csv
import re
import zipfile
from pathlib import Path

from .encoding import decoded
from .items import Refusal

ENTRIES = (
    10_000  # of an archive, and bytes of the list of them: ZipFile reads it whole, in the app's process too
)
DIRECTORY = 8 << 20
HEAD = 64 << 10  # bytes that decide; PDF allows its mark within the first 1024
_PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"BM")
_FOREIGN = (  # first bytes, and what the person is told the file is
    (b"{\\rtf", "an RTF file; save it as DOCX or PDF"),
    (b"\x1f\x8b", "a packed file; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "an archive; unpack it first"),
    (b"Rar!", "an archive; unpack it first"),
    (b"\xfd7zXZ", "a packed file; unpack it first"),
    (b"BZh", "a packed file; unpack it first"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"SQLite format 3", "a database"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"OggS", "a sound or a video"),
    (b"ID3", "a sound"),
    (b"fLaC", "a sound"),
    (b"%!PS", "a PostScript file; save it as PDF"),
)
_INSIDE = (  # a name in an archive, and the kind it proves
    ("word/document.xml", "docx"),
    ("ppt/presentation.xml", "pptx"),
    ("xl/workbook.xml", "xlsx"),
    ("META-INF/container.xml", "epub"),
)
_FOREIGN_INSIDE = (
    ("xl/workbook.bin", "a binary workbook; save it as XLSX"),
    ("content.xml", "an OpenDocument file; save it as DOCX, PPTX, XLSX or PDF"),
    ("Index/Document.iwa", "a Pages, Numbers or Keynote file; export it as PDF"),
    ("Index.zip", "a Pages, Numbers or Keynote file; export it as PDF"),
)
_HTML = re.compile(r"<!doctype\s+html|<html[\s>]|<body[\s>]|<head>|<h1[\s>]|<div[\s>]|<p>|<table[\s>]", re.I)
_CODE = re.compile(
    r"^\s*(?:def |class |import |from \w[\w.]* import|#include|#!/|package |using |fn |func |pub |let |"
    r"const |var |public |private |static |void |int |return\b|if ?\(|for ?\(|while ?\(|\}|\{|</?\w|<\?|"
    r"SELECT |CREATE |INSERT |\"[\w-]+\": |@\w+|//|/\*|\*/|end$|fi$|done$|local |require)"
    r"|[;{}]\s*$|^\s*[\w.]+\(.*\)$",
)
_SURE = re.compile(
    r"^\s*(?:(?:async )?def \w+\(|class \w+[(:]|import \w[\w.]*$|from [\w.]+ import |#include [<\"]|"
    r"fn \w+|func \w+\(|function \w+\(|(?:export )?const \w+ =|return [^.]*;$)",
    re.M,
)
_MARKDOWN = re.compile(
    r"^#{1,6} +\S|^(?:```|~~~)|^\s*[-*+] +\S|^\s*\d+\. +\S|^> |\]\(\S+\)|\*\*\S|^\|.*\|$|^(?:=+|-+)$"
)
_HEADING = re.compile(r"^#{1,6} +\S|^(?:```|~~~)", re.M)


def kind_of(path: Path) -> str:
    """One of Kind in pages.py. Raises Refusal where the content is none of them."""
    if not path.is_file():  # opening a pipe waits for who never comes
        raise Refusal("unsupported", "not a file" if path.exists() else "no longer there")
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.strip(b"\0 \t\r\n\f\xef\xbb\xbf"):
        raise Refusal("empty")
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _of_archive(path)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise _old_office(path)
    if _is_picture(head):
        return "picture"
    for first, what in _FOREIGN:
        if head.startswith(first):
            raise Refusal("unsupported", what)
    if head[4:8] == b"ftyp" or head[8:12] in (b"AVI ", b"WAVE"):
        raise Refusal("unsupported", "a video or a sound")
    return _of_text(head)


def _is_picture(head: bytes) -> bool:
    if head.startswith(_PICTURES[:-1]) or (head.startswith(b"RIFF") and head[8:12] == b"WEBP"):
        return True
    if head.startswith(b"BM"):  # two letters prove little: a bitmap's reserved bytes are zero
        return head[6:10] == b"\0\0\0\0"
    return head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif")


def _of_archive(path: Path) -> str:
    try:
        with path.open("rb") as file:
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
            if end is not None and (end[4] > ENTRIES or end[5] > DIRECTORY):
                raise Refusal("bomb", f"{end[4]:,} files in it, more than any document needs")
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise Refusal("corrupt", "a damaged archive or Office file") from error
    for name, kind in _INSIDE:
        if name in names:
            return kind
    for name, what in _FOREIGN_INSIDE:
        if name in names:
            raise Refusal("unsupported", what)
    raise Refusal("unsupported", "an archive; unpack it first")


def _old_office(path: Path) -> Refusal:
    with path.open("rb") as file:
        head = file.read(1 << 20)
    if "EncryptedPackage".encode("utf-16-le") in head:
        return Refusal("password")
    return Refusal("unsupported", "an Office file from before 2007; save it as DOCX, PPTX, XLSX or PDF")


def _of_text(head: bytes) -> str:
    text = decoded(head, cut=len(head) == HEAD)
    if text is None:
        raise Refusal("unsupported", "not a document")
    lines = [line for line in text.splitlines()[:400] if line.strip()]
    if lines and lines[0].lstrip("\ufeff \t").startswith("<") and _HTML.search(text[:20_000]):
        return "html"
    if is_table(text):
        return "csv"
    code = sum(bool(_CODE.search(line)) for line in lines) / max(1, len(lines))
    marks = sum(bool(_MARKDOWN.search(line)) for line in lines) / max(1, len(lines))
    if _HEADING.search(text) and marks >= code / 2 and not lines[0].startswith("#!"):
        return "markdown"
    return "source" if code > 0.3 or (code > 0.15 and len(_SURE.findall(text)) > 3) else "text"


def is_table(text: str) -> bool:
    """Are these lines rows of one width? Prose with commas is not."""
    return separator(text) is not None


def separator(text: str) -> str | None:
    """What separates the cells of a table in plain text, None: it is no table."""
    lines = [line for line in text.splitlines()[:60] if line.strip()][:40]
    if len(lines) < 2:
        return None
    for mark in ("\t", ";", ",", "|"):
        rows = [row for row in csv.reader(lines, delimiter=mark) if row]
        width = len(rows[0])
        even = sum(len(row) == width for row in rows) / len(rows)
        cells = [cell for row in rows for cell in row]
        filled = sum(bool(cell.strip()) for cell in cells) / max(1, len(cells))
        if width >= 2 and even >= 0.9 and (width > 2 or filled > 0.75) and _short(cells, mark, width):
            return mark
    return None


def _short(cells: list[str], mark: str, width: int) -> bool:
    # A list of sentences with one comma each looks like two columns, but its cells begin with a space.
    spaced = sum(cell.startswith(" ") for cell in cells) / len(cells)
    long = sum(len(cell) for cell in cells) / len(cells)
    return long < 80 and not (mark == "," and width < 4 and spaced > 0.3)
