"""Files that were attached: gone once sent or once nobody can send them, and never anybody else's."""

from __future__ import annotations

from pathlib import Path

from app.ui.uploads import Uploads


def test_what_was_sent_goes_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    mine, twin, example = folder / "ab" / "a.png", folder / "ab" / "b.png", tmp_path / "examples" / "c.png"
    for file in (mine, twin, example):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    uploads = Uploads(folder)
    uploads.sent([mine, example, folder / "gone.png"])
    assert [file.exists() for file in (mine, twin, example)] == [False, True, True]
    uploads.sent([twin, folder / ".." / "examples" / "c.png"])
    assert not twin.parent.exists() and folder.exists() and example.exists()
    mine.parent.mkdir()
    mine.touch()
    (folder / "loose").touch()
    uploads.clear()
    assert list(folder.iterdir()) == [] and example.exists()
    Uploads(tmp_path / "nowhere").clear()
