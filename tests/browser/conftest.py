"""A real app in its own process and a real Chromium that watches everything the page does.

Every page made here fails its test on any request to another host and on any script error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from app_process import App
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, Request, sync_playwright
from started import FLAGS, ready

SCRIPTED = Path(__file__).resolve().parent / "scripted_app.py"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """The scripted app on a fresh home, not yet started."""
    app = App(tmp_path / "home", [sys.executable, SCRIPTED])
    yield app
    app.stop()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Not for the whole session: while Playwright runs, no test can run an event loop of its own."""
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a page at an address and waits until it can be used.

    Options of the browser context may be given. At the end: no request went to any other host, and no script
    failed.
    """
    contexts = []
    sent: list[Request] = []
    refused: list[Request] = []  # by the page's own policy, before anything left the browser
    errors: list[str] = []
    own = ["data:", "blob:"]

    def open_(address: str, **options: Any) -> Page:
        own.append("{0.scheme}://{0.netloc}/".format(urlsplit(address)))
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        context.on("request", lambda request: sent.append(request))
        context.on("requestfailed", lambda request: refused.append(request) if _by_policy(request) else None)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        page = context.new_page()
        page.goto(address)
        ready(page)
        return page

    yield open_
    foreign = [request for request in sent if not request.url.startswith(tuple(own))]
    assert [request.url for request in foreign if request not in refused] == []
    assert errors == []
    for context in contexts:
        context.close()


def _by_policy(request: Request) -> bool:
    return "csp" in (request.failure or "").lower()


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pictures") / "three shapes.png"
    image = Image.new("RGB", (640, 360), "#eef2f7")
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 100, 220, 260), fill="#f59e0b")
    draw.rectangle((270, 100, 430, 260), fill="#3b82f6")
    draw.polygon([(480, 260), (600, 260), (540, 120)], fill="#22c55e")
    image.save(file)
    return file
