"""Documents made at test time: PDFs by a few lines of our own, the others by their libraries.

Knows: just enough of PDF to write text, pictures, outlines and passwords, so that any byte can be wrong.
Does not know: what any test wants of them.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import docx
import openpyxl
import pptx
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from PIL import Image, ImageDraw
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

PAD = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")  # of PDF passwords
FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"
# A font that is not in the file, with a map to Unicode: its text can be read on a machine without any font.
WIDE = (
    b"<</Type/Font/Subtype/Type0/BaseFont/Any/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>"
)
TO_UNICODE = b"""/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def
1 begincodespacerange <0000> <ffff> endcodespacerange
1 beginbfrange <0000> <ffff> <0000> endbfrange endcmap end end"""


class Paper:
    """A PDF that grows object by object. Numbers: 1 the catalog, 2 the page tree, 3 and 4 fonts."""

    def __init__(self) -> None:
        self.objects: dict[int, bytes] = {}
        self.pages: list[int] = []
        self.catalog = b""
        self.trailer = b""
        self.count: int | None = None  # what the tree claims, where that is not the truth
        self.objects[3] = FONT
        descendant = self.add(
            b"<</Type/Font/Subtype/CIDFontType2/BaseFont/Any/DW 1000"
            b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>"
        )
        self.objects[4] = WIDE % (descendant, self.stream(TO_UNICODE))

    def add(self, body: bytes) -> int:
        number = max(4, *self.objects) + 1
        self.objects[number] = body
        return number

    def stream(self, data: bytes, entries: bytes = b"", packed: bool = False) -> int:
        if packed:
            data, entries = zlib.compress(data), entries + b"/Filter/FlateDecode"
        return self.add(b"<</Length %d%s>>stream\n%s\nendstream" % (len(data), entries, data))

    def page(
        self, content: bytes, box: str = "0 0 595 842", entries: bytes = b"", resources: bytes = b""
    ) -> int:
        contents = self.stream(content)
        body = b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents %d 0 R" % (box.encode(), contents)
        body += b"/Resources<</Font<</F 3 0 R/W 4 0 R>>%s>>%s>>" % (resources, entries)
        self.pages.append(self.add(body))
        return self.pages[-1]

    def bytes(self) -> bytes:
        kids = b" ".join(b"%d 0 R" % number for number in self.pages)
        count = len(self.pages) if self.count is None else self.count
        objects = {
            1: b"<</Type/Catalog/Pages 2 0 R%s>>" % self.catalog,
            2: b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count),
        } | self.objects
        out, places = io.BytesIO(b"%PDF-1.7\n"), {}
        out.seek(0, io.SEEK_END)
        for number, body in sorted(objects.items()):
            places[number] = out.tell()
            out.write(b"%d 0 obj" % number + body + b"\nendobj\n")
        start, size = out.tell(), max(objects) + 1
        out.write(b"xref\n0 %d\n" % size)
        for number in range(size):
            out.write(b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n")
        out.write(b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (size, self.trailer, start))
        return out.getvalue()


def lines(
    texts: Sequence[str], left: float = 60, top: float = 780, size: float = 11, leading: float = 16
) -> bytes:
    """A page's content: lines of text from the top; Latin in Helvetica, anything else in the wide font."""
    parts = [b"BT"]
    for at, text in enumerate(texts):
        y = top - at * leading
        try:
            data, font = text.encode("cp1252"), b"F"
            shown = b"(%s)" % data.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
        except UnicodeEncodeError:
            font, shown = b"W", b"<%s>" % text.encode("utf-16-be").hex().encode()
        parts.append(b"/%s %g Tf 1 0 0 1 %g %g Tm %s Tj" % (font, size, left, y, shown))
    return b"\n".join([*parts, b"ET"])


def pdf(pages: Sequence[Sequence[str]], title: str = "", outline: Sequence[tuple[str, int]] = ()) -> bytes:
    """A PDF of these lines. outline: headings with their page, from 1."""
    paper = Paper()
    for texts in pages:
        paper.page(lines(texts))
    if title:
        paper.trailer = b"/Info %d 0 R" % paper.add(
            b"<</Title<feff%s>>>" % title.encode("utf-16-be").hex().encode()
        )
    if outline:
        _outline(paper, outline)
    return paper.bytes()


def _outline(paper: Paper, outline: Sequence[tuple[str, int]]) -> None:
    root = paper.add(b"")
    marks = [paper.add(b"") for _ in outline]
    for at, (text, page) in enumerate(outline):
        after = b"/Next %d 0 R" % marks[at + 1] if at + 1 < len(marks) else b""
        paper.objects[marks[at]] = b"<</Title(%s)/Parent %d 0 R/Dest[%d 0 R/Fit]%s>>" % (
            text.encode("ascii"), root, paper.pages[page - 1], after,
        )  # fmt: skip
    paper.objects[root] = b"<</First %d 0 R/Last %d 0 R/Count %d>>" % (marks[0], marks[-1], len(marks))
    paper.catalog = b"/Outlines %d 0 R" % root


def scanned(*texts: str, extra: bytes = b"") -> bytes:
    """A PDF whose pages are pictures of these texts, one each."""
    paper = Paper()
    for text in texts or ("A scanned page",):
        picture = Image.new("L", (850, 1200), 255)
        ImageDraw.Draw(picture).text((80, 80), text, fill=0, font_size=48)
        entries = (
            b"/Type/XObject/Subtype/Image/Width 850/Height 1200/ColorSpace/DeviceGray/BitsPerComponent 8"
        )
        image = paper.stream(picture.tobytes(), entries, packed=True)
        paper.page(b"q 595 0 0 842 0 0 cm /I Do Q " + extra, resources=b"/XObject<</I %d 0 R>>" % image)
    return paper.bytes()


def locked(texts: Sequence[str], password: str) -> bytes:
    """A PDF that opens with this password alone: revision 2 of the standard's handler, RC4 with 40 bits."""
    secret = (password.encode() + PAD)[:32]
    owner = rc4(hashlib.md5(secret).digest()[:5], secret)
    name = b"0123456789abcdef"
    key = hashlib.md5(secret + owner + (-4 & 0xFFFFFFFF).to_bytes(4, "little") + name).digest()[:5]
    paper = Paper()
    paper.page(lines(texts))
    handler = b"<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P -4>>" % (
        owner.hex().encode(), rc4(key, PAD).hex().encode(),
    )  # fmt: skip
    paper.trailer = b"/Encrypt %d 0 R/ID[<%s><%s>]" % (paper.add(handler), *[name.hex().encode()] * 2)
    return paper.bytes()


def rc4(key: bytes, data: bytes) -> bytes:
    state, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def word(file: Path) -> Path:
    """A report with headings, a table with a merged cell, and a table in a table."""
    report = docx.Document()
    report.core_properties.title = "Annual report"
    report.add_heading("Revenue", 1)
    report.add_paragraph("Revenue grew by twelve percent. " * 20)
    table = report.add_table(3, 3)
    for row, cells in enumerate(
        [("Region", "2024", "2025"), ("North", "10", "11"), ("Both years", "", "21")]
    ):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    table.cell(2, 0).merge(table.cell(2, 1))
    inner = table.cell(1, 2).add_table(1, 2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "inner left", "inner right"
    report.add_heading("Outlook", 1)
    report.add_paragraph("Next year is open. " * 30)
    report.add_heading("Risks", 2)
    report.add_paragraph("Nothing is certain.")
    report.save(str(file))
    return file


def annotated(file: Path) -> Path:
    """A contract whose words stand in every place that Word knows beside the running text."""
    paper = docx.Document()
    paper.sections[0].header.paragraphs[0].text = "Harbour board, confidential"
    paper.sections[0].footer.paragraphs[0].text = "7"
    paper.sections[0].first_page_header.paragraphs[0].text = "A header that no page shows"
    paper.sections[0].different_first_page_header_footer = False
    paper.add_heading("Dues", 1)
    due = paper.add_paragraph("The due is thirty crowns")
    _mark(due, "footnote", 2)
    due.add_run(" for every ship.")
    paper.add_comment(due.runs, "Too little?", author="Ann Teller")
    noted = paper.add_paragraph("Ships pay at once.")
    _mark(noted, "endnote", 3)
    noted.add_run("Never show this.").font.hidden = True
    body = paper.element.body
    gone = "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:ins><w:r><w:t>come</w:t></w:r></w:ins>"
    held = f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:r><w:t>Held by a control, </w:t></w:r>{gone}</w:p>"
    body.insert(-1, parse_xml(held + "</w:sdtContent></w:sdt>"))
    shape = "<wps:txbx><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p></w:txbxContent></wps:txbx>"
    word2010 = 'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    both = f"<mc:Choice Requires='wps' {word2010}>{shape}</mc:Choice>"
    both += f"<mc:Fallback {word2010}>{shape}</mc:Fallback>"
    boxed = f"<w:p {nsdecls('w')} {mc}><w:r><mc:AlternateContent>{both}</mc:AlternateContent></w:r></w:p>"
    body.insert(-1, parse_xml(boxed))
    for kind, number, words in (("footnote", 2, "In gold."), ("endnote", 3, "See the law of 1750.")):
        notes = (
            f"<w:{kind}s {nsdecls('w')}><w:{kind} w:id='{number}'><w:p><w:r><w:t>{words}</w:t></w:r></w:p>"
        )
        _part(paper, kind, f"{notes}</w:{kind}></w:{kind}s>")
    paper.save(str(file))
    return file


def _mark(paragraph: object, kind: str, number: int) -> None:
    paragraph._p.append(parse_xml(f"<w:r {nsdecls('w')}><w:{kind}Reference w:id='{number}'/></w:r>"))


def _part(paper: object, kind: str, xml: str) -> None:
    content = getattr(CONTENT_TYPE, f"WML_{kind.upper()}S")
    part = Part(PackURI(f"/word/{kind}s.xml"), content, xml.encode(), paper.part.package)
    paper.part.relate_to(part, getattr(RELATIONSHIP_TYPE, f"{kind.upper()}S"))


def crowded(file: Path) -> Path:
    """A hidden slide with words in a group in a group, a chart, and a picture beside them."""
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    slide._element.set("show", "0")
    inner = slide.shapes.add_group_shape().shapes.add_group_shape()
    inner.shapes.add_textbox(0, 0, Inches(2), Inches(1)).text_frame.text = "Deep in a group"
    data = CategoryChartData()
    data.categories = ["Spring", "Autumn"]
    data.add_series("Ships", (12, 7.5))
    frame = slide.shapes.add_chart(
        XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(1), Inches(4), Inches(3), data
    )
    frame.chart.has_title = True
    frame.chart.chart_title.text_frame.text = "Ships by season"
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(picture, "PNG")
    slide.shapes.add_picture(picture, Inches(1), Inches(1))
    show.save(str(file))
    return file


def deck(file: Path) -> Path:
    """Three slides: text with notes, a table, a picture without words."""
    show = pptx.Presentation()
    first = show.slides.add_slide(show.slide_layouts[1])
    first.shapes.title.text = "Roadmap"
    first.placeholders[1].text = "Ship in spring"
    first.notes_slide.notes_text_frame.text = "Say that spring means April."
    second = show.slides.add_slide(show.slide_layouts[6])
    table = second.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for at, text in enumerate(("Item", "Price", "Bolt", "0.20")):
        table.cell(at // 2, at % 2).text = text
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(picture, "PNG")
    third = show.slides.add_slide(show.slide_layouts[6])
    third.shapes.add_picture(picture, Inches(1), Inches(1))
    show.save(str(file))
    return file


def workbook(file: Path, sheets: Mapping[str, Sequence[Sequence[object]]], hidden: str = "") -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
        sheet.sheet_state = "hidden" if name == hidden else "visible"
    book.save(file)
    return file


def boxed(file: Path, sheet: int, *boxes: Sequence[str]) -> Path:
    """Puts boxes of lines over the how many-th sheet of a workbook, as a spreadsheet program writes them."""
    xdr, a = "drawingml/2006/spreadsheetDrawing", "drawingml/2006/main"
    schemas = "http://schemas.openxmlformats.org"
    words = ["".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in box) for box in boxes]
    shapes = "".join(f"<x:sp><x:txBody>{box}</x:txBody></x:sp>" for box in words)
    drawing = f'<x:wsDr xmlns:x="{schemas}/{xdr}" xmlns:a="{schemas}/{a}">{shapes}</x:wsDr>'
    relation = f'Id="rId1" Type="{schemas}/officeDocument/2006/relationships/drawing"'
    relations = f'<Relationships xmlns="{schemas}/package/2006/relationships"><Relationship {relation}'
    with zipfile.ZipFile(file, "a") as package:
        package.writestr(f"xl/drawings/drawing{sheet}.xml", drawing)
        target = f' Target="../drawings/drawing{sheet}.xml"/></Relationships>'
        package.writestr(f"xl/worksheets/_rels/sheet{sheet}.xml.rels", relations + target)
    return file
