"""Documents in a real Chromium: what a chip says before Send, what a chat reads, the library."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from app_process import App
from looks import LOOKS, sound
from playwright.sync_api import Locator, Page, Route, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
QUOTING = Path(__file__).resolve().parent / "quoting_app.py"
SOON = 60_000
Open = Callable[..., Page]
DROP = """(node, files) => {
  const carried = new DataTransfer();
  for (const [name, words] of files) carried.items.add(new File([words], name));
  for (const kind of ['dragenter', 'dragover', 'drop'])
    node.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: carried })); }"""


@pytest.fixture
def quoting(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path / "home", [sys.executable, QUOTING])
    yield app
    app.stop()


@pytest.fixture
def depths(tmp_path: Path) -> Path:
    file = tmp_path / "Depths <img src=x onerror=window.pwned=1>.md"
    file.write_text("# Depths\n\nAt lowest water 2.1 metres remain over the sill.\n")
    return file


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    file = tmp_path / "manual.md"
    file.write_text("".join(f"# Part {n}\n\n" + f"Word {n} of many here. " * 150 + "\n\n" for n in range(60)))
    return file


def attach(page: Page, *files: Path) -> Locator:
    page.set_input_files("#box input[type=file]", files)
    return page.locator(".chip")


def ask(page: Page, words: str) -> None:
    page.locator("#box textarea").fill(words)
    page.keyboard.press("Enter")
    expect(page.locator("#latest")).to_contain_text("It is deep", timeout=SOON)
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=SOON)


def panel(page: Page) -> Locator:
    page.click("#top [data-do=documents]")
    expect(page.locator("dialog.shelf h3").first).to_be_visible(timeout=SOON)
    return page.locator("dialog.shelf")


def shown(file: Path) -> str:
    """A file's name as it arrives: Gradio takes these two out of names of uploads."""
    return file.name.translate({ord("<"): None, ord(">"): None})


def test_a_chip_says_what_will_be_read_or_why_nothing_is(
    quoting: App, open_page: Open, depths: Path, manual: Path, tmp_path: Path
) -> None:
    broken, empty = tmp_path / "broken.pdf", tmp_path / "empty.txt"
    broken.write_bytes(b"%PDF-1.7\nnothing that a PDF has")
    empty.touch()
    page = open_page(quoting.start())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    chips = attach(page, depths, manual, broken, empty)
    expect(chips.nth(3)).to_contain_text("There is nothing in it to read.", timeout=SOON)
    expect(chips.nth(0)).to_contain_text("Markdown · 1 page · 1 kB")
    expect(chips.nth(0)).to_contain_text("whole document, 1 of 1 page")
    expect(chips.nth(1)).to_contain_text("about 8 of 60 pages")
    expect(chips.nth(2)).to_contain_text("It is damaged and could not be read.")
    expect(chips.nth(2)).to_have_class("chip bad")
    expect(page.locator(".meter p")).to_contain_text("This message and its documents: about")
    assert chips.locator("img, video").count() == 0 and chips.locator("i.paper").count() == 4
    assert not any("file=" in url for url in asked)  # no browser loads a document
    chips.nth(2).get_by_role("button").click()
    expect(chips).to_have_count(3)
    assert page.evaluate("window.pwned") is None


def test_a_person_chooses_what_the_next_question_reads(
    quoting: App, open_page: Open, depths: Path, manual: Path
) -> None:
    page = open_page(quoting.start())
    expect(attach(page, depths, manual).nth(1)).to_contain_text("of 60 pages", timeout=SOON)
    ask(page, "How deep is it?")
    reads = page.locator("#reads .reads")
    expect(reads).to_contain_text(f"Reads:{shown(depths)}, manual.md", timeout=SOON)
    page.focus("#reads .reads")
    page.keyboard.press("Enter")
    shelf = page.locator("dialog.shelf")
    lines = shelf.locator(".paper-line")
    expect(lines.nth(0)).to_contain_text("whole document, 1 of 1 page", timeout=SOON)
    expect(lines.nth(1)).to_contain_text("of 60 pages")
    shelf.get_by_role("switch").nth(1).press("Space")
    expect(lines.nth(1)).to_contain_text("not read", timeout=SOON)
    expect(shelf.get_by_role("switch").nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(shelf).to_be_hidden()
    expect(reads).to_have_text(f"Reads:{shown(depths)}")
    page.reload()
    expect(reads).to_have_text(f"Reads:{shown(depths)}", timeout=SOON)
    panel(page)
    shelf.get_by_role("button", name="Remove from chat").first.click()
    shelf.get_by_role("button", name="Really remove it?").click()
    expect(lines).to_have_count(1, timeout=SOON)
    expect(reads).to_be_hidden()
    assert page.evaluate("window.pwned") is None


def test_looks_at_what_is_read_disturb_nobody_who_uses_the_panel(quoting: App, open_page: Open) -> None:
    page = open_page(quoting.start())
    looks = 0
    own = {"id": 1, "sha256": "0" * 64, "title": "a.md", "kind": "markdown", "facts": "", "problems": []}
    own |= {"active": True, "reads": "", "kept": False, "scans": {"words": "", "act": "", "runs": False}}

    def told(route: Route) -> None:
        nonlocal looks
        looks += route.request.method == "GET"
        adding = {"id": 1, "name": "long.md", "words": f"Reading… page {looks} of 42"}
        library = [{**own, "here": True, "readers": [], "more": 0}]
        value = {"chat": [own], "library": library, "adding": [adding], "temporary": False, "told": ""}
        route.fulfill(json=value)

    page.route(re.compile("/documents"), told)
    lines = panel(page).locator(".paper-line")

    def later() -> None:
        was = lines.nth(1).locator(".facts").text_content() or ""
        expect(lines.nth(1).locator(".facts")).not_to_have_text(was, timeout=SOON)

    stop, erase = page.get_by_role("button", name="Stop"), lines.nth(2).get_by_role("button").last
    stop.focus()
    later()
    expect(stop).to_be_focused()
    erase.focus()  # the chat has a document of the same number
    later()
    expect(erase).to_be_focused()
    page.keyboard.press("Enter")
    expect(erase).to_have_text("Really delete it?")
    seen = looks
    while looks < seen + 3:
        page.wait_for_timeout(50)
    expect(erase).to_have_text("Really delete it?")
    with page.expect_request(lambda request: request.method == "POST") as ordered:
        page.keyboard.press("Enter")
    assert ordered.value.post_data_json == {"act": "delete", "id": 1, "c": None}


def test_the_library_lends_to_every_chat(quoting: App, open_page: Open) -> None:
    page = open_page(quoting.start())
    shelf = panel(page)
    words = "# Depths\n\nAt lowest water 2.1 metres remain over the sill.\n"
    shelf.locator(".drop").evaluate(DROP, [["depths.md", words], ["broken.pdf", "%PDF-1.7 nothing"]])
    expect(shelf.locator(".told")).to_contain_text("broken.pdf: It is damaged", timeout=SOON)
    expect(shelf.locator(".told")).to_contain_text("depths.md is in the library now")
    expect(shelf.locator(".paper-line")).to_have_count(1)
    assert page.locator(".chip").count() == 0  # what is dropped on the panel is the library's
    shelf.get_by_role("button", name="Add to this chat").click()
    expect(page.locator(".chip")).to_contain_text("whole document, 1 of 1 page", timeout=SOON)
    ask(page, "How deep is it?")
    expect(page.locator("#reads .reads")).to_have_text("Reads:depths.md", timeout=SOON)
    panel(page)
    expect(shelf).to_contain_text("Used by: How deep is it?", timeout=SOON)
    expect(shelf.locator(".in")).to_have_text(["In the library", "In this chat"])
    shelf.get_by_role("button", name="Delete from library").click()
    shelf.get_by_role("button", name="Really delete it? The chats that use it keep it").click()
    expect(shelf.locator(".paper-line")).to_have_count(1, timeout=SOON)
    shelf.get_by_role("button", name="depths.md").click()
    expect(page.locator("dialog.viewer")).to_contain_text("2.1 metres remain", timeout=SOON)


def test_a_temporary_chat_has_documents_too(quoting: App, open_page: Open, depths: Path) -> None:
    page = open_page(quoting.start())
    page.click("#temporary-chat")
    expect(page.locator("#temporary")).to_be_visible(timeout=SOON)
    expect(attach(page, depths)).to_contain_text("whole document", timeout=SOON)
    ask(page, "How deep is it?")
    expect(page.locator("#reads .reads")).to_have_text(f"Reads:{shown(depths)}", timeout=SOON)
    shelf = panel(page)
    expect(shelf.get_by_role("switch")).to_be_checked(timeout=SOON)
    expect(shelf.get_by_role("button", name="Keep in library")).to_have_count(0)
    page.keyboard.press("Escape")
    page.click("#new-chat")
    expect(page.locator("#reads .reads")).to_be_hidden(timeout=SOON)


@pytest.mark.parametrize("look", ["light-desk", "dark-phone"])
def test_the_panel_looks_right(quoting: App, open_page: Open, depths: Path, look: str) -> None:
    page = open_page(quoting.start(), locale="zh-CN", **LOOKS[look])
    expect(attach(page, depths)).to_contain_text("整份文档", timeout=SOON)
    sound(page, f"chips-{look}")
    ask(page, "How deep is it?")
    expect(page.locator("#reads .reads")).to_have_text(f"阅读：{shown(depths)}", timeout=SOON)
    shelf = panel(page)
    expect(shelf.get_by_role("switch")).to_be_checked(timeout=SOON)
    shelf.get_by_role("button", name="保存到资料库").click()
    expect(shelf.locator(".in")).to_have_count(2, timeout=SOON)
    expect(shelf.locator(".told")).to_have_text("已保存到资料库，所有对话都可使用。")
    sound(page, f"shelf-{look}")
    box = shelf.get_by_role("switch").bounding_box()
    assert box is not None and box["width"] == 34 and box["height"] == 20
