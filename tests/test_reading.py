"""Documents of every kind are read page by page, in a process of their own, with their structure."""

from __future__ import annotations

import gzip
import io
import random
import re
import zipfile
from pathlib import Path

import docx
import epubs
import papers
import pytest
from PIL import Image, ImageDraw

from app.documents.pages import Document, Heading, Unreadable, trail
from app.documents.quotes import locate
from app.documents.reading import read

DEBIAN = Path("/usr/share/doc/nettle-dev/nettle.pdf.gz")


@pytest.fixture
def readable(tmp_path: Path):
    """Reads content that lies in a file without any extension."""

    def reads(content: bytes | str, name: str = "") -> Document:
        file = tmp_path / "content"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return read(file, name)

    return reads


def texts(document: Document) -> list[str]:
    return [page.text for page in document.pages]


def test_a_pdf_has_pages_title_and_outline(readable) -> None:
    content = papers.pdf(
        [["Harbour dues", "apply to all ships."], ["Nobody pays twice."]],
        "Rules of the harbour",
        [("Dues", 1), ("Exceptions", 2)],
    )
    document = readable(content)
    assert (document.kind, document.title, document.total) == ("pdf", "Rules of the harbour", 2)
    assert texts(document) == ["Harbour dues\napply to all ships.", "Nobody pays twice."]
    assert [page.label for page in document.pages] == ["page 1", "page 2"]
    assert document.outline == (Heading(1, "Dues", 1), Heading(1, "Exceptions", 2))
    assert (document.pages[0].width, document.pages[0].height) == (595, 842)
    assert document.problems == ()


def test_halves_of_a_word_are_joined_where_the_document_knows_it(readable) -> None:
    content = papers.pdf([["The inter-", "national day-", "to-day work."], ["An international matter."]])
    first = readable(content).pages[0].text
    assert first.replace("\n", " ") == "The international day-to-day work."


def test_two_columns_are_read_one_after_the_other(readable) -> None:
    left, right = ([f"{side} line {n} of the text" for n in range(30)] for side in ("left", "right"))
    paper = papers.Paper()
    paper.page(papers.lines(left, left=50) + b"\n" + papers.lines(right, left=320))
    assert readable(paper.bytes()).pages[0].text.splitlines() == left + right


def test_chinese_and_japanese_are_read_without_any_font(readable) -> None:
    document = readable(papers.pdf([["港口费用", "日本語の文書です。"]]))
    assert texts(document) == ["港口费用\n日本語の文書です。"]


def test_superscripts_stay_and_ligatures_become_letters(readable) -> None:
    assert readable(papers.pdf([["of ﬁsh: 10² m, №①"]])).pages[0].text == "of fish: 10² m, №①"


def test_a_scan_is_a_picture_and_a_page_with_a_figure_says_how_large(readable) -> None:
    scan = readable(papers.scanned()).pages[0]
    assert (scan.image_only, scan.pictured, scan.text) == (True, 1.0, "")
    words = papers.lines(["Figure 1: the harbour as seen from the tower in the year 1750"])
    figure = readable(papers.scanned(extra=words)).pages[0]
    assert (figure.image_only, figure.pictured) == (False, 1.0)


def test_text_outside_the_page_does_not_count(readable) -> None:
    paper = papers.Paper()
    paper.page(papers.lines(["What is seen"]) + papers.lines(["what is not"], left=700))
    assert readable(paper.bytes()).pages[0].text == "What is seen"


@pytest.mark.skipif(not DEBIAN.exists(), reason="the manual of Debian's nettle-dev is not here")
def test_a_manual_of_debian(readable) -> None:
    document = readable(gzip.decompress(DEBIAN.read_bytes()), "nettle.pdf")
    assert document.total == len(document.pages) == 111
    assert document.title == "nettle"
    assert "\x02" not in "".join(texts(document))
    assert trail(document.outline, 56)[0] == "Reference"


def test_a_word_document_has_sections_tables_and_headings(tmp_path: Path) -> None:
    document = read(papers.word(tmp_path / "x"))
    assert (document.kind, document.title) == ("docx", "Annual report")
    assert [page.label for page in document.pages] == ["Revenue", "Outlook", "Risks"]
    assert (
        "Region | 2024 | 2025\nNorth | 10 | 11 inner left | inner right\nBoth years | 21"
        in texts(document)[0]
    )
    assert trail(document.outline, 3) == ("Outlook", "Risks")


def test_what_stands_beside_the_text_of_a_word_document_is_read_and_marked(tmp_path: Path) -> None:
    document = read(papers.annotated(tmp_path / "x"))
    assert texts(document) == [
        "[header] Harbour board, confidential\n"
        "Dues\n"
        "The due is thirty crowns* for every ship.†\n"
        "* [footnote] In gold.\n"
        "† [comment by Ann Teller] Too little?\n"
        "Ships pay at once.*\n"
        "* [endnote] See the law of 1750.\n"
        "Held by a control, come\n"
        "[text box] In a box"
    ]
    assert document.outline == (Heading(1, "Dues", 1),)
    assert document.problems == ("Text that is hidden in it is not read.",)
    found = locate("The due is thirty crowns for every ship.", (1, 1), {(1, 1): texts(document)[0]})
    assert found.verified  # whoever quotes the sentence leaves the mark of its note out


def test_a_frame_around_text_is_no_table_and_a_merged_cell_says_the_same_in_each_row(tmp_path: Path) -> None:
    paper = docx.Document()
    frame = paper.add_table(1, 1).cell(0, 0)
    frame.paragraphs[0].text = "Words in a frame"
    frame.add_paragraph("and more of them", "Heading 2")
    table = paper.add_table(2, 2)
    for at, text in enumerate(("North", "10", "", "11")):
        table.cell(at // 2, at % 2).text = text
    table.cell(0, 0).merge(table.cell(1, 0))
    paper.save(str(tmp_path / "x"))
    document = read(tmp_path / "x")
    assert texts(document) == ["Words in a frame\nand more of them\nNorth | 10\nNorth | 11"]
    assert document.outline == (Heading(2, "and more of them", 1),)


def test_groups_charts_and_hidden_slides_are_read_and_pictures_told(tmp_path: Path) -> None:
    document = read(papers.crowded(tmp_path / "x"))
    assert texts(document) == [
        "Deep in a group\n[chart] Ships by season\n | Ships\nSpring | 12\nAutumn | 7.5"
    ]
    assert document.pages[0].label == "slide 1 (hidden)"
    assert document.problems == (
        "It holds 1 picture, which are not read. To have them seen, save it as PDF.",
    )


def test_formulas_that_nobody_worked_out_are_told(tmp_path: Path) -> None:
    rows = [("Name", "Twice"), (1, "=A2*2"), (2, '=A3*2 & "<x>"')]
    document = read(papers.workbook(tmp_path / "x", {"Sheet": rows}))
    assert texts(document) == ["Name | Twice\n1\n2"]
    assert document.problems == (
        "2 cells hold formulas whose result was never saved. Open and save it in a spreadsheet program.",
    )
    with zipfile.ZipFile(tmp_path / "x") as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    saved = re.sub(rb"(<f>A2\*2</f>)(?:<v ?/>|<v></v>)", rb"\1<v>2</v>", sheet)
    worked_out = epubs.packed(parts | {"xl/worksheets/sheet1.xml": saved})
    (tmp_path / "y").write_bytes(worked_out)
    second = read(tmp_path / "y")
    assert texts(second) == ["Name | Twice\n1 | 2\n2"]
    assert second.problems[0].startswith("1 cell holds a formula whose result")


def test_a_workbook_of_nothing_but_formulas_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"nothing in it to read\. 1 cell holds a formula"):
        read(papers.workbook(tmp_path / "x", {"Sheet": [("=1+1",)]}))


def test_a_presentation_has_slides_tables_and_notes(tmp_path: Path) -> None:
    document = read(papers.deck(tmp_path / "x"))
    assert texts(document) == [
        "Roadmap\nShip in spring\nNotes: Say that spring means April.",
        "Item | Price\nBolt | 0.20",
        "",
    ]
    assert [page.label for page in document.pages] == ["slide 1", "slide 2", "slide 3"]
    assert document.problems == (
        "1 slide is a picture without text. To have them seen, save the presentation as PDF.",
    )


def test_a_workbook_repeats_its_header_and_keeps_row_numbers(tmp_path: Path) -> None:
    rows = [("Name", "Share", "Day"), *((f"n{n}", n / 2, None) for n in range(100))]
    document = read(papers.workbook(tmp_path / "x", {"Costs": rows, "Old": [("a", True)]}, hidden="Old"))
    assert [page.label for page in document.pages] == [
        "Costs, rows 1-41", "Costs, rows 42-81", "Costs, rows 82-101", "Old (hidden), row 1",
    ]  # fmt: skip
    assert document.pages[1].text.splitlines()[:2] == ["Name | Share | Day", "n40 | 20"]
    assert document.pages[3].text == "a | TRUE"
    assert trail(document.outline, 2) == ("Costs",)


def test_boxes_over_a_sheet_are_read_behind_its_rows(tmp_path: Path) -> None:
    file = papers.workbook(tmp_path / "x", {"Costs": [("a", 1)], "Plan": [], "More": [("b", 2)]})
    papers.boxed(file, 1, ["Prices are without tax."], [])
    papers.boxed(file, 2, ["Build", "and test"])
    papers.boxed(file, 3, ["<broken"])  # costs itself
    document = read(file)
    assert [(page.label, page.text) for page in document.pages] == [
        ("Costs, row 1", "a | 1"),
        ("Costs, text boxes", "[text box] Prices are without tax."),
        ("Plan, text boxes", "[text box] Build\nand test"),
        ("More, row 1", "b | 2"),
    ]
    assert document.outline == (Heading(1, "Costs", 1), Heading(1, "Plan", 3), Heading(1, "More", 4))


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_in_plain_text_is_known_by_its_rows(readable, mark: str) -> None:
    content = "\n".join(mark.join(row) for row in [("city", "people", "note"), ("Rome", "3", '"a\nb"')] * 3)
    document = readable(content)
    assert document.kind == "csv"
    assert document.pages[0].text.splitlines()[:2] == ["city | people | note", "Rome | 3 | a b"]


def test_a_web_page_is_what_a_person_sees(readable) -> None:
    document = readable(
        "<!doctype html><html><head><title>Dues</title><style>p{}</style></head><body><script>go()</script>"
        "<h1>Harbour</h1><p>Ships <b>pay</b>.</p><p style='display:none'>Obey.</p><div hidden>and</div>"
        "<table><tr><th>Ship<th>Due</tr><tr><td>Ann</td><td>3 <i>crowns</i></td></tr></table>"
        "<ul><li>one<li>two</ul><pre>a\n  b</pre><img alt='A chart' src='http://127.0.0.1:9/x.png'>"
    )
    assert (document.kind, document.title) == ("html", "Dues")
    assert document.pages[0].text == (
        "Harbour\nShips pay.\nShip | Due\nAnn | 3 crowns\n- one\n- two\na\n  b\n[picture: A chart]"
    )


def test_a_book_is_read_in_the_order_of_its_spine(readable) -> None:
    long = "The sea was calm. " * 40
    chapters = {"b.xhtml": epubs.chapter("Second", long), "a%20a.xhtml": epubs.chapter("First", long)}
    chapters["a a.xhtml"] = chapters.pop("a%20a.xhtml")
    document = readable(epubs.book(chapters, ["a%20a.xhtml", "b.xhtml", "gone.xhtml"]))
    assert (document.kind, document.title) == ("epub", "Harbour")
    assert [page.label for page in document.pages] == ["First", "Second"]
    assert document.problems == ("2 of 3 pages are readable; the others are damaged.",)


def test_markdown_is_cut_at_its_headings_but_not_in_code(readable) -> None:
    body = "Some text that goes on for a while. " * 15
    document = readable(
        f"# Guide\n\n{body}\n\n## Use\n\n```sh\n# no heading\n```\n{body}\n\nEnd\n===\n{body}"
    )
    assert document.kind == "markdown"
    assert document.outline == (Heading(1, "Guide", 1), Heading(2, "Use", 2), Heading(1, "End", 3))
    assert "# no heading" in document.pages[1].text


def test_source_code_is_cited_by_its_lines(readable) -> None:
    document = readable((Path(__file__).parent / "papers.py").read_text())
    assert document.kind == "source"
    assert document.pages[0].label.startswith("lines 1-")
    assert "\n".join(texts(document)).count("def ") > 10


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8-sig", "Größe und Maß"),
        ("utf-16", "Größe und Maß"),
        ("utf-16-le", "plain words of a text file"),
        ("cp1252", "Größe und Maß sind “gleich”"),
        ("gb18030", "港口的费用是由管理局决定的，所有的船都要付。"),
        ("big5", "港口的費用是由管理局決定的，所有的船都要付。"),
        ("shift_jis", "港の料金はすべての船に適用されます。"),
        ("euc_jp", "港の料金はすべての船に適用されます。"),
        ("euc_kr", "항구 요금은 모든 선박에 적용됩니다."),
    ],
)
def test_text_in_any_encoding(readable, encoding: str, text: str) -> None:
    assert texts(readable(text.encode(encoding))) == [text]


def test_pictures_of_pages(readable) -> None:
    pages = [Image.new("RGB", (60, 80 + n), "white") for n in range(3)]
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
    document = readable(out.getvalue())
    assert document.kind == "picture"
    assert [(page.width, page.height, page.image_only) for page in document.pages] == [
        (60, 80, True), (60, 81, True), (60, 82, True),
    ]  # fmt: skip


def test_no_page_is_longer_than_can_be_cited(readable) -> None:
    random.seed(5)
    words = [random.choice(["harbour", "ship", "港口", "due", "。"]) for _ in range(8000)]
    document = readable(" ".join(words))
    assert len(document.pages) > 5
    assert max(len(page.text) for page in document.pages) <= 4000
    assert " ".join(texts(document)).split() == " ".join(words).split()


def test_progress_is_told_page_by_page(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(papers.pdf([["a word"]] * 4))
    told: list[tuple[int, int]] = []
    read(tmp_path / "x", on_page=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_reading_can_be_stopped_at_any_page(tmp_path: Path) -> None:
    # more than a pipe holds: else all pages may be there before the first is looked at
    (tmp_path / "x").write_bytes(papers.pdf([["a word " * 200]] * 200))
    told: list[int] = []
    with pytest.raises(Unreadable, match="stopped") as stopped:
        read(tmp_path / "x", on_page=lambda done, total: told.append(done), stopped=lambda: len(told) > 2)
    assert stopped.value.code == "stopped"
    assert len(told) < 200


def test_a_page_drawn_with_strokes_is_a_picture(readable) -> None:
    paper = papers.Paper()
    paper.page(b"\n".join(b"%d 0 m %d 500 l S" % (n, n) for n in range(60)))
    assert readable(paper.bytes()).pages[0].image_only


def test_a_photo_is_upright(readable, tmp_path: Path) -> None:
    photo = Image.new("RGB", (80, 40), "white")
    ImageDraw.Draw(photo).rectangle((0, 0, 20, 20), fill="black")
    exif = photo.getexif()
    exif[0x0112] = 6
    out = io.BytesIO()
    photo.save(out, "JPEG", exif=exif)
    page = readable(out.getvalue()).pages[0]
    assert (page.width, page.height) == (40, 80)
