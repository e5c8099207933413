"""What the window promises, paragraph by paragraph, light and dark, on a desk and on a phone.

Details are held by the tests of each part; here every part is used once in every look, and in each state the
words can be read, nothing overflows and a finger finds its buttons. See looks.py.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from app_process import App
from conftest import SCRIPTED
from looks import LOOKS, sound
from playwright.sync_api import Locator, Page, expect
from test_composing import CLIP
from test_exchange import CHATGPT
from test_seen import drawn, watch

from app.store import Part, Store

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
CLIPBOARD = ["clipboard-read", "clipboard-write"]
DROP = """async ([bytes, name, type]) => { const carried = new DataTransfer();
  const content = Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0));
  carried.items.add(new File([content], name, { type }));
  for (const kind of ['dragenter', 'dragover', 'drop'])
    document.querySelector('#scroll').dispatchEvent(
      new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: carried })); }"""


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """Many things in a row on a machine that may be busy: what is awaited may take its time."""
    expect.set_options(timeout=20_000)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One app for all looks: each opens a window of its own."""
    app = App(tmp_path_factory.mktemp("everywhere") / "home", [sys.executable, SCRIPTED])
    app.start()
    yield app
    app.stop()


@pytest.fixture(params=LOOKS)
def look(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(shared: App, open_page: Open, look: str) -> Page:
    page = open_page(shared.link(), permissions=CLIPBOARD, **LOOKS[look])
    if page.locator(".message-row").count():
        sidebar(page)
        page.click("#new-chat")
    expect(page.get_by_text("What are we looking at?")).to_be_visible()
    return page


def phone(page: Page) -> bool:
    return (page.viewport_size or {"width": 0})["width"] < 500


def sidebar(page: Page) -> None:
    """Open it where it is a drawer."""
    if phone(page) and "side-closed" in (page.locator("html").get_attribute("class") or ""):
        page.click("[data-do=sidebar]")
    expect(page.locator("#side")).to_be_in_viewport(ratio=0.9)


def send(page: Page, words: str) -> None:
    page.fill("#box textarea", words)
    page.keyboard.press("Enter")


def ended(page: Page) -> Locator:
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=30_000)
    expect(page.locator("#latest .bot-row .act.copy")).to_be_visible(timeout=30_000)
    return page.locator("#latest")


def test_composing(page: Page, look: str, picture: Path) -> None:
    import base64

    sound(page, f"{look}-empty")
    page.evaluate(DROP, [base64.b64encode(picture.read_bytes()).decode(), "dropped.png", "image/png"])
    expect(page.locator(".chip", has_text="dropped.png")).to_contain_text("100 tokens", timeout=20_000)
    page.set_input_files("#box input[type=file]", [CLIP])
    expect(page.locator(".chip", has_text="ball.webm")).to_contain_text("120 frames", timeout=20_000)
    page.locator("#box textarea").press_sequentially("quick")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    expect(page.locator("#meter")).to_contain_text("This message:", timeout=20_000)
    sound(page, f"{look}-composing")
    page.get_by_role("button", name="Options").click()
    options = page.get_by_role("dialog", name="Options")
    expect(options.locator(".detail", has_text="Low")).to_contain_text("2,500 tokens", timeout=20_000)
    expect(options).to_be_in_viewport(ratio=1)
    options.get_by_label("Frames").select_option("1 a second")
    expect(page.locator(".chip", has_text="ball.webm")).to_contain_text("60 frames · 1 a second")
    sound(page, f"{look}-options")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Remove dropped.png").click()
    expect(page.locator(".chip")).to_have_count(1)
    page.locator("#box textarea").press("Enter")
    expect(ended(page)).to_contain_text("I saw 1 files in 1 turns.")
    page.locator("#box textarea").press("ArrowUp")
    expect(page.get_by_role("textbox", name="Edit the question")).to_have_value("quick\nsecond line")
    sound(page, f"{look}-editing")
    page.keyboard.press("Escape")


def test_answering(page: Page, look: str) -> None:
    send(page, "ponder")
    expect(page.locator("#latest .thought-group")).to_contain_text("Thinking…", timeout=20_000)
    sound(page, f"{look}-thinking")
    expect(ended(page)).to_contain_text("Thought for")
    send(page, "rich")
    latest = ended(page)
    for drawing in ("table", "pre code", ".katex", "svg[id^=mermaid]"):
        expect(latest.locator(drawing).first).to_be_visible(timeout=30_000)
    expect(latest.locator(".cost")).to_contain_text("420 tokens · 20.0 a second · first word after 1.5 s")
    expect(latest.locator(".cost")).to_contain_text("read 9,800, 3,200 of them reused")
    latest.get_by_role("button", name="Copy the answer").click()
    page.wait_for_function(
        "async () => (await navigator.clipboard.readText()).includes('| circle | amber |')"
    )
    page.wait_for_timeout(1600)  # the tick of the copy has gone
    sound(page, f"{look}-rich-end")
    latest.locator("table").scroll_into_view_if_needed()
    sound(page, f"{look}-rich")
    latest.get_by_role("button", name="Answer again").click()
    expect(latest.locator(".bot-row .variants")).to_have_text("2/2", timeout=30_000)
    ended(page).get_by_role("button", name="Earlier variant").click()
    expect(latest.locator(".bot-row .variants")).to_have_text("1/2")
    send(page, "wait")
    expect(page.locator("#waiting")).to_contain_text("Reading… 3,200 of 9,800 tokens", timeout=20_000)
    sound(page, f"{look}-reading")
    page.locator("#box .stop-button").click()
    expect(latest).to_contain_text("You stopped this answer.", timeout=20_000)
    send(page, "long, on and on")
    expect(latest).to_contain_text("word5", timeout=30_000)
    page.locator("#box .stop-button").click()
    expect(latest).to_contain_text("You stopped this answer.", timeout=20_000)
    sound(page, f"{look}-stopped")
    latest.get_by_role("button", name="Go on").click()
    expect(latest).to_contain_text("And here is the rest.", timeout=30_000)


def test_grounding(page: Page, look: str, picture: Path, tmp_path: Path) -> None:
    page.set_input_files("#box input[type=file]", picture)
    expect(page.locator(".chip")).to_be_visible()
    send(page, "point at the shapes")
    latest = ended(page)
    expect(latest.locator(".badge")).to_have_count(3)
    latest.locator("a[data-place]").first.hover()
    expect(latest.locator(".badge").first).to_contain_text("The blue square")
    latest.locator(".places").scroll_into_view_if_needed()
    sound(page, f"{look}-places")
    latest.get_by_role("button", name="Hide marks").click()
    expect(latest.locator(".badge").first).to_be_hidden()
    latest.get_by_role("button", name="Copy JSON").click()
    expect(latest.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["places"][0]["per_1000"] == [421, 277, 673, 723]
    assert copied["places"][0]["pixels"] == [269, 100, 431, 260]
    with page.expect_download() as saving:
        latest.get_by_role("button", name="Save picture").click()
    assert saving.value.suggested_filename == "three shapes marked.png"
    watch(page, CLIP)
    latest.locator("a.seek").first.click()
    expect(latest.locator(".user-row video")).to_be_in_viewport(ratio=0.5)
    latest.locator(".saw-words").click()
    drawn(page, 12)
    latest.locator(".saw").scroll_into_view_if_needed()
    sound(page, f"{look}-strip")


@pytest.fixture
def talks(shared: App, look: str) -> str:
    """Two conversations of this look's own; the title of the first."""
    store = Store(shared.home / "glmchat.db")  # the app's other connection waits as we do
    for title, question in ((f"Invoice {look}", "发票总额是多少"), (f"Other {look}", "Anything?")):
        begun = store.begin_turn(None, title, (Part("text", question),))
        store.finish(begun.answer_id, (Part("text", f"人民币八百元 {look}"),), "complete", "stop")
    store.close()
    return f"Invoice {look}"


def menu(page: Page, title: str, entry: str) -> None:
    sidebar(page)
    line = page.locator(".conv", has_text=title)
    line.locator(".open").focus()
    line.locator(".more").click()
    page.get_by_role("menuitem", name=entry, exact=True).click()


def test_history(page: Page, look: str, talks: str) -> None:
    page.reload()
    page.wait_for_selector("html.loaded", state="attached")
    sidebar(page)
    line = page.locator(".conv", has_text=talks)
    line.locator(".open").focus()
    line.locator(".more").click()
    sound(page, f"{look}-menu")
    page.get_by_role("menuitem", name="Rename", exact=True).click()
    page.locator(".conv .field").fill(f"Bill {look}")
    page.keyboard.press("Enter")
    expect(page.locator(".conv", has_text=f"Bill {look}")).to_be_visible()
    menu(page, f"Bill {look}", "Pin")
    expect(page.locator(".group").first).to_have_text("Pinned")
    menu(page, f"Other {look}", "New folder…")
    page.locator(".conv .field").fill(f"Work {look}")
    page.keyboard.press("Enter")
    expect(page.locator(".group", has_text=f"Work {look}")).to_be_visible()
    sound(page, f"{look}-folders")
    page.get_by_role("searchbox", name="Search conversations").fill(f"八百 {look}")
    expect(page.locator(".conv mark").first).to_have_text("八百", timeout=20_000)
    sound(page, f"{look}-search")
    page.locator(".conv .open", has_text=f"Bill {look}").click()
    expect(page.locator("#latest")).to_contain_text(f"人民币八百元 {look}")
    address = page.url
    assert "?c=" in address
    page.goto(address)  # the deep link
    expect(page.locator("#top h1")).to_have_text(f"Bill {look}", timeout=20_000)
    menu(page, f"Other {look}", "Delete")
    sound(page, f"{look}-undo")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".conv", has_text=f"Other {look}")).to_be_visible()
    menu(page, f"Other {look}", "Delete")
    page.get_by_role("button", name=re.compile(r"Trash \(\d+\)")).click()
    expect(page.locator(".conv", has_text=f"Other {look}")).to_be_visible()
    sound(page, f"{look}-trash")
    page.get_by_role("button", name=re.compile("Back to|Conversations|Close|Done")).first.click()
    sidebar(page)
    page.get_by_role("button", name="Temporary chat").click()
    expect(page.locator("#temporary")).to_be_visible()
    sound(page, f"{look}-temporary")


def test_settings(page: Page, shared: App, look: str, tmp_path: Path) -> None:
    page.click("[data-do=settings]")
    dialog = page.get_by_role("dialog", name="Settings")
    expect(dialog).to_be_in_viewport(ratio=1)
    sound(page, f"{look}-settings")
    page.get_by_label("Sampling").select_option("Extract text (0.1 · 0.9)")
    expect(page.get_by_text("Kept. It holds")).to_be_visible()
    page.get_by_label("System prompt").fill(f"Be {look}.")
    page.get_by_label("Name of the prompt").fill(look)
    page.get_by_role("button", name="Save as").click()
    expect(page.get_by_label("Saved prompts").locator("option", has_text=look)).to_have_count(1)
    expect(page.get_by_text(str(shared.home))).to_be_visible()
    page.get_by_role("button", name="Back up now").click()
    expect(page.get_by_text("Backed up as")).to_be_visible(timeout=30_000)
    export = tmp_path / "export.json"
    export.write_text(json.dumps([*CHATGPT, {"mapping": {}, "title": "Nothing"}]))
    page.set_input_files(".settings input[type=file]", export)
    expect(page.locator(".told")).to_contain_text("1 could not be read", timeout=30_000)
    page.locator(".told").scroll_into_view_if_needed()
    sound(page, f"{look}-imported")
    with page.expect_download() as saving:
        page.get_by_role("button", name="Export all as JSON").click()
    assert saving.value.suggested_filename.endswith(".zip")
    page.get_by_label("Text size").select_option("Large")
    page.get_by_label("Theme").select_option("light" if look.startswith("dark") else "dark")
    sound(page, f"{look}-settings-end")
    page.get_by_label("Language").select_option("zh")
    expect(page.get_by_role("heading", name="设置")).to_be_visible()
    sound(page, f"{look}-settings-chinese")


def test_storage(app: App, open_page: Open, look: str) -> None:
    """The app dies in the middle of an answer: what had come is there, and it can go on."""
    page = open_page(app.start(), **LOOKS[look])
    send(page, "long, on and on")
    expect(page.locator("#latest")).to_contain_text("word9", timeout=30_000)
    page.wait_for_timeout(600)  # the words are stored every half second
    app.stop(signal.SIGKILL)
    page.goto("about:blank")
    page = open_page(app.start(), **LOOKS[look])
    expect(page.locator("#latest")).to_contain_text("Interrupted: the app was closed", timeout=20_000)
    expect(page.locator("#latest")).to_contain_text("word5")
    sound(page, f"{look}-interrupted")
    page.locator("#latest").get_by_role("button", name="Go on").click()
    expect(page.locator("#latest")).to_contain_text("And here is the rest.", timeout=30_000)
    expect(page.locator("#latest")).not_to_contain_text("Interrupted")


def test_security(page: Page, look: str) -> None:
    """What an answer would load is an address in words; that nothing was asked for, open_page holds."""
    send(page, "hostile http://127.0.0.1:9")
    expect(page.locator("#latest")).to_contain_text("the end", timeout=30_000)
    expect(ended(page)).to_contain_text("127.0.0.1:9/pixel.png?leak=1")
    assert page.evaluate("window.pwned") is None
    sound(page, f"{look}-hostile")
