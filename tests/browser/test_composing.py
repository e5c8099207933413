"""The composer in a real Chromium: what is attached, what it costs, how it is looked at, how it is sent."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from app_process import App
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from app.ui.examples import FOLDER
from app.ui.sizes import NEITHER

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
CLIP = FOLDER / "ball.webm"
DESK = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}
DARK_PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}

# What a person's Ctrl-V does: a real event that carries a real file.
PASTE = """(node, files) => {
  const carried = new DataTransfer(), bytes = (data) => Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  for (const [data, name, type] of files) carried.items.add(new File([bytes(data)], name, { type }));
  const how = { bubbles: true, cancelable: true, clipboardData: carried };
  node.dispatchEvent(new ClipboardEvent('paste', how)); }"""
PAINTED = """(video) => new Promise((done) => video.readyState >= 2 ? done(video.videoWidth)
  : video.addEventListener('loadeddata', () => done(video.videoWidth)))"""
SEEN = """(node) => {
  const box = node.getBoundingClientRect();
  const card = document.querySelector('#composer').getBoundingClientRect();
  return box.bottom <= card.bottom && box.top >= card.top && box.right <= card.right; }"""


def attach(page: Page, *files: Path) -> None:
    page.set_input_files("#box input[type=file]", files)


def chip(page: Page, name: str) -> Locator:
    return page.locator(".chip", has=page.get_by_text(name, exact=True))


def meter(page: Page) -> Locator:
    return page.locator(".meter p")


def type_(page: Page, words: str) -> None:
    page.locator("#box textarea").press_sequentially(words)


def answered(page: Page, words: str) -> None:
    expect(page.locator("#latest")).to_contain_text(words, timeout=30_000)
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=30_000)


def rows(app: Any, question: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(app.home / "glmchat.db", timeout=10)) as db:
        return [json.loads(value) for (value,) in db.execute(question)]


@pytest.mark.parametrize("view", [DESK, DARK_PHONE], ids=["desk", "dark-phone"])
def test_a_chip_tells_what_the_model_gets_of_each_file(
    app: Any, open_page: Open, picture: Path, view: dict[str, Any]
) -> None:
    page = open_page(app.start(), **view)
    attach(page, picture, CLIP)
    photo, film = chip(page, "three shapes.png"), chip(page, "ball.webm")
    # the sizes are the scripted engine's
    expect(photo).to_contain_text("1280 × 960 → 280 × 280shrunk")
    expect(photo).to_contain_text("100 tokens")
    expect(film).to_contain_text("2,400 tokens · 1:00 · 120 frames · 2 a second")
    image = photo.locator("img")
    assert image.evaluate("async (img) => { await img.decode(); return img.naturalWidth; }") == 640
    assert image.evaluate("(img) => getComputedStyle(img).objectFit") == "contain"
    assert film.locator("video").evaluate(PAINTED) > 0  # its first frame, drawn by the browser
    assert photo.get_by_role("button", name="Remove three shapes.png").evaluate(SEEN)
    expect(page.locator("#box .upload-button")).to_be_visible()
    expect(page.locator("#box .thumbnail-item").first).to_be_hidden()  # Gradio's own
    assert page.evaluate("document.documentElement.scrollWidth") == view["viewport"]["width"]


def test_a_file_is_taken_off_by_its_own_button(app: Any, open_page: Open, picture: Path) -> None:
    page = open_page(app.start())
    attach(page, picture, CLIP)
    expect(page.locator(".chip")).to_have_count(2)
    page.get_by_role("button", name="Remove three shapes.png").click()
    expect(page.locator(".chip")).to_have_count(1)
    expect(meter(page)).to_contain_text("This message: 2,400 tokens")
    page.keyboard.type("quick")  # the field has the keys again
    page.keyboard.press("Enter")
    answered(page, "I saw 1 files in 1 turns.")
    expect(page.locator(".chip")).to_have_count(0)
    assert [row["name"] for row in rows(app, "select data from parts where sha256 is not null")] == [
        "ball.webm"
    ]


def test_a_file_that_cannot_be_used_says_why_before_it_is_sent(
    app: Any, open_page: Open, picture: Path
) -> None:
    page = open_page(app.start())
    name = "${window.pwned='name'} <img src=x onerror=window.pwned='tag'>.svgz"
    page.set_input_files(
        "#box input[type=file]", {"name": name, "mimeType": "image/svg+xml", "buffer": b"\x1f\x8b packed"}
    )
    expect(page.locator(".chip .problem")).to_have_text(NEITHER)
    attach(page, picture)
    expect(chip(page, "three shapes.png")).to_contain_text("100 tokens")  # the others are told all the same
    expect(meter(page)).to_contain_text("This message: 100 tokens")
    assert page.evaluate("window.pwned") is None


def test_the_meter_follows_what_is_typed(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    type_(page, "one two three")
    expect(meter(page)).to_have_text(
        "This message: 6 tokens; the conversation then fills less than 1 % of 65,536"
    )
    type_(page, " four")
    expect(meter(page)).to_contain_text("This message: 8 tokens")
    expect(page.locator("#fine")).to_be_hidden()
    page.locator("#box textarea").fill("")
    expect(page.locator("#meter")).to_be_hidden()
    expect(page.locator("#fine")).to_be_visible()
    page.locator("#box textarea").fill("word " * 33_000)
    expect(page.get_by_role("alert")).to_contain_text(
        "This does not fit: 66,000 tokens, 465 too many of 65,536. What helps: a shorter message."
    )


def test_sending_waits_for_no_measure_and_the_first_word_is_foretold_then(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    page.fill("#box textarea", "watch this")
    page.keyboard.press("Enter")  # at once: nothing is measured yet
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=30_000)
    expect(page.locator("#latest .bot-row").last).to_be_visible(timeout=30_000)
    expect(page.locator("#meter")).to_be_hidden()
    type_(page, "and now?")
    expect(meter(page)).to_contain_text("first word in about 1 s", timeout=20_000)
    page.fill("#box textarea", "word " * 32_764)  # with what was said before it is too much, alone it fits
    expect(meter(page)).to_contain_text("What helps: a new chat", timeout=20_000)
    page.click("#new-chat")
    expect(meter(page)).to_contain_text("fills 99 %", timeout=20_000)


def test_options_hold_here_in_the_settings_and_for_the_answer(
    app: Any, open_page: Open, picture: Path
) -> None:
    page = open_page(app.start())
    page.get_by_role("button", name="Options").click()
    options = page.get_by_role("dialog", name="Options")
    expect(options).to_contain_text("at most 256 tokens a picture")
    options.get_by_label("Low").check()
    options.get_by_label("Thinking budget").select_option("4,000 tokens")
    page.keyboard.press("Escape")
    expect(options).to_be_hidden()
    expect(page.get_by_role("button", name="Options")).to_have_class("options-button changed")
    page.keyboard.press("ControlOrMeta+,")
    expect(page.get_by_label("Picture detail")).to_have_value("low")
    expect(page.get_by_label("Thinking budget")).to_have_value("4000")
    page.get_by_label("Picture detail").select_option("medium")
    expect(page.get_by_text("Kept. It holds")).to_be_visible()
    page.keyboard.press("Escape")
    attach(page, picture)
    page.get_by_role("button", name="Options").click()
    expect(options.get_by_label("Medium")).to_be_checked()
    expect(options.locator(".detail", has_text="Full")).to_contain_text("280 × 280 · 100 tokens")
    options.get_by_label("Thinking budget").select_option("My own number…")
    options.get_by_label("Tokens of thinking").fill("777")
    page.locator("#box textarea").click()  # a click outside closes it; what was typed holds
    expect(options).to_be_hidden()
    type_(page, "quick")
    expect(meter(page)).to_contain_text("102 tokens")
    page.keyboard.press("Enter")
    answered(page, "I saw 1 files in 1 turns.")
    (asked,) = rows(app, "select options from turns")
    assert (asked["detail"], asked["thinking_budget"]) == ("medium", 777)
    page.get_by_role("button", name="Options").click()
    options.get_by_label("Full").check()
    page.keyboard.press("Escape")
    page.locator("#latest").get_by_role("button", name="Answer again").click()
    expect(page.locator("#latest .bot-row .variants")).to_have_text("2/2", timeout=30_000)
    assert [row.get("detail") for row in rows(app, "select options from turns")] == ["medium", None]


def test_a_video_is_looked_at_as_it_was_chosen_and_an_edit_keeps_that(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    attach(page, CLIP)
    film = chip(page, "ball.webm")
    expect(film).to_contain_text("2 a second")
    page.get_by_role("button", name="Options").click()
    group = page.get_by_role("group", name="ball.webm")
    group.get_by_label("Frames").select_option("1 a second")
    group.get_by_label("From").fill("0:30")
    group.get_by_label("to", exact=True).fill("0:20")
    expect(film).to_contain_text("The range ends at 0:20, which is not after 0:30.")
    page.keyboard.press("Escape")
    type_(page, "quick")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("ball.webm: The range ends at 0:20", timeout=20_000)
    page.get_by_role("button", name="Options").click()
    expect(group.get_by_label("From")).to_have_value("0:30")
    group.get_by_label("to", exact=True).fill("46")
    expect(film).to_contain_text("0:30–0:46 / 1:00 · 16 frames · 1 a second")
    page.locator("#box textarea").click()
    page.keyboard.press("Enter")
    answered(page, "I saw 1 files in 1 turns.")
    page.locator("#box textarea").press("ArrowUp")
    field = page.get_by_role("textbox", name="Edit the question")
    field.fill("quick again")
    field.press("Enter")
    answered(page, "I saw 1 files in 1 turns.")
    expect(page.locator("#latest")).to_contain_text("quick again")
    kept = rows(app, "select data from parts where sha256 is not null")
    assert [(row["fps"], row["start"], row["end"]) for row in kept] == [(1.0, 30.0, 46.0)] * 2


@pytest.mark.parametrize("on", ["#box textarea", "body"])
def test_a_picture_is_pasted_from_the_clipboard(app: Any, open_page: Open, picture: Path, on: str) -> None:
    page = open_page(app.start())
    photo = [base64.b64encode(picture.read_bytes()).decode(), "pasted.png", "image/png"]
    page.eval_on_selector(on, PASTE, [photo])
    expect(chip(page, "pasted.png")).to_contain_text("100 tokens")
    expect(page.locator(".chip")).to_have_count(1)
    film = [base64.b64encode(CLIP.read_bytes()).decode(), "pasted.webm", "video/webm"]
    page.eval_on_selector(on, PASTE, [film])
    expect(chip(page, "pasted.webm")).to_contain_text("120 frames")
    page.get_by_role("button", name="Remove pasted.webm").click()
    expect(page.locator(".chip")).to_have_count(1)
    type_(page, "quick")
    page.keyboard.press("Enter")
    answered(page, "I saw 1 files in 1 turns.")


def test_enter_sends_and_shift_enter_breaks_the_line(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    type_(page, "quick one")
    page.keyboard.press("Shift+Enter")
    type_(page, "two")
    expect(page.locator("#box textarea")).to_have_value("quick one\ntwo")
    expect(page.locator("#latest .message-row")).to_have_count(0)
    page.keyboard.press("Enter")
    answered(page, "I saw 0 files in 1 turns.")
    expect(page.locator("#latest .user-row")).to_contain_text("quick one")
    expect(page.locator("#box textarea")).to_have_value("")


def test_with_the_real_model_sizes_are_true_and_a_damaged_file_is_told(
    tmp_path: Path, open_page: Open
) -> None:
    photo, broken = tmp_path / "photo.jpg", tmp_path / "broken.jpg"
    Image.new("RGB", (4032, 3024), "#3b82f6").save(photo)
    broken.write_bytes(photo.read_bytes()[:3000])
    command: list[Any] = [sys.executable, "-m", "app", "serve", "--model", "demo", "--no-open", "--port"]
    app = App(tmp_path / "home", command)
    try:
        page = open_page(app.start())
        attach(page, photo, broken)
        told = chip(page, "photo.jpg").locator(".told")
        expect(told.first).to_have_text(re.compile(r"4032\s×\s3024 → \d+\s×\s\d+shrunk"), timeout=60_000)
        expect(chip(page, "broken.jpg")).to_contain_text("the picture is damaged or cut off")
        width, height = (int(side) for side in re.findall(r"\d+", told.first.inner_text())[2:])
        expect(told.last).to_have_text(f"{width * height // 28**2:,} tokens")  # one per 28 x 28 pixels
        page.get_by_role("button", name="Options").click()
        options = page.get_by_role("dialog", name="Options")
        options.get_by_label("Low").check()
        expect(told.last).to_have_text(re.compile(r"^2\d\d tokens$"))  # at most 256
    finally:
        app.stop()
