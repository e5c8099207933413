"""Conversations leave as a zip and come back, through the window's own buttons, in a real Chromium."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
CHATGPT = [
    {
        "title": "A <b>talk</b> from elsewhere",
        "create_time": 1700000000.0,
        "current_node": "b",
        "mapping": {
            "a": {
                "id": "a", "parent": None, "children": ["b"],
                "message": {
                    "author": {"role": "user"}, "create_time": 1700000000.0,
                    "content": {"content_type": "text", "parts": ["How high is the tower?"]},
                },
            },
            "b": {
                "id": "b", "parent": "a", "children": [],
                "message": {
                    "author": {"role": "assistant"}, "create_time": 1700000001.0,
                    "content": {"content_type": "text", "parts": ["About 330 metres."]},
                },
            },
        },
    }
]  # fmt: skip


@pytest.fixture
def page(app: Any, open_page: Open, picture: Path) -> Page:
    page = open_page(app.start())
    page.set_input_files("#box input[type=file]", picture)
    expect(page.locator(".chip")).to_be_visible()
    page.fill("#box textarea", "quick look")
    page.keyboard.press("Enter")
    expect(page.locator("#latest")).to_contain_text("I saw 1 files", timeout=30_000)
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=30_000)
    return page


def saved(page: Page, press: Callable[[], None], to: Path) -> zipfile.ZipFile:
    with page.expect_download() as saving:
        press()
    saving.value.save_as(to)
    return zipfile.ZipFile(to)


def test_everything_goes_out_and_comes_back(app: Any, page: Page, tmp_path: Path) -> None:
    page.keyboard.press("ControlOrMeta+,")
    press = page.get_by_role("button", name="Export all as JSON").click
    with saved(page, press, file := tmp_path / "all.zip") as archive:
        assert json.loads(archive.read("conversations.json"))["conversations"][0]["title"] == "quick look"
        assert len([name for name in archive.namelist() if name.startswith("media/")]) == 1
    page.set_input_files(".settings input[type=file]", file)
    expect(page.locator(".told")).to_contain_text("1 already there", timeout=30_000)
    assert list((app.home / "exchange").iterdir()) == []


def test_one_conversation_as_a_page(page: Page, tmp_path: Path) -> None:
    def press() -> None:
        page.locator(".conv").hover()
        page.locator(".conv .more").click()
        page.get_by_role("menuitem", name="Export as Markdown").click()

    with saved(page, press, tmp_path / "one.zip") as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".md"))
        text = archive.read(name).decode()
    assert "# quick look" in text and "I saw **1 files**" in text and "media/" in text


def test_another_apps_export_is_read_and_found(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "export.zip"
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("conversations.json", json.dumps(CHATGPT))
    page.keyboard.press("ControlOrMeta+,")
    page.set_input_files(".settings input[type=file]", file)
    expect(page.locator(".told")).to_contain_text("1 conversation imported", timeout=30_000)
    page.get_by_role("button", name="Done").click()
    page.keyboard.press("ControlOrMeta+k")
    page.keyboard.type("metres")
    expect(page.locator(".conv .title")).to_have_text(["A <b>talk</b> from elsewhere"])
    page.keyboard.press("Enter")
    expect(page.locator("#latest")).to_contain_text("About 330 metres.")


def test_nonsense_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "my notes & ümläute.zip"
    file.write_bytes(b"not a zip at all")
    page.keyboard.press("ControlOrMeta+,")
    page.set_input_files(".settings input[type=file]", file)
    expect(page.locator(".told")).not_to_contain_text("Importing", timeout=30_000)
    expect(page.locator(".told")).to_contain_text("my notes & ümläute.zip")
    expect(page.locator(".told")).to_contain_text("Export it again")
    expect(page.locator(".told")).not_to_contain_text("Traceback")
