"""What the model saw, under an answer: sizes, tokens and the moments of a video, in a real Chromium.

The scripted model says that it saw twelve moments of six seconds; every video here is that long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from media import write_video
from playwright.sync_api import Page, expect

from app.blobs import Blobs
from app.store import Part, Store, StoredBlob

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]

PER_SECOND, SECONDS, SIZE = 10, 6, (320, 240)
PIXEL = """(cell) => { const canvas = cell.querySelector('canvas'), pen = canvas.getContext('2d');
  return [...pen.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].slice(0, 3); }"""
# What drawing does, done to the end: had the strip gone on meanwhile, it would be further by now.
SEEKS = """async (src) => { const video = document.createElement('video');
  const once = (kind) => new Promise((done) => video.addEventListener(kind, done, { once: true }));
  video.muted = true; const ready = once('loadeddata'); video.src = src; await ready;
  for (let n = 0; n < 12; n++) {
    const there = once('seeked'); video.currentTime = n / 2 + 0.1; await there; } }"""


def blue_then_red() -> Iterator[npt.NDArray[np.uint8]]:
    for n in range(PER_SECOND * SECONDS):
        yield np.full((SIZE[1], SIZE[0], 3), (200, 60, 40) if n < 30 else (40, 40, 200), np.uint8)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "turning.webm", 0, PER_SECOND, "VP80", SIZE, blue_then_red())


def watch(page: Page, *files: Path, words: str = "watch") -> None:
    """Ask, and wait for the whole answer and what stands under it."""
    if files:
        page.set_input_files("#box input[type=file]", list(files))
        expect(page.locator(".chip")).to_have_count(len(files))
    questions = page.locator(".user-row").count()
    page.fill("#box textarea", words)
    page.keyboard.press("Enter")
    expect(page.locator(".user-row")).to_have_count(questions + 1, timeout=30_000)
    expect(page.locator("#latest .saw-words")).to_be_visible(timeout=30_000)
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=30_000)


def drawn(page: Page, count: int) -> None:
    expect(page.locator("#latest .moment.drawn")).to_have_count(count, timeout=30_000)


def test_sizes_tokens_and_moments_fold_out(app: Any, open_page: Open, clip: Path, picture: Path) -> None:
    page = open_page(app.start())
    watch(page, clip, picture)
    fold, panel = page.locator("#latest .saw-words"), page.locator("#latest .saw")
    expect(panel).to_be_hidden()
    expect(fold).to_have_attribute("aria-expanded", "false")
    assert panel.locator(".drawn").count() == 0  # nothing is drawn that nobody looks at
    fold.focus()
    page.keyboard.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(panel.locator(".one strong")).to_have_text(["turning.webm", "three shapes.png"])
    expect(panel.locator(".fact")).to_have_text(
        [
            *("0:06 long", "12 pairs of frames", "320 × 240 → 336 × 252 px", "1,296 tokens"),
            *("4,000 × 3,000 → 1,204 × 896 px", "shrunk", "1,376 tokens"),
            *("Pictures and videos: 2,672 tokens", "Text: 27,328 tokens"),
        ]
    )
    drawn(page, 12)
    expect(panel.locator(".moment").nth(3)).to_have_text("0:01.5")
    colours = [cell.evaluate(PIXEL) for cell in panel.locator(".moment").all()]
    assert [red < blue for red, _, blue in colours] == [True] * 6 + [False] * 6  # each at its own second
    expect(panel.locator(".told")).to_have_text("")
    fold.click()
    expect(panel).to_be_hidden()


def test_a_click_on_a_moment_shows_it_in_the_player(app: Any, open_page: Open, clip: Path) -> None:
    page = open_page(app.start(), viewport={"width": 390, "height": 700}, color_scheme="dark")
    watch(page, clip)
    page.click("#latest .saw-words")
    drawn(page, 12)
    player = page.locator("#latest .user-row video")
    expect(player).not_to_be_in_viewport()
    page.locator("#latest .moment").nth(8).click()
    expect(player).to_be_in_viewport(ratio=0.9)
    page.wait_for_function("Math.abs(document.querySelector('.user-row video').currentTime - 4) < 0.01")
    assert player.evaluate("(video) => video.paused")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    film = page.locator("#latest .film")
    assert film.evaluate("(film) => film.scrollWidth > film.clientWidth")  # it scrolls by itself


def test_the_fold_stays_open_when_the_answer_moves_up(app: Any, open_page: Open, clip: Path) -> None:
    page = open_page(app.start())
    watch(page, clip)
    page.click("#latest .saw-words")
    drawn(page, 12)
    watch(page, words="watch again, endless")
    expect(page.locator("#earlier .saw .moment.drawn")).to_have_count(12)
    expect(page.locator("#earlier .saw-words")).to_have_css("opacity", "1")
    page.click("#latest .saw-words")
    expect(page.locator("#latest .told")).to_have_text("60 of 240 moments are shown here.")
    expect(page.locator("#latest .fact").nth(1)).to_have_text("240 pairs of frames")
    drawn(page, 60)
    page.reload()
    expect(page.locator("#earlier .saw-words")).to_have_count(1, timeout=20_000)
    expect(page.locator("#earlier .saw")).to_be_hidden()


def test_closing_the_fold_ends_the_drawing(app: Any, open_page: Open, clip: Path) -> None:
    page = open_page(app.start())
    watch(page, clip)
    page.locator("#latest .saw-words").evaluate("(fold) => { fold.click(); fold.click(); }")
    page.evaluate(SEEKS, page.locator("#latest .user-row video").get_attribute("src"))
    assert page.locator("#latest .moment.drawn").count() <= 1
    page.click("#latest .saw-words")
    drawn(page, 12)


def test_what_the_browser_cannot_play_is_told_in_seconds(app: Any, open_page: Open, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "old.avi", 0, PER_SECOND, "MJPG", SIZE, blue_then_red())
    page = open_page(app.start())
    watch(page, clip)
    page.click("#latest .saw-words")
    told = "This browser cannot play old.avi. These are the moments the model looked at."
    expect(page.locator("#latest .told")).to_have_text(told, timeout=30_000)
    moments = page.locator("#latest .moment")
    expect(moments).to_have_text([f"0:0{n // 2}{'.5' if n % 2 else ''}" for n in range(12)])
    expect(page.locator("#latest .moment canvas").first).to_be_hidden()
    expect(moments.first).to_be_disabled()


def test_without_pictures_there_is_nothing_to_unfold(app: Any, open_page: Open) -> None:
    page = open_page(app.start())
    page.fill("#box textarea", "watch")
    page.keyboard.press("Enter")
    expect(page.locator("#latest .acts .cost")).to_be_visible(timeout=30_000)
    assert page.locator(".saw-words").count() == 0


def test_a_picture_in_an_answer_is_shown(app: Any, open_page: Open, picture: Path) -> None:
    """As other apps' models make them: they come with an import."""
    app.home.mkdir(exist_ok=True)
    store, blob = Store(app.home / "glmchat.db"), Blobs(app.home / "blobs").put(picture)
    stored = StoredBlob(blob.sha256, "image/png", blob.bytes)
    made = Part("image", "", blob.sha256, {"name": "made.png", "media_type": "image/png"})
    begun = store.begin_turn(None, "Draw", [Part("text", "Draw shapes")], [stored])
    store.finish(
        begun.answer_id, [Part("text", "Here **they** are:"), made, Part("text", "Good?")], "complete"
    )
    store.close()
    page = open_page(app.start())
    page.click(".conv .open")
    image = page.locator("#latest .bot-row img")
    expect(image).to_be_visible(timeout=20_000)
    assert image.evaluate("async (img) => { await img.decode(); return img.naturalWidth; }") == 640
    expect(page.locator("#latest .bot-row .prose")).to_have_text(["Here they are:", "Good?"])
    expect(page.locator("#latest .act.again")).to_have_count(1)
