"""Pages as pictures, and where on a page some of its words stand.

Knows: PDFium's rendering and character boxes, turned pages, how large a picture of a page may become.
Does not know: citations, the viewer.

An order is JSON: {"page": 3, "longest": 1568, "rects": [[left, bottom, right, top], …]} is answered with a
PNG of at most so many pixels on its long side; {"page": 3, "words": [["…", 120], …]} with JSON: boxes of
each of these words, of which the occurrence is meant that has about so many letters and digits before it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from ctypes import c_int
from itertools import pairwise
from pathlib import Path
from typing import Any

import pypdfium2.raw as raw
from PIL import Image, ImageChops, ImageDraw

from . import grid, pdf, picture
from .canon import canon, nearest
from .items import Refusal
from .kind import kind_of

LONGEST = 4000  # pixels; a page may claim to be 9,000,000 points wide
SCALE = 4.0  # pixels per point at most: a stamp-sized page needs no poster
FINE = 100  # parts of a point in which places are computed: PDFium's own are whole numbers
MARK = (255, 236, 120)  # a text marker's yellow; multiplied in, so that letters stay black
GRAM = 4

Box = Sequence[float]  # left, bottom, right, top


def answer(path: Path, order: str) -> bytes:
    """PNG or JSON, as the order asks. Raises Refusal."""
    wanted = json.loads(order)
    kind = kind_of(path)
    if kind not in ("pdf", "picture"):
        raise Refusal("unsupported", "a file without pictures of its pages")
    number, longest = wanted["page"], min(LONGEST, max(16, wanted.get("longest", 0)))
    if kind == "picture":
        return _png(
            _marked(picture.drawn(path, number, longest), wanted["rects"], picture.size(picture.opened(path)))
        )
    with pdf.opened(path) as document:
        if not 1 <= number <= len(document):
            raise Refusal("corrupt", f"a PDF without a page {number}")
        page = document[number - 1]
        if "words" in wanted:
            return json.dumps({"places": _places(page, wanted["words"])}).encode()
        width, height = page.get_size()
        scale = min(SCALE, longest / max(width, height, 1.0))
        image = page.render(scale=scale).to_pil().convert("RGB")
        return _png(_marked(image, wanted["rects"], (width, height)))


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()


def _marked(image: Image.Image, boxes: Sequence[Box], size: tuple[float, float]) -> Image.Image:
    """The picture with the boxes marked; a box that is the whole page is outlined instead."""
    if not boxes:
        return image
    across, down = image.width / size[0], image.height / size[1]
    overlay = Image.new("RGB", image.size, "white")
    pen = ImageDraw.Draw(overlay)
    for left, bottom, right, top in boxes:
        corners = (left * across, (size[1] - top) * down, right * across, (size[1] - bottom) * down)
        if (right - left) * (top - bottom) > 0.95 * size[0] * size[1]:
            pen.rectangle(
                (0, 0, image.width - 1, image.height - 1), outline=MARK, width=max(3, image.width // 100)
            )
        else:
            pen.rectangle((corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1), fill=MARK)
    return ImageChops.multiply(image, overlay)


def _places(page: Any, wanted: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """Each {"rects": boxes on the page as it is shown, "exact": what lies under them is these words}."""
    textpage = page.get_textpage()
    order = grid.order(pdf.in_rows(textpage, pdf.cleaned(textpage.get_text_bounded())))
    order = order or list(range(textpage.count_chars()))
    codes = (raw.FPDFText_GetUnicode(textpage, at) if at >= 0 else 0 for at in order)
    text, places = canon(chr(code) if 31 < code < 0x110000 else " " for code in codes)
    found = (_ranges(order, places, text, words, before) for words, before in wanted)
    return [_place(page, textpage, ranges, words) for ranges, (words, _) in zip(found, wanted, strict=True)]


def _ranges(
    order: Sequence[int], places: Sequence[int], text: str, words: str, before: int
) -> list[tuple[int, int]]:
    """The page's characters, from the first to behind the last, that the words are: or those of each cell."""
    wanted, _ = canon(words)
    at = nearest(text, wanted, before) if wanted else -1
    if at < 0:
        return []
    chars = order[places[at] : places[at + len(wanted) - 1] + 1]
    ends = [n for n, char in enumerate(chars) if char == grid.SEPARATOR]
    pieces = (chars[start + 1 : end] for start, end in pairwise((-1, *ends, len(chars))))
    return [(piece[0], piece[-1] + 1) for piece in pieces if piece]


def _place(page: Any, textpage: Any, ranges: Sequence[tuple[int, int]], words: str) -> dict[str, Any]:
    boxes = [
        textpage.get_rect(i) for start, end in ranges for i in range(textpage.count_rects(start, end - start))
    ]
    # of a line as a whole: a box around each letter takes in a part of its neighbours
    exact = bool(boxes) and _covers(textpage, _lines([list(box) for box in boxes]), canon(words)[0])
    return {"rects": _lines([_shown(page, box) for box in boxes]), "exact": exact}


def _lines(boxes: list[list[float]]) -> list[list[float]]:
    """Boxes that follow each other on one line as one: PDFium gives one for every change of font."""
    lines: list[list[float]] = []
    for box in boxes:
        last = lines[-1] if lines else None
        if last is not None and _continues(last, box):
            sides = zip((min, min, max, max), last, box, strict=True)
            lines[-1] = [side(one, other) for side, one, other in sides]
        else:
            lines.append(box)
    return lines


def _continues(last: Box, box: Box) -> bool:
    shared = min(last[3], box[3]) - max(last[1], box[1])
    least, height = (pick(last[3] - last[1], box[3] - box[1]) for pick in (min, max))
    return shared > 0.4 * least and -height < box[0] - last[2] < 2 * height


def _covers(textpage: Any, boxes: Sequence[Box], wanted: str) -> bool:
    """Is the text under the boxes the wanted one, by more than 90 % of its runs of four letters?"""
    under = "".join(textpage.get_text_bounded(b[0] - 0.5, b[1] - 0.5, b[2] + 0.5, b[3] + 0.5) for b in boxes)
    have, want = _grams(canon(under)[0]), _grams(wanted)
    return len(have & want) > 0.9 * len(want) or len(want) == 0


def _grams(text: str) -> set[str]:
    return {text[at : at + GRAM] for at in range(max(1, len(text) - GRAM + 1))} if text else set()


def _shown(page: Any, box: Box) -> list[float]:
    """From the page's own coordinates, which may begin anywhere and be turned, to the page as it is shown."""
    width, height = page.get_size()
    corners = [_device(page, width, height, x, y) for x, y in ((box[0], box[1]), (box[2], box[3]))]
    across, down = zip(*corners, strict=True)
    sides = (min(across), height - max(down), max(across), height - min(down))
    return [round(side, 2) for side in sides]


def _device(page: Any, width: float, height: float, x: float, y: float) -> tuple[float, float]:
    right, down = c_int(), c_int()
    fine = min(FINE, 100_000_000 / max(width, height, 1.0))  # whole numbers of 32 bits
    size = (round(width * fine), round(height * fine))
    raw.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, right, down)
    return right.value / fine, down.value / fine
