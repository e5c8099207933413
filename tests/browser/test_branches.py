"""Edit, answer again, go on, and the variants they leave, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]


def send(page: Page, text: str) -> None:
    page.fill("#box textarea", text)
    page.keyboard.press("Enter")


def latest(page: Page) -> Locator:
    return page.locator("#latest")


def answered(page: Page, words: str) -> None:
    expect(latest(page)).to_contain_text(words, timeout=30_000)
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=30_000)


def test_an_edited_question_is_answered_anew_and_the_old_one_stays(
    app: Any, open_page: Open, picture: Path
) -> None:
    page = open_page(app.start())
    page.set_input_files("#box input[type=file]", picture)
    expect(page.locator(".chip")).to_be_visible()
    send(page, "quick first")
    answered(page, "I saw 1 files in 1 turns.")
    latest(page).locator(".user-row").hover()
    latest(page).get_by_role("button", name="Edit").click()
    field = page.get_by_role("textbox", name="Edit the question")
    expect(field).to_have_value("quick first")
    field.fill("quick second")
    field.press("Enter")
    answered(page, "I saw 1 files in 1 turns.")  # the picture came along
    expect(latest(page)).to_contain_text("quick second")
    expect(latest(page)).not_to_contain_text("quick first")
    variants = latest(page).locator(".user-row .variants")
    expect(variants).to_have_text("2/2")
    variants.get_by_role("button", name="Earlier variant").click()
    expect(latest(page)).to_contain_text("quick first")
    expect(variants).to_have_text("1/2")
    page.reload()
    expect(latest(page)).to_contain_text("quick first")


def test_an_answer_is_given_again_and_both_stay(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "quick")
    answered(page, "I saw 0 files")
    latest(page).get_by_role("button", name="Answer again").click()
    variants = latest(page).locator(".bot-row .variants")
    expect(variants).to_have_text("2/2", timeout=30_000)
    send(page, "quick and then")
    answered(page, "in 2 turns.")
    earlier = page.locator("#earlier .bot-row .variants")
    earlier.get_by_role("button", name="Earlier variant").click()
    expect(page.locator("#earlier .message-row")).to_have_count(0)  # what followed belongs to the other one
    expect(latest(page)).not_to_contain_text("and then")
    latest(page).locator(".bot-row").get_by_role("button", name="Later variant").click()
    expect(latest(page)).to_contain_text("and then")


def test_a_stopped_answer_goes_on_where_it_was(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "long, on and on")
    expect(latest(page)).to_contain_text("word5", timeout=20_000)
    page.keyboard.press("Escape")
    expect(latest(page)).to_contain_text("You stopped this answer.", timeout=20_000)
    latest(page).get_by_role("button", name="Go on").click()
    answered(page, "And here is the rest.")
    expect(latest(page)).to_contain_text("word5")
    expect(latest(page)).not_to_contain_text("You stopped this answer.")
    expect(latest(page).get_by_role("button", name="Go on")).to_have_count(0)
    expect(latest(page).locator(".variants")).to_have_count(0)


def test_up_edits_the_last_question_and_escape_leaves_it(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "quick <b>one</b>")
    answered(page, "I saw 0 files")
    page.locator("#box textarea").focus()
    page.keyboard.press("ArrowUp")
    field = page.get_by_role("textbox", name="Edit the question")
    expect(field).to_have_value("quick <b>one</b>")
    field.press("Escape")
    expect(field).to_have_count(0)
    expect(page.locator("#box textarea")).to_be_focused()


def test_the_buttons_can_be_seen(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "quick")
    answered(page, "I saw 0 files")
    bar = latest(page).locator(".bot-row .acts")
    expect(bar).to_be_visible()
    expect(bar).to_have_css("opacity", "1")
    expect(bar.locator(".cost")).to_have_count(0)  # the script tells no figures
    latest(page).locator(".user-row").hover()
    expect(latest(page).locator(".user-row .acts")).to_have_css("opacity", "1")


def test_an_answer_is_copied_as_it_was_written(app: Any, open_page: Open) -> None:
    page = open_page(app.start(), permissions=["clipboard-read", "clipboard-write"])
    send(page, "quick")
    answered(page, "I saw 0 files")
    latest(page).get_by_role("button", name="Copy the answer").click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('**0 files**')")
