"""Whether the first word comes when the composer said it would: its promise beside a clock.

Knows: where the window tells both. Does not know: how either comes about.
The real app with the demo model, whose speed it learns from a first question, as on anybody's computer.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

from bench_table import Row
from bench_window import Served, usable
from playwright.sync_api import Browser, Page

WORDS = (500, 1500, 3000)  # of the messages; the first one teaches
DEMO = [sys.executable, "-m", "app", "serve", "--model", "demo", "--no-open", "--port", "0"]
TOLD = re.compile(r"first word in about (\d+) (s|min)")


def promising(browser: Browser, home: Path, sizes: Any) -> list[Row]:
    """sizes: of bench_ui; the smallest asks two short questions."""
    lengths = WORDS if sizes.rounds > 1 else (100, 120)
    served = Served(home, DEMO)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        page.set_default_timeout(240_000)
        page.goto(served.address)
        usable(page)
        return [row for n, words in enumerate(lengths) for row in asked(page, words, teaches=n == 0)]
    finally:
        context.close()
        served.stop()


def asked(page: Page, words: int, teaches: bool) -> list[Row]:
    page.click("#new-chat")
    page.wait_for_function("!document.querySelector('.message-row')")
    meter = page.locator("#meter")
    before = meter.text_content()
    page.fill("#box textarea", " ".join(f"red{n % 7} circle" for n in range(words // 2)))
    page.wait_for_function("(old) => document.querySelector('#meter').textContent !== old", arg=before)
    told = "" if teaches else meter.get_by_text("first word in about").inner_text()
    start = time.perf_counter()
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#latest .bot-row')?.textContent.trim()")
    took = time.perf_counter() - start
    page.locator("#box .stop-button, #box .submit-button").first.wait_for()
    page.keyboard.press("Escape")
    page.locator("#latest .bot-row .act.copy").wait_for()
    found = TOLD.search(told)
    if not found:
        return []
    promised = int(found[1]) * (60 if found[2] == "min" else 1)
    return [
        Row(f"{words} words: promised, s (whole seconds, 1 at least)", promised),
        Row(f"{words} words: the first word is painted after, s", took),
        Row(f"{words} words: ratio (0.5 to 2)", took / promised),
    ]
