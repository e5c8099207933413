"""Stored files on a real disk: whole or absent, one per content, private."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from app.blobs import CHUNK, Blobs


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1])
def test_content_comes_back(tmp_path: Path, size: int) -> None:
    content = bytes(i % 251 for i in range(size))
    (tmp_path / "a.png").write_bytes(content)
    blobs = Blobs(tmp_path / "blobs")
    blob = blobs.put(tmp_path / "a.png")
    assert (blob.sha256, blob.bytes) == (hashlib.sha256(content).hexdigest(), size)
    assert blobs.path(blob.sha256).read_bytes() == content
    assert blobs.path(blob.sha256) == tmp_path / "blobs" / blob.sha256[:2] / blob.sha256[2:]


def test_the_same_content_is_one_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"same")
    blobs = Blobs(tmp_path / "blobs")
    assert blobs.put(tmp_path / "a.png") == blobs.put(tmp_path / "b.png")
    assert len(files(blobs.root)) == 1


def test_private(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    blobs = Blobs(tmp_path / "blobs")
    path = blobs.path(blobs.put(tmp_path / "a.png").sha256)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE(blobs.root.stat().st_mode) == 0o700


def test_a_source_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    with pytest.raises(OSError):
        blobs.put(tmp_path / "absent.png")
    with pytest.raises(OSError):
        blobs.put(tmp_path)  # a folder
    assert files(blobs.root) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "AB" * 32, "ab" * 31, "ab" * 33, "ab" * 32 + "\n"])
def test_only_content_names_are_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="content name"):
        Blobs(tmp_path / "blobs").path(name)
