"""PDF, through PDFium alone.

Knows: text inside the page's box, tables in it as rows, pages that are pictures, the outline, passwords.
Does not know: words broken at the end of a line (U+0002 stays in the text: hyphens.py in the parent sees the
whole document), rendering (draw.py).

PDFium is not thread-safe, and hostile files crash it: one document per process, which is ours to lose.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from ctypes import c_float
from itertools import islice
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from . import grid
from .items import ENTRIES, TEXT, TITLE, Entry, Item, Leaf, Lost, Opened, Refusal

FEW = 20  # letters: a page with fewer and a picture is a picture
DRAWN = 40  # paths: a page with few letters and so many strokes is drawn, not written
OBJECTS = 5000  # of a page that are asked what they are
HOPELESS = 40  # pages in a row that cannot be loaded: a claim, not a document
# What fonts put in place of plain characters. Superscripts, fractions and circled numbers are not among them:
# a footnote's mark or 10² must not become 102.
_FORMS = re.compile("[\ufb00-\ufb4f\u2e80-\u2fdf\uf900-\ufaff]")


def read(path: Path, kind: str) -> Iterator[Item]:
    with opened(path) as document:
        total = len(document)
        yield Opened(kind, _title(document), total)
        yield from _outline(document)
        failed = 0
        for index in range(total):
            item = _page(document, index)
            failed = failed + 1 if isinstance(item, Lost) else 0
            if failed > HOPELESS:
                raise Refusal("corrupt", "a PDF whose pages are missing")
            yield item


def opened(path: Path) -> pdfium.PdfDocument:
    """The document. Raises Refusal."""
    try:
        return pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        code = raw.FPDF_GetLastError()
        if code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise Refusal("password") from error
        raise Refusal("corrupt", "a damaged PDF") from error


def _title(document: pdfium.PdfDocument) -> str:
    title = document.get_metadata_value("Title")
    return " ".join(title.split())[:TITLE]


def _outline(document: pdfium.PdfDocument) -> Iterator[Entry]:
    try:
        for mark in islice(document.get_toc(max_depth=6), ENTRIES):
            destination = mark.get_dest()
            page = destination.get_index() if destination else None
            title = " ".join(mark.get_title().split())[:TITLE]
            if page is not None and page >= 0 and title:
                yield Entry(mark.level + 1, title, page + 1)
    except (pdfium.PdfiumError, UnicodeError, RecursionError):
        return  # a damaged outline costs the outline


def _page(document: pdfium.PdfDocument, index: int) -> Leaf | Lost:
    label = f"page {index + 1}"
    try:
        page = document[index]
    except pdfium.PdfiumError:
        return Lost(label)
    try:
        width, height = page.get_size()
        textpage = page.get_textpage()
        text = cleaned(textpage.get_text_bounded())[:TEXT]
        text = cleaned(grid.text(in_rows(textpage, text)))[:TEXT] or text
        textpage.close()
        share, strokes = _things(page, width * height)
        few = _letters(text) < FEW
        only = few and (share > 0 or strokes > DRAWN)
        return Leaf(label, text, round(width, 2), round(height, 2), only, round(share, 3))
    except pdfium.PdfiumError:
        return Lost(label)
    finally:
        page.close()


def in_rows(textpage: Any, text: str) -> list[grid.Row]:
    """The lines of a page with tables that are drawn by columns; nothing where it has none.

    text: the page's, as it is drawn. Nothing either where its characters are not all of the page's.
    """
    if not grid.likely(text) or not (found := grid.rows(textpage)):
        return []
    same = "".join(cleaned(grid.drawn(found)).split()) == "".join(text.split())
    return found if same else []


def cleaned(text: str) -> str:
    """Lines end in "\\n" without spaces before it; ligatures and radicals as letters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"[ \t]+(?=\n|$)", "", text)
    return _FORMS.sub(lambda form: unicodedata.normalize("NFKC", form[0]), text)


def _letters(text: str) -> int:
    """Characters a person could read; those of private use and replacements mean a font without a map."""
    return sum(char.isalnum() and not "\ue000" <= char <= "\uf8ff" for char in text)


def _things(page: Any, area: float) -> tuple[float, int]:
    """The share of the page that its largest picture covers, 0 to 1, and how many strokes are on it."""
    largest, strokes = 0.0, 0
    for index in range(min(OBJECTS, raw.FPDFPage_CountObjects(page))):
        thing = raw.FPDFPage_GetObject(page, index)
        kind = raw.FPDFPageObj_GetType(thing)
        strokes += kind in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_SHADING)
        if kind in (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_FORM):
            covered = _share(thing, area)
            if kind == raw.FPDF_PAGEOBJ_IMAGE or _holds_image(thing):
                largest = max(largest, covered)
    return largest, strokes


def _holds_image(form: Any, depth: int = 1) -> bool:
    for index in range(min(200, max(0, raw.FPDFFormObj_CountObjects(form)))):
        thing = raw.FPDFFormObj_GetObject(form, index)
        kind = raw.FPDFPageObj_GetType(thing)
        if kind == raw.FPDF_PAGEOBJ_IMAGE:
            return True
        if kind == raw.FPDF_PAGEOBJ_FORM and depth < 4 and _holds_image(thing, depth + 1):
            return True
    return False


def _share(thing: Any, area: float) -> float:
    left, bottom, right, top = (c_float() for _ in range(4))
    if not area or not raw.FPDFPageObj_GetBounds(thing, left, bottom, right, top):
        return 0.001
    covered = (right.value - left.value) * (top.value - bottom.value) / area
    return min(1.0, max(0.001, covered))
