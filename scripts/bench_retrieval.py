"""How well pages are found and quotations located: ./scripts/bench retrieval

Knows: the questions of tests/reference whose page is known, manuals of Debian packages where there are any.
Does not know: how fast files are read (bench_documents.py), the model, whose search terms come on top.
"""

from __future__ import annotations

import gzip
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from asked_pages import BOOKS, QUESTIONS, TITLES  # noqa: E402
from test_quotes import copied  # noqa: E402

from app.documents.indexing import chunks, estimated  # noqa: E402
from app.documents.pages import Document, Page, Unreadable  # noqa: E402
from app.documents.quotes import canon, locate  # noqa: E402
from app.documents.reading import read  # noqa: E402
from app.documents.search import Hit, search  # noqa: E402
from app.store import IN_MEMORY, Store, StoredBlob  # noqa: E402

MANUALS = Path("/usr/share/doc")
MOST_FILES, PAGES, QUOTATIONS = 12, 400, 500


def found() -> list[list[str]]:
    """Recall of the answer's page, all documents in one index."""
    store, ids = Store(IN_MEMORY), {}
    for n, (name, pages) in enumerate(BOOKS.items()):
        ids[name] = store.begin_document(StoredBlob(f"{n:064}", "text/plain", 1), 1, TITLES[name], "text")
        words = list(chunks(pages, TITLES[name]))
        store.finish_document(ids[name], Document("text", TITLES[name], pages), words)

    def index(query: str, documents: Sequence[int], most: int) -> list[Hit]:
        return [Hit(c.document, c.page, c.rank) for c in store.found_chunks(query, documents, most)]

    rows = []
    for name, kind in (("en", "shared"), ("zh", "shared"), ("en", "other"), ("zh", "other")):
        asked = [q for q in QUESTIONS if (q.document, q.kind) == (name, kind)]
        began, right = time.perf_counter(), [0, 0]
        for q in asked:
            hits = [(h.document, h.page) for h in search(index, q.question, list(ids.values()), 5)]
            right[0] += hits[:1] == [(ids[name], q.page)]
            right[1] += (ids[name], q.page) in hits
        each = (time.perf_counter() - began) / len(asked) * 1000
        recall = [f"{count / len(asked):.3f}" for count in right]
        rows.append([f"{name}, {kind} words", str(len(asked)), *recall, f"{each:.1f}"])
    store.close()
    return rows


def manuals(folder: Path) -> Iterator[Path]:
    """PDFs and long texts of installed packages, unpacked."""
    texts = sorted(MANUALS.glob("*/*.txt*"), key=lambda file: -file.stat().st_size)
    for file in [*MANUALS.glob("*/*.pdf"), *texts][:MOST_FILES]:
        plain = folder / file.name.removesuffix(".gz")
        plain.write_bytes(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes())
        yield plain


def located() -> Iterator[list[str]]:
    chance = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        for file in manuals(Path(folder)):
            try:
                pages = [page for page in read(file).pages if len(page.text.strip()) > 200][:PAGES]
            except Unreadable:
                continue
            if pages:
                yield [file.name, *_located(pages, chance)]


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


if __name__ == "__main__":
    print(table(["questions", "number", "recall at 1", "at 5", "ms each"], found()))
    rows = list(located())
    print(table(["manual", "pages", "tokens of the longest", "quotations located", "ms each"], rows))
    counts = [row[3].split(" of ") for row in rows]
    right, total = (sum(int(count[n]) for count in counts) for n in (0, 1))
    if total:
        print(f"{right} of {total} quotations located ({right / total:.1%})")
