"""The sidebar in a real Chromium: names, pins, folders, the trash, search, keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from app.store import Part, Store

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
TALKS = {
    "The red invoice": ("What is the total?", "The total is 800 euros."),
    "发票总额": ("总额是多少", "人民币八百元"),
    "<img src=x onerror=window.pwned=1>": ("${window.pwned=2}", "{{window.pwned=3}}"),
}


@pytest.fixture
def page(app: Any, open_page: Open) -> Iterator[Page]:
    """A window on a home with three conversations."""
    store = Store(app.home / "glmchat.db")
    for title, (question, answer) in TALKS.items():
        begun = store.begin_turn(None, title, (Part("text", question),))
        store.finish(begun.answer_id, (Part("text", answer),), "complete", "stop")
    store.set_setting("last_conversation", begun.conversation_id)
    store.close()
    page = open_page(app.start())
    yield page
    assert page.evaluate("window.pwned") is None


def titles(page: Page) -> Locator:
    return page.locator(".conv .title")


def menu(page: Page, title: str, entry: str) -> None:
    line = page.locator(".conv", has_text=title)
    line.hover()
    line.locator(".more").click()
    page.get_by_role("menuitem", name=entry, exact=True).click()


def test_a_name_is_changed_in_place(page: Page) -> None:
    menu(page, "The red invoice", "Rename")
    field = page.locator(".conv .field")
    expect(field).to_be_focused()
    field.fill("  Invoice <b>March</b> ")
    field.press("Enter")
    expect(titles(page).last).to_have_text("Invoice <b>March</b>")
    page.locator(".conv .open", has_text="Invoice").focus()
    page.keyboard.press("F2")
    page.locator(".conv .field").press("Escape")
    expect(titles(page).last).to_have_text("Invoice <b>March</b>")
    page.reload()
    expect(titles(page).last).to_have_text("Invoice <b>March</b>")


def test_the_name_of_the_open_conversation_changes_in_the_header(page: Page) -> None:
    page.locator(".conv .open", has_text="invoice").click()
    expect(page.locator("#top h1")).to_have_text("The red invoice")
    menu(page, "The red invoice", "Rename")
    page.locator(".conv .field").fill("Blue")
    page.locator("#scroll").click()  # elsewhere: what is written is kept
    expect(page.locator("#top h1")).to_have_text("Blue")


def test_pins_and_folders_sort_the_list(page: Page) -> None:
    menu(page, "The red invoice", "Pin")
    expect(page.locator(".group").first).to_have_text("Pinned")
    expect(titles(page).first).to_have_text("The red invoice")
    menu(page, "发票总额", "New folder…")
    page.locator(".conv .field").fill("Work")
    page.keyboard.press("Enter")
    expect(page.locator(".group")).to_have_text(["Pinned", "Work", "Today"])
    menu(page, "<img", "Move to Work")
    expect(page.locator(".group")).to_have_text(["Pinned", "Work"])
    menu(page, "<img", "Take out of Work")
    menu(page, "The red invoice", "Unpin")
    expect(page.locator(".group")).to_have_text(["Work", "Today"])


def test_what_is_deleted_can_be_had_back(page: Page) -> None:
    expect(page.locator("#latest")).to_contain_text("{{window.pwned=3}}")
    menu(page, "<img", "Delete")  # the one that is open
    expect(page.get_by_text("What are we looking at?")).to_be_visible()
    expect(titles(page)).to_have_count(2)
    page.get_by_role("button", name="Undo").click()
    expect(titles(page)).to_have_count(3)
    menu(page, "发票总额", "Delete")
    expect(titles(page)).to_have_count(2)
    page.get_by_role("button", name="Trash (1)").click()
    expect(titles(page)).to_have_text(["发票总额"])
    page.get_by_role("button", name="Put back").click()
    expect(titles(page)).to_have_count(3)


def test_for_good_takes_two_clicks(page: Page, app: Any) -> None:
    menu(page, "发票总额", "Delete")
    page.get_by_role("button", name="Trash (1)").click()
    page.locator(".erase").click()
    expect(page.locator(".erase")).to_have_text("For good?")
    page.locator(".erase").click()
    expect(titles(page)).to_have_count(2)
    expect(page.locator(".bin")).to_have_count(0)


def test_search_finds_words_in_messages_and_shows_them(page: Page) -> None:
    page.keyboard.press("ControlOrMeta+k")
    search = page.get_by_role("searchbox", name="Search conversations")
    expect(search).to_be_focused()
    page.keyboard.type("euro")
    expect(titles(page)).to_have_text(["The red invoice"])
    expect(page.locator(".conv mark")).to_have_text("euro")
    search.fill("八百")
    expect(titles(page)).to_have_text(["发票总额"])
    page.keyboard.press("Enter")
    expect(page.locator("#top h1")).to_have_text("发票总额")
    expect(titles(page)).to_have_count(1)  # what was found stays until it is given up
    search.fill("zebra")
    expect(page.get_by_text("Nothing found.")).to_be_visible()
    search.press("Escape")
    expect(titles(page)).to_have_count(3)


def test_the_same_words_are_found_again(page: Page) -> None:
    search = page.get_by_role("searchbox", name="Search conversations")
    for _ in range(3):
        search.fill("euro")
        expect(titles(page)).to_have_text(["The red invoice"])
        search.fill("")
        expect(page.locator(".conv mark")).to_have_count(0)


def test_what_is_typed_during_a_search_is_looked_for_next(page: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "zebra" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/queue/join*", hold)
    search = page.get_by_role("searchbox", name="Search conversations")
    with page.expect_request(lambda request: "zebra" in (request.post_data or "")):
        search.fill("zebra")
    with page.expect_request(lambda request: "euros" in (request.post_data or "")):
        search.fill("euros")
    held[0].continue_()
    expect(titles(page)).to_have_text(["The red invoice"])


@pytest.mark.parametrize("key", ["ControlOrMeta+Shift+o"])
def test_a_key_begins_a_new_chat(page: Page, key: str) -> None:
    expect(page.locator("#latest")).to_contain_text("{{window.pwned=3}}")
    page.keyboard.press(key)
    expect(page.get_by_text("What are we looking at?")).to_be_visible()
    expect(page.locator("#box textarea")).to_be_focused()


def test_the_menu_is_used_by_keys_alone(page: Page) -> None:
    page.locator(".conv .more").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Pin")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
