"""A table as files: what a document says computes nothing in anybody's spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import openpyxl
import pytest

from app.extract.cells import EMPTY, Cell
from app.extract.columns import Column
from app.extract.saving import Filled, Table, as_csv, as_json, as_xlsx, harmless

FORMULAS = (
    '=HYPERLINK("http://127.0.0.1:9/?"&A1,"x")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1:A9)", "\t=1+1",
    "\r=1", "\n=1", " =1+1", "＝1+1", "＋1", "－1", "＠SUM(1)", '=IMPORTXML("http://a")', "=1\x00+1",
)  # fmt: skip
TABLE = Table(
    "Bills",
    (Column("=name"), Column("total", "number"), Column("paid", "yesno")),
    (
        Filled(
            "=evil.pdf",
            "done",
            (
                (
                    Cell('Müller, "GmbH"', "of Müller", 1, "page 1", "verified"),
                    Cell(-12.5, mark="missing"),
                    EMPTY,
                ),
                (
                    Cell("上海", "上海", 2, "page 2", "seen", box=(1, 2, 3, 4)),
                    EMPTY,
                    Cell(True, mark="unlike"),
                ),
            ),
        ),
        Filled("bad.pdf", "failed", (), "It is damaged."),
        Filled("later.pdf", "waiting"),
    ),
)


def formulas() -> Table:
    rows = tuple((Cell(text, text, 1, text, "verified"),) for text in FORMULAS)
    return Table(
        "x",
        (Column("a"),),
        tuple(Filled(text, "done", (row,)) for text, row in zip(FORMULAS, rows, strict=True)),
    )


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_of_a_csv_begins_a_formula(text: str) -> None:
    assert harmless(text).startswith("'")


def test_plain_words_stay_as_they_are() -> None:
    for text in ("a=b", "1-2", "3.5", "", "name@example.org", "上海"):
        assert harmless(text) == text


def test_a_csv_has_a_line_for_each_row_and_each_file_without_one() -> None:
    data = as_csv(TABLE)
    assert data.startswith(b"\xef\xbb\xbf")
    assert list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))) == [
        ["File", "'=name", "total", "paid", "Not verified", "Note"],
        ["'=evil.pdf", 'Müller, "GmbH"', "-12.5", "", "total", ""],
        ["'=evil.pdf", "上海", "", "yes", "paid", ""],
        ["bad.pdf", "", "", "", "", "It is damaged."],
        ["later.pdf", "", "", "", "", "not asked yet"],
    ]
    for line in csv.reader(io.StringIO(as_csv(formulas()).decode("utf-8-sig"), newline="")):
        assert not any(value.lstrip()[:1] in tuple("=+@＝＋－＠") for value in line if value)


def test_a_workbook_holds_strings_and_numbers_and_no_formula() -> None:
    for table in (TABLE, formulas()):
        book = openpyxl.load_workbook(io.BytesIO(as_xlsx(table)))
        kinds = {cell.data_type for sheet in book for line in sheet.iter_rows() for cell in line}
        assert kinds <= {"s", "inlineStr", "n", "b"} and book.sheetnames == ["Table", "Evidence"]
    assert book["Table"]["B2"].value == FORMULAS[0]
    book = openpyxl.load_workbook(io.BytesIO(as_xlsx(TABLE)))
    sheet = book["Table"]
    assert [cell.value for cell in sheet[2]] == ["=evil.pdf", 'Müller, "GmbH"', -12.5, None, "total", None]
    assert sheet["C2"].fill.fgColor.rgb.endswith("FDE2E1") and sheet["B3"].fill.fgColor.rgb.endswith("E7EEFB")
    assert sheet["A4"].value == "bad.pdf" and sheet.freeze_panes == "B2"
    assert [cell.value for cell in book["Evidence"][2]][-3:] == ["of Müller", "page 1", "verified"]


def test_json_holds_the_evidence() -> None:
    told = json.loads(as_json(TABLE))
    assert [file["state"] for file in told["files"]] == ["done", "failed", "waiting"]
    first, second = told["files"][0]["rows"]
    assert first["=name"] == {
        "value": 'Müller, "GmbH"', "quote": "of Müller", "page": 1, "where": "page 1", "check": "verified"
    }  # fmt: skip
    assert second["=name"]["box"] == [1, 2, 3, 4] and second["total"]["page"] is None


def test_half_a_pair_of_surrogates_is_no_reason_to_fail() -> None:
    table = Table("x", (Column("a"),), (Filled("f", "done", ((Cell("a\ud800b", mark="missing"),),)),))
    assert b"ab" in as_csv(table) and as_xlsx(table) and json.loads(as_json(table))
