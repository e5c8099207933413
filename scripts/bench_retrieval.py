"""How well pages are found and quotations located: ./scripts/bench retrieval

Knows: the questions of tests/reference whose page is known, manuals of Debian packages where there are any.
Does not know: how fast files are read (bench_documents.py), the model.

In the app the model gives search terms wherever anything is searched; it needs a Mac. In its place stand
terms written by hand from question and title, by somebody who had seen the pages: a bound from above, not a
forecast.
--manuals FOLDER: more of the manuals that are asked about, see bench_documents.py.
"""

from __future__ import annotations

import argparse
import gzip
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from asked_pages import BOOKS, MANUALS, OF_MANUALS, QUESTIONS, TITLES, Asked  # noqa: E402
from test_quotes import copied  # noqa: E402

from app.documents import rewriting  # noqa: E402
from app.documents.indexing import chunks, estimated  # noqa: E402
from app.documents.pages import Document, Page, Unreadable  # noqa: E402
from app.documents.quotes import canon, locate  # noqa: E402
from app.documents.reading import read  # noqa: E402
from app.documents.search import Hit, search  # noqa: E402
from app.store import IN_MEMORY, Store, StoredBlob  # noqa: E402

INSTALLED = Path("/usr/share/doc")
LANGUAGES = {"en": "English", "zh": "Chinese", "ja": "Japanese"}
MOST_FILES, PAGES, QUOTATIONS = 12, 400, 500


@dataclass(frozen=True)
class Row:
    """Questions of one kind, and how they are asked. more: with search terms."""

    name: str
    asked: Sequence[Asked]
    more: bool = False


def found(books: Mapping[str, Document], questions: Sequence[Asked]) -> Iterator[list[str]]:
    """Recall of the answer's page, all of these documents in one index."""
    store, ids = Store(IN_MEMORY), {}
    for n, (name, book) in enumerate(books.items()):
        ids[name] = store.begin_document(StoredBlob(f"{n:064}", "text/plain", 1), 1, book.title, book.kind)
        store.finish_document(ids[name], book, list(chunks(book.pages, book.title, book.outline)))

    def index(query: str, documents: Sequence[int], most: int) -> list[Hit]:
        return [Hit(c.document, c.page, c.rank) for c in store.found_chunks(query, documents, most)]

    for row in rows({name: _language(book) for name, book in books.items()}, questions):
        began, right = time.perf_counter(), [0, 0]
        for q in row.asked:
            more = q.terms if row.more else ()
            hits = [(h.document, h.page) for h in search(index, q.question, list(ids.values()), 5, more)]
            right[0] += hits[:1] == [(ids[q.document], q.page)]
            right[1] += (ids[q.document], q.page) in hits
        each = (time.perf_counter() - began) / len(row.asked) * 1000
        recall = [f"{count / len(row.asked):.3f}" for count in right]
        yield [row.name, str(len(row.asked)), *recall, f"{each:.1f}"]
    store.close()


def _language(book: Document) -> str:
    return rewriting.language(book.pages[len(book.pages) // 4 :])  # manuals begin with licences in English


def rows(languages: Mapping[str, str], questions: Sequence[Asked]) -> Iterator[Row]:
    """By language and kind; those that share no words once more with terms, and all together."""
    for language in (*dict.fromkeys(languages.values()), ""):
        asked = [q for q in questions if language in languages.get(q.document, "nobody's")]
        shared, other = ([q for q in asked if q.kind == kind] for kind in ("shared", "other"))
        name = language or "all"
        yield Row(f"{name}: with words of the page", shared)
        yield Row(f"{name}: with other words", other)
        yield Row(f"{name}: other words, and search terms by hand", other, more=True)


def handbooks() -> dict[str, Document]:
    return {name: Document("text", TITLES[name], pages) for name, pages in BOOKS.items()}


def asked_about(folder: Path, more: Path | None) -> dict[str, Document]:
    """The manuals that there are questions about, in the version they were written from."""
    read_: dict[str, Document] = {}
    for file in [*INSTALLED.glob("*/*.pdf*"), *(more.rglob("*.pdf") if more else ())]:
        name = file.name.removesuffix(".gz")
        if name in MANUALS and name not in read_:
            book = read(unpacked(file, folder))
            if len(book.pages) == MANUALS[name].pages:
                read_[name] = replace(book, title=MANUALS[name].title)
    for name, manual in MANUALS.items():
        if name not in read_:
            print(
                f"{name} of {manual.package}, {manual.pages} pages, is not here: its questions are left out"
            )
    return read_


def unpacked(file: Path, folder: Path) -> Path:
    plain = folder / file.name.removesuffix(".gz")
    plain.write_bytes(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes())
    return plain


def texts(more: Path | None) -> list[Path]:
    """PDFs and long texts of installed packages, and PDFs of that folder."""
    long = sorted(INSTALLED.glob("*/*.txt*"), key=lambda file: -file.stat().st_size)
    asked = [file for file in (more.rglob("*.pdf") if more else ()) if file.name in MANUALS]
    return [*asked, *INSTALLED.glob("*/*.pdf"), *long][:MOST_FILES]


def located(folder: Path, more: Path | None) -> Iterator[list[str]]:
    chance = random.Random(7)
    for file in texts(more):
        try:
            pages = [page for page in read(unpacked(file, folder)).pages if len(page.text.strip()) > 200]
        except Unreadable:
            continue
        if pages:
            yield [file.name, *_located(chance.sample(pages, min(PAGES, len(pages))), chance)]


def _located(pages: Sequence[Page], chance: random.Random) -> list[str]:
    right, began = 0, time.perf_counter()
    texts = {(1, page.number): page.text for page in pages[:12]}
    for _ in range(QUOTATIONS // MOST_FILES + 1):
        page = chance.choice(pages)
        words = _words(page.text, chance)
        at = locate(copied(words, chance), (1, page.number), {**texts, (1, page.number): page.text})
        right += at.verified and canon(page.text[at.start : at.end]).text == canon(words).text
    count = QUOTATIONS // MOST_FILES + 1
    each = (time.perf_counter() - began) / count * 1000
    longest = max(estimated(page.text) for page in pages)
    return [str(len(pages)), str(longest), f"{right} of {count}", f"{each:.1f}"]


def _words(text: str, chance: random.Random) -> str:
    """30 to 150 characters from a word's beginning to a word's end, with letters: what a model would copy."""
    while True:
        start = chance.randrange(len(text) - 150)
        cut = text[start : start + chance.randint(40, 170)]
        words = re.sub(r"^\S*\s|\s\S*$", "", cut, flags=re.DOTALL).strip()
        if len(canon(words).text) >= 20:
            return words


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)
    )


def main() -> None:
    cli = argparse.ArgumentParser(prog="scripts/bench retrieval")
    cli.add_argument("--manuals", type=Path, metavar="FOLDER", help="PDFs below this too")
    more = cli.parse_args().manuals
    head = ["number", "recall at 1", "at 5", "ms each"]
    print(table(["three handbooks made for it", *head], list(found(handbooks(), QUESTIONS))), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        books = asked_about(folder, more)
        asked = [q for q in OF_MANUALS if q.document in books]
        pages = sum(len(book.pages) for book in books.values())
        title = f"{len(books)} manuals, {pages:,} pages"
        if asked:
            print(table([title, *head], list(found(books, asked))), flush=True)
        lines = list(located(folder, more))
    print(table(["manual", "pages", "tokens of the longest", "quotations located", "ms each"], lines))
    counts = [line[3].split(" of ") for line in lines]
    right, total = (sum(int(count[n]) for count in counts) for n in (0, 1))
    if total:
        print(f"{right} of {total} quotations located ({right / total:.1%})")


if __name__ == "__main__":
    main()
