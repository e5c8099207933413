"""Scanned pages in a real Chromium: written down at a click, and told apart wherever they are quoted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import papers
import pytest
from app_process import App
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TRANSCRIBING = Path(__file__).resolve().parent / "transcribing_app.py"
SOON = 90_000
Open = Callable[..., Page]


@pytest.fixture
def transcribing(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path / "home", [sys.executable, TRANSCRIBING])
    yield app
    app.stop()


def ask(page: Page, words: str, answers: int) -> None:
    page.locator("#box textarea").fill(words)
    page.keyboard.press("Enter")
    expect(page.locator(".chat .sources")).to_have_count(answers, timeout=SOON)
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=SOON)


def test_scanned_pages_are_written_down_and_quoted_as_such(
    transcribing: App, open_page: Open, tmp_path: Path
) -> None:
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(papers.scanned(*(f"Dues, page {n}" for n in range(1, 15))))
    page = open_page(transcribing.start())
    page.set_input_files("#box input[type=file]", scan)
    ask(page, "What is due?", 1)
    expect(page.locator(".sources").first).to_contain_text("not found in the documents")
    page.click("#top [data-do=documents]")
    shelf = page.locator("dialog.shelf")
    shelf.get_by_role("button", name="Transcribe 14 scanned pages").click(timeout=SOON)
    expect(shelf.get_by_text("of 14 scanned pages transcribed")).to_be_visible(timeout=SOON)
    expect(shelf.get_by_role("button", name="Stop")).to_be_visible()
    expect(shelf.get_by_text("scanned pages transcribed")).to_have_count(0, timeout=SOON)
    expect(shelf.get_by_role("button", name="Transcribe")).to_have_count(0)
    shelf.get_by_role("button", name="Done").click()
    ask(page, "And now?", 2)
    told = page.locator(".sources").last
    expect(told).to_contain_text("transcribed by the model: “every ship pays thirty crowns”")
    page.locator(".chat a[data-quote=transcribed]").last.click()
    viewer = page.locator("dialog.viewer")
    expect(viewer).to_contain_text("what the model wrote down of this page", timeout=SOON)
