"""Words that mean ill, in every place the window shows words: they are shown, and they do nothing.

Nothing of them runs, and nothing of them reaches another server: no request, not even a connection.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attacker import Attacker, attacked, attacking
from hostile_words import ANSWERS, MARKS, NAMES, PWN, aimed
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from started import ready

from app.blobs import Blobs
from app.store import Part, Store
from app.turn import Draft, begin

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
FOLDER, PROMPT = f"<img src=x onerror={PWN}> ${{{PWN}}}", f"{{{{{PWN}}}}} <svg onload={PWN}>"


@pytest.fixture(scope="module")
def attacker() -> Iterator[Attacker]:
    with attacking() as server:
        yield server


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Any]:
    app = attacked(tmp_path / "home", tmp_path / "reached.txt")
    yield app
    app.stop()


@pytest.fixture(autouse=True)
def nobody_called(attacker: Attacker) -> Iterator[None]:
    attacker.calls.clear()
    attacker.opened = 0
    yield
    assert (attacker.calls, attacker.opened) == ([], 0)


def unharmed(page: Page) -> None:
    """Nothing ran, and nothing that could is on the page."""
    assert page.evaluate(MARKS) == []
    live = """() => [...document.querySelectorAll('#main *, #side *, body > .menu *')].filter((node) =>
      ['SCRIPT', 'IFRAME', 'OBJECT', 'EMBED', 'META', 'LINK', 'BASE'].includes(node.tagName)
      || [...node.attributes].some(({ name, value }) => /^on/.test(name)
        || (/^(xlink:)?(href|src|action|formaction|data|to|ping)$/.test(name)
          && /^\\s*(java|vb)script:|^\\s*data:text/i.test(value))))
    .map((node) => node.outerHTML.slice(0, 200))"""
    assert page.evaluate(live) == []


def send(page: Page, text: str) -> None:
    page.fill("#box textarea", text)
    page.keyboard.press("Enter")


def answered(page: Page) -> None:
    expect(page.locator("#latest .act.again")).to_be_visible(timeout=30_000)


# --- names -----------------------------------------------------------------------------------------------


@pytest.fixture
def named(app: Any, open_page: Open, attacker: Attacker, tmp_path: Path) -> Page:
    """A window on conversations with hostile titles, words, files, a folder, a prompt."""
    store = Store(app.home / "glmchat.db")
    blobs = Blobs(app.home / "blobs")
    for number, name in enumerate(NAMES):
        name, file = aimed(name, attacker.address), tmp_path / f"{number}" / NAMES[number].replace("/", "∕")
        file.parent.mkdir()
        Image.new("RGB", (32, 32)).save(file, "PNG")
        shown = file.rename(file.with_name(file.name + ".png"))
        begun = begin(store, blobs, None, Draft(f"needle {name}", (shown,)))
        store.finish(begun.answer_id, (Part("reasoning", name), Part("text", name)), "complete", "stop")
        store.rename(begun.conversation_id, name)
    store.file_under(begun.conversation_id, FOLDER)
    store.set_setting("prompts", [{"name": PROMPT[:80], "text": PROMPT}])
    store.set_setting("choices", {"system": PROMPT})
    store.close()
    return open_page(app.start())


def test_names_are_shown_as_they_are(named: Page, attacker: Attacker) -> None:
    titles = [" ".join(aimed(name, attacker.address).split()) for name in NAMES]
    expect(named.locator(".conv .title")).to_have_count(len(titles))
    assert sorted(named.locator(".conv .title").all_inner_texts()) == sorted(titles)
    expect(named.locator(".group").first).to_have_text(FOLDER)
    for title in titles:
        named.locator(".conv .open", has=named.get_by_text(title, exact=True)).click()
        expect(named.locator("#top h1")).to_have_text(title)
        expect(named.locator("#latest .user-row")).to_contain_text("needle " + title)
        expect(named.locator("#latest .user-row img")).to_be_visible()
        named.locator("#latest .thought-group .title").click()
    unharmed(named)
    named.keyboard.press("ControlOrMeta+k")
    named.keyboard.type("needle")
    expect(named.locator(".conv mark")).to_have_count(len(titles))
    unharmed(named)


def test_menus_settings_and_the_trash_show_names_as_they_are(named: Page) -> None:
    line = named.locator(".conv", has_text="report.pdf")
    line.hover()
    line.locator(".more").click()
    expect(named.get_by_role("menuitem", name=f"Move to {FOLDER}")).to_be_visible()
    unharmed(named)
    named.get_by_role("menuitem", name="Rename").click()
    expect(named.locator(".conv .field")).to_have_value(NAMES[0])
    named.keyboard.press("Escape")
    line.hover()
    line.locator(".more").click()
    named.get_by_role("menuitem", name="Delete").click()
    expect(named.locator(".undo")).to_contain_text(NAMES[0])
    named.locator(".bin").click()
    expect(named.locator(".conv .title")).to_have_text([NAMES[0]])
    unharmed(named)
    named.keyboard.press("ControlOrMeta+,")
    expect(named.locator(".settings textarea").first).to_have_value(PROMPT)
    assert PROMPT[:80] in named.locator(".settings option").all_inner_texts()
    unharmed(named)


def test_what_is_attached_and_refused_is_named_as_it_is(app: Any, open_page: Open, tmp_path: Path) -> None:
    page = open_page(app.start())
    name = NAMES[1] + ".png"
    Image.new("RGB", (32, 32)).save(tmp_path / name)
    page.set_input_files("#box input[type=file]", tmp_path / name)
    chips = page.get_by_role("list", name="Attached files").get_by_role("listitem")
    expect(chips).to_contain_text(name, timeout=20_000)
    unharmed(page)
    bad = tmp_path / f"<img src=x onerror={PWN}>.svgz"
    bad.write_bytes(bytes(range(256)) * 4)  # nothing that anyone reads
    page.set_input_files("#box input[type=file]", bad)
    expect(chips).to_have_count(2)
    send(page, "look")
    expect(page.locator("#notice")).to_contain_text("svgz", timeout=20_000)
    unharmed(page)


def test_what_is_imported_is_words_only(
    app: Any, open_page: Open, tmp_path: Path, attacker: Attacker
) -> None:
    def talk(number: int, title: str, words: str) -> dict[str, Any]:
        parts = {"content_type": "text", "parts": [words]}
        asked = {"author": {"role": "user"}, "content": parts, "create_time": 1700000000.0}
        said = {"author": {"role": "assistant"}, "content": parts, "create_time": 1700000001.0}
        nodes = {
            "a": {"id": "a", "parent": None, "children": ["b"], "message": asked},
            "b": {"id": "b", "parent": "a", "children": [], "message": said},
        }
        return {"title": title, "create_time": 1700000000.0 + number, "current_node": "b", "mapping": nodes}

    file = tmp_path / "export.zip"
    words = [aimed(one, attacker.address) for one in ANSWERS.values()]
    with zipfile.ZipFile(file, "w") as out:
        talks = [talk(n, NAMES[n % len(NAMES)], one) for n, one in enumerate(words)]
        out.writestr("conversations.json", json.dumps(talks))
    page = open_page(app.start())
    page.keyboard.press("ControlOrMeta+,")
    page.set_input_files(".settings input[type=file]", file)
    expect(page.locator(".told")).to_contain_text(f"{len(words)} conversations imported", timeout=30_000)
    page.get_by_role("button", name="Done").click()
    page.reload()
    expect(page.locator(".conv .open")).to_have_count(len(words))
    for line in page.locator(".conv .open").all():
        line.click()
        expect(page.locator("#top h1")).to_have_text(line.locator(".title").inner_text())
        expect(page.locator("#latest .bot-row")).to_be_visible()
        unharmed(page)


# --- answers ---------------------------------------------------------------------------------------------

# That it is drawn as more than words is what makes it worth trying.
DRAWN = {"diagram": "svg[id^=mermaid]", "formula": ".katex", "code": "pre code", "links": "a"}
CLICK = """() => { const seen = [...document.querySelectorAll('#latest .bot-row a, '
  + '#latest .bot-row svg .node, #latest .bot-row svg text')];
  for (const node of seen) if (!/^http/.test(node.getAttribute('href') || ''))
    node.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }));
  return seen.length; }"""


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_does_nothing(
    app: Any, open_page: Open, attacker: Attacker, name: str, tmp_path: Path
) -> None:
    page = open_page(app.start())
    address = page.url
    send(page, f"say {name} {attacker.address}")
    answered(page)
    for _ in range(2):
        page.locator("#latest .thought-group .title").click()
        if name in DRAWN:
            expect(page.locator(f"#latest .bot-row {DRAWN[name]}").first).to_be_attached()
        page.wait_for_timeout(500)  # what loads by itself has begun to
        page.evaluate(CLICK)
        unharmed(page)
        assert page.url.split("?")[0] == address.split("?")[0]
        page.reload()
        answered(page)
    reached = (tmp_path / "reached.txt").read_text()
    assert "://" not in reached  # Gradio would fetch it
    assert list((app.home / "exchange").iterdir()) == []


def test_an_answer_never_covers_the_window_nor_sends_a_form(
    app: Any, open_page: Open, attacker: Attacker, tmp_path: Path
) -> None:
    page = open_page(app.start())
    address = page.url
    send(page, f"say cover {attacker.address}")
    answered(page)
    page.locator("#latest .thought-group .title").click()
    expect(page.locator("#latest .bot-row").get_by_text("over it").first).to_be_attached()
    on_top = """(place) => { const box = document.querySelector(place).getBoundingClientRect();
      const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      return top === null || top.closest(place) !== null; }"""
    for place in ("#box", "#new-chat", "#top", "#latest .user-row", "#latest .thought-group .title"):
        assert page.evaluate(on_top, place), place
    button = page.locator("#latest .bot-row form button")
    expect(button).to_have_count(2)  # in the reasoning and in the answer
    button.last.dispatch_event("click")
    page.wait_for_timeout(500)  # where it would lead
    assert page.url.split("?")[0] == address.split("?")[0]
    assert "/import" not in (tmp_path / "reached.txt").read_text()


def test_a_link_that_is_followed_does_not_say_where_it_stood(app: Any, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(app.start())
    ready(page)
    with attacking() as elsewhere:
        send(page, f"say followed {elsewhere.address}")
        answered(page)
        with context.expect_page() as opening:
            page.locator("#latest .bot-row").last.get_by_text("a place").click()
        opening.value.wait_for_url("**/followed?by=somebody")
        assert opening.value.evaluate("[window.opener, document.referrer]") == [None, ""]
        (headers,) = [headers for path, headers in elsewhere.calls if path.startswith("/followed")]
        assert "referer" not in headers
    context.close()
