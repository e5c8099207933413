"""One holder at a time, whoever waits, whatever the disk can do, and nothing left behind."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from mlx_backend.locks import locked


def test_who_holds_it_holds_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.lock"
    with locked(path, None):
        with pytest.raises(BlockingIOError, match="in use") as refused, locked(path, None):
            pass
        assert refused.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_who_waits_gets_it_next(tmp_path: Path) -> None:
    path = tmp_path / "model.lock"
    first, waited = locked(path, None), list[str]()
    first.__enter__()

    def waiting() -> None:
        waited.append("once")
        first.__exit__(None, None, None)

    with locked(path, waiting):
        assert waited == ["once"] and path.exists()
    assert not path.exists()


def test_a_lock_that_goes_while_it_is_asked_for_is_not_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last holder removes the file between our opening it and our locking it."""
    path, flock, removed = tmp_path / "model.lock", fcntl.flock, list[Path]()

    def after_the_last_holder(handle: int, how: int) -> None:
        if not removed:
            path.unlink()
            removed.append(path)
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", after_the_last_holder)
    with locked(path, None):
        assert removed == [path] and path.exists()
        with pytest.raises(BlockingIOError), locked(path, None):
            pass


def test_a_disk_without_locks_is_locked_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, flock, elsewhere = tmp_path / "disk" / "model.lock", fcntl.flock, tmp_path / "temporary"
    path.parent.mkdir()
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))

    def unsupported(handle: int, how: int) -> None:
        if path.exists():
            raise OSError(errno.ENOTSUP, "not here")
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with locked(path, None):
        assert list(path.parent.iterdir()) == []
        assert len(list(elsewhere.iterdir())) == 1
        with pytest.raises(BlockingIOError), locked(path, None):
            pass
    assert list(elsewhere.iterdir()) == []
