"""Documents on the command line: one question, its pages, its quotations, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_ask import run

from app.ask import UNABLE, ask_with
from mlx_backend import Answer, BadMedia, FakeEngine, Message, Request, Text

QUESTION = Request((Message("user", (Text("How deep is it?"),)),))


@pytest.fixture
def depths(tmp_path: Path) -> Path:
    (tmp_path / "Depths.md").write_text("# Depths\n\nAt lowest water 2.1 metres remain over the sill.\n")
    return tmp_path / "Depths.md"


def test_an_answer_names_its_pages_and_its_quotations(depths: Path, capsys: pytest.CaptureFixture) -> None:
    engine = FakeEngine(
        [Answer('So [[1|"2.1 metres remain over the sill"]], not [[1|"nine metres remain there"]].')]
    )
    assert ask_with(engine, QUESTION, [depths], "fake", as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["read"] == [{"document": 1, "title": "Depths.md", "read": 1, "total": 1}]
    right, wrong = told["quotations"]
    assert (right["verified"], right["title"], right["page"]) == (True, "Depths.md", 1)
    assert (wrong["verified"], wrong["how"]) == (False, "missing")
    assert engine.requests[0].messages[-1].content[-1] == Text("How deep is it?")


def test_in_the_terminal_they_stand_below_the_answer(depths: Path, capsys: pytest.CaptureFixture) -> None:
    engine = FakeEngine([Answer("It is deep.")])
    assert ask_with(engine, QUESTION, [depths], "fake", as_json=False) == 0
    assert capsys.readouterr().out == (
        "It is deep.\n\nDepths.md: 1 of 1 pages read\n"
        "No quotation of this answer was found in the documents.\n"
    )


def test_a_file_that_is_no_document_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\x1f\x8b")
    engine = FakeEngine()
    with pytest.raises(BadMedia, match="no document"):
        ask_with(engine, QUESTION, [tmp_path / "a.md"], "fake", as_json=True)
    assert engine.requests == []


def test_the_command_takes_documents(depths: Path) -> None:
    done = run("ask", "How deep is it?", "--document", str(depths), "--no-think")
    assert done.returncode == 0 and "Depths.md: 1 of 1 pages read" in done.stdout
    assert "demo model" not in done.stderr
    (depths.parent / "a.pdf").write_bytes(b"%PDF-1.7 nothing")
    done = run("ask", "How deep is it?", "--document", str(depths.parent / "a.pdf"))
    assert (done.returncode, done.stdout) == (1, "") and "a.pdf: It is damaged" in done.stderr


def test_the_demo_model_is_said_to_read_no_documents(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 nothing")  # refused before the model is loaded
    done = run("ask", "How deep is it?", "--document", str(tmp_path / "a.pdf"), "--model", "demo")
    assert done.stderr.splitlines()[0] == UNABLE
