"""Text, tables, web pages, pictures and things that are no documents, made to overload or to mislead."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from hostile import Case, case
from hostile_archives import LAUGHS
from PIL import Image

ADDRESSES = (
    "<html><body>" + "<img src='http://127.0.0.1:9/x'><iframe src='file:///etc/passwd'></iframe>" * 500
)
ADDRESSES += "<p>Words"


def cases() -> Iterator[Case]:
    yield case(
        "a web page of 100,000 boxes in each other", "read empty", "<html><body>" + "<div>" * 100_000 + "deep"
    )
    yield case(
        "a web page that laughs a billion times", "read", f"{LAUGHS}<html><body><p>Words &i;</p>"
    ).without("hahaha")
    yield case("a web page full of addresses", "read", ADDRESSES)
    yield case("a CSV with a quotation that never ends", "read", 'a,b\n1,"2\n' + "3,4\n" * 900_000)
    yield case("a CSV with a million cells in a row", "read", "a,b,c\n" * 9 + "x," * 1_000_000)
    yield case("a CSV of formulas", "read", "name,note\n" + "x,=cmd|'/c calc'!A1\n" * 9)
    yield case("a text of one line of 20 MB", "read", "word " * 4_000_000)
    yield case(
        "a text with control characters of a terminal", "read unsupported", "a \x1b[2J\x1b]0;x\x07 b\n" * 9
    )
    yield case("a text in half of UTF-16", "read", "\ufeffwords".encode("utf-16-le") + b"\x00\xd8\x00")
    yield case("bytes that are no text", "unsupported", b"\x00\x01\x02\xfe" * 5000)
    yield case("Markdown of a million headings", "read", "# a\n" * 1_000_000)
    yield case("Markdown with a fence that never ends", "read", "# a\n```\n" + "x\n" * 300_000)
    yield case("a picture that claims 60,000 x 60,000 pixels", "too-large corrupt", vast_png)
    yield case("half a picture", "read corrupt", lambda: png()[:300])
    yield case("a fax whose pages go in circles", "read corrupt", circular_tiff)
    yield case("a program", "unsupported", b"\x7fELF" + b"\2\1\1" + bytes(500))
    yield case("an old Word file", "unsupported", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5000))
    encrypted = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(900) + "EncryptedPackage".encode("utf-16-le")
    yield case("a Word file with a password", "password", encrypted)
    yield case("a video", "unsupported", b"\0\0\0\x20ftypisom" + bytes(900))
    yield case("a pipe that nobody writes to", "unsupported", os.mkfifo)
    yield case("a folder", "unsupported", Path.mkdir)


def png() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((90, 90), 50).save(out, "PNG")
    return out.getvalue()


def vast_png() -> bytes:
    data = bytearray(png())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def circular_tiff() -> bytes:
    out = io.BytesIO()
    Image.new("L", (8, 8)).save(out, "TIFF")
    data = bytearray(out.getvalue())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    return bytes(data)
