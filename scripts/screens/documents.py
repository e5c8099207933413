"""The pictures of documents and models: a quotation on its page, a table out of invoices, memory.

Knows: which states are shown, in which theme. The words of the answers are a script's (scripted.py).
Does not know: how the window works.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from .camera import SOON, page, running, save
from .printed import BILLS, invoices, lease

SCRIPTED = Path(__file__).resolve().parent / "scripted.py"
THEMES = ("light", "dark")
QUESTION = "When does the lease end, and can I leave earlier?"
COLUMNS = "supplier, date (date), total (number), due (date)"
MAC, MODEL = 64, "GLM-4.5V, 3 bits"  # GiB; with the longest conversation the model would not fit
LOW = {"width": 1280, "height": 640}  # a table of six rows leaves the rest of a desk empty


def viewer(browser: Browser) -> None:
    with tempfile.TemporaryDirectory() as folder, running([sys.executable, SCRIPTED]) as app:
        file = lease(browser, Path(folder))
        for theme in THEMES:
            with page(browser, app.link(), theme) as shown:
                if theme == THEMES[0]:
                    _ask(shown, file)
                shown.locator("#latest a[data-quote]").nth(2).click(timeout=SOON)
                expect(shown.locator(".viewer i.mark").first).to_be_visible(timeout=SOON)
                save(shown, f"viewer-{theme}")


def _ask(shown: Page, file: Path) -> None:
    shown.set_input_files("#box input[type=file]", file)
    expect(shown.locator(".chip")).to_contain_text("2 pages", timeout=SOON)
    shown.locator("#box textarea").fill(QUESTION)
    shown.keyboard.press("Enter")
    expect(shown.locator("#latest a[data-quote]")).to_have_count(3, timeout=SOON)
    expect(shown.locator("#latest .acts").last).to_be_visible(timeout=SOON)


def tables(browser: Browser) -> None:
    with tempfile.TemporaryDirectory() as folder, running([sys.executable, SCRIPTED]) as app:
        files = invoices(browser, Path(folder))
        for theme in THEMES:
            with page(browser, app.link(), theme, LOW) as shown:
                shown.click("[data-do=sidebar]")
                shown.click("[data-do=tables]")
                if theme == THEMES[0]:
                    _fill(shown, files)
                else:
                    shown.locator(".tables .open").click()
                shown.locator(".tables td.number.missing").click(timeout=SOON)
                shown.get_by_role("button", name="Show the page").click()
                expect(shown.locator(".viewer .sheet img")).to_be_visible(timeout=SOON)
                save(shown, f"tables-{theme}")


def _fill(shown: Page, files: list[Path]) -> None:
    shown.fill(".tables textarea", COLUMNS)
    shown.set_input_files(".tables .drop input", files)
    expect(shown.locator(".tables .picked li")).to_have_count(len(BILLS))
    shown.click(".tables .main")
    expect(shown.get_by_role("button", name="Delete")).to_be_visible(timeout=SOON)


def memory(browser: Browser) -> None:
    with running([sys.executable, SCRIPTED, "--mac", str(MAC)]) as app:
        for theme in THEMES:
            with page(browser, app.link(), theme) as shown:
                shown.locator("#top .model-name").click()
                model = shown.locator(".model", has_text=MODEL)
                model.get_by_role("button", name="Memory…").click(timeout=SOON)
                shorter = model.locator("[data-what=context] [data-value='8192']")
                shorter.click(timeout=SOON)
                expect(shorter).to_have_attribute("aria-pressed", "true", timeout=SOON)
                model.evaluate("(node) => node.scrollIntoView()")
                save(shown, f"memory-{theme}")
