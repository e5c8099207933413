"""The command extract: a table in the terminal and as a file, and a run that goes on where it ended."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from pathlib import Path

import pytest
from invoices import BILLS, COLUMNS, invoices, pictured, reading

from app import __main__
from app.extracting import Order, extract
from mlx_backend import BackendError, FakeEngine, Request, Text
from mlx_backend.fake import Step


@pytest.fixture
def bills(tmp_path: Path) -> tuple[Path, ...]:
    return tuple(invoices(tmp_path / "in", 3))


def kept(home: Path) -> list[Path]:
    return list((home / "extract").glob("*"))


def asked(engine: FakeEngine) -> list[str]:
    contents = [
        [part.text for part in one.messages[-1].content if isinstance(part, Text)] for one in engine.requests
    ]
    return ["".join(texts).split(' page 1 · "')[1].split('"')[0] for texts in contents]


def test_a_table_is_printed_and_saved(
    bills: tuple[Path, ...], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = (*bills, pictured(tmp_path / "photo.png"))
    output = tmp_path / "table.csv"
    assert extract(FakeEngine(reading), Order(files, COLUMNS, output=output), home) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].split() == ["File", "number", "date", "supplier", "total"]
    assert lines[2].split("  ")[0] == "invoice 2.pdf" and "Müller & Söhne GmbH" in lines[2]
    assert "INV-1041 *" in lines[4] and lines[-1].startswith("* read off a picture")
    assert "file 3 of 4 · invoice 3.pdf" in told.err
    assert "4 of 4 files done, 12 of 16 values verified." in told.err and "table.csv" in told.err
    saved = list(csv.reader(io.StringIO(output.read_text("utf-8-sig"), newline="")))
    assert [line[1] for line in saved[1:]] == [BILLS[0][0], BILLS[1][0], BILLS[2][0], BILLS[0][0]]
    assert kept(home) == [] and [file.name for file in tmp_path.glob(".*")] == []


def test_a_table_that_cannot_be_saved_is_kept(
    bills: tuple[Path, ...], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, engine = tmp_path / "out", FakeEngine(reading)
    (folder / ".table.csv.part").mkdir(parents=True)  # stands in the way
    with pytest.raises(BackendError, match=r"The table is kept.*--resume"):
        extract(engine, Order(bills, COLUMNS, output=folder / "table.csv"), home)
    output = tmp_path / "table.csv"
    assert extract(engine, Order(bills, COLUMNS, output=output, resume=True), home) == 0
    assert len(engine.requests) == len(bills) and output.exists()


def test_what_failed_is_a_line_and_is_asked_again(
    bills: tuple[Path, ...], home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken\x1b[31m.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing")
    order = Order((bills[0], broken, bills[1]), COLUMNS, output=tmp_path / "table.json")
    assert extract(FakeEngine(reading), order, home) == 1
    told = capsys.readouterr()
    assert "broken [31m.pdf: It is damaged" in told.out and "\x1b" not in told.out
    assert "--resume goes on with the others" in told.err
    broken.write_bytes(bills[2].read_bytes())  # mended meanwhile
    engine = FakeEngine(reading)
    again = Order(order.files, COLUMNS, output=order.output, resume=True)
    assert extract(engine, again, home) == 0
    assert len(engine.requests) == 1
    saved = json.loads((tmp_path / "table.json").read_text())
    assert [file["rows"][0]["number"]["value"] for file in saved["files"]] == [
        "INV-1041",
        "INV-1043",
        "INV-1042",
    ]
    assert kept(home) == []


def test_ctrl_c_keeps_what_is_finished_and_resume_goes_on(
    bills: tuple[Path, ...], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(request: Request) -> list[Step]:
        if len(engine.requests) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            return [0.5]
        return reading(request)

    engine = FakeEngine(interrupted)
    assert extract(engine, Order(bills, COLUMNS), home) == 130
    told = capsys.readouterr()
    assert "INV-1041" in told.out and "invoice 2.pdf: not asked yet" in told.out
    second = FakeEngine(reading)
    assert extract(second, Order(bills, COLUMNS, resume=True), home) == 0
    assert asked(second) == ["invoice 2.pdf", "invoice 3.pdf"]
    assert extract(FakeEngine(reading), Order(bills, COLUMNS, resume=True), home) == 0
    assert "no unfinished run" in capsys.readouterr().err


REFUSED = {
    "columns": (["--columns", "a, A"], "Two columns are called a"),
    "schema": (["--schema", "SCHEMA"], "no properties"),
    "format": (["--columns", "a", "--output", "table.doc"], "saved as .csv, .xlsx or .json"),
    "folder": (["--columns", "a", "--output", "/nowhere/at/all/table.csv"], "no such folder"),
    "file": (["/nowhere/bill.pdf", "--columns", "a"], "no such file"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_done_is_told_before_anything_is_asked(
    bills: tuple[Path, ...], tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    options, words = REFUSED[what]
    (tmp_path / "SCHEMA").write_text('{"type": "string"}')
    options = [str(tmp_path / one) if one == "SCHEMA" else one for one in options]
    assert __main__.main(["extract", str(bills[0]), *options, "--model", "fake"]) == 1
    told = capsys.readouterr()
    assert words in told.err and told.out == "" and kept(home) == []


def test_the_help_teaches_with_invoices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        __main__.main(["extract", "--help"])
    assert ended.value.code == 0 and "invoices/*.pdf" in capsys.readouterr().out


def test_two_runs_of_one_table_do_not_meet(bills: tuple[Path, ...], home: Path) -> None:
    order = Order(bills, COLUMNS)

    def second(request: Request) -> list[Step]:
        with pytest.raises(BackendError, match="by another run"):
            extract(FakeEngine(reading), order, home)
        return reading(request)

    assert extract(FakeEngine(second), order, home) == 0
