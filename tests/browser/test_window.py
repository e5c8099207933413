"""The window in a real Chromium against the real app: ask, watch, stop, reload, restart, attack."""

from __future__ import annotations

import base64
import http.server
import mimetypes
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]

DROP = """([data, name, kind]) => {
  const carried = new DataTransfer(), bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  carried.items.add(new File([bytes], name, { type: kind }));
  return carried; }"""


OPAQUE = """(node) => {
  for (; node; node = node.parentElement) if (getComputedStyle(node).opacity !== '1') return false;
  return true; }"""


def drop(page: Page, file: Path, name: str = "", on: str = "#scroll") -> None:
    """What a drop from a file manager does: real drag events that carry a real file."""
    name = name or file.name
    content = [base64.b64encode(file.read_bytes()).decode(), name, mimetypes.guess_type(name)[0]]
    carried = page.evaluate_handle(DROP, content)
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(on, event, {"dataTransfer": carried})


def send(page: Page, text: str) -> None:
    page.fill("#box textarea", text)
    page.keyboard.press("Enter")


def latest(page: Page) -> Locator:
    return page.locator("#latest")


def idle(page: Page) -> None:
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=30_000)


def loaded(image: Locator) -> None:
    expect(image).to_be_visible()
    assert image.evaluate("async (img) => { await img.decode(); return img.naturalWidth; }") == 640


def test_drop_a_picture_and_watch_the_answer(app: Any, open_page: Open, picture: Path) -> None:
    page = open_page(app.start())
    expect(page.get_by_text("What are we looking at?")).to_be_visible()
    drop(page, picture)  # on the conversation, not on the composer
    thumbnail = page.locator(".chip")
    expect(thumbnail).to_have_attribute("title", "three shapes.png")
    assert thumbnail.locator("img").evaluate("(img) => getComputedStyle(img).objectFit") == "contain"
    send(page, "What do you see? long")
    expect(latest(page)).to_contain_text("word3", timeout=20_000)
    assert "the end." not in latest(page).inner_text()  # it came piece by piece
    expect(latest(page)).to_contain_text("the end.", timeout=30_000)
    loaded(page.locator("#latest .user-row img"))
    idle(page)
    expect(page.locator("#box textarea")).to_have_value("")
    expect(page.locator(".conv.active")).to_have_text("What do you see? long")
    assert "?c=" in page.url


def test_thinking_is_shown_then_folded_and_timed(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "ponder this")
    expect(latest(page)).to_contain_text("Let me look", timeout=20_000)
    expect(latest(page).locator(".thought-group .title")).to_contain_text("Thinking…")
    title = latest(page).locator(".thought-group .title")
    expect(title).to_contain_text("Thought for", timeout=20_000)
    assert 4 <= float(title.inner_text().split()[2]) < 20
    expect(latest(page)).to_contain_text("I saw 0 files in 1 turns.")
    expect(latest(page).locator(".thought-group .content")).to_be_hidden()
    title.click()
    expect(latest(page).get_by_text("Let me look at this closely.")).to_be_visible()


def test_thinking_can_be_switched_off_and_stays_off(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    page.locator("#thinking label").click()
    send(page, "quick")
    expect(latest(page)).to_contain_text("I saw 0 files in 1 turns.", timeout=20_000)
    assert page.locator(".thought-group").count() == 0
    page.reload()
    expect(latest(page)).to_contain_text("I saw 0 files in 1 turns.")
    expect(page.locator("#thinking input")).not_to_be_checked()


def test_a_reload_in_the_middle_goes_on_to_the_end(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "long")
    expect(latest(page)).to_contain_text("word5", timeout=20_000)
    page.reload()
    expect(latest(page)).to_contain_text("word20", timeout=20_000)
    expect(latest(page)).to_contain_text("the end.", timeout=30_000)
    idle(page)
    assert latest(page).inner_text().count("word7 ") == 1


def test_a_closed_browser_does_not_stop_the_answer(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "long")
    expect(latest(page)).to_contain_text("word5", timeout=20_000)
    address = page.url
    page.close()
    with sqlite3.connect(app.home / "glmchat.db", timeout=10) as db:
        for _ in range(300):
            if db.execute(
                "select 1 from messages where role = 'assistant' and status = 'complete'"
            ).fetchone():
                break
            threading.Event().wait(0.1)
        else:
            raise AssertionError("the answer never ended")
    db.close()
    page = open_page(app.link())
    expect(latest(page)).to_contain_text("the end.")
    assert page.url == address


def test_a_restart_shows_the_conversation_and_its_picture(app: Any, open_page: Open, picture: Path) -> None:
    page = open_page(app.start())
    drop(page, picture)
    expect(page.locator(".chip")).to_be_visible()
    send(page, "first")
    expect(latest(page)).to_contain_text("I saw 1 files in 1 turns.", timeout=20_000)
    idle(page)
    send(page, "second")
    expect(latest(page)).to_contain_text("I saw 1 files in 2 turns.", timeout=20_000)
    page.close()
    assert app.stop() == 0
    page = open_page(app.start())
    expect(latest(page)).to_contain_text("I saw 1 files in 2 turns.")
    expect(page.locator("#earlier")).to_contain_text("I saw 1 files in 1 turns.")
    loaded(page.locator("#earlier .user-row img"))
    assert not list((app.home / "uploads").rglob("*.png"))  # it is not Gradio's copy that is shown


def test_closing_the_app_in_the_middle_keeps_the_words(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "long, on and on")
    expect(latest(page)).to_contain_text("word9", timeout=20_000)
    assert app.stop() == 0
    page.close()
    page = open_page(app.start())
    expect(latest(page)).to_contain_text("word9")
    expect(latest(page)).to_contain_text("Interrupted: the app was closed before this answer was finished.")
    idle(page)


def test_stop_keeps_what_came_and_says_so(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "long, on and on")
    expect(latest(page)).to_contain_text("word5", timeout=20_000)
    page.click("#box .stop-button")
    expect(latest(page)).to_contain_text("You stopped this answer.", timeout=20_000)
    idle(page)
    assert "the end." not in latest(page).inner_text()
    send(page, "and now?")
    expect(latest(page)).to_contain_text("I saw 0 files in 2 turns.", timeout=20_000)
    expect(page.locator("#earlier")).to_contain_text("You stopped this answer.")


def test_waiting_is_told_in_words_and_escape_stops_it(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "wait")
    expect(page.locator("#waiting")).to_contain_text("Reading… 3,200 of 9,800 tokens", timeout=20_000)
    page.keyboard.press("Escape")
    expect(latest(page)).to_contain_text("You stopped this answer.", timeout=20_000)
    expect(page.locator("#waiting")).to_be_hidden()


def test_escape_before_the_stop_button_is_there_stops_the_answer(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    held: list[Route] | None = []
    page.route("**/queue/join*", lambda route: route.continue_() if held is None else held.append(route))
    send(page, "wait")
    expect(page.locator("#box .stop-button")).to_have_count(0)
    page.keyboard.press("Escape")
    released, held = held, None
    for route in released:
        route.continue_()
    expect(latest(page)).to_contain_text("You stopped this answer.", timeout=20_000)


def test_a_question_sent_while_the_page_still_opens_can_be_stopped(app: Any, open_page: Open) -> None:
    """What opens a page ends with a look at its conversation, which by then is one that is being answered."""
    page, asked, held = open_page(app.start()), [], []

    def hold(route: Route) -> None:
        asked.append(route.request.post_data_json["data"])
        third = asked.count([None]) == 3 and asked[-1] == [None]  # wait, follow, then this one: ended
        held.append(route) if third else route.continue_()

    page.route("**/queue/join*", hold)
    page.reload()
    for _ in range(400):
        if not held:
            page.wait_for_timeout(50)
    send(page, "wait")
    expect(page.locator("#waiting")).to_contain_text("Reading…", timeout=20_000)
    with page.expect_request("**/queue/join*"):  # what comes after it
        held[0].continue_()
    expect(page.locator("#box .stop-button")).to_be_visible()
    expect(page.locator("#waiting")).to_contain_text("Reading…")
    page.keyboard.press("Escape")
    expect(latest(page)).to_contain_text("You stopped this answer.", timeout=20_000)


def test_new_chat_and_back_while_an_answer_runs(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "long one")
    expect(latest(page)).to_contain_text("word5", timeout=20_000)
    page.click("#new-chat")
    expect(page.get_by_text("What are we looking at?")).to_be_visible()
    assert "?c=" not in page.url
    send(page, "other")  # waits in line behind the long answer
    expect(page.locator("#waiting")).to_contain_text("Waiting for 1 other answer", timeout=20_000)
    assert "word" not in latest(page).inner_text()
    page.locator(".conv", has_text="long one").click()
    expect(latest(page)).to_contain_text("the end.", timeout=30_000)
    page.locator(".conv", has_text="other").click()
    expect(latest(page)).to_contain_text("I saw 0 files in 1 turns.", timeout=20_000)
    assert "word" not in latest(page).inner_text()


def test_two_tabs_see_the_same_answer(app: Any, open_page: Open) -> None:
    first = open_page(app.start())
    send(first, "long, on and on")
    expect(latest(first)).to_contain_text("word5", timeout=20_000)
    second = open_page(app.link())
    expect(latest(second)).to_contain_text("word10", timeout=20_000)
    second.click("#box .stop-button")
    for page in (first, second):
        expect(latest(page)).to_contain_text("You stopped this answer.", timeout=20_000)
        idle(page)


def test_errors_of_the_engine_are_told_in_words(app: Any, open_page: Open, picture: Path) -> None:
    page = open_page(app.start())
    send(page, "bad picture")
    expect(latest(page)).to_contain_text(
        "broken.png: the file ends in the middle of the picture.", timeout=20_000
    )
    idle(page)
    send(page, "please die")
    expect(latest(page)).to_contain_text("Half an ans", timeout=20_000)
    expect(latest(page)).to_contain_text(
        "The model process stopped while answering (signal 9).", timeout=20_000
    )
    expect(latest(page)).to_contain_text("Half an ans")
    idle(page)
    send(page, "still there?")
    # the question that failed for its picture is left out, the one that failed for the process is not
    expect(latest(page)).to_contain_text("I saw 0 files in 2 turns.", timeout=20_000)


def test_what_cannot_be_sent_stays_in_the_composer(app: Any, open_page: Open, tmp_path: Path) -> None:
    page = open_page(app.start())
    page.focus("#box textarea")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("There is nothing to send yet.", timeout=20_000)
    (tmp_path / "drawing.svgz").write_bytes(b"\x1f\x8b packed")
    page.set_input_files("#box input[type=file]", tmp_path / "drawing.svgz")
    expect(page.locator(".chip")).to_be_visible()
    send(page, "what is it?")
    expect(page.locator("#notice")).to_contain_text(
        "drawing.svgz is neither a picture, a video nor a document", timeout=20_000
    )
    expect(page.locator("#box textarea")).to_have_value("what is it?")
    expect(page.locator(".conv")).to_have_count(0)
    page.locator(".chip .remove").click()
    send(page, "then without")
    expect(latest(page)).to_contain_text("I saw 0 files in 1 turns.", timeout=20_000)
    expect(page.locator("#notice")).to_be_hidden()


class Tracker(http.server.ThreadingHTTPServer):
    """A server on another port that remembers who called."""

    calls: list[str]


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    class Remember(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.calls.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = Tracker(("127.0.0.1", 0), Remember)
    server.calls = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_hostile_words_do_nothing(app: Any, open_page: Open, picture: Path, tracker: Tracker) -> None:
    page = open_page(app.start())
    name = "${window.pwned='name'} <img src=x onerror=window.pwned='tag'>.png"
    drop(page, picture, name)
    expect(page.locator(".chip")).to_be_visible()
    address = f"http://127.0.0.1:{tracker.server_port}"
    question = f"hostile {address} ![q]({address}/q.png) *as typed* <img src={address}/t.png onerror=pwned=1>"
    send(page, question)
    expect(latest(page)).to_contain_text("the end", timeout=20_000)
    idle(page)
    assert question in latest(page).locator(".user-row").inner_text()
    assert latest(page).locator(".user-row a, .user-row em").count() == 0
    assert page.locator(".conv").inner_text() == page.locator("#top h1").inner_text()
    page.reload()
    expect(latest(page)).to_contain_text("the end", timeout=20_000)
    loaded(latest(page).locator(".user-row img"))
    assert page.evaluate("window.pwned") is None
    assert page.locator(".chat script, .chat iframe").count() == 0
    assert tracker.calls == []


def test_without_the_cookie_there_is_only_a_plain_page(app: Any, open_page: Open, browser: Any) -> None:
    link = app.start()
    open_page(link)
    stranger = browser.new_context()
    page = stranger.new_page()
    for address in (link, link.split("?")[0]):  # the link is used up
        answer = page.goto(address)
        assert answer is not None and answer.status == 401
        expect(page.get_by_role("heading")).to_have_text("Open GLM Chat from its icon")
    stranger.close()


def test_dark_and_light_are_kept(app: Any, open_page: Open) -> None:
    page = open_page(app.start(), color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(27, 27, 30)"
    page.click("[data-do=theme]")
    page.wait_for_function(f"{background} === 'rgb(255, 255, 255)'")
    page.reload()
    page.wait_for_selector("#box textarea")
    assert page.evaluate(background) == "rgb(255, 255, 255)"


def test_on_a_phone_the_sidebar_is_a_drawer(app: Any, open_page: Open) -> None:
    page = open_page(app.start(), viewport={"width": 390, "height": 844})
    send(page, "hello")
    expect(latest(page)).to_contain_text("I saw 0 files in 1 turns.", timeout=20_000)
    expect(page.locator("#side")).to_be_hidden()
    page.click("[data-do=sidebar]")
    expect(page.locator("#side")).to_be_visible()
    page.locator(".conv").click()
    expect(page.locator("#side")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_nothing_of_the_look_is_washed_out(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    send(page, "hello")
    expect(latest(page)).to_contain_text("I saw 0 files in 1 turns.", timeout=20_000)
    idle(page)
    for node in (
        latest(page).locator(".bot-row .message-content p").last,
        page.locator("#latest .act.copy"),
    ):
        page.wait_for_function(OPAQUE, arg=node.element_handle())
    copy = page.locator("#latest .act.copy")
    box = copy.bounding_box()
    assert box is not None and box["width"] >= 28 and box["height"] >= 28
    assert page.locator("button[aria-label=Share]:visible, button[aria-label=Clear]:visible").count() == 0
