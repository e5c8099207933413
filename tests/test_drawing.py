"""Words of a page are found where they stand, and a page becomes a picture with them marked."""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path

import papers
import pytest
from hostile_pdfs import one
from PIL import Image

from app.documents.drawing import place, render, whole
from app.documents.pages import Page, Rect, Unreadable
from app.documents.reading import read

MANUAL = Path("/usr/share/doc/nettle-dev/nettle.pdf.gz")


def spot(file: Path, words: str, number: int = 1, nth: int = 0) -> tuple[Page, int, int]:
    page = read(file).pages[number - 1]
    at = -1
    for _ in range(nth + 1):
        at = page.text.index(words, at + 1)
    return page, at, at + len(words)


def yellow(png: bytes) -> set[tuple[int, int]]:
    """Marked places, in 10ths of the picture's width and height from the top left."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    return {
        (10 * x // image.width, 10 * y // image.height)
        for x in range(image.width)
        for y in range(image.height)
        if image.getpixel((x, y)) == (255, 236, 120)
    }


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    file = tmp_path / "letter"
    file.write_bytes(papers.pdf([["Ships pay at once.", "Boats pay later.", "Ships pay at once."], ["More"]]))
    return file


def test_words_stand_where_they_were_written(letter: Path) -> None:
    found = place(letter, *spot(letter, "Boats pay"))
    assert found.exact
    (rect,) = found.rects
    assert 59 < rect.left < 61
    assert 761 < rect.bottom < 765 < rect.top < 775
    assert 100 < rect.right < 120


def test_the_same_words_twice_are_told_apart(letter: Path) -> None:
    tops = [place(letter, *spot(letter, "Ships pay at once", nth=nth)).rects[0].top for nth in (0, 1)]
    assert tops[0] - tops[1] == pytest.approx(32, abs=1)


def test_words_over_two_lines_have_two_rectangles(letter: Path) -> None:
    page = read(letter).pages[0]
    found = place(letter, page, 10, 25)
    assert found.exact
    assert len(found.rects) == 2
    assert found.rects[0].bottom > found.rects[1].top


def test_a_row_of_a_table_that_is_drawn_by_columns_is_marked_cell_by_cell(tmp_path: Path) -> None:
    paper = papers.Paper()
    columns = [[f"Region {n}" for n in range(9)], [f"{n},{17 * n + 100}.50" for n in range(9)]]
    paper.page(b"\n".join(papers.lines(column, 60 + 200 * n) for n, column in enumerate(columns)))
    (tmp_path / "x").write_bytes(paper.bytes())
    found = place(tmp_path / "x", *spot(tmp_path / "x", "Region 4 | 4,168.50"))
    assert found.exact
    left, right = found.rects
    assert 60 < left.left < left.right < 120 and 259 < right.left < 262
    assert left.top == pytest.approx(right.top, abs=2) and 710 < left.bottom < 720


def test_a_word_that_was_broken_is_found_whole(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(papers.pdf([["All inter-", "national trade"], ["international"]]))
    found = place(tmp_path / "x", *spot(tmp_path / "x", "international trade"))
    assert found.exact
    assert len(found.rects) == 2


def test_more_words_than_a_program_can_be_asked_for_are_the_whole_page(letter: Path) -> None:
    page = Page(1, "page 1", "Ships pay at once. " * 9000, 595, 842)
    assert not place(letter, page, 0, len(page.text)).exact


def test_words_that_are_not_there_have_no_place(letter: Path) -> None:
    found = place(letter, Page(1, "page 1", "nothing of the kind"), 0, 19)
    assert (found.rects, found.exact) == ((), False)


@pytest.mark.parametrize(
    ("entries", "box", "spots"),
    [
        (b"", "0 0 600 800", {(1, 0), (2, 0)}),
        (b"/Rotate 90", "0 0 600 800", {(9, 1), (9, 2)}),
        (b"/Rotate 180", "0 0 600 800", {(8, 9), (7, 9)}),
        (b"/Rotate 270", "0 0 600 800", {(0, 8), (0, 7)}),
        (b"/CropBox[0 400 600 800]", "0 0 600 800", {(1, 1), (2, 1)}),
        (b"", "-300 -400 300 800", {(6, 0), (7, 0)}),
    ],
)
def test_turned_and_shifted_pages_are_marked_where_the_words_are_seen(
    tmp_path: Path, entries: bytes, box: str, spots: set[tuple[int, int]]
) -> None:
    paper = papers.Paper()
    paper.page(papers.lines(["Words to be found here"], left=75, top=738, size=12), box, entries)
    file = tmp_path / "x"
    file.write_bytes(paper.bytes())
    found = place(file, *spot(file, "Words to be found"))
    assert found.exact
    marked = yellow(render(file, 1, found.rects, longest=500))
    assert marked == spots


def test_a_picture_of_a_page_has_the_size_that_was_asked_for(letter: Path) -> None:
    sizes = [
        Image.open(io.BytesIO(render(letter, 1, longest=longest))).size for longest in (300, 1568, 90_000)
    ]
    assert sizes[0] == (212, 300)
    assert sizes[1] == (1109, 1568)
    assert max(sizes[2]) == 842 * 4  # four pixels per point are enough


def test_a_page_of_nine_million_points_is_drawn_small(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(one(papers.lines(["Words"]), "0 0 9000000 9000000"))
    assert Image.open(io.BytesIO(render(tmp_path / "x", 1, longest=400))).size == (400, 400)


def test_a_whole_page_is_outlined(letter: Path) -> None:
    page = read(letter).pages[1]
    marked = yellow(render(letter, 2, [whole(page)], longest=300))
    assert (0, 0) in marked and (9, 9) in marked
    assert (4, 4) not in marked


def test_a_photo_of_a_page_is_drawn_upright_and_marked(tmp_path: Path) -> None:
    photo = Image.new("RGB", (800, 400), "white")
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(tmp_path / "x", "JPEG", exif=exif)
    png = render(tmp_path / "x", 1, [Rect(0, 700, 100, 800)], longest=200)
    assert Image.open(io.BytesIO(png)).size == (100, 200)
    assert max(y for _, y in yellow(png)) <= 1


def test_what_cannot_be_drawn_is_told(letter: Path, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="damaged"):
        render(letter, 9)
    (tmp_path / "x").write_text("Plain words, as they come.")
    with pytest.raises(Unreadable, match="This is a file without pictures of its pages"):
        render(tmp_path / "x", 1)
    (tmp_path / "x").write_bytes(b"%PDF-1.7 and then nothing")
    with pytest.raises(Unreadable, match="damaged"):
        render(tmp_path / "x", 1)


@pytest.mark.skipif(not MANUAL.exists(), reason="the manual of Debian's nettle-dev is not here")
def test_random_words_of_a_manual_are_found_under_their_rectangles(tmp_path: Path) -> None:
    file = tmp_path / "nettle"
    file.write_bytes(gzip.decompress(MANUAL.read_bytes()))
    pages = [page for page in read(file).pages if len(page.text) > 300]
    chance, exact = random.Random(4), 0
    for _ in range(20):
        page = chance.choice(pages)
        start = chance.randrange(len(page.text) - 150)
        exact += place(file, page, start, start + chance.randint(30, 150)).exact
    assert exact >= 19
