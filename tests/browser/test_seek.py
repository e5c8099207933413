"""Times in an answer that show their moment in the player: which words are times, what a click does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asking import ROOT
from media import write_video
from playwright.sync_api import Browser, Page, expect
from test_seen import watch

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
TIMES = [
    ("At 0:04 it turns", [("0:04", 4)]),
    ("from 00:04 to 1:02:03.", [("00:04", 4), ("1:02:03", 3723)]),
    ("4 s, then 4s, at 4.0 seconds and 0.5 sec",
     [("4 s", 4), ("4s", 4), ("4.0 seconds", 4), ("0.5 sec", 0.5)]),
    ("Second 4, and seconds 2.5", [("Second 4", 4), ("seconds 2.5", 2.5)]),
    ("<2.0 seconds>", [("2.0 seconds", 2)]),
    ("2–4 s, from 2 to 4 seconds, 0:02-0:04",
     [("2", 2), ("4 s", 4), ("2", 2), ("4 seconds", 4), ("0:02", 2), ("0:04", 4)]),
    ("1 minute 5 seconds or 1m05s", [("1 minute 5 seconds", 65), ("1m05s", 65)]),
    ("at the 4-second mark", [("4-second", 4)]),
    ("4 seconds of the video", [("4 seconds", 4)]),
    ("在第4秒和1分5秒", [("4秒", 4), ("1分5秒", 65)]),
    *((words, []) for words in (
        "It lasts 4 seconds.", "for about 4 seconds", "8 seconds long", "a 4-second clip", "every 0.5 s",
        "in the first 2 seconds", "a total of 4 seconds", "10:30 am", "at 4:05 p.m.", "4 m/s", "$4 s",
        "v1.2 s", "1,004 s", "-4 s", "16:9", "12:61", "2024-01-01T10:00:00", "0:4", "5 squares and 3 stars",
        "4 s/frame",
    )),
]  # fmt: skip


@pytest.fixture(scope="module")
def bare(browser: Browser) -> Page:
    """A page that has nothing but the script."""
    page = browser.new_page()
    page.add_script_tag(path=ROOT / "assets" / "seek.js")
    return page


@pytest.mark.parametrize(("text", "times"), TIMES)
def test_what_is_taken_for_a_time(bare: Page, text: str, times: list[tuple[str, float]]) -> None:
    found = bare.evaluate("(text) => window.glmchat.times(text)", text)
    assert [(text[one["at"] : one["end"]], one["second"]) for one in found] == times


def test_a_time_as_it_is_written_for_people(bare: Page) -> None:
    seconds = [0, 4.25, 59.97, 65, 3723.5]
    words = bare.evaluate("(seconds) => seconds.map(window.glmchat.clock)", seconds)
    assert words == ["0:00", "0:04.3", "1:00", "1:05", "1:02:03.5"]


def second(page: Page, wanted: float, player: str = "#latest .user-row video") -> None:
    expect(page.locator(player)).to_be_in_viewport(ratio=0.5)
    script = "([player, at]) => Math.abs(document.querySelector(player).currentTime - at) < 0.01"
    page.wait_for_function(script, arg=[player, wanted])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "long.webm", 60, 10, "VP80")


def test_times_in_an_answer_show_their_moment(app: Any, open_page: Open, clip: Path) -> None:
    allowed = {
        "permissions": ["clipboard-read", "clipboard-write"],
        "viewport": {"width": 800, "height": 560},
    }
    page = open_page(app.start(), **allowed)
    watch(page, clip)
    links = page.locator("#latest a.seek")
    # not 0:59, which is past the end; not in code, in other links, or how long something lasts
    expect(links).to_have_text(["0:02", "4.0 seconds", "0:05", "second 3", "00:01"])
    expect(links.nth(1)).to_have_attribute("title", "Show 0:04 of long.webm")
    expect(page.locator("#latest .bot-row .prose p").first).to_have_text(
        "It turns blue at 0:02, and at 4.0 seconds it is red; never at 0:59."
    )
    colour = "(node) => getComputedStyle(node).color"
    assert links.first.locator("span").evaluate(colour) == page.get_by_role("link", name="own").evaluate(
        colour
    )
    address = page.url
    links.nth(1).click()
    second(page, 4)
    assert page.locator("#latest .user-row video").evaluate("(video) => video.paused")
    links.last.focus()
    page.keyboard.press("Enter")
    second(page, 1)
    page.get_by_role("link", name="own").click()  # the model's own words for such a link are nothing
    assert page.url == address
    assert page.locator("#latest .user-row video").evaluate("(video) => video.currentTime") < 1.01
    page.click("#latest .act.copy")
    page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('at 4.0 seconds it')")
    assert "seek=2" not in page.evaluate("navigator.clipboard.readText()")
    page.reload()
    expect(links).to_have_count(5, timeout=20_000)


def test_of_several_videos_the_one_named_is_meant(
    app: Any, open_page: Open, clip: Path, tmp_path: Path
) -> None:
    other = write_video(tmp_path / "other clip.webm", 70, 10, "VP80")
    page = open_page(app.start())
    watch(page, clip, other)
    links = page.locator("#latest a.seek")
    titles = [link.get_attribute("title") or "" for link in links.all()]
    assert [title.split(" of ")[1] for title in titles] == ["other clip.webm"] * 2 + ["long.webm"] * 3
    watch(page, words="watch once more")
    page.locator("#latest a.seek").first.click()
    players = "#earlier .user-row video"
    page.wait_for_function(f"Math.abs(document.querySelectorAll('{players}')[1].currentTime - 2) < 0.01")
    assert page.locator(players).first.evaluate("(video) => video.currentTime") == 0


def test_without_a_video_a_time_is_only_a_word(app: Any, open_page: Open, picture: Path) -> None:
    page = open_page(app.start())
    watch(page, picture)
    expect(page.locator("#latest")).to_contain_text("at 4.0 seconds")
    assert page.locator("#latest a.seek").count() == 0
