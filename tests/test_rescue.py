"""Damaged databases, made by really damaging real ones: what comes back, what is kept, what is said."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import pytest
from test_backup import say, spoil, titles

from app.config import Config
from app.migrations import DatabaseTooNew
from app.server import open_store, serve
from app.store import Store, back_up, backups, rescue
from app.store.backups import at, damaged, set_aside
from mlx_backend import FakeEngine


@pytest.fixture
def file() -> Path:
    """A database of two conversations, and a backup that holds the first."""
    file = Config().database
    with contextlib.closing(Store(file)) as store:
        say(store, "first")
        back_up(file)
        say(store, "second")
    return file


def cut(file: Path) -> None:
    with file.open("r+b") as out:
        out.truncate(file.stat().st_size // 2)


def overwrite(file: Path) -> None:
    file.write_bytes(b"Dear diary, " * 10_000)


def zero(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


@pytest.mark.parametrize("hurt", [spoil, cut, overwrite, zero])
def test_the_newest_backup_comes_back_and_the_damaged_file_is_kept(file: Path, hurt: object) -> None:
    assert callable(hurt)
    hurt(file)
    content = file.read_bytes()
    rescued = rescue(file)
    (backup,), (aside,) = backups(file), damaged(file)
    assert rescued is not None
    assert (rescued.backup, rescued.damaged) == (backup, aside.file)
    assert aside.file.read_bytes() == content
    assert all(words in rescued.words for words in (str(file), at(backup.when), str(aside.file)))
    assert titles(file) == ["first"]
    assert rescue(file) is None


def test_a_good_file_is_left_alone(file: Path) -> None:
    before = file.read_bytes()
    assert rescue(file) is None
    assert file.read_bytes() == before and damaged(file) == ()


def test_the_first_start_is_no_damage(tmp_path: Path) -> None:
    assert rescue(tmp_path / "chat.db") is None
    assert list(tmp_path.iterdir()) == []


def test_without_a_backup_it_begins_empty_and_says_so(file: Path) -> None:
    for backup in backups(file):
        backup.file.unlink()
    spoil(file)
    rescued = rescue(file)
    assert rescued is not None and rescued.backup is None
    assert "no good backup" in rescued.words and str(rescued.damaged) in rescued.words
    assert titles(file) == []


def test_a_damaged_backup_is_passed_over(file: Path) -> None:
    (good,) = backups(file)
    os.utime(good.file, (0, time.time() - 86400))
    spoil(back_up(file).file)
    spoil(file)
    rescued = rescue(file)
    assert rescued is not None and rescued.backup is not None
    assert rescued.backup.file == good.file
    assert titles(file) == ["first"]


@pytest.mark.parametrize("left", [None, b""])
def test_a_file_that_is_gone_or_empty_comes_back(file: Path, left: bytes | None) -> None:
    """As where the power failed between the moving aside and the coming back."""
    file.unlink()
    if left is not None:
        file.write_bytes(left)
    file.with_name(file.name + "-wal").write_bytes(b"of another file")
    rescued = rescue(file)
    assert rescued is not None and rescued.backup is not None
    assert (rescued.damaged is None) == (left is None)
    assert titles(file) == ["first"]


def test_a_restore_that_was_cut_in_the_middle_changed_nothing(file: Path) -> None:
    time.sleep(0.01)  # the replaced file is newer than every copy, as it always is
    set_aside(file, "replaced")
    rescued = rescue(file)
    assert rescued is not None and rescued.backup is not None and rescued.backup.kind == "replaced"
    assert titles(file) == ["first", "second"]


def test_damage_that_took_no_words_takes_none(file: Path) -> None:
    """An index can be made anew from its table."""
    with contextlib.closing(sqlite3.connect(file)) as plain:
        (page,) = plain.execute(
            "select rootpage from sqlite_master where name = 'messages_by_parent'"
        ).fetchone()
        (size,) = plain.execute("pragma page_size").fetchone()
    with file.open("r+b") as out:
        out.seek((page - 1) * size)
        out.write(b"\xff" * size)
    rescued = rescue(file)
    assert rescued is not None and rescued.backup is None
    assert "could be repaired" in rescued.words
    assert titles(file) == ["first", "second"]
    assert len(damaged(file)) == 1


HURT_SEARCH = (
    "delete from search_fts_data where id > 10",
    "update search_fts_data set block = x'00ff00ff' where id > 10",
    "update search_fts_data set block = zeroblob(3) where id = 10",
    "delete from search_fts_docsize",
    "delete from search_fts_idx",
    "delete from search_fts_data",  # older versions of SQLite cannot even open this one
)


@pytest.mark.parametrize("hurt", HURT_SEARCH)
def test_a_damaged_search_index_is_made_anew(file: Path, hurt: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as plain, plain:
        plain.execute(hurt)
    rescued = rescue(file)
    assert rescued is None or "could be repaired" in rescued.words
    with contextlib.closing(Store(file)) as store:
        assert len(store.search("answer")) == 2
        say(store, "third")
        assert len(store.search("answer")) == 3


def test_a_newer_file_is_refused_unchanged_however_damaged(file: Path) -> None:
    spoil(file)
    with file.open("r+b") as out:
        out.seek(60)  # user_version; source: the database file format, section 1.3
        out.write((99).to_bytes(4, "big"))
    before = file.read_bytes()
    with pytest.raises(DatabaseTooNew, match="Nothing was changed"):
        rescue(file)
    assert file.read_bytes() == before and damaged(file) == ()


def test_a_file_that_may_not_be_read_is_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "chat.db").mkdir()  # cannot be opened, whoever asks
    with pytest.raises(sqlite3.OperationalError):
        rescue(tmp_path / "chat.db")
    assert [entry.name for entry in tmp_path.iterdir()] == ["chat.db"]


def test_the_app_says_it_and_keeps_saying_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(file)
    with contextlib.closing(open_store(Config())) as store:
        words = store.setting("rescued")
        assert [c.title for c in store.conversations()] == ["first"]
    assert "was brought back" in words
    assert capsys.readouterr().err == words + "\n"
    with contextlib.closing(open_store(Config())) as store:
        assert store.setting("rescued") == words
    assert capsys.readouterr().err == ""


def test_what_cannot_be_opened_ends_the_start_with_a_sentence(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.unlink()
    file.mkdir()
    with FakeEngine() as engine:
        assert serve(Config(), engine, port=0, open_browser=False) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"{file} cannot be opened: ") and told.endswith("Nothing was changed.\n")
