"""Boxes and points of an answer, drawn on the picture, in a real Chromium."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]


@pytest.fixture
def page(app: Any, open_page: Open, picture: Path) -> Page:
    """An answer that points at three places of a picture of 640 x 360."""
    page = open_page(app.start(), permissions=["clipboard-read", "clipboard-write"])
    page.set_input_files("#box input[type=file]", picture)
    expect(page.locator(".chip")).to_be_visible()
    page.fill("#box textarea", "point at the shapes")
    page.keyboard.press("Enter")
    expect(page.locator("#latest .places img")).to_be_visible(timeout=30_000)
    page.locator("#latest .places img").evaluate("(img) => img.decode()")
    return page


def test_places_are_where_the_model_says(page: Page) -> None:
    image = page.locator("#latest .places img").bounding_box()
    assert image is not None
    for number, (left, top, right, bottom) in enumerate([(421, 277, 673, 723), (93, 277, 345, 723)]):
        box = page.locator("#latest .places rect").nth(number).bounding_box()
        assert box is not None
        for edge, wanted in (
            (box["x"], image["x"] + left * image["width"] / 1000),
            (box["y"], image["y"] + top * image["height"] / 1000),
            (box["x"] + box["width"], image["x"] + right * image["width"] / 1000),
            (box["y"] + box["height"], image["y"] + bottom * image["height"] / 1000),
        ):
            assert abs(edge - wanted) <= 4  # half a line and the picture's border
    expect(page.locator("#latest .badge")).to_have_count(3)


def test_the_text_has_numbers_and_no_coordinates(page: Page) -> None:
    links = page.locator("#latest .message-content a[data-place]")
    expect(links).to_have_text(["1", "2", "3"])
    expect(page.locator("#latest .message-content").last).not_to_contain_text("421")
    address = page.url
    links.first.click()
    assert page.url == address
    links.first.hover()
    expect(page.locator("#latest .places rect").first).to_have_class("on")
    expect(page.locator("#latest .badge").first).to_contain_text("The blue square")
    assert page.evaluate("window.pwned") is None
    page.reload()
    expect(page.locator("#latest .badge")).to_have_count(3)


def test_marks_are_hidden_copied_and_saved(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="Hide marks").click()
    expect(page.locator("#latest .badge").first).to_be_hidden()
    page.get_by_role("button", name="Show marks").click()
    page.get_by_role("button", name="Copy JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert (copied["width"], copied["height"]) == (640, 360)
    assert copied["places"][0]["per_1000"] == [421, 277, 673, 723]
    assert copied["places"][0]["pixels"] == [269, 100, 431, 260]
    assert copied["places"][2]["pixels"] == [540, 120]
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save picture").click()
    assert saving.value.suggested_filename == "three shapes marked.png"
    saving.value.save_as(file := tmp_path / "marked.png")
    with Image.open(file) as image:
        assert image.size == (640, 360)
        assert image.convert("RGB").getpixel((350, 260)) == (209, 52, 56)  # the square's lower edge
