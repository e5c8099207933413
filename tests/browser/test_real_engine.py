"""The whole way once: window, jobs, store, worker process, the demo model."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_process import App
from asking import ROOT
from playwright.sync_api import Page, expect

# The answer's words without the reasoning, which may still be folding when the answer ends.
ANSWER = """() => [...document.querySelectorAll('#latest .bot-row .md')]
  .filter(part => !part.closest('.thought-group')).map(part => part.innerText).join('\\n')"""

SCENE = ROOT / "assets" / "examples" / "scene.png"

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_picture_asked_about_through_everything(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    command: list[Any] = [sys.executable, "-m", "app", "serve", "--model", "demo", "--no-open", "--port"]
    app = App(tmp_path / "home", command)
    try:
        page = open_page(app.start())
        page.set_input_files("#box input[type=file]", SCENE)
        expect(page.locator(".chip")).to_be_visible()
        page.locator("#thinking input").uncheck()
        page.fill("#box textarea", "What is in the picture?")
        page.keyboard.press("Enter")
        expect(page.locator("#latest .bot-row")).to_be_visible(timeout=120_000)
        expect(page.locator("#box .submit-button")).to_be_visible(timeout=60_000)
        said = page.evaluate(ANSWER)
        assert "large red circle at the top left" in said  # as the picture shows
        with sqlite3.connect(app.home / "glmchat.db", timeout=10) as db:
            (prompt_tokens,) = db.execute("select prompt_tokens from turns").fetchone()
            (status,) = db.execute("select status from messages where role = 'assistant'").fetchone()
        db.close()
        assert prompt_tokens > 48  # the picture alone is so many
        assert status == "complete"
        page.close()
        assert app.stop() == 0
        page = open_page(app.start())
        expect(page.locator("#latest .bot-row")).to_be_visible()
        assert page.evaluate(ANSWER) == said
        assert page.locator("#latest .user-row img").count() == 1
    finally:
        app.stop()
