"""Opens the window at a size and in a theme, and saves what it shows as a small PNG.

Knows: sizes, the folder of the pictures, how one is made small.
Does not know: what is shown.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from app_process import App
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "assets" / "screenshots"
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SOON = 60_000  # ms: a busy machine takes its time


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser that the variable CHROMIUM names."""
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=flags)
        yield browser
        browser.close()


@contextmanager
def running(command: list[str | Path]) -> Iterator[App]:
    """The app on an empty home. command: what starts it, without the port."""
    with tempfile.TemporaryDirectory() as scratch:
        app = App(Path(scratch) / "GLM Chat", command)
        app.start()
        try:
            yield app
        finally:
            app.stop()


@contextmanager
def page(browser: Browser, address: str, theme: Any, size: Any = DESK) -> Iterator[Page]:
    context = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
    opened = context.new_page()
    opened.goto(address)
    opened.wait_for_selector("html.loaded", state="attached")
    yield opened
    context.close()


def save(shown: Page, name: str) -> None:
    """In 256 colours: a fifth of the bytes, and no difference to be seen."""
    shown.mouse.move(0, 0)
    shown.wait_for_timeout(400)  # what fades has faded
    picture = Image.open(BytesIO(shown.screenshot())).convert("RGB")
    FOLDER.mkdir(exist_ok=True)
    picture.quantize(256).save(FOLDER / f"{name}.png", optimize=True)
