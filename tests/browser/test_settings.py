"""The settings window in a real Chromium: choices reach the engine, the look stays, a backup is made."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]


@pytest.fixture
def page(app: Any, open_page: Open) -> Page:
    page = open_page(app.start())
    page.keyboard.press("ControlOrMeta+,")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    return page


def options(app: Any) -> dict[str, Any]:
    """What the last answer was asked with."""
    with closing(sqlite3.connect(app.home / "glmchat.db")) as db:
        row = db.execute("select options from turns order by message_id desc limit 1").fetchone()
    return dict(json.loads(row[0]))


def test_choices_hold_from_the_next_answer_on(app: Any, page: Page) -> None:
    page.get_by_label("Sampling").select_option("My own")
    temperature = page.get_by_label("Temperature", exact=True)
    temperature.fill("0.25")
    temperature.press("Tab")
    expect(page.get_by_text("Kept. It holds")).to_be_visible()
    page.get_by_label("Picture detail").select_option("low")
    page.get_by_label("System prompt").fill("You see <b>everything</b>.")
    page.get_by_label("Thinking budget").focus()
    page.get_by_role("button", name="Done").click()
    page.fill("#box textarea", "hello")
    page.keyboard.press("Enter")
    expect(page.locator("#latest")).to_contain_text("I saw 0 files in 1 turns.", timeout=30_000)
    asked = options(app)
    assert (asked["preset"], asked["temperature"], asked["detail"]) == ("My own", 0.25, "low")
    assert asked["system"] == "You see <b>everything</b>."


def test_prompts_are_saved_by_name(page: Page) -> None:
    page.get_by_label("System prompt").fill("Answer in rhymes.")
    page.get_by_label("Name of the prompt").fill("Poet <i>")
    page.get_by_role("button", name="Save as").click()
    saved = page.get_by_label("Saved prompts")
    expect(saved.locator("option").last).to_have_text("Poet <i>")
    page.get_by_label("System prompt").fill("Something else.")
    page.get_by_label("Longest answer").focus()
    saved.select_option("Poet <i>")
    expect(page.get_by_label("System prompt")).to_have_value("Answer in rhymes.")
    page.get_by_label("Name of the prompt").fill("Poet <i>")
    page.get_by_role("button", name="Remove").click()
    expect(saved.locator("option")).to_have_count(1)


def test_theme_and_text_size_stay(page: Page) -> None:
    page.get_by_label("Theme").select_option("dark")
    expect(page.locator("html")).to_have_class(re.compile(r"\bdark\b"))
    page.get_by_label("Text size").select_option("Large")
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Settings")).to_be_hidden()
    page.reload()
    expect(page.locator("html")).to_have_class(re.compile(r"\bdark\b"))
    expect(page.locator("html")).to_have_css("--text", "17px")


def test_a_backup_is_made_and_listed(app: Any, page: Page) -> None:
    expect(page.get_by_text(str(app.home))).to_be_visible()
    page.get_by_role("button", name="Back up now").click()
    expect(page.get_by_text("Backed up as")).to_be_visible(timeout=30_000)
    expect(page.locator(".settings li", has_text="by-hand")).to_have_count(1)
    assert len(list((app.home / "backups").glob("*by-hand*.db"))) == 1
