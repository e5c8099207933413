"""The history as it grows, in a real Chromium: titles, thousands of lines, the trash, what was rescued."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.store import Part, Store
from app.store.whole import Node, Tree
from app.titles import SETTING

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
MANY = 2200


def store_of(app: Any) -> Store:
    return Store(app.home / "glmchat.db")


def tell(store: Store, title: str, at: float, folder: str | None = None) -> str:
    """A conversation of one exchange, last used then."""
    question = Node(None, "user", "complete", (Part("text", f"asked in {title}"),), at)
    answer = Node(0, "assistant", "complete", (Part("text", "said"),), at, reason="stop")
    return store.plant(Tree(title, at, at, 1, (question, answer), folder=folder))


def ask(page: Page, question: str) -> None:
    page.fill("#box textarea", question)
    page.keyboard.press("Enter")
    expect(page.locator("#latest")).to_contain_text("I saw 0 files", timeout=30_000)


def test_the_model_gives_a_title_and_the_page_shows_it(app: Any, open_page: Open) -> None:
    with closing(store_of(app)) as store:
        store.set_setting(SETTING, True)
    page = open_page(app.start())
    ask(page, "what is this about?")
    expect(page.locator("#top h1")).to_have_text("Titled by the model", timeout=30_000)
    expect(page.locator(".conv .title")).to_have_text(["Titled by the model"])
    expect(page.locator(".conv.active")).to_have_count(1)
    ask(page, "and now?")
    page.keyboard.press("ControlOrMeta+,")
    switch = page.get_by_label("Titles by the model")
    expect(switch).to_be_checked()
    switch.uncheck()
    expect(page.get_by_text("Kept.")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_text("What are we looking at?")).to_be_visible()
    ask(page, "something else")
    expect(page.locator(".conv .title").first).to_have_text("something else")
    expect(page.locator("#top h1")).to_have_text("something else")
    with closing(sqlite3.connect(app.home / "glmchat.db")) as db:
        titles = [title for (title,) in db.execute("select title from conversations order by created_at")]
    assert titles == ["Titled by the model", "something else"]


def test_thousands_of_conversations_can_be_reached(app: Any, open_page: Open) -> None:
    now = time.time()
    with closing(store_of(app)) as store:
        for n in range(MANY):
            tell(store, f"Talk {n}", now - n * 60, "Work" if n == MANY - 1 else None)
        store.pin(tell(store, "Pinned one", now - 10**6), True)
    page = open_page(app.start())
    lines = page.locator(".conv .title")
    expect(lines).to_have_count(500)
    expect(lines.first).to_have_text("Pinned one")
    until_there_are(page, 500, lambda: page.get_by_role("button", name=f"Show more ({MANY - 499:,})").click())
    until_there_are(page, 1500, lambda: page.locator(".older").click())
    assert page.locator(".older").count() == 0
    names = lines.all_text_contents()
    assert names[0] == "Pinned one" and names[1] == f"Talk {MANY - 1}" and len(set(names)) == MANY + 1
    assert names[2:] == [f"Talk {n}" for n in range(MANY - 1)]
    assert page.locator(".group").nth(1).text_content() == "Work"  # among thousands, in its folder
    # one far below is opened, renamed, thrown away and had back: the list stays as long as it was
    page.locator(".conv", has_text="Talk 2100").locator(".open").click()
    until(page, "document.querySelector('#latest').textContent.includes('asked in Talk 2100')")
    assert lines.count() == MANY + 1
    page.locator(".conv.active .open").press("F2")
    page.locator(".conv .field").fill("Found again")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.conv.active .title')?.textContent === 'Found again'")
    page.locator(".conv.active .more").click()
    page.get_by_role("menuitem", name="Delete", exact=True).click()
    until(page, f"document.querySelectorAll('.conv').length === {MANY}")
    page.locator(".undo button").click()
    until(page, f"document.querySelectorAll('.conv').length === {MANY + 1}")
    assert names[2102] == "Talk 2100" and lines.nth(2102).text_content() == "Found again"


def until(page: Page, state: str) -> None:
    """An `expect` would draw up the accessibility tree of thousands of lines while it waits: 30 s of that."""
    page.wait_for_function(f"() => {state}", timeout=30_000)


def until_there_are(page: Page, more_than: int, act: Callable[[], None]) -> None:
    act()
    until(page, f"document.querySelectorAll('.conv').length > {more_than}")


def test_the_trash_is_seen_and_emptied(app: Any, open_page: Open) -> None:
    with closing(store_of(app)) as store:
        tell(store, "The kept one", time.time())
        for title in ("One", "Two"):
            store.throw_away(tell(store, title, time.time()))
    page = open_page(app.start())
    page.get_by_role("button", name="Trash (2)").click()
    expect(page.locator(".conv .title")).to_have_text(["Two", "One"])
    expect(page.get_by_text("stays in the daily backups for a week")).to_be_visible()
    page.get_by_role("button", name="Empty the trash").click()
    expect(page.locator(".conv .title")).to_have_count(2)  # only the second click does it
    page.get_by_role("button", name="Delete all 2 for good?").click()
    expect(page.locator(".conv .title")).to_have_text(["The kept one"])
    expect(page.get_by_role("button", name="Trash")).to_have_count(0)


def test_what_was_rescued_is_told_until_it_was_read(app: Any, open_page: Open) -> None:
    with closing(store_of(app)) as store:
        tell(store, "Survivor", time.time())
    file = app.home / "glmchat.db"
    content = bytearray(file.read_bytes())
    content[100:4000] = b"\xff" * 3900
    file.write_bytes(content)
    page = open_page(app.start())
    notice = page.get_by_role("alert").filter(has_text="could not be read")
    expect(notice).to_contain_text("The damaged file was kept as")
    page.reload()
    expect(notice).to_be_visible(timeout=30_000)  # nobody has read it yet
    notice.get_by_role("button", name="I have read this").click()
    expect(notice).to_have_count(0)
    page.get_by_role("button", name="New chat").click()
    expect(notice).to_have_count(0)
    page.reload()
    page.wait_for_selector("html.loaded", state="attached")
    expect(notice).to_have_count(0)
