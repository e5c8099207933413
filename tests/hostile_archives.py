"""Archives (DOCX, XLSX, EPUB) that want to swell, escape from their folder, or have entities expanded."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator, Mapping

import docx
import epubs
import openpyxl
import pptx
from hostile import Case, case
from hostile_pdfs import flipped

LAUGHS = (
    '<!DOCTYPE z [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 20}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)
OUTSIDE = '<!DOCTYPE z [<!ENTITY i SYSTEM "file:///etc/passwd">]>'
SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
PATHS = {"above": "word/../../../etc/cron.d/x", "absolute": "/etc/cron.d/x", "of Windows": "C:\\x\\y"}
OUT = ["../../../etc/passwd", "a.xhtml"]
FLIPPED = "corrupt read bomb unsupported password"


def cases() -> Iterator[Case]:
    buffer = io.BytesIO()
    report = docx.Document()
    report.add_paragraph("Words in a report. " * 40)
    report.save(buffer)
    good = buffer.getvalue()
    body = "word/document.xml"
    yield case(
        "a DOCX that unpacks to 300 times its size", "bomb", office, good, {"word/media/a": bytes(30_000_000)}
    )
    yield case("a DOCX that says it holds 600 MB", "bomb", claiming, good, 600_000_000)
    yield case("a DOCX that says it holds less than it does", "corrupt", claiming, good, 10)
    yield case("a DOCX whose entries lie over each other", "bomb corrupt unsupported", overlapping)
    for kind, name in PATHS.items():
        yield case(f"a DOCX with a path {kind}", "bomb", office, good, {name: b"x"})
    yield case("a DOCX with a link out of its folder", "read", linked, good)
    yield case("a DOCX with an archive in it", "bomb", office, good, {"word/embeddings/a.zip": good})
    yield case(
        "a DOCX of 20,000 files",
        "bomb",
        office,
        good,
        dict.fromkeys((f"word/{n}" for n in range(20_000)), b""),
    )
    for name, head in {"that laughs a billion times": LAUGHS, "that asks for /etc/passwd": OUTSIDE}.items():
        text = f'<?xml version="1.0"?>{head}<z>&i;</z>'
        yield case(f"a DOCX {name}", "bomb", office, good, {body: text})
        yield case(f"a DOCX {name} in UTF-16", "bomb", office, good, {body: text.encode("utf-16")})
        yield case(f"a workbook {name}", "bomb", workbook, {"xl/sharedStrings.xml": text})
        chapter = f"<?xml version='1.0'?>{head}<html><body><p>&i;</p></body></html>"
        yield case(f"a book {name}", "read empty corrupt", epubs.book, {"a.xhtml": chapter})
        lists = epubs.book({}, more={"text/book.opf": epubs.package(["a"], head)})
        yield case(f"a book whose list is one {name}", "empty corrupt", lists)
    yield case("a DOCX with 400 tables in each other", "corrupt read", office, good, {body: nested(400)})
    yield case("a DOCX with 400 boxes in each other", "corrupt read", office, good, {body: boxed(400)})
    notes = f'<w:footnotes xmlns:w="{WORD}"><w:footnote w:id="1"><w:p>'
    notes += '<w:r><w:t>A note of itself</w:t><w:footnoteReference w:id="1"/></w:r>' * 3
    referring = boxed(1).replace(
        "<w:txbxContent>", '<w:footnoteReference w:id="1"/>' * 9000 + "<w:txbxContent>"
    )
    circle = {"word/footnotes.xml": notes + "</w:p></w:footnote></w:footnotes>", body: referring}
    yield case("a DOCX with a note of itself, 9,000 times", "read", noted, good, circle)
    yield case("a DOCX cut short", "corrupt", good[:-2000])
    for seed in range(3):
        yield case(f"a DOCX with flipped bits, number {seed + 1}", FLIPPED, flipped, good, seed, 0.001)
    yield case("a DOCX without its text", "corrupt", epubs.packed, {"word/document.xml": ""})
    yield case("a DOCX with a template from elsewhere", "read", remote, good)
    yield case(
        "a workbook that claims all columns of all rows",
        "read",
        workbook,
        {"xl/worksheets/sheet1.xml": sheet("A1", '<dimension ref="A1:XFD1048576"/>')},
    )
    yield case(
        "a workbook with one cell in the last corner",
        "read empty too-slow",
        workbook,
        {"xl/worksheets/sheet1.xml": sheet("XFD1048576")},
    )
    yield case(
        "a book that reads outside of itself",
        "read",
        epubs.book,
        {"a.xhtml": epubs.chapter("A", "Words " * 99)},
        OUT,
    )
    locked = '<e><CipherReference xmlns="http://www.w3.org/2001/04/xmlenc#" URI="text/a.xhtml"/></e>'
    yield case(
        "a book that its shop protects",
        "password",
        epubs.book,
        {"a.xhtml": "x"},
        None,
        {"META-INF/encryption.xml": locked},
    )
    yield case(
        "a book without a list of its parts", "corrupt", epubs.packed, {"META-INF/container.xml": "<a/>"}
    )
    yield case("an archive that is no document", "unsupported", epubs.packed, {"a.txt": "words"})
    yield from decks()


def decks() -> Iterator[Case]:
    """Slides, the same ways."""
    buffer = io.BytesIO()
    show = pptx.Presentation()
    show.slides.add_slide(show.slide_layouts[1]).shapes.title.text = "Words on a slide"
    show.save(buffer)
    good, slide = buffer.getvalue(), "ppt/slides/slide1.xml"
    swollen = {"ppt/media/a": bytes(30_000_000)}
    yield case("slides that unpack to 300 times their size", "bomb", office, good, swollen)
    yield case("slides with a path above", "bomb", office, good, {"ppt/../../../etc/cron.d/x": b"x"})
    for name, head in {"that laugh a billion times": LAUGHS, "that ask for /etc/passwd": OUTSIDE}.items():
        yield case(f"slides {name}", "bomb", office, good, {slide: f"<?xml version='1.0'?>{head}<z>&i;</z>"})
    yield case(
        "slides with 2,000 groups in each other", "corrupt read empty", office, good, {slide: grouped()}
    )
    yield case("slides cut short", "corrupt", good[:-3000])
    yield case("slides without their text", "corrupt empty", office, good, {slide: ""})


def grouped() -> str:
    name = "http://schemas.openxmlformats.org/presentationml/2006/main"
    head = "<p:nvGrpSpPr/><p:grpSpPr/>"
    inner = f"<p:grpSp>{head}" * 2_000 + "</p:grpSp>" * 2_000
    return f'<p:sld xmlns:p="{name}"><p:cSld><p:spTree>{head}{inner}</p:spTree></p:cSld></p:sld>'


def office(good: bytes, more: Mapping[str, str | bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    return epubs.packed(parts | dict(more))


def claiming(good: bytes, size: int) -> bytes:
    """The directory says so of the text; what lies there is as before."""
    at = good.rindex(b"PK\x01\x02", 0, good.rindex(b"word/document.xml"))
    return good[: at + 24] + struct.pack("<I", size) + good[at + 28 :]


def overlapping() -> bytes:
    packed = epubs.packed({"word/document.xml": b"\0" * 4_900_000})
    start = packed.rindex(b"PK\x01\x02")
    entry, tail = packed[start:-22], packed[-22:]
    entries = b"".join(entry.replace(b"document", b"%08d" % n) for n in range(200)) + entry
    end = tail[:8] + struct.pack("<HHI", 201, 201, len(entries)) + tail[16:]
    return packed[:start] + entries + end


def linked(good: bytes) -> bytes:
    buffer = io.BytesIO(good)
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("word/link.xml")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return buffer.getvalue()


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def boxed(depth: int) -> str:
    inner = "<w:p><w:r><w:txbxContent>" * depth + "<w:p><w:r><w:t>Deep</w:t></w:r></w:p>"
    inner += "</w:txbxContent></w:r></w:p>" * depth
    return f'<w:document xmlns:w="{WORD}"><w:body>{inner}<w:p/></w:body></w:document>'


def noted(good: bytes, more: Mapping[str, str]) -> bytes:
    """With a part of footnotes that the document knows."""
    lists = "word/_rels/document.xml.rels"
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        known = archive.read(lists).decode()
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    one = f'<Relationship Id="rN" Type="{kind}" Target="footnotes.xml"/></Relationships>'
    return office(good, {**more, lists: known.replace("</Relationships>", one)})


def nested(depth: int) -> str:
    name = WORD
    inner = "<w:tbl><w:tr><w:tc>" * depth + "<w:p/>" + "</w:tc></w:tr></w:tbl>" * depth
    return f'<w:document xmlns:w="{name}"><w:body>{inner}<w:p/></w:body></w:document>'


def remote(good: bytes) -> bytes:
    rels = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    rels += '<Relationship Id="r1" '
    rels += 'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate" '
    rels += 'Target="http://127.0.0.1:9/x.dotm" TargetMode="External"/></Relationships>'
    return office(good, {"word/_rels/settings.xml.rels": rels})


def workbook(more: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["words"])
    book.save(buffer)
    return office(buffer.getvalue(), more)


def sheet(cell: str, head: str = "") -> str:
    row = cell.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    data = f'<sheetData><row r="{row}"><c r="{cell}"><v>5</v></c></row></sheetData>'
    return f"{SHEET}{head}{data}</worksheet>"
