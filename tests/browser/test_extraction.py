"""A table out of files in a real window: dropped, filled, looked at, stopped, gone on with, saved."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from app_process import App
from invoices import BILLS, COLUMNS, invoices, pictured
from looks import LOOKS, sound
from playwright.sync_api import Page, expect

from app.store import Store

pytestmark = pytest.mark.browser

EXTRACTING = Path(__file__).resolve().parent / "extracting_app.py"
SOON = 60_000
Open = Callable[..., Page]
DROP = """([files, target]) => {
  const carried = new DataTransfer();
  for (const [name, data] of files)
    carried.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name));
  for (const kind of ['dragenter', 'dragover', 'drop']) document.querySelector(target)
    .dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: carried })); }"""


@pytest.fixture
def extracting(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path / "home", [sys.executable, EXTRACTING])
    yield app
    app.stop()


def begin(page: Page, files: list[Path], columns: str = COLUMNS) -> None:
    """The page of tables, the columns written, the files dropped on it."""
    page.click("[data-do=tables]")
    page.fill(".tables textarea", columns)
    carried = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
    page.evaluate(DROP, [carried, ".tables .drop"])
    expect(page.locator(".tables .picked li")).to_have_count(len(files))
    page.click(".tables .main")


def filled(page: Page, files: int) -> None:
    expect(page.locator(".tables .progress")).to_contain_text(f"of {files} files", timeout=SOON)
    expect(page.get_by_role("button", name="Delete")).to_be_visible(timeout=SOON)


def saved(page: Page, kind: str) -> bytes:
    with page.expect_download() as got:
        page.get_by_role("button", name=f"Save as {kind}").click()
    assert got.value.suggested_filename == f"number, date, supplier, total.{kind.lower()}"
    return Path(got.value.path()).read_bytes()


def test_from_dropped_files_to_a_saved_table(extracting: App, open_page: Open, tmp_path: Path) -> None:
    broken = tmp_path / "=1+1 <img src=x onerror=window.pwned=1>.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing")
    page = open_page(extracting.start())
    begin(page, [*invoices(tmp_path / "in", 2), pictured(tmp_path / "photo.png"), broken])
    expect(page.locator(".tables td.verified").first).to_be_visible(timeout=SOON)  # while the others wait
    filled(page, 4)
    expect(page.locator(".tables .progress")).to_contain_text("1 failed")
    expect(page.locator(".tables td.verified")).to_have_count(8)
    expect(page.locator(".tables td.seen")).to_have_count(4)
    expect(page.locator(".tables td.lost")).to_contain_text("It is damaged")
    assert page.locator("#box .thumbnail-item").count() == 0  # nothing went to the chat
    lines = list(csv.reader(io.StringIO(saved(page, "CSV").decode("utf-8-sig"), newline="")))
    assert lines[0] == ["File", "number", "date", "supplier", "total", "Not verified", "Note"]
    assert lines[1] == ["invoice 1.pdf", BILLS[0][0], BILLS[0][1], BILLS[0][2], "1204.5", "", ""]
    assert lines[4][0].startswith("'=1+1") and "damaged" in lines[4][-1]
    book = openpyxl.load_workbook(io.BytesIO(saved(page, "XLSX")))
    assert [cell.value for cell in book["Table"]["B"]][:3] == ["number", "INV-1041", "INV-1042"]
    told = json.loads(saved(page, "JSON"))
    assert told["files"][0]["rows"][0]["total"]["quote"].startswith("Total to be paid: 1,204.50 EUR")
    assert page.evaluate("window.pwned") is None


def test_a_cell_shows_its_evidence_and_its_page(extracting: App, open_page: Open, tmp_path: Path) -> None:
    page = open_page(extracting.start())
    begin(page, [*invoices(tmp_path / "in", 1), pictured(tmp_path / "photo.png")])
    filled(page, 2)
    cells, proof = page.locator(".tables td.cell"), page.locator(".tables .proof")
    cells.nth(0).click()
    expect(proof).to_contain_text("Invoice number: INV-1041")
    expect(proof).to_contain_text("These words are on the page and hold the value.")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(proof).to_contain_text("Total to be paid: 1,204.50 EUR")
    page.keyboard.press("Enter")
    expect(page.locator(".viewer .mark").first).to_be_visible(timeout=SOON)
    expect(page.locator(".viewer .note")).to_contain_text("[total] These words are on this page.")
    page.keyboard.press("ControlOrMeta+f")
    expect(page.locator(".viewer .finder input")).to_be_focused()
    page.keyboard.press("Escape")  # one thing after the other: the search, the page, the tables
    expect(page.locator(".viewer .finder")).to_be_hidden()
    expect(page.locator(".viewer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".viewer")).to_be_hidden()
    expect(page.locator(".tables")).to_be_visible()
    page.locator(".tables td.seen").first.click()
    expect(proof).to_contain_text("Read off a picture by the model.")
    expect(proof.locator(".picture i")).to_be_visible(timeout=SOON)
    page.keyboard.press("Escape")
    expect(page.locator(".tables")).to_be_hidden()


def done(home: Path) -> int:
    with contextlib.closing(Store(home / "glmchat.db")) as store:
        return store.extractions()[0].done


def test_stopped_and_killed_it_goes_on_with_what_is_missing(
    extracting: App, open_page: Open, tmp_path: Path
) -> None:
    page = open_page(extracting.start())
    begin(page, invoices(tmp_path / "in", 5))
    expect(page.locator(".tables td.verified").first).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible(timeout=SOON)
    before = done(extracting.home)
    assert 1 <= before < 5
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".tables td.verified")).to_have_count(4 * (before + 1), timeout=SOON)
    page.goto("about:blank")
    extracting.stop(signal.SIGKILL)
    page = open_page(extracting.start())
    page.click("[data-do=tables]")
    expect(page.locator(".tables .earlier")).to_contain_text("number, date, supplier, total")
    page.locator(".tables .open").click()
    page.get_by_role("button", name="Go on").click()
    filled(page, 5)
    expect(page.locator(".tables td.verified")).to_have_count(20, timeout=SOON)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Really delete this table?").click()
    expect(page.locator(".tables .earlier")).to_have_count(0)


def test_columns_that_cannot_be_used_are_told(extracting: App, open_page: Open, tmp_path: Path) -> None:
    page = open_page(extracting.start())
    begin(page, invoices(tmp_path / "in", 1), "total, Total")
    expect(page.locator(".tables .told")).to_have_text(
        "Two columns are called total. Give each its own name."
    )
    expect(page.locator(".tables .picked li")).to_have_count(1)


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_it_looks_right(extracting: App, open_page: Open, tmp_path: Path, look: str) -> None:
    options: dict[str, Any] = LOOKS[look]
    page = open_page(extracting.start(), **options)
    page.click("[data-do=tables]")
    expect(page.locator(".tables .new")).to_be_visible()
    sound(page, f"tables-new-{look}")
    page.fill(".tables textarea", COLUMNS)
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    page.set_input_files(".tables .drop input", [*invoices(tmp_path / "in", 1), tmp_path / "broken.pdf"])
    page.click(".tables .main")
    filled(page, 2)
    page.locator(".tables td.cell").nth(1).click()
    sound(page, f"tables-grid-{look}")
