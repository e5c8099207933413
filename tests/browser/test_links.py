"""Links and pictures that an answer writes: a click stays wanted, and nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]


@pytest.fixture
def page(app: Any, open_page: Open) -> Page:
    link = app.start()
    page = open_page(link)
    page.fill("#box textarea", f"links {link.split('?')[0]}healthz?from=answer")
    page.keyboard.press("Enter")
    expect(page.locator("#latest")).to_contain_text("the end", timeout=30_000)
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=30_000)
    return page


@pytest.mark.parametrize("name", ["docs", "bare"])
def test_a_link_opens_beside_the_app_and_says_where_it_leads(page: Page, name: str) -> None:
    before, link = page.url, page.locator("#latest").get_by_role("link", name=name)
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    assert (link.get_attribute("title") or "").endswith("/healthz?from=answer")
    with page.expect_popup() as opened:
        link.click()
    opened.value.wait_for_load_state()
    assert opened.value.url.endswith("/healthz?from=answer")
    assert opened.value.evaluate("[window.opener, document.referrer]") == [None, ""]
    assert page.url == before


def test_a_link_within_the_page_leads_nowhere(page: Page) -> None:
    before = page.url
    page.get_by_role("link", name="here").click()
    assert page.url == before


def test_what_would_be_loaded_is_an_address_in_words(page: Page) -> None:
    words = page.locator("#latest .not-loaded")
    expect(words).to_have_text(
        ["Not loaded: a cat, http://127.0.0.1:9/cat.png?who=me", "Not loaded: http://127.0.0.1:9/v.mp4"]
    )
    expect(words.first).to_be_visible()
    assert page.locator("#latest .bot-row :is(video, img:not([src^='data:']))").count() == 0
    page.reload()
    expect(words).to_have_count(2, timeout=20_000)
