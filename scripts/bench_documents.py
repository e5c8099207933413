"""How fast and how well PDFs are read, beside pypdf and pdfplumber in the same run: ./scripts/bench documents

Knows: manuals of Debian packages where they are installed, PDFs made here with a known truth.
Does not know: how files are read; retrieval.

Every reading is a process of its own, with the parser's import. Pages per second are of processor time, which
stays comparable on a busy machine; memory is the peak of the process that parses. GLM Chat's figures are of
the whole road: the child's start, its lines, the words mended. It reads every page; the others read --most
pages of a longer file, spread evenly over it, and are compared by the page: what opening it costs is shared
by all of its pages.

More manuals than are installed: `apt-get download gnuplot-doc octave-doc r-doc-pdf debian-reference-zh-cn
developers-reference-ja`, `dpkg -x` each into one folder, and --manuals FOLDER. Where a text edition of
the same name lies beside a PDF, it is the truth.
"""

from __future__ import annotations

import argparse
import difflib
import gzip
import json
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from app.fold import CJK  # noqa: E402

MANUALS = Path("/usr/share/doc")
READERS = ("GLM Chat", "pypdf", "pdfplumber")
WORDS = [
    "river",
    "stone",
    "market",
    "copper",
    "orbit",
    "signal",
    "garden",
    "lantern",
    "harbor",
    "timber",
    "candle",
]
HAN = "港口费用由管理局决定所有的船都要付每年一次不得拖延超过三十天的加收百分之五"
KANA = "港の料金はすべての船に適用されます支払いは年に一度で三十日を過ぎると加算されます"
CHILDS = [0, 0]  # peaks of what parsed for us
SLOWEST = 600  # seconds
MOST = 100  # pages that the slow ones read of a file
_HAN = re.compile(f"[{CJK}]")
ROUGHLY = 8  # letters of a run: what a text has of another one's runs is what came through


@dataclass(frozen=True)
class Sample:
    """A file to read. truth: its words in reading order, empty where nobody knows them; or a table's rows.

    A truth of single letters is compared by runs of them.
    """

    name: str
    file: Path
    truth: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opened:
    """A file that a reader has opened: its pages in all, and texts as they are read."""

    total: int
    texts: Iterator[str]


def by_glm_chat(file: Path, most: int) -> Opened:
    from app.documents.isolated import Child
    from app.documents.reading import gathered

    child = Child(["read", str(file)])
    texts = [page.text for page in gathered(child, file.name).pages]
    CHILDS.append(child.peak)
    return Opened(len(texts), iter(texts))


def by_pypdf(file: Path, most: int) -> Opened:
    import pypdf

    pages = pypdf.PdfReader(file).pages
    return Opened(len(pages), (pages[at].extract_text() for at in spread(len(pages), most)))


def by_pdfplumber(file: Path, most: int) -> Opened:
    import pdfplumber

    def texts() -> Iterator[str]:
        for at in spread(len(pages), most):
            yield pages[at].extract_text() or ""
            pages[at].close()

    pages = pdfplumber.open(file).pages
    return Opened(len(pages), texts())


def spread(pages: int, most: int) -> list[int]:
    """Some of the pages, from 0, as far from each other as they can be."""
    count = min(pages, most)
    return [at * pages // count for at in range(count)]


def one(reader: str, file: Path, most: int) -> None:
    """Read a file and say how that went, as one line of JSON: the measured process."""
    began, before = time.perf_counter(), processor()
    opened = {"GLM Chat": by_glm_chat, "pypdf": by_pypdf, "pdfplumber": by_pdfplumber}[reader](file, most)
    opening = processor() - before
    texts = list(opened.texts)
    seconds, reading = time.perf_counter() - began, processor() - before - opening
    each = opening / opened.total + reading / max(1, len(texts))
    print(json.dumps({"seconds": seconds, "each": each, "peak": peak(), "texts": texts}))


def processor() -> float:
    """Seconds of processor time of this process and of its children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak() -> int:
    """Bytes that this process, or the child that parsed for it, had resident at most."""
    status = Path("/proc/self/status")
    if status.exists():  # a child's maxrss on Linux begins with what its parent had
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return max(int(line.split()[1]) * 1024, *CHILDS)
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measured(reader: str, file: Path, most: int) -> dict[str, Any] | None:
    """The same in a process of its own; None where the reader fails or takes too long."""
    command = [sys.executable, __file__, "--one", reader, str(file), "--most", str(most)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SLOWEST)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        return None
    return found


def samples(folder: Path, long: int, more: Path | None) -> Iterator[Sample]:
    seen: set[bytes] = set()
    for file in sorted([*MANUALS.glob("*/*.pdf.gz"), *MANUALS.glob("*/*.pdf"), *_below(more)]):
        content = unpacked(file)
        if content not in seen:
            seen.add(content)
            target = folder / file.name.removesuffix(".gz")
            target.write_bytes(content)
            yield Sample(target.name, target, _edition(file))
    yield from made(folder, long)


def _below(folder: Path | None) -> list[Path]:
    return sorted(folder.rglob("*.pdf")) if folder else []


def unpacked(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()


def _edition(file: Path) -> tuple[str, ...]:
    """The CJK characters of the text edition beside it, if there is one; the rest is set in other ways."""
    for ending in (".txt.gz", ".txt"):
        if (text := file.with_suffix(ending)).exists():
            return tuple(_HAN.findall(unpacked(text).decode("utf-8", "replace")))
    return ()


def made(folder: Path, long: int) -> Iterator[Sample]:
    """PDFs whose truth is known, because they are made here."""
    import papers

    chance = random.Random(1)
    columns, truth = papers.Paper(), []
    for number in range(6):
        sides = [
            [f"P{number}{side}{n:02d} " + " ".join(chance.sample(WORDS, 5)) for n in range(45)]
            for side in "LR"
        ]
        columns.page(papers.lines(sides[0], left=50) + b"\n" + papers.lines(sides[1], left=320))
        truth += sides[0] + sides[1]
    yield _sample(folder, "made: two columns", columns.bytes(), tuple(" ".join(truth).split()))
    rows = [
        (f"Region-{n}", f"{chance.randint(100, 999)}.{n:02d}", f"{chance.randint(1, 60)}%") for n in range(26)
    ]
    cells = [[papers.lines([cell], left=60 + 150 * x, top=780 - 16 * y) for x, cell in enumerate(row)]
             for y, row in enumerate(rows)]  # fmt: skip
    for name, order in (("", cells), (", by columns", zip(*cells, strict=True))):
        table = papers.Paper()
        table.page(b"\n".join(cell for line in order for cell in line))
        yield _sample(
            folder, f"made: a table{name}", table.bytes(), rows=tuple(" ".join(row) for row in rows)
        )
    yield _sample(folder, "made: a scan", papers.scanned())
    for name, letters in (("Chinese", HAN), ("Japanese", KANA)):
        lines = ["".join(chance.choices(letters, k=30)) for _ in range(35 * 40)]
        pages = [lines[at : at + 35] for at in range(0, len(lines), 35)]
        yield _sample(folder, f"made: {name}", papers.pdf(pages), tuple("".join(lines)))
    text = [[" ".join(chance.choices(WORDS, k=14)) for _ in range(40)] for _ in range(long)]
    yield _sample(folder, f"made: {long:,} pages", papers.pdf(text), ())


def _sample(
    folder: Path, name: str, content: bytes, truth: tuple[str, ...] = (), rows: tuple[str, ...] = ()
) -> Sample:
    file = folder / f"{name.replace(' ', '-').replace(':', '')}.pdf"
    file.write_bytes(content)
    return Sample(name, file, truth, rows)


def quality(sample: Sample, texts: list[str]) -> str:
    """What came through of the truth: words in order, or rows in one piece."""
    joined = "\n".join(texts)
    if sample.rows:
        flat = " ".join(joined.replace("|", " ").split())  # however a reader parts the cells
        return f"{sum(row in flat for row in sample.rows)} of {len(sample.rows)} rows whole"
    if not sample.truth:
        return ""
    words = _HAN.findall(joined) if len(sample.truth[0]) == 1 else joined.split()
    if len(words) > 5000:  # comparing is quadratic: by runs of eight
        want, have = (_runs(words_) for words_ in (list(sample.truth), words))
        return f"{len(want & have) / len(want):.3f} of the text"
    order = difflib.SequenceMatcher(None, sample.truth, words, autojunk=False).ratio()
    return f"{order:.3f} in reading order"


def _runs(letters: list[str]) -> set[str]:
    return {"".join(letters[at : at + ROUGHLY]) for at in range(len(letters) - ROUGHLY + 1)}


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--one", nargs=2, metavar=("READER", "FILE"), help=argparse.SUPPRESS)
    cli.add_argument("--only", default="", help="files whose name holds this")
    cli.add_argument("--pages", type=int, default=1000, help="of the long document that is made")
    cli.add_argument("--manuals", type=Path, metavar="FOLDER", help="PDFs below this too")
    cli.add_argument("--most", type=int, default=MOST, help="pages that pypdf and pdfplumber read of a file")
    arguments = cli.parse_args()
    if arguments.one:
        one(arguments.one[0], Path(arguments.one[1]), arguments.most)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = samples(Path(folder), arguments.pages, arguments.manuals)
        compare([sample for sample in found if arguments.only in sample.name], arguments.most)


def compare(wanted: list[Sample], most: int) -> None:
    print(f"{'':<28}{'':<12}{'pages':>6}{'seconds':>9}{'pages/s':>9}{'MB':>6}{'times':>7}")
    times: dict[str, list[float]] = {reader: [] for reader in READERS[1:]}
    for sample in wanted:
        ours, name = 0.0, sample.name
        for reader in READERS:
            found = measured(reader, sample.file, most)
            if found is None:
                print(f"{name:<28}{reader:<12} failed, or took over {SLOWEST} s", flush=True)
                continue
            texts, seconds, each, peak = (found[what] for what in ("texts", "seconds", "each", "peak"))
            ours = ours or each  # the first reader's
            if reader in times:
                times[reader].append(each / ours)
            part = reader in times and bool(sample.truth) and len(texts) == most
            print(
                f"{name[:27]:<28}{reader:<12}{len(texts):>6}{seconds:>9.2f}{1 / each:>9.0f}{peak / 1e6:>6.0f}"
                f"{each / ours:>7.1f}  {'' if part else quality(sample, texts)}",
                flush=True,
            )
            name = ""
    for reader, shares in times.items():
        if shares:
            middle = statistics.median(shares)
            print(f"{reader} takes {middle:.1f} times as long for a page (median of {len(shares)} files)")


if __name__ == "__main__":
    main()
