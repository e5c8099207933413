"""Small files beside the database: whole or as they were, and no damage in one stops a start."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from app import kept
from app.chosen import broken, chosen
from app.places import LIST, remembered
from app.switches import PLAIN, switches_of


@pytest.mark.parametrize("text", ["", "{broken", "[" * 100_000, "\udcff", "null", '"words"', "7", "[[]]"])
def test_a_damaged_file_is_none(text: str, tmp_path: Path) -> None:
    for name in (LIST, "model.json", "switches.json"):
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert remembered(tmp_path) == []
    assert (chosen(tmp_path), broken(tmp_path, tmp_path)) == ("", "")
    assert switches_of(tmp_path, tmp_path) == PLAIN


def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "home" / "notes.json"
    kept.write(file, {"a": ["ü"]})
    kept.write(file, {"b": 1})
    assert kept.read(file) == {"b": 1}
    assert list(file.parent.iterdir()) == [file]
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    kept.write(file, {"a": 1})
    with pytest.raises(TypeError):
        kept.write(file, {"a": object()})
    assert kept.read(file) == {"a": 1}
    with pytest.raises(OSError):
        kept.write(file / "below.json", {})
    assert kept.read(file) == {"a": 1}
