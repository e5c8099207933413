"""The window while the demo model answers: it says so, and five questions can be asked at a click."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from app.ui.examples import EXAMPLES, FOLDER, Example

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]

LINE = "Demo model: knows coloured shapes, short words and short clips. Choose a model to talk to GLM-4.5V"
UNABLE = "The demo model cannot read documents. Choose a model to ask about them."
LOADED = "async (image) => { await image.decode(); return image.naturalWidth; }"
PLAYED = """async (video) => { video.muted = true; await video.play();
  await new Promise((done) => video.addEventListener('ended', done)); return video.currentTime; }"""


# Looks at every frame that is painted, from the first one on.
WATCH = """(function look() {
  window.flashed ||= !!document.querySelector('.example')?.checkVisibility({ visibilityProperty: true });
  requestAnimationFrame(look); })()"""


@pytest.fixture(autouse=True)
def demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLM_CHAT_MODEL", "demo")


def cards(page: Page) -> Locator:
    return page.locator(".example")


def stored(app: Any) -> list[tuple[Any, ...]]:
    """What the questions consist of: text, content name and file name of each part, oldest first."""
    with sqlite3.connect(app.home / "glmchat.db", timeout=10) as db:
        parts = db.execute(
            "select p.text, p.sha256, p.data ->> 'name' from parts p join messages m on m.id = p.message_id"
            " where m.role = 'user' order by m.created_at, p.position"
        ).fetchall()
    db.close()
    return parts


def as_typed(example: Example) -> list[tuple[Any, ...]]:
    files = [("", hashlib.sha256(file.read_bytes()).hexdigest(), file.name) for file in example.paths]
    return [*files, (example.question, None, None)]


def answered(page: Page, files: int) -> None:
    expect(page.locator("#latest")).to_contain_text(f"I saw {files} files in 1 turns.", timeout=20_000)
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=20_000)


def test_the_demo_model_says_what_it_is_and_offers_five_questions(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    expect(page.locator("#demo-model p").first).to_have_text(LINE)
    assert (page.locator("#demo-model p").first.bounding_box() or {})["height"] < 40  # one line
    expect(cards(page)).to_have_text([example.question for example in EXAMPLES])
    assert [cards(page).nth(n).locator("img").count() for n in range(5)] == [1, 1, 1, 2, 1]
    for image in page.locator(".example img").all():
        expect(image).to_be_visible()
        assert image.evaluate(LOADED) > 100
    tops = {round((card.bounding_box() or {})["y"]) for card in cards(page).all()}
    assert len(tops) == 1  # side by side


def test_another_model_neither_says_nor_offers_anything(
    app: Any, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLM_CHAT_MODEL", "org/name")
    page = open_page(app.start())
    expect(page.get_by_text("What are we looking at?")).to_be_visible()
    expect(page.locator("#top .model-name")).to_have_text("name", timeout=20_000)
    for about_the_demo in (*cards(page).all(), page.locator("#demo-model")):
        assert not about_the_demo.is_visible()
    page.evaluate("document.documentElement.classList.add('demo')")
    expect(cards(page).first).to_be_visible()  # so the check above sees what it would see


def test_each_card_asks_its_question_as_if_it_had_been_typed(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    for n, example in enumerate(EXAMPLES):
        cards(page).nth(n).click()
        expect(page.locator("#latest .thought-group")).to_be_visible(timeout=20_000)  # it streams
        answered(page, len(example.files))
        expect(page.locator("#latest .user-row")).to_contain_text(example.question)
        expect(page.locator("#top h1")).to_have_text(example.question)
        expect(cards(page).first).to_be_hidden()
        page.click("#new-chat")
        expect(cards(page).nth(4)).to_be_visible()
    assert stored(app) == [part for example in EXAMPLES for part in as_typed(example)]
    expect(page.locator("#notice")).to_be_hidden()


def test_the_clip_plays_in_the_conversation(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    cards(page).nth(4).click()
    answered(page, 1)
    assert page.locator("#latest .user-row video").evaluate(PLAYED) == pytest.approx(3, abs=0.3)


def test_a_page_that_opens_on_a_conversation_never_shows_the_cards(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    cards(page).nth(1).click()
    answered(page, 1)
    page.add_init_script(WATCH)
    page.reload()
    answered(page, 1)
    assert page.evaluate("window.flashed") is False
    page.click("#new-chat")
    page.wait_for_function("window.flashed")


def test_the_demo_model_says_that_it_cannot_read_documents(app: Any, open_page: Open, tmp_path: Path) -> None:
    page = open_page(app.start())
    unable = page.locator("#attached .unable")
    expect(page.locator("#demo-model")).to_be_visible()
    expect(unable).to_be_hidden()
    (note := tmp_path / "Depths.md").write_text("At lowest water 2.1 metres remain over the sill.\n")
    page.set_input_files("#box input[type=file]", note)
    expect(unable).to_have_text(UNABLE)
    expect(unable).to_be_visible(timeout=20_000)
    expect(page.locator("#demo-model")).to_be_hidden()  # one line at a time
    page.locator("#box textarea").fill("How deep is it?")
    page.keyboard.press("Enter")
    expect(page.locator("#latest .sources")).to_contain_text(UNABLE, timeout=60_000)
    expect(unable).to_be_visible(timeout=20_000)  # the next question reads it too
    page.locator("#latest .sources").get_by_role("button", name="Choose a model").click()
    expect(page.locator("dialog.models")).to_be_visible()
    page.keyboard.press("Escape")
    page.click("#top [data-do=tables]")
    expect(page.locator(".tables .unable")).to_have_text(UNABLE)
    expect(page.locator(".tables .unable")).to_be_visible()
    page.evaluate("document.documentElement.classList.remove('demo')")
    expect(page.locator(".tables .unable")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(unable).to_be_hidden()
    # the file in the question leads to its pages, by the keyboard too; from there it is saved
    page.locator("#latest .file-container").click(position={"x": 8, "y": 8})
    expect(page.locator("dialog.viewer h2")).to_have_text("Depths.md", timeout=20_000)
    expect(page.locator("dialog.viewer .letters")).to_contain_text("2.1 metres", timeout=20_000)
    page.keyboard.press("Escape")
    expect(page.locator("dialog.viewer")).to_be_hidden()
    expect(page.locator("#latest .file-container a")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("dialog.viewer .letters")).to_be_visible(timeout=20_000)
    with page.expect_download() as saving:
        page.locator("dialog.viewer .original").click()
    assert saving.value.suggested_filename == "Depths.md"


def test_the_keyboard_reaches_and_asks(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    expect(cards(page).nth(2)).to_be_visible()
    cards(page).nth(2).focus()
    page.keyboard.press("Tab")
    expect(cards(page).nth(3)).to_be_focused()
    assert cards(page).nth(3).evaluate("(card) => getComputedStyle(card).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    answered(page, 2)
    expect(page.locator("#box textarea")).to_be_focused()  # where the next question is typed


def test_two_quick_clicks_ask_once(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    cards(page).nth(0).dblclick()
    answered(page, 1)
    expect(page.locator(".conv")).to_have_count(1)
    assert stored(app) == as_typed(EXAMPLES[0])


def test_the_cards_step_back_for_somebody_who_writes(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    page.fill("#box textarea", "my own question")
    expect(cards(page).first).to_be_hidden()
    page.fill("#box textarea", "")
    expect(cards(page).first).to_be_visible()
    page.set_input_files("#box input[type=file]", FOLDER / "scene.png")
    expect(cards(page).first).to_be_hidden()


def test_choosing_a_model_is_explained_and_escape_closes_only_that(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    page.fill("#box textarea", "long")
    page.keyboard.press("Enter")
    expect(page.locator("#latest")).to_contain_text("word5", timeout=20_000)
    page.locator("#demo-model button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("GLM-4.5V, 4 bits")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#latest")).to_contain_text("the end.", timeout=30_000)  # nobody stopped it


def test_on_a_phone_in_the_dark_the_cards_are_a_list(app: Any, open_page: Open) -> None:
    page = open_page(app.start(), viewport={"width": 390, "height": 844}, color_scheme="dark")
    expect(cards(page)).to_have_count(5)
    boxes = [card.bounding_box() or {} for card in cards(page).all()]
    assert len({box["x"] for box in boxes}) == 1 and len({box["y"] for box in boxes}) == 5
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["height"] >= 44 for box in boxes)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert boxes[4]["y"] + boxes[4]["height"] < (page.locator("#demo-model").bounding_box() or {})["y"]
    cards(page).nth(3).click()
    answered(page, 2)


def test_a_page_can_ask_for_no_other_file(app: Any, open_page: Open) -> None:
    """What an event carries was chosen by the client: anything but the five questions asks nothing."""
    page = open_page(app.start())

    def forge(route: Route) -> None:
        body = (route.request.post_data or "").replace("What does it say?", "/etc/passwd")
        route.continue_(post_data=body)

    page.route("**/queue/join*", forge)
    cards(page).nth(2).click()
    expect(page.locator("#notice")).to_contain_text("There is nothing to send yet.", timeout=20_000)
    assert stored(app) == []


def test_the_picture_on_the_clips_card_is_its_first_frame() -> None:
    clips = [example for example in EXAMPLES if example.poster]
    assert len(clips) == 1
    read, frame = cv2.VideoCapture(str(clips[0].paths[0])).read()
    assert read
    with Image.open(FOLDER / str(clips[0].poster)) as poster:
        drawn = np.asarray(poster.convert("RGB"), np.int16)
    assert np.abs(frame[:, :, ::-1].astype(np.int16) - drawn).mean() < 8  # of 255; the codec loses a little
