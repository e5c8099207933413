"""Tables that are drawn column by column become rows, and columns of a text do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import papers
import pytest

from app.documents.reading import read


def lines(paper: papers.Paper, folder: Path) -> list[str]:
    (folder / "content").write_bytes(paper.bytes())
    return read(folder / "content").pages[0].text.splitlines()


def by_columns(columns: Sequence[Sequence[str]], step: float = 120, left: float = 50, **more: float) -> bytes:
    """A page's content: all of a column before the next one begins."""
    placed = (papers.lines(column, left=left + step * at, **more) for at, column in enumerate(columns))
    return b"\n".join(placed)


TABLE = (
    ["Region", *(f"Region {n}" for n in range(12))],
    ["Revenue", *(f"{n + 2},{17 * n % 90 + 10}.50" for n in range(12))],
    ["Share", *(f"{7 * n % 40}%" for n in range(12))],
)


def test_a_table_that_is_drawn_by_columns_is_read_as_rows(tmp_path: Path) -> None:
    paper = papers.Paper()
    above, below = papers.lines(["Results of the year"]), papers.lines(["All of them rose."], top=400)
    paper.page(b"\n".join([above, by_columns(TABLE, top=740), below]))
    rows = [" | ".join(row) for row in zip(*TABLE, strict=True)]
    assert lines(paper, tmp_path) == [
        "Results of the year", *rows, "All of them rose."
    ]  # fmt: skip


def test_an_empty_cell_and_a_second_table_have_their_places(tmp_path: Path) -> None:
    paper = papers.Paper()
    first, second = (
        list(map(list, TABLE)),
        [["Port", "Ayr", "Bray", "Cobh", "Deal", "Eyemouth"], ["Depth", "4.1", "5.2", "3.3", "9.4", "1.5"]],
    )
    content = [papers.lines(TABLE[0], top=780), papers.lines(TABLE[1][:5], 170, 780)]
    content += [papers.lines(TABLE[1][6:], 170, 780 - 6 * 16), papers.lines(TABLE[2], 290, 780)]
    paper.page(b"\n".join([*content, by_columns(second, top=500)]))
    first[1][5] = ""
    rows = [" | ".join(row) for table in (first, second) for row in zip(*table, strict=True)]
    assert lines(paper, tmp_path) == rows


def test_single_letters_below_each_other_are_no_word(tmp_path: Path) -> None:
    paper = papers.Paper()
    columns = [[f"Ship {n}" for n in range(9)], list("314159265"), [f"{n} km" for n in range(9)]]
    paper.page(by_columns(columns))
    rows = [" | ".join(row) for row in zip(*columns, strict=True)]
    assert lines(paper, tmp_path) == rows


@pytest.mark.parametrize(
    "columns",
    [
        [[f"{s} line {n} of a text" for n in range(30)] for s in ("left", "right")],
        [[f"{s} line {n} of the text that goes on" for n in range(30)] for s in ("Left", "Right")],
        [[f"{s}, {n}" for n in range(30)] for s in ("apple", "pear", "plum")],  # an index
        [
            [f"{s} line of a law" for s in range(30)],
            [str(n) for n in range(11, 41)],
        ],  # its lines are numbered
        [[f"Name {n}" for n in range(30)], [f"Town {n}" for n in range(30)]],  # a table, but who can know
        [[f"A line of prose, which has words, number {n}" for n in range(30)], TABLE[1], TABLE[2]][:2],
    ],
)
def test_columns_of_words_stay_in_their_order(tmp_path: Path, columns: list[list[str]]) -> None:
    paper = papers.Paper()
    paper.page(by_columns(columns, step=250))
    assert lines(paper, tmp_path) == [line for one in columns for line in one]


def test_a_table_in_one_column_of_a_text_leaves_the_other_alone(tmp_path: Path) -> None:
    left = [f"the left column is a text of many words, line {n}" for n in range(20)]
    over = [f"the right column begins as one, line {n}" for n in range(4)]
    paper = papers.Paper()
    content = [papers.lines(left, size=8), papers.lines(over, left=330, size=8)]
    paper.page(b"\n".join([*content, by_columns(TABLE, step=80, left=330, top=700)]))
    text = lines(paper, tmp_path)
    assert text[:24] == left + over
    assert text[24:] == [" | ".join(row) for row in zip(*TABLE, strict=True)]
