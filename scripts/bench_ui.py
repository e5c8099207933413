"""What the window costs and how soon it answers, in a real Chromium, beside what it is compared with.

(a) the server's processor time while an answer arrives at 50 tokens a second, above an idle window's
(b) opening a conversation of 200 messages with 40 pictures, beside one of 2 messages
(c) searching and listing 10,000 conversations: in the store, and in the window until it shows
(d) a cold start until the window can be used, beside `import gradio` alone
(e) when the first word comes, beside when the composer said it would

Knows: how to measure. Does not know: what is fast enough; it prints the aims and asserts nothing.
The app is the real one with an engine that plays a script. Times hold for a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_promise import promising
from bench_table import Row, show
from bench_window import RATE, Served, history, talk, usable, window
from playwright.sync_api import Browser, Page, sync_playwright

from app.blobs import Blobs
from app.store import Store

QUERIES = ("mar", "needle", "harbour lantern", "发票", "zebra")  # begun, rare, two words, Chinese, nowhere


@dataclass(frozen=True)
class Sizes:
    """How much of everything; the smallest that still runs is for a test."""

    seconds: float = 20.0  # that an answer and an idle window are watched
    messages: int = 200
    pictures: int = 40
    width: int = 2048  # pixels of each picture
    conversations: int = 10_000
    rounds: int = 5


SMALL = Sizes(seconds=1.0, messages=4, pictures=2, width=64, conversations=20, rounds=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench ui")
    parser.add_argument("--small", action="store_true", help="everything once and little: does it run?")
    parser.add_argument("--only", default="abcde", help="which of a, b, c, d, e")
    given = parser.parse_args()
    sizes = SMALL if given.small else Sizes()
    print(f"load of this machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores", flush=True)
    flags = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"), args=flags)
        for letter, (title, measure) in PARTS.items():
            if letter in given.only:
                with tempfile.TemporaryDirectory() as home:
                    show(f"({letter}) {title}", measure(browser, Path(home), sizes))
        browser.close()


# --- (a) -------------------------------------------------------------------------------------------------


def streaming(browser: Browser, home: Path, sizes: Sizes) -> list[Row]:
    """In an empty conversation and below a long one, in turns: only the last turn should cost anything.

    One answer comes before: the first one after a start pays for modules that are only now loaded.
    """
    with contextlib.closing(Store(home / "glmchat.db")) as store:
        talk(store, Blobs(home / "blobs"), "long", sizes.messages, 0, sizes.width)
    last = f"#latest :text('answer {sizes.messages // 2 - 1} ')"
    found: dict[str, list[float]] = {"a new conversation": [], f"below {sizes.messages} messages": []}
    with window(browser, home) as (served, page):
        answer(page, 3)
        page.wait_for_selector("#box .submit-button", timeout=60_000)
        idle = busy(served, sizes.seconds)
        for _ in range(min(sizes.rounds, 3)):
            for label, spent in found.items():
                page.click("#new-chat")
                if label.startswith("below"):
                    page.locator(".conv .open", has_text="long").click()
                    page.wait_for_selector(last if not spent else f"#latest :text('word{RATE} ')")
                answer(page, sizes.seconds + 2)
                spent.append(busy(served, sizes.seconds))
                page.wait_for_selector("#box .submit-button", timeout=60_000)
    rows = [Row("idle, % of a core", idle)]
    for label, spent in found.items():
        middle = statistics.median(spent)
        rows.append(Row(f"{label}: streaming, % of a core, median of {len(spent)}", middle))
        rows.append(Row(f"{label}: minus idle (at most 3)", middle - idle))
    return rows


def answer(page: Page, seconds: float) -> None:
    """Ask for an answer that takes so long; returns when it has begun."""
    page.fill("#box textarea", str(int(seconds * RATE)))
    page.keyboard.press("Enter")
    page.wait_for_selector("#latest .bot-row :text('word3 ')", timeout=60_000)


def busy(served: Served, seconds: float) -> float:
    """The app's processor time for so long, in % of one core. The engine's script is in it."""
    before, start = served.cpu(), time.perf_counter()
    time.sleep(seconds)
    return 100 * (served.cpu() - before) / (time.perf_counter() - start)


# --- (b) -------------------------------------------------------------------------------------------------

# From the click until the last words are there and the frame that shows them is painted; then the pictures.
OPEN = """async ([title, words]) => {
  const frame = () => new Promise(requestAnimationFrame);
  const until = async (true_) => {
    while (!true_()) {
      if (performance.now() - start > 60000) throw new Error(`${title} did not show`);
      await frame();
    }
    await frame();
    await frame();
  };
  const line = [...document.querySelectorAll('.conv .open')].find((one) => one.textContent === title);
  const start = performance.now();
  line.click();
  await until(() => document.querySelector('#latest .bot-row')?.textContent.includes(words));
  const shown = performance.now() - start;
  const awaited = () => [...document.querySelectorAll('.chat img')].filter((one) => one.loading !== 'lazy');
  await until(() => awaited().every((one) => one.complete));
  const took = performance.now() - start;
  await frame();  // the page scrolls to its end in the frame after it is painted
  const end = document.querySelector('#latest').getBoundingClientRect();
  return [shown / 1000, took / 1000, end.top < innerHeight && end.bottom > 0]; }"""


def opening(browser: Browser, home: Path, sizes: Sizes) -> list[Row]:
    blobs = Blobs(home / "blobs")
    with contextlib.closing(Store(home / "glmchat.db")) as store:
        talk(store, blobs, "long", sizes.messages, sizes.pictures, sizes.width)
        talk(store, blobs, "short", 2, 0, sizes.width)
        size = sum(file.stat().st_size for file in home.rglob("blobs/*/*"))
    found: dict[str, list[Any]] = {"long": [], "short": []}
    with window(browser, home) as (_, page):
        for _ in range(sizes.rounds):
            for title, turns in (("long", sizes.messages // 2), ("short", 1)):
                found[title].append(page.evaluate(OPEN, [title, f"{title} answer {turns - 1} "]))
        if not all(seen for *_, seen in found["long"]):
            print("  the end of the conversation was not on the screen")
    first, long = found["long"][0], [one[0] for one in found["long"]]
    what = f"{sizes.messages} messages, {sizes.pictures} pictures of {size / sizes.pictures / 1e3:.0f} kB"
    return [
        Row(f"{what}: first time, last message painted, s (less than 1.5)", first[0]),
        Row("the same: every picture loaded that does not wait to be scrolled to, s", first[1]),
        Row("median of all times: last message painted, s", median(long)),
        Row("2 messages, median, s", median([one[0] for one in found["short"]])),
    ]


# --- (c) -------------------------------------------------------------------------------------------------

# From the last key until what was found is drawn: a snippet, or the words that there is nothing.
FIND = """async (words) => {
  const frame = () => new Promise(requestAnimationFrame), input = document.querySelector('.find input');
  const shows = () => document.querySelector('.conv .words, .convs .none');
  const write = (text) => { input.value = text; input.dispatchEvent(new Event('input', { bubbles: true })); };
  write('');
  while (shows()) await frame();
  const start = performance.now();
  write(words);
  while (!shows()) {
    if (performance.now() - start > 60000) throw new Error(`nothing showed for ${words}`);
    await frame();
  }
  await frame();
  return performance.now() - start; }"""


def searching(browser: Browser, home: Path, sizes: Sizes) -> list[Row]:
    with contextlib.closing(Store(home / "glmchat.db")) as store:
        history(store, sizes.conversations)
        rows = [
            Row(f"store, {words!r}, ms (less than 100)", 1000 * timed(lambda w=words: store.search(w)))
            for words in QUERIES
        ]
        rows.append(Row("store: the list, ms", 1000 * timed(store.conversations)))
    start = time.perf_counter()
    with window(browser, home) as (_, page):
        rows.append(Row("app started and window usable, s", time.perf_counter() - start))
        lines = page.locator(".conv").count()
        page.set_default_timeout(60_000)
        for words in QUERIES:
            times = [float(page.evaluate(FIND, words)) for _ in range(sizes.rounds)]
            rows.append(Row(f"window, {words!r} until it shows, ms (120 of them a pause)", median(times)))
        again = 1000 * timed(lambda: (page.reload(), usable(page)), sizes.rounds)
        rows.append(Row(f"window: loaded again with its list, {lines} lines, ms", again))
    return rows


def median(values: list[float]) -> float:
    return statistics.median(values)


def timed(work: Any, rounds: int = 5) -> float:
    """Seconds, the median."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


# --- (d) -------------------------------------------------------------------------------------------------


def starting(browser: Browser, home: Path, sizes: Sizes) -> list[Row]:
    """In turn, so that what slows the machine slows both."""
    found: dict[str, list[float]] = {"alone": [], "told": [], "answered": [], "usable": []}
    for turn in range(sizes.rounds + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import gradio"], check=True, capture_output=True)
        times = {"alone": time.perf_counter() - start, **cold(browser, home)}
        for name, seconds in times.items():
            if turn or not sizes.rounds > 1:  # the first one fills the disk's cache
                found[name].append(seconds)
    alone, usable_ = median(found["alone"]), median(found["usable"])
    return [
        Row("`import gradio` alone, s", alone),
        Row("the app says its address, s", median(found["told"])),
        Row("its first page is answered, s", median(found["answered"])),
        Row("its window can be used in Chromium, s", usable_),
        Row("ratio of the first page to `import gradio`", median(found["answered"]) / alone),
        Row("ratio of the usable window to `import gradio`", usable_ / alone),
    ]


def cold(browser: Browser, home: Path) -> dict[str, float]:
    """Seconds from the start of the process."""
    start = time.perf_counter()
    served = Served(home)
    context = browser.new_context()
    try:
        told = time.perf_counter() - start
        health = served.address.split("/?")[0] + "/healthz"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(health) as answer:
            answer.read()
        page = context.new_page()
        page.goto(served.address, wait_until="commit")
        answered = time.perf_counter() - start
        usable(page)
        return {"told": told, "answered": answered, "usable": time.perf_counter() - start}
    finally:
        context.close()
        served.stop()


PARTS = {
    "a": (f"the app's processor time, an answer at {RATE} tokens a second", streaming),
    "b": ("opening a conversation", opening),
    "c": ("search and list", searching),
    "d": ("cold start", starting),
    "e": ("the promise of a first word", promising),
}

if __name__ == "__main__":
    main()
