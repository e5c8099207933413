"""The pictures of the chat: the real app with the demo model, asked its own example questions.

Knows: which states are shown, at which size and in which theme.
Does not know: how the window works.
"""

from __future__ import annotations

import sys

from playwright.sync_api import Browser, Page, expect

from app.ui.examples import EXAMPLES

from .camera import PHONE, ROOT, page, running, save

POINTING, MOVING = "Where are all the circles?", "Which way does the ball move?"


def take(browser: Browser) -> None:
    command = [sys.executable, "-m", "app", "serve", "--model", "demo", "--no-open", "--port"]
    with running(list(command)) as app:
        with page(browser, app.link(), "light") as light:
            _answers(light)
            _before_sending(light)
        with page(browser, app.link(), "dark") as dark:
            _dark(dark)
        with page(browser, app.link(), "light", PHONE) as phone:
            expect(phone.locator("#latest .badge").first).to_be_visible()
            save(phone, "phone-light")


def _answers(light: Page) -> None:
    save(light, "welcome-light")
    for example in reversed(EXAMPLES):
        _ask(light, example.question)
    save(light, "answer-light")
    _open(light, POINTING)
    expect(light.locator("#latest .badge").first).to_be_visible()
    save(light, "places-light")
    light.keyboard.press("Control+k")
    light.keyboard.type("circle")
    expect(light.locator(".conv mark").first).to_be_visible()
    save(light, "search-light")
    light.keyboard.press("Escape")


def _before_sending(light: Page) -> None:
    light.locator("#new-chat").click()
    _attach(light, "scene.png", "ball.webm")
    light.locator("#box textarea").fill("Is the ball as large as the star?")
    expect(light.locator(".chip").last).to_contain_text("tokens")
    light.locator(".options-button").click()
    expect(light.locator(".options")).to_be_visible()
    save(light, "composer-light")


def _dark(dark: Page) -> None:
    _open(dark, POINTING)
    expect(dark.locator("#latest .badge").first).to_be_visible()
    save(dark, "places-dark")
    dark.locator("[data-do=settings]").click()
    expect(dark.locator(".settings h3").first).to_be_visible()
    save(dark, "settings-dark")
    dark.keyboard.press("Escape")
    _open(dark, MOVING)
    dark.get_by_role("button", name="What the model saw").last.click()
    expect(dark.locator("#latest .saw canvas").first).to_be_visible()
    dark.locator("#latest .saw").last.scroll_into_view_if_needed()
    dark.wait_for_timeout(2000)  # the moments are drawn one after the other
    save(dark, "saw-dark")
    _open(dark, POINTING)  # what was looked at last is what the next page shows


def _ask(shown: Page, question: str) -> None:
    """By its card, in a new chat; back when the answer is there."""
    shown.locator("#new-chat").click()
    shown.locator(".example", has_text=question).click()
    expect(shown.locator("#latest .acts").last).to_be_visible(timeout=120_000)
    expect(shown.locator("#box .submit-button")).to_be_visible(timeout=60_000)


def _attach(shown: Page, *names: str) -> None:
    shown.set_input_files("#box input[type=file]", [ROOT / "assets" / "examples" / name for name in names])
    expect(shown.locator(".chip")).to_have_count(len(names))


def _open(shown: Page, title: str) -> None:
    shown.locator(".conv .open", has_text=title).click()
    expect(shown.locator("#top h1")).to_have_text(title)
