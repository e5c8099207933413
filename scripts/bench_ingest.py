"""What a long PDF costs while it is taken in: whether the window stays quick, and the memory it takes.

Knows: the real app with an engine that plays a script, Chromium that drops the file, requests beside it.
Does not know: how files are read, what is quick enough; it prints the aims and asserts nothing.

Memory is what the server and all its children have resident, beyond the same in the open window just before.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import papers  # noqa: E402
from bench_table import Row, show  # noqa: E402
from bench_window import Served, usable  # noqa: E402
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright  # noqa: E402

ANSWER = "Every page was looked through."
IDLE_SECONDS = 4.0
PAUSE = 0.05  # between two requests, and between two looks at memory
LONGEST = 600_000  # ms until the answer must be there


def child(port: int) -> int:
    """The app, whose engine answers everything in the same words."""
    from app.config import Config
    from app.server import serve
    from mlx_backend import Answer, FakeEngine

    with FakeEngine(lambda request: [Answer(ANSWER)]) as engine:
        return serve(Config(), engine, port=port, open_browser=False)


def long_pdf(file: Path, pages: int) -> Path:
    """Pages of 40 lines of 14 words, of a vocabulary as large as a book's."""
    chance = random.Random(3)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(20_000)]
    file.write_bytes(
        papers.pdf([[" ".join(chance.choices(words, k=14)) for _ in range(40)] for _ in range(pages)])
    )
    return file


# --- watching --------------------------------------------------------------------------------------------


def resident(server: int) -> tuple[int, int]:
    """Bytes that the server has in memory, and that all its children have."""
    shown = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True).stdout
    lines = [tuple(map(int, line.split())) for line in shown.splitlines()]
    family, grew = {server}, True
    while grew:
        more = {pid for pid, parent, _ in lines if parent in family} - family
        grew, family = bool(more), family | more
    own = sum(size for pid, _, size in lines if pid == server)
    return own * 1024, sum(size for pid, _, size in lines if pid in family) * 1024 - own * 1024


class Watch:
    """Asks again and again, in threads of its own, until it is ended."""

    def __init__(self, asks: dict[str, Callable[[], object]], server: int) -> None:
        self.times: dict[str, list[float]] = {name: [] for name in asks}  # ms
        self.sizes: list[tuple[int, int]] = []
        self._over = threading.Event()
        works = [*((self._ask, (name, ask)) for name, ask in asks.items()), (self._weigh, (server,))]
        self._threads = [threading.Thread(target=work, args=with_) for work, with_ in works]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, name: str, ask: Callable[[], object]) -> None:
        while not self._over.wait(PAUSE):
            start = time.perf_counter()
            ask()
            self.times[name].append(1000 * (time.perf_counter() - start))

    def _weigh(self, server: int) -> None:
        while not self._over.wait(PAUSE):
            self.sizes.append(resident(server))


def asking(context: BrowserContext, address: str) -> dict[str, Callable[[], object]]:
    """What a window asks for, by the name it is shown under, with that window's right to ask."""
    cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in context.cookies())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(path: str) -> Callable[[], object]:
        wanted = urllib.request.Request(address + path, headers={"cookie": cookies})

        def once() -> object:
            with opener.open(wanted, timeout=120) as answer:
                return answer.read()

        return once

    return {"GET /": ask("/"), "the gauge": ask("/now")}


# --- measuring -------------------------------------------------------------------------------------------


def ingest(browser: Browser, home: Path, file: Path) -> tuple[list[Row], list[Row]]:
    served = Served(home, [sys.executable, __file__, "--child"])
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        page.goto(served.address)
        usable(page)
        asks = asking(context, served.address.split("/?")[0])
        for ask in asks.values():
            ask()
        with Watch(asks, served.pid) as before:
            time.sleep(IDLE_SECONDS)
        with Watch(asks, served.pid) as during:
            times = dropped(page, file)
        return _times(before, during), [*times, *_sizes(before, during)]
    finally:
        context.close()
        served.stop()


def dropped(page: Page, file: Path) -> list[Row]:
    """Drop the file, ask about it, type while it is read."""
    page.set_default_timeout(LONGEST)
    start = time.perf_counter()
    page.set_input_files("#box input[type=file]", file)
    page.wait_for_selector(".chip")
    shown = time.perf_counter() - start
    page.fill("#box textarea", "What is every page about?")
    start = time.perf_counter()
    page.keyboard.press("Enter")
    page.wait_for_selector(f"#latest .bot-row :text('{ANSWER}')")
    return [
        Row("its chip is there after, s", shown),
        Row("read, indexed, searched and answered after, s", time.perf_counter() - start),
    ]


def _times(before: Watch, during: Watch) -> list[Row]:
    rows = []
    for name in before.times:
        for when, watch in (("idle", before), ("while it is read", during)):
            times = watch.times[name]
            rows.append(Row(f"{name}, {when}: p95 of {len(times)} requests, ms", _p95(times)))
            rows.append(Row(f"{name}, {when}: longest, ms", max(times)))
    return rows


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def _sizes(before: Watch, during: Watch) -> list[Row]:
    idle = statistics.median(own + children for own, children in before.sizes)
    return [
        Row("memory of the app, idle, MB", idle / 1e6),
        Row("server alone, most beyond idle, MB", (max(own for own, _ in during.sizes) - idle) / 1e6),
        Row("the child that reads, most, MB", max(children for _, children in during.sizes) / 1e6),
        Row("both, most beyond idle, MB (less than 400)", (max(map(sum, during.sizes)) - idle) / 1e6),
    ]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    flags = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"), args=flags)
        yield browser
        browser.close()


def main() -> None:
    cli = argparse.ArgumentParser(prog="scripts/bench ingest")
    cli.add_argument("--pages", type=int, default=1000, help="of the PDF that is made")
    cli.add_argument("--file", type=Path, help="a PDF of your own instead")
    cli.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = cli.parse_args()
    if given.child:
        sys.exit(child(0))
    print(f"load of this machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        file = given.file or long_pdf(Path(folder) / "long.pdf", given.pages)
        times, sizes = ingest(browser, Path(folder) / "home", file)
    named = given.file.name if given.file else f"a PDF of {given.pages:,} pages"
    show(f"{named}: how long ordinary requests take", times)
    show("the same: time and memory", sizes)


if __name__ == "__main__":
    main()
