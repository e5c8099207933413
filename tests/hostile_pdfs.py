"""PDFs that want to crash, hang, swell or lie."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

import papers
from hostile import Case, case

SIZES = {"9,000,000 points": "0 0 9000000 9000000", "no size": "0 0 0 0", "odd numbers": "nan -1e39 1e39 7"}


def flipped(data: bytes, seed: int, share: float = 0.004) -> bytes:
    """Some of its bits turned over, always the same ones for a seed."""
    chance, damaged = random.Random(seed), bytearray(data)
    for _ in range(int(len(data) * share)):
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def cases() -> Iterator[Case]:
    good = papers.pdf([["Some words on a page", f"number {n}"] for n in range(40)])
    yield case("an empty file", "empty", b"")
    yield case("nothing but zeros", "empty", b"\0" * 9000)
    yield case("a PDF that is a header only", "corrupt", b"%PDF-1.7\n")
    yield case("a PDF cut in half", "corrupt read", good[: len(good) // 2])
    yield case("a PDF without its last 300 bytes", "corrupt read", good[:-300])
    yield case(
        "a PDF header before random bytes", "corrupt", b"%PDF-1.7\n" + random.Random(1).randbytes(60_000)
    )
    for seed in range(6):
        yield case(f"a PDF with flipped bits, number {seed + 1}", "corrupt read empty", flipped, good, seed)
    yield case("a PDF of 2 MB that unpacks to 2 GB", "memory corrupt too-slow empty", inflating)
    yield case("a PDF that claims a million pages", "corrupt read", crowded)
    yield case("a PDF whose page tree is its own child", "corrupt empty", looped)
    yield case("a PDF with a page tree of 3,000 levels", "corrupt read empty", deep_tree)
    for name, box in SIZES.items():
        yield case(
            f"a PDF with a page of {name}", "read empty corrupt", one, papers.lines(["Words"], top=4), box
        )
    yield case("a PDF with a password", "password", papers.locked, ["Secret"], "open").without("Secret")
    yield case("a PDF with a form that draws itself", "read empty memory too-slow", self_drawing)
    yield case("a PDF with an outline without an end", "read", endless_outline)
    yield case("a PDF with orders beside its page", "read", beside).without("Obey")
    yield case("a PDF with arrays 100,000 deep", "empty corrupt", one, b"[" * 100_000 + b"]" * 100_000)
    yield case("a PDF with 300 filters on one stream", "read empty corrupt", filtered)
    yield case("a PDF whose picture claims 100,000 x 100,000 pixels", "read", vast_picture)
    yield case("a PDF that would run a script and a program", "read", acting)
    yield case("a PDF with twenty million letters on a page", "read memory too-slow", crammed)
    yield case("a PDF whose cross-references go in circles", "corrupt read", circular, good)


def beside() -> bytes:
    """Words that nobody sees who looks at the page, and that a program reads all the same."""
    paper = papers.Paper()
    content = papers.lines(["Words on the page"]) + papers.lines(["Obey this line"], left=900, top=1200)
    paper.page(content)
    return paper.bytes()


def crammed() -> bytes:
    return one(b"BT /F 1 Tf (" + b"abc " * 5_000_000 + b") Tj ET")


def one(content: bytes, box: str = "0 0 595 842") -> bytes:
    paper = papers.Paper()
    paper.page(content, box)
    return paper.bytes()


def inflating() -> bytes:
    """Flushed blocks stand for themselves: one of them repeated unpacks to as much as one likes."""
    pack = zlib.compressobj(9)
    first = pack.compress(b" " * (1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    block = pack.compress(b" " * (1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    paper = papers.Paper()
    paper.page(b"")
    paper.objects[paper.pages[0] - 1] = b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (
        len(first) + 2047 * len(block), first + block * 2047,
    )  # fmt: skip
    return paper.bytes()


def crowded() -> bytes:
    paper = papers.Paper()
    paper.page(papers.lines(["The only page"]))
    paper.count = 1_000_000
    return paper.bytes()


def looped() -> bytes:
    paper = papers.Paper()
    paper.pages, paper.count = [2], 1000
    return paper.bytes()


def deep_tree() -> bytes:
    paper = papers.Paper()
    paper.page(papers.lines(["At the bottom"]))
    for _ in range(3000):
        paper.pages = [paper.add(b"<</Type/Pages/Parent 2 0 R/Count 1/Kids[%d 0 R]>>" % paper.pages[0])]
    return paper.bytes()


def self_drawing() -> bytes:
    paper = papers.Paper()
    at = max(paper.objects) + 1
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X %d 0 R>>>>" % at
    paper.stream(b"/X Do " * 50, form)
    paper.page(b"/X Do " + papers.lines(["Words beside it"]), resources=b"/XObject<</X %d 0 R>>" % at)
    return paper.bytes()


def endless_outline() -> bytes:
    paper = papers.Paper()
    page = paper.page(papers.lines(["Words"]))
    mark = max(paper.objects) + 1
    paper.add(b"<</Title(Again)/Dest[%d 0 R/Fit]/Next %d 0 R/First %d 0 R>>" % (page, mark, mark))
    paper.catalog = b"/Outlines<</First %d 0 R/Last %d 0 R>>" % (mark, mark)
    return paper.bytes()


def filtered() -> bytes:
    data = papers.lines(["Words"])
    paper = papers.Paper()
    paper.page(b"")
    entries = b"/Filter[" + b"/FlateDecode" * 300 + b"]"
    paper.objects[paper.pages[0] - 1] = b"<</Length %d%s>>stream\n%s\nendstream" % (
        len(data), entries, zlib.compress(data),
    )  # fmt: skip
    return paper.bytes()


def vast_picture() -> bytes:
    paper = papers.Paper()
    entries = (
        b"/Type/XObject/Subtype/Image/Width 100000/Height 100000/ColorSpace/DeviceRGB/BitsPerComponent 8"
    )
    image = paper.stream(b"abc", entries)
    paper.page(b"q 500 0 0 500 0 0 cm /I Do Q", resources=b"/XObject<</I %d 0 R>>" % image)
    return paper.bytes()


def acting() -> bytes:
    paper = papers.Paper()
    paper.page(papers.lines(["Words"]), entries=b"/AA<</O<</S/Launch/F(/bin/sh)>>>>")
    paper.catalog = b"/OpenAction<</S/JavaScript/JS(app.launchURL\\('http://127.0.0.1:9/'\\);while\\(1\\);)>>"
    return paper.bytes()


def circular(good: bytes) -> bytes:
    return good.replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev %d" % good.rindex(b"xref\n0"))
