"""A document dropped into the chat: read, quoted, and under the answer what was read and what was proven."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from app_process import App
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

QUOTING = Path(__file__).resolve().parent / "quoting_app.py"
Open = Callable[..., Page]


@pytest.fixture
def quoting(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path / "home", [sys.executable, QUOTING])
    yield app
    app.stop()


def test_an_answer_shows_what_it_read_and_what_it_proved(
    quoting: App, open_page: Open, tmp_path: Path
) -> None:
    file = tmp_path / "Depths <img src=x onerror=window.pwned=1>.md"
    file.write_text("# Depths\n\nAt lowest water 2.1 metres remain over the sill.\n")
    page = open_page(quoting.start())
    page.set_input_files("#box input[type=file]", file)
    expect(page.locator(".chip")).to_contain_text("whole document, 1 of 1 page", timeout=60_000)
    page.locator("#box textarea").press_sequentially("How deep is it?")
    page.keyboard.press("Enter")
    latest = page.locator("#latest")
    expect(latest).to_contain_text("It is deep [1], or not [1?].", timeout=60_000)
    expect(latest).to_contain_text("whole document, 1 of 1 page")
    expect(latest).to_contain_text("[1] Depths img src=x onerror=window.pwned=1.md, Depths: “2.1 metres")
    expect(latest).to_contain_text("[1] not found in the documents: “<b>nine</b> metres are there”")
    assert "[[" not in latest.inner_text()
    assert page.evaluate("window.pwned") is None
    page.reload()
    expect(page.locator("#chat, #latest").last).to_contain_text("or not [1?]", timeout=30_000)
