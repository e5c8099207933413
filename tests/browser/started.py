"""How a Chromium is started, and when the window in it can be used."""

from __future__ import annotations

from playwright.sync_api import Page

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def ready(page: Page) -> None:
    page.wait_for_selector("#box textarea")
    page.wait_for_function("() => document.querySelector('.convs')?.children.length > 0")
    page.wait_for_selector("html.loaded", state="attached")  # before, an answer may set a switch back
