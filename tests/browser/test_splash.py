"""The page a double-click shows, in a real Chromium: what it says, and how it becomes the window."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import ROOT
from launching import PIECES, Index, Mac, make_bundle
from playwright.sync_api import Browser, Page, expect
from started import ready

SPLASH = ROOT / "scripts" / "bundle" / "splash.html"
KINDS = ["network", "disk", "repair", "start", "mac", "install", "folder"]
PHONE = {"width": 390, "height": 700}
Show = Callable[..., Page]


@pytest.fixture
def show(browser: Browser) -> Iterator[Show]:
    """Opens a splash page as a browser opens a file. At the end: it asked no server and no script failed."""
    contexts, asked, errors = [], [], []

    def open_(file: Path, **options: Any) -> Page:
        context = browser.new_context(**{"locale": "en-GB", "viewport": PHONE, **options})
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        context.on("weberror", lambda error: errors.append(str(error.error)))
        page = context.new_page()
        page.goto(file.as_uri())
        return page

    yield open_
    assert [
        url for url in asked if not url.startswith(("file:", "http://127.0.0.1:", "data:", "blob:"))
    ] == []
    assert errors == []
    for context in contexts:
        context.close()


@pytest.fixture
def lying(tmp_path: Path) -> Path:
    """The page beside a state that a test writes."""
    (tmp_path / "splash.html").write_bytes(SPLASH.read_bytes())
    return tmp_path / "splash.html"


def write(page: Path, state: str, at: float | None = None) -> None:
    now = time.time() if at is None else at
    (page.parent / "status.js").write_text(f"window.launch = {{at: {int(now)}, {state}}};\n")


@pytest.mark.slow
@pytest.mark.browser
def test_from_the_first_click_to_the_window(show: Show, tmp_path: Path) -> None:
    """The real launcher and app: a download breaks, goes on where it stopped, and the window comes."""
    index = Index()
    (tmp_path / "bundle").mkdir()
    mac = Mac(tmp_path, make_bundle(tmp_path / "bundle"), index)
    try:
        story(mac, show)
    finally:
        mac.close()
        index.close()


def story(mac: Mac, show: Show) -> None:
    mac.index.left = 4
    assert mac.opened() == 1
    (opened,) = mac.calls("open")[0]
    page = show(Path(opened))
    expect(page.locator("h1")).to_have_text("The download was cut off")
    expect(page.locator("#words")).to_contain_text("open GLM Chat again: it goes on where it stopped")
    expect(page.get_by_role("progressbar")).to_be_hidden()
    page.get_by_text("What the log says").click()
    expect(page.locator("#log")).to_contain_text("Failed to download")

    mac.index.left = None
    mac.index.gate.clear()
    second = mac.click()
    expect(page.locator("h1")).to_have_text("Setting up GLM Chat")
    expect(page.locator("#figures")).to_have_text("4 of about 8 MB")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")
    expect(page.get_by_text("What the log says")).to_be_hidden()
    mac.index.gate.set()
    assert mac.ended(second) == 0
    enters(page)
    assert mac.index.served == PIECES
    beside = page.context.new_page()  # of a click meanwhile: the address it is given was used up just now
    beside.goto(Path(opened).as_uri())
    enters(beside)


def enters(page: Page) -> None:
    page.wait_for_url(re.compile(r"^http://127\.0\.0\.1:\d+/$"), timeout=90_000)
    ready(page)


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_read_in_both_themes_on_a_narrow_screen(show: Show, lying: Path, theme: str) -> None:
    write(lying, f'phase: "error", kind: "disk", words: "{"x" * 300} y", log: "{"z" * 300}"')
    page = show(lying, color_scheme=theme)
    page.get_by_text("What the log says").click()
    expect(page.locator("#log")).to_be_visible()
    for part in ("h1", "#words", "#log"):
        assert contrast(page, part) >= 4.5
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(27, 27, 30)"
    assert dark is (theme == "dark")


def contrast(page: Page, selector: str) -> float:
    """As WCAG counts it, of a text with the background behind it."""
    return float(
        page.evaluate(
            """selector => {
  const part = document.querySelector(selector), style = getComputedStyle(part);
  const of = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const own = style.backgroundColor;
  const back = own === "rgba(0, 0, 0, 0)" ? getComputedStyle(document.body).backgroundColor : own;
  const [low, high] = [of(style.color), of(back)].sort((a, b) => a - b);
  return (high + .05) / (low + .05);
}""",
            selector,
        )
    )


@pytest.mark.browser
def test_the_bar_is_never_full_before_the_end(show: Show, lying: Path) -> None:
    write(lying, 'phase: "install", done: 1200, total: 970')
    page = show(lying)
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "99")
    write(lying, 'phase: "start"')
    expect(page.locator("h1")).to_have_text("Starting GLM Chat")
    expect(page.get_by_role("progressbar")).not_to_have_attribute("aria-valuenow", "99")
    expect(page.locator("#figures")).to_be_empty()


@pytest.mark.browser
def test_a_launcher_that_fell_silent_is_told(show: Show, lying: Path) -> None:
    write(lying, 'phase: "install", done: 5, total: 10', at=time.time() - 600)
    page = show(lying)
    expect(page.locator("h1")).to_have_text("GLM Chat stopped")
    expect(page.locator("#words")).to_contain_text("Open GLM Chat again")
    write(lying, 'phase: "install", done: 6, total: 10')
    expect(page.locator("#figures")).to_have_text("6 of about 10 MB")


@pytest.mark.browser
def test_before_there_is_a_state_it_says_that_it_starts(show: Show, lying: Path) -> None:
    expect(show(lying).locator("h1")).to_have_text("Starting GLM Chat")


@pytest.mark.browser
def test_what_a_log_holds_is_shown_as_words(show: Show, lying: Path) -> None:
    write(
        lying,
        r'phase: "error", kind: "install", words: "<b>w</b>", log: "\x3c/script>\x3cimg src=x onerror=y()>"',
    )
    page = show(lying)
    expect(page.locator("#words")).to_have_text("<b>w</b>")
    page.get_by_text("What the log says").click()
    expect(page.locator("#log")).to_have_text("</script><img src=x onerror=y()>")


@pytest.mark.browser
def test_it_speaks_chinese(show: Show, lying: Path) -> None:
    write(lying, 'phase: "start"')
    page = show(lying, locale="zh-CN")
    expect(page.locator("h1")).to_have_text("正在启动 GLM Chat")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    write(lying, 'phase: "install", done: 5, total: 10')
    expect(page.locator("#figures")).to_have_text("5 MB，共约 10 MB")
    for kind in KINDS:
        write(lying, f'phase: "error", kind: "{kind}", words: "{kind}", log: ""')
        expect(page.locator("main")).to_have_class("failed")
        expect(page.locator("h1")).to_have_text(re.compile("[\u4e00-\u9fff]{2}"))


def test_every_failure_of_the_launcher_has_a_title() -> None:
    launcher = (SPLASH.parent / "launcher").read_text()
    assert set(re.findall(r"\bfail ([a-z]+) ", launcher)) == set(KINDS)


@pytest.fixture(autouse=True)
def patient() -> None:
    expect.set_options(timeout=30_000)
