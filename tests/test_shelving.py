"""The command `documents`: the library in the terminal, and what a file reads as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.__main__ import main
from app.config import Config
from app.store import Store


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "Depths of the harbour.md").write_text("# Depths\n\nAt lowest water 2.1 metres remain.\n")
    return tmp_path / "Depths of the harbour.md"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["documents", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    return json.loads(run(capsys, *arguments, "--json")[1])


def test_the_library_in_the_terminal(capsys: pytest.CaptureFixture[str], notes: Path, tmp_path: Path) -> None:
    assert run(capsys) == (0, "The library is empty. Add a file: ./scripts/run documents add FILE\n", "")
    assert not Config().database.exists()  # looking makes nothing
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\nnothing")
    code, out, err = run(capsys, "add", notes, broken, tmp_path / "gone.pdf")
    assert (code, out) == (1, "Depths of the harbour.md: 1 of 1 pages are in the library.\n")
    assert "broken.pdf: It is damaged" in err and "gone.pdf: there is no such file." in err
    assert "Traceback" not in err
    (line,) = as_json(capsys, "list")
    assert (line["title"], line["kind"], line["pages"], line["chats"]) == (notes.name, "markdown", 1, [])
    assert run(capsys)[1] == "Depths of the harbour.md  (markdown, 1 pages)\n    No chat uses it.\n"
    store = Store(Config().database)
    store.give_document(store.begin_conversation("How deep?"), store.library()[0].id)
    store.close()
    assert "1 chat has it: How deep?" in run(capsys)[1]
    code, out, _ = run(capsys, "remove", "depths of")
    assert (code, out) == (0, "Depths of the harbour.md is out of the library. 1 chat has it: How deep?\n")
    assert as_json(capsys) == []
    code, _, err = run(capsys, "remove", "depths of")
    assert code == 1 and "nothing of that name is in the library" in err


def test_what_a_file_reads_as(capsys: pytest.CaptureFixture[str], notes: Path) -> None:
    code, out, _ = run(capsys, "show", notes)
    assert code == 0 and out.startswith("Depths of the harbour.md: markdown, 1 of 1 pages, about ")
    assert "Depths: about" in out and "2.1 metres" not in out
    assert "2.1 metres remain." in run(capsys, "show", notes, "--text")[1]
    told = as_json(capsys, "show", notes)
    assert told["outline"] == [{"level": 1, "text": "Depths", "page": 1}]
    assert not Config().database.exists()
    run(capsys, "add", notes)
    notes.unlink()
    assert as_json(capsys, "show", "Depths")["pages"][0]["text"] == told["pages"][0]["text"]
    code, out, err = run(capsys, "show", "nowhere.pdf")
    assert (code, out) == (1, "") and "there is no such file and nothing of that name" in err


def test_no_name_and_no_page_steers_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, damaged = tmp_path / "a\x1b]0;owned\x07.md", tmp_path / "b\x1b[2J.pdf"
    file.write_text("# Head\x1b[31m\n\nThe words \x9b2J stay.\n", "utf-8")
    damaged.write_bytes(b"%PDF-1.7\nnothing")
    said = [run(capsys, "add", file, damaged), run(capsys), run(capsys, "show", file, "--text")]
    said += [run(capsys, "show", "a"), run(capsys, "remove", "a")]
    told = "".join(out + err for _, out, err in said)
    assert "owned" in told and "The words" in told and "b[2J.pdf: It is damaged" in told
    assert not set(told) & {"\x1b", "\x07", "\x9b"}


def test_a_question_is_answered_from_the_library(capsys: pytest.CaptureFixture[str], notes: Path) -> None:
    run(capsys, "add", notes)
    notes.unlink()
    asked = ["ask", "how deep?", "--model", "fake", "--json", "--document"]
    assert main([*asked, "Depths of the harbour.md"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["title"], one["read"], one["total"]) for one in told["read"]] == [(notes.name, 1, 1)]
    assert main([*asked, "another.pdf"]) == 1
    err = capsys.readouterr().err
    assert "another.pdf: there is no such file and nothing of that name in the library" in err
    assert "Nothing was asked." in err


def test_its_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["documents", "--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0 and "documents add lease.pdf" in out and "--document lease.pdf" in out
