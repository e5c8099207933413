"""The models page, the gauge and Quit in a real Chromium; downloads come from a real server that speaks the
hub's language.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from app_process import App
from asking import until
from hub_server import Hub, serving
from playwright.sync_api import Locator, Page, expect

from app.config import DEMO_MODEL

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
REPO = "someone/GLM-4.5V-tiny"
TITLE = "GLM-4.5V, 4 bits"
SHOPPING = Path(__file__).resolve().parent / "shopping_app.py"
SOON = 30_000


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Holds a small checkpoint of the true form."""
    files = {file.name: file.read_bytes() for file in DEMO_MODEL.iterdir() if file.is_file()}
    with serving(Hub(REPO, files)) as hub:
        yield hub


@pytest.fixture
def app(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HUB_REPO", REPO)
    app = App(tmp_path / "home", [sys.executable, SHOPPING])
    yield app
    app.stop()


def open_models(page: Page) -> Locator:
    page.locator("#top .model-name").click()
    dialog = page.get_by_role("dialog", name="Models")
    expect(dialog.locator(".model").first).to_be_visible(timeout=SOON)
    return dialog


def line(dialog: Locator, title: str) -> Locator:
    return dialog.locator(".model", has=dialog.page.locator("b", has_text=title))


def press(where: Locator, name: str) -> None:
    where.get_by_role("button", name=name, exact=True).click()


def test_from_a_download_to_the_model_that_answers_after_the_next_start(
    app: App, hub: Hub, open_page: Open
) -> None:
    hub.pace = 0.02  # slow enough to be paused on the way
    page = open_page(app.start())
    expect(page.locator("#demo-model")).to_be_visible(timeout=SOON)
    dialog = open_models(page)
    unsupported = line(dialog, "GLM-4.6V")
    expect(unsupported).to_have_class(re.compile("unsupported"))
    expect(unsupported).to_contain_text("nobody has proven")
    expect(unsupported.get_by_role("button")).to_have_count(0)
    mine = line(dialog, TITLE)
    expect(mine).to_contain_text("Licence: MIT")
    press(mine, "Download")
    expect(mine.locator(".doing")).to_contain_text(re.compile(r"Downloading · .* of 9.* MB"), timeout=SOON)
    press(mine, "Pause")
    expect(mine.locator(".doing")).to_contain_text("Paused", timeout=SOON)
    page.reload()
    mine = line(open_models(page), TITLE)
    expect(mine.locator(".doing")).to_contain_text("Paused", timeout=SOON)
    hub.pace = 0.0
    press(mine, "Resume")
    expect(mine.get_by_role("button", name="Use this")).to_be_visible(timeout=SOON)
    press(mine, "Verify")
    expect(mine.locator(".doing")).to_have_text("Verified: every file is as it was published.", timeout=SOON)
    press(mine, "Use this")
    expect(page.locator(".change")).to_contain_text(re.compile(rf"Loading {TITLE}: \d+ %"), timeout=SOON)
    expect(mine.locator(".current")).to_be_visible(timeout=SOON)
    expect(page.locator("#top .model-name")).to_have_text(TITLE, timeout=SOON)
    page.keyboard.press("Escape")
    expect(page.locator("#demo-model")).to_be_hidden()
    expect(page.locator(".example").first).to_be_hidden()
    assert app.stop() == 0
    hub.status = 503  # from now on nothing is asked of anybody
    asked = len(hub.asked)
    page = open_page(app.start())
    expect(page.locator("#top .model-name")).to_have_text(TITLE, timeout=SOON)
    assert len(hub.asked) == asked


def test_deleting_asks_first_and_never_takes_what_answers(app: App, open_page: Open) -> None:
    page = open_page(app.start())
    dialog = open_models(page)
    mine = line(dialog, TITLE)
    press(mine, "Download")
    expect(mine.get_by_role("button", name="Delete")).to_be_visible(timeout=SOON)
    folder = app.home / "models" / REPO
    press(mine, "Delete")
    expect(mine.get_by_role("button", name="Really delete it?")).to_be_visible()
    assert folder.exists()
    press(mine, "Really delete it?")
    expect(dialog.locator(".told")).to_contain_text("GB are free again", timeout=SOON)
    expect(mine.get_by_role("button", name="Download")).to_be_visible(timeout=SOON)
    assert not folder.exists()


def test_a_download_that_fails_says_why(app: App, hub: Hub, open_page: Open) -> None:
    hub.claimed["config.json"] = "0" * 40
    page = open_page(app.start())
    mine = line(open_models(page), TITLE)
    press(mine, "Download")
    expect(mine.locator(".error")).to_contain_text("config.json", timeout=90_000)
    expect(mine.get_by_role("button", name="Use this")).to_have_count(0)


def test_a_folder_of_ones_own_and_one_that_does_not_fit(app: App, open_page: Open, tmp_path: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=window.pwned=1> ${window.pwned=2}"
    shutil.copytree(DEMO_MODEL, hostile)
    shutil.copytree(DEMO_MODEL, tmp_path / "disk" / "large")
    page = open_page(app.start())
    dialog = open_models(page)
    field = dialog.get_by_label("Folder of a model")
    for folder, told in ((tmp_path / "nowhere", "There is no folder"), (hostile, "Found <img src=x")):
        field.fill(str(folder))
        press(dialog, "Add folder")
        expect(dialog.locator(".told")).to_contain_text(told, timeout=SOON)
    expect(line(dialog, "<img src=x")).to_contain_text("Fits conversations of up to")
    field.fill(str(tmp_path / "disk" / "large"))
    press(dialog, "Add folder")
    press(line(dialog, "large"), "Use this")
    change = dialog.locator(".change")
    expect(change).to_contain_text("needs 90.00 GB of memory and 20.00 GB may be used", timeout=SOON)
    expect(change).to_contain_text("freeze or restart")
    expect(line(dialog, "Demo model").locator(".current")).to_be_visible(timeout=SOON)
    press(change, "Load it all the same")
    expect(line(dialog, "large").locator(".current")).to_be_visible(timeout=SOON)
    press(line(dialog, "<img src=x"), "Use this")
    expect(page.locator("#top .model-name")).to_have_text(hostile.name, timeout=SOON)
    assert page.evaluate("window.pwned") is None


def test_a_download_onto_another_disk_and_a_folder_taken_off_the_list(
    app: App, open_page: Open, tmp_path: Path
) -> None:
    disk, mine = tmp_path / "Big Disk", tmp_path / "own" / "my-model"
    for folder in (disk / "there", mine):
        shutil.copytree(DEMO_MODEL, folder)
    page = open_page(app.start())
    dialog = open_models(page)
    field = dialog.get_by_label("Folder of a model")
    for folder in (disk, mine):
        field.fill(str(folder))
        press(dialog, "Add folder")
        expect(dialog.locator(".told")).to_contain_text("Found", timeout=SOON)
    dialog.locator("select").first.select_option(str(disk))
    fetched = line(dialog, TITLE)
    press(fetched, "Download")
    expect(fetched.get_by_role("button", name="Use this")).to_be_visible(timeout=SOON)
    expect(fetched.locator(".folder")).to_have_text(str(disk / REPO))
    assert (disk / REPO / "glm-chat.json").exists() and not (app.home / "models" / REPO).exists()
    press(line(dialog, "my-model"), "Remove from the list")
    expect(line(dialog, "my-model")).to_be_visible()
    press(line(dialog, "my-model"), "Really remove it?")
    expect(dialog.locator(".told")).to_contain_text(f"{mine} is not looked at any more", timeout=SOON)
    expect(line(dialog, "my-model")).to_have_count(0)
    expect(fetched).to_be_visible()
    assert (mine / "config.json").exists()


def test_on_a_phone_in_the_dark_nothing_is_cut(app: App, open_page: Open) -> None:
    page = open_page(app.start(), viewport={"width": 390, "height": 844}, color_scheme="dark")
    dialog = open_models(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = dialog.bounding_box() or {}
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    for button in dialog.get_by_role("button").all():
        place = button.bounding_box() or {}
        assert place["x"] >= box["x"] and place["x"] + place["width"] <= box["x"] + box["width"]
    press(dialog, "Done")
    page.get_by_label("Show or hide the sidebar").click()
    page.locator(".gauge summary").click()
    expect(page.locator(".gauge .parts")).to_contain_text("A model may take")
    expect(page.locator(".gauge .words")).to_have_text(re.compile(r"^[\d.]+ of [\d.]+ GB$"))
    assert page.locator(".gauge .bar i.other").evaluate("(piece) => piece.getBoundingClientRect().width") > 3


def test_rest_is_kept_and_the_model_rests_at_once(app: App, open_page: Open) -> None:
    page = open_page(app.start())
    press(line(open_models(page), "Demo model").page.get_by_role("dialog"), "Done")
    page.fill("#box textarea", "hello")
    page.keyboard.press("Enter")
    expect(page.locator("#latest")).to_contain_text("I saw 0 files", timeout=SOON)
    page.locator(".gauge summary").click()
    expect(page.locator(".gauge .parts")).to_contain_text("ready", timeout=SOON)
    page.keyboard.press("ControlOrMeta+,")
    page.get_by_label("Unload when idle").select_option("After 15 minutes")
    expect(page.locator(".settings .told").first).to_have_text("Kept.", timeout=SOON)
    page.get_by_role("button", name="Unload now").click()
    expect(page.locator(".gauge .parts")).to_contain_text("not loaded", timeout=SOON)
    with closing(sqlite3.connect(app.home / "glmchat.db")) as db:
        assert db.execute("select value from settings where key = 'idle_minutes'").fetchone() == ("15",)


# --- the end ------------------------------------------------------------------------------------------------


def test_quit_stores_what_is_being_answered_and_says_so(app: App, open_page: Open) -> None:
    page = open_page(app.start())
    page.fill("#box textarea", "long, on and on")
    page.keyboard.press("Enter")
    expect(page.locator("#latest")).to_contain_text("word5", timeout=SOON)
    page.keyboard.press("ControlOrMeta+,")
    page.get_by_role("button", name="Quit GLM Chat").click()
    page.get_by_role("button", name="Really quit?").click()
    expect(page.get_by_role("heading", name="GLM Chat has ended")).to_be_visible(timeout=SOON)
    assert app._process is not None
    assert app._process.wait(30) == 0
    with closing(sqlite3.connect(app.home / "glmchat.db")) as db:
        said, status = db.execute(
            "select p.text, m.status from parts p join messages m on m.id = p.message_id"
            " where p.text like '%word5%'"
        ).fetchone()
    assert "word5" in said and status == "interrupted"


def test_nobody_else_can_end_it(app: App, open_page: Open) -> None:
    page = open_page(app.start())
    origin = page.evaluate("location.origin")
    cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())

    def asked(path: str, body: bytes | None, **headers: str) -> int:
        request = urllib.request.Request(
            origin + path, body, {k.replace("_", "-"): v for k, v in headers.items()}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code

    ours = {"cookie": cookies, "content_type": "application/json"}
    for path in ("/quit", "/models", "/rest"):
        assert asked(path, b"{}", content_type="application/json") == 401
        assert asked(path, b"{}", **ours, origin="http://evil.example") == 403
        assert asked(path, b"{}", **ours, sec_fetch_site="cross-site") == 403
        assert asked(path, b"{}", cookie=cookies, content_type="text/plain") == 400
        for body in (b"", b"[]", b"{", b'"quit"', b"[" * 9_000, b"{" + b" " * 20_000 + b"}"):
            assert asked(path, body, **ours) == 400
        assert asked(path, None, cookie=cookies) in (200, 404, 405)  # a GET changes nothing
    assert asked("/ended", None, cookie=cookies) == 404
    assert asked("/healthz", None) == 200
    until(lambda: app._process is not None and app._process.poll() is None)
