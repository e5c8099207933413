"""A question, an answer, a quotation, a click: its page beside the chat, with the words marked."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import papers
import pytest
from app_process import App
from looks import LOOKS, sound
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

pytestmark = pytest.mark.browser

VIEWED = Path(__file__).resolve().parent / "viewed_app.py"
SOON = 90_000  # ms: a busy machine takes its time
Open = Callable[..., Page]
HOSTILE = "<img src=x onerror=window.pwned=1>"
SILL = "The sill of basin {} lies 2.{} metres under water"
ASK = f"quote 2: {SILL.format(2, 2)} | 1: nine fathoms <b>deep</b> it is | 4: the north crane lifts"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = App(tmp_path_factory.mktemp("viewed") / "home", [sys.executable, VIEWED])
    app.start()
    yield app
    app.stop()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    pages = [
        [f"Line {n} of page {page}" for n in range(40)] + [SILL.format(page, page)] for page in (1, 2, 3)
    ]
    (folder / "Harbour.pdf").write_bytes(papers.pdf(pages))
    (folder / "Cranes.md").write_text(
        f"# Cranes {HOSTILE}\n\nHere the nörth  crane lifts 40 tonnes. {HOSTILE}\n", "utf-8"
    )
    return [folder / "Harbour.pdf", folder / "Cranes.md"]


def window(asked: App, open_page: Open, files: list[Path], **look: Any) -> Page:
    """A page that shows the answer; asked by the first one."""
    page = open_page(asked.link(), **look)
    if not page.locator(".conv").count():
        page.set_input_files("#box input[type=file]", files)
        expect(page.locator(".chip")).to_have_count(2, timeout=SOON)
        page.locator("#box textarea").fill(ASK)
        page.keyboard.press("Enter")
    expect(page.locator("#latest a[data-quote]")).to_have_count(3, timeout=SOON)
    return page


def viewer(page: Page) -> Locator:
    return page.locator("dialog.viewer")


def yellow(of: Locator) -> float:
    """The share of marked pixels in what a place on the screen shows."""
    image = Image.open(io.BytesIO(of.screenshot())).convert("RGB")
    red, green, blue = np.moveaxis(np.asarray(image), 2, 0)
    marked = int(np.sum((red > 200) & (green > 180) & (blue < 160)))
    return marked / (image.width * image.height)


def test_a_click_on_a_quotation_shows_it_on_its_page(asked: App, open_page: Open, files: list[Path]) -> None:
    page = window(asked, open_page, files)
    latest, shown = page.locator("#latest"), viewer(page)
    expect(latest).to_contain_text("So it is [2]. So it is [1?]. So it is [4].")
    expect(latest.locator(".sources li")).to_have_count(5)
    latest.locator("a[data-quote]").first.click()
    mark = shown.locator("i.mark")
    expect(mark).to_have_count(1, timeout=SOON)
    expect(mark).to_be_in_viewport()
    assert yellow(mark) > 0.5
    dark = Image.open(io.BytesIO(mark.screenshot())).convert("L").histogram()[:110]
    assert sum(dark) > 50  # the letters under it
    expect(shown.locator("h2")).to_have_text("Harbour.pdf")
    expect(shown.locator(".number")).to_have_value("2")
    expect(shown.locator(".many")).to_have_text("of 3")
    expect(shown.locator(".note")).to_have_text("[2] These words are on this page.")
    box, chat = shown.bounding_box(), page.locator("#main").bounding_box()
    assert box is not None and chat is not None and chat["x"] + chat["width"] <= box["x"] + 1
    # the pages beside it, by key, by button and by number; the mark stays on its own page
    page.keyboard.press("ArrowRight")
    expect(shown.locator("img[alt='Page 3']")).to_be_visible(timeout=SOON)
    expect(shown.locator(".on")).to_be_disabled()
    expect(mark).to_have_count(0)
    expect(shown.locator(".note")).to_be_hidden()
    shown.locator(".back").click()
    expect(mark).to_have_count(1, timeout=SOON)
    shown.locator(".number").fill("999")
    page.keyboard.press("Enter")
    expect(shown.locator("img[alt='Page 3']")).to_be_visible(timeout=SOON)
    # larger, as text, and back
    narrow = shown.locator(".sheet").bounding_box()
    shown.get_by_text("100 %").click()
    expect(shown.get_by_text("Fit", exact=True)).to_be_visible()
    page.wait_for_function(
        "(width) => document.querySelector('.viewer .sheet').clientWidth > width", arg=narrow["width"]
    )
    shown.get_by_text("Text", exact=True).click()
    expect(shown.locator(".letters")).to_contain_text("Line 7 of page 3", timeout=SOON)
    with page.expect_download() as saving:
        shown.locator(".original").click()
    assert saving.value.suggested_filename == "Harbour.pdf"
    assert Path(saving.value.path()).read_bytes() == files[0].read_bytes()


def test_a_quotation_that_is_nowhere_shows_the_page_it_named(
    asked: App, open_page: Open, files: list[Path]
) -> None:
    page = window(asked, open_page, files)
    shown = viewer(page)
    page.locator("#latest .source", has_text="not found in the documents").click()
    expect(shown.locator("img[alt='Page 1']")).to_be_visible(timeout=SOON)
    expect(shown.locator(".note.missing")).to_contain_text("These words were not found in the documents.")
    expect(shown.locator(".note")).to_contain_text(
        "This is the page that the answer named. nine fathoms <b>deep</b> it is"
    )
    expect(shown.locator("i.mark, .note b + b")).to_have_count(0)


def test_words_are_looked_for_in_the_whole_document(asked: App, open_page: Open, files: list[Path]) -> None:
    page = window(asked, open_page, files)
    shown = viewer(page)
    page.get_by_role("button", name=re.compile("Harbour.pdf: whole document, 3 of 3 pages")).click()
    expect(shown.locator("img[alt='Page 1']")).to_be_visible(timeout=SOON)
    shown.locator(".find").click()
    page.keyboard.type("SÏLL of basin")
    expect(shown.locator(".hits li")).to_have_count(3, timeout=SOON)
    expect(shown.locator(".count")).to_have_text("Found 3 times on 3 pages.")
    expect(shown.locator(".hits mark").first).to_have_text("sill of basin")
    shown.locator(".hits button").nth(2).click()
    expect(shown.locator(".number")).to_have_value("3")
    expect(shown.locator("i.mark")).to_have_count(1, timeout=SOON)
    assert yellow(shown.locator("i.mark")) > 0.5
    shown.locator(".finder input").fill("nothing of the kind")
    expect(shown.locator(".count")).to_have_text("Not found in this document.", timeout=SOON)
    page.keyboard.press("Escape")
    expect(shown.locator(".finder")).to_be_hidden()
    expect(shown).to_be_visible()


def test_a_document_without_pictures_is_text_letter_by_letter(
    asked: App, open_page: Open, files: list[Path]
) -> None:
    page = window(asked, open_page, files)
    shown = viewer(page)
    page.locator("#latest a[data-quote]").nth(2).click()
    expect(shown.locator(".letters mark")).to_have_text("the nörth  crane lifts", timeout=SOON)
    expect(shown.locator(".letters")).to_contain_text(f"40 tonnes. {HOSTILE}")
    expect(shown.locator(".label")).to_contain_text(f"Cranes {HOSTILE}")
    assert yellow(shown.locator(".letters mark")) > 0.5
    assert shown.locator("img").count() == 0
    assert page.evaluate("window.pwned") is None


def test_the_keyboard_is_enough_and_gives_the_focus_back(
    asked: App, open_page: Open, files: list[Path]
) -> None:
    page = window(asked, open_page, files)
    shown, link = viewer(page), page.locator("#latest a[data-quote]").first
    expect(link).to_have_attribute("aria-label", "Show quotation 2 on its page")
    link.focus()
    page.keyboard.press("Space")
    expect(shown.locator("i.mark")).to_have_count(1, timeout=SOON)
    assert page.evaluate("document.activeElement.className").startswith("stage")
    page.keyboard.press("Control+f")
    expect(shown.locator(".finder input")).to_be_focused()
    page.keyboard.type("line 7")
    expect(shown.locator(".hits li")).to_have_count(3, timeout=SOON)
    page.keyboard.press("Enter")
    expect(shown.locator(".number")).to_have_value("1")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(shown).to_be_hidden()
    expect(link).to_be_focused()


@pytest.mark.parametrize("look", LOOKS)
def test_it_looks_right_light_and_dark_on_a_desk_and_on_a_phone(
    asked: App, open_page: Open, files: list[Path], look: str
) -> None:
    page = window(asked, open_page, files, **LOOKS[look])
    shown = viewer(page)
    page.locator("#latest .source").nth(2).click()
    expect(shown.locator("i.mark")).to_have_count(1, timeout=SOON)
    sound(page, f"viewer-{look}")
    shown.locator(".find").click()
    page.keyboard.type("line 3")
    expect(shown.locator(".hits li")).to_have_count(3, timeout=SOON)
    sound(page, f"viewer-search-{look}")
    if "phone" in look:
        page.keyboard.press("Escape")
        expect(shown.locator(".finder")).to_be_hidden()
        page.keyboard.press("Escape")
    else:
        shown.locator(".close").click()
    expect(shown).to_be_hidden()


def test_a_document_that_is_gone_says_so(asked: App, open_page: Open, files: list[Path]) -> None:
    page = window(asked, open_page, files)
    page.route(
        re.compile("/pages/"),
        lambda route: route.continue_(url=re.sub("[0-9a-f]{64}", "0" * 64, route.request.url)),
    )
    page.locator("#latest a[data-quote]").first.click()
    expect(viewer(page).locator(".told")).to_contain_text("This document is no longer here", timeout=SOON)
    expect(viewer(page).locator("h2")).to_have_text("Harbour.pdf")


def test_the_panel_is_in_chinese_and_the_document_is_not(
    asked: App, open_page: Open, files: list[Path]
) -> None:
    page = window(asked, open_page, files, locale="zh-CN")
    shown = viewer(page)
    page.locator("#latest a[data-quote]").first.click()
    expect(shown.locator(".note")).to_have_text("[2] 引文在此页上。", timeout=SOON)
    expect(page.locator("#latest .source").nth(2)).to_contain_text("Harbour.pdf, 第 2 页")
    expect(shown.locator(".back")).to_have_attribute("aria-label", "上一页")


def test_a_late_page_does_not_stand_under_another_name(
    asked: App, open_page: Open, files: list[Path]
) -> None:
    page = window(asked, open_page, files)
    held: list[Route] = []
    page.route(re.compile("/pages/[^/]+$"), lambda route: held.append(route))
    page.locator("#latest a[data-quote]").first.click()
    page.wait_for_function("document.querySelector('dialog.viewer')?.open")
    page.evaluate("glmchat.view({ document: '', title: 'Gone.pdf' })")
    expect(viewer(page).locator(".told")).to_contain_text("no longer here")
    with page.expect_response(re.compile("/pages/")):
        held[0].continue_()
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    expect(viewer(page).locator("h2")).to_have_text("Gone.pdf")
    expect(viewer(page).locator(".told")).to_contain_text("no longer here")


def test_late_marks_leave_the_page_where_it_is(asked: App, open_page: Open, files: list[Path]) -> None:
    page = window(asked, open_page, files)
    quotation = page.locator("#latest a[data-quote]").first
    quotation.click()
    mark, picture = viewer(page).locator("i.mark"), viewer(page).locator(".sheet img")
    expect(mark.first).to_be_visible(timeout=SOON)
    held: list[Route] = []
    page.route(re.compile("/marks"), lambda route: held.append(route))
    quotation.click()  # the page's picture is kept, so it is there at once
    expect(mark).to_have_count(0)
    page.evaluate(
        "new Promise((done) => setTimeout(done, 500))"
    )  # by then a slow picture would be waited for
    expect(picture).to_be_visible(timeout=1000)
    held[0].continue_()
    expect(mark.first).to_be_visible(timeout=SOON)
    expect(picture).to_be_visible()
