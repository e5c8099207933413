"""A temporary chat in a real Chromium: answers like any other, looks different, leaves nothing behind."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.scratch import IN_MEMORY
from app.store import Part, Store

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
SECRET = "pomegranate-quarterly-7431"
PATIENCE = 20.0  # seconds until a test gives up; never what it measures


@pytest.fixture
def page(app: Any, open_page: Open) -> Page:
    """A window on a home with one conversation."""
    store = Store(app.home / "glmchat.db")
    begun = store.begin_turn(None, "The kept one", (Part("text", "What is kept?"),))
    store.finish(begun.answer_id, (Part("text", "This is."),), "complete", "stop")
    store.set_setting("last_conversation", begun.conversation_id)
    store.close()
    return open_page(app.start())


def begin(page: Page) -> None:
    page.get_by_role("button", name="Temporary chat").click()
    expect(page.locator("#temporary")).to_be_visible()
    expect(page.locator("#latest .message-row")).to_have_count(0)


def ask(page: Page, question: str, *files: Path) -> None:
    if files:
        page.set_input_files("#box input[type=file]", [str(file) for file in files])
        expect(page.locator(".chip")).to_have_count(len(files))
    page.fill("#box textarea", question)
    page.keyboard.press("Enter")


def answered(page: Page, words: str) -> None:
    expect(page.locator("#latest")).to_contain_text(words, timeout=30_000)
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=30_000)


def holding(folder: Path, *needles: bytes) -> list[Path]:
    """The files under a folder in whose content or name one of the needles stands; some may go meanwhile."""
    paths = [Path(root, name) for root, folders, files in os.walk(folder) for name in (*folders, *files)]
    return [path for path in paths if any(n in bytes(path) + b"\n" + content(path) for n in needles)]


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # a folder, or gone
        return b""


def scratch(home: Path) -> list[Path]:
    """The private folders of temporary chats on this home."""
    name = hashlib.sha256(str((home / "glmchat.db").absolute()).encode()).hexdigest()[:12]
    roots = {IN_MEMORY, Path(tempfile.gettempdir())}
    return [folder for root in roots for folder in root.glob(f"glm-chat-{name}-*")]


def eventually(state: Callable[[], Any], wanted: Any) -> None:
    until = time.monotonic() + PATIENCE
    while state() != wanted and time.monotonic() < until:
        time.sleep(0.05)
    assert state() == wanted


@pytest.fixture
def needles(picture: Path) -> Iterator[tuple[bytes, ...]]:
    """What must be nowhere: the words, and pieces of the picture."""
    content = picture.read_bytes()
    yield SECRET.encode(), content[len(content) // 2 :][:40], picture.name.encode()


def test_nothing_is_left_when_the_app_is_killed(
    app: Any, page: Page, picture: Path, needles: tuple[bytes, ...]
) -> None:
    begin(page)
    ask(page, f"{SECRET}?", picture)
    answered(page, "I saw 1 files in 1 turns.")
    expect(page.locator("#latest img").first).to_be_visible()
    assert [len(list(folder.rglob("??/*"))) for folder in scratch(app.home)] == [1]
    assert holding(app.home, *needles) == []  # not even while it is open
    shutil.copy(picture, unsent := picture.with_name("three shapes.png.png"))
    page.set_input_files("#box input[type=file]", str(unsent))
    expect(page.locator(".chip")).to_have_count(1)
    assert holding(app.home, *needles) != []  # Gradio keeps that until it is sent
    app.stop(signal.SIGKILL)
    eventually(lambda: (scratch(app.home), holding(app.home, *needles)), ([], []))
    assert not any(SECRET in line for line in app.lines)


def test_it_does_what_every_chat_does_and_looks_different(page: Page, app: Any) -> None:
    expect(page.locator("#temporary")).to_be_hidden()
    page.keyboard.press("ControlOrMeta+Shift+e")
    expect(page.locator("#temporary")).to_have_text(re.compile("nothing of this is kept"))
    expect(page.locator("#composer")).to_have_css("border-style", "dashed")
    expect(page.locator("#top h1")).to_have_text("Temporary chat")
    ask(page, f"{SECRET} first")
    answered(page, "I saw 0 files in 1 turns.")
    ask(page, "second")
    answered(page, "I saw 0 files in 2 turns.")
    page.get_by_role("button", name="Answer again").last.click()
    expect(page.locator(".variants")).to_have_text("2/2", timeout=30_000)
    page.locator(".act.edit").first.click(force=True)
    page.get_by_label("Edit the question").fill("edited")
    page.get_by_role("button", name="Send").click()
    answered(page, "I saw 0 files in 1 turns.")
    ask(page, "wait")
    page.locator("#box .stop-button").click(timeout=30_000)
    expect(page.get_by_text("You stopped this answer.")).to_be_visible(timeout=30_000)
    assert "c=" not in page.url
    expect(page.locator(".conv .title")).to_have_text(["The kept one"])
    page.get_by_role("searchbox", name="Search conversations").fill("pomegranate")
    expect(page.get_by_text("Nothing found.")).to_be_visible()
    assert holding(app.home, SECRET.encode()) == []


def test_it_is_gone_when_another_is_opened_or_the_page_is_left(
    page: Page, app: Any, picture: Path, needles: tuple[bytes, ...]
) -> None:
    def pictures() -> int:
        return sum(len(list(folder.rglob("??/*"))) for folder in scratch(app.home))

    begin(page)
    ask(page, f"{SECRET}?", picture)
    answered(page, "I saw 1 files")
    media = page.locator("#latest img").first.get_attribute("src")
    assert media is not None and page.request.get(media).headers["cache-control"] == "no-store"
    page.locator(".conv .open", has_text="The kept one").click()
    expect(page.locator("#latest")).to_contain_text("This is.")
    expect(page.locator("#temporary")).to_be_hidden()
    assert page.request.get(media).status == 404
    assert pictures() == 0
    begin(page)
    shutil.copy(picture, other := picture.with_name("three shapes.png.png"))
    ask(page, f"{SECRET} long?", other)
    expect(page.locator("#latest")).to_contain_text("word1", timeout=30_000)
    page.reload()  # in the middle of an answer
    expect(page.locator("#latest")).to_contain_text("This is.", timeout=30_000)
    eventually(pictures, 0)
    assert holding(app.home, *needles) == []
    assert app.stop() == 0
    assert scratch(app.home) == []
    said = "".join(app.lines)
    assert SECRET not in said, said
