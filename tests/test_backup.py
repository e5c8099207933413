"""Copies of a real database: made while it is written, checked, rotated, brought back by the command."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.__main__ import main
from app.config import Config
from app.migrations import DatabaseTooNew
from app.server import only_one
from app.store import BackupFailed, Part, Store, back_up, backups, daily, restore
from app.store.backups import KEEP, Kind, folder_of

TODAY = time.strftime("%Y-%m-%d")


def say(store: Store, words: str) -> str:
    begun = store.begin_turn(None, words, (Part("text", words),))
    store.finish(begun.answer_id, (Part("text", f"answer to {words}"),), "complete", "stop")
    return begun.conversation_id


def titles(file: Path) -> list[str]:
    with contextlib.closing(Store(file)) as store:
        return sorted(c.title for c in store.conversations())


def spoil(file: Path) -> None:
    """Overwrite the middle of a database with what is none."""
    with file.open("r+b") as out:
        out.seek(4096)
        out.write(b"\xff" * (file.stat().st_size - 8192))


@pytest.fixture
def file() -> Path:
    return Config().database


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    with contextlib.closing(Store(file)) as store:
        yield store


def test_a_copy_holds_all_and_is_private(store: Store, file: Path) -> None:
    conversation = say(store, "whiskers")
    copy = back_up(file)
    assert (copy.kind, copy.bytes, copy.when) == (
        "by-hand",
        copy.file.stat().st_size,
        pytest.approx(time.time(), abs=60),
    )
    assert [entry.name for entry in folder_of(file).iterdir()] == [copy.file.name]
    assert stat.S_IMODE(copy.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.file.parent.stat().st_mode) == 0o700
    say(store, "later")
    with contextlib.closing(Store(copy.file)) as copied:
        assert copied.path(conversation) == store.path(conversation)
        assert [found.conversation.id for found in copied.search("whisk")] == [conversation]
        assert [c.title for c in copied.conversations()] == ["whiskers"]


def test_one_copy_a_day(store: Store, file: Path) -> None:
    say(store, "first")
    first = daily(file)
    assert first is not None and first.file.name == f"{TODAY}.db"
    say(store, "second")
    assert daily(file) is None
    assert titles(first.file) == ["first"]


def test_seven_days_are_kept_and_what_a_person_made(store: Store, file: Path) -> None:
    say(store, "first")
    by_hand = back_up(file)
    old = [folder_of(file) / f"2026-01-{day:02}.db" for day in range(1, 10)]
    for age, copy in enumerate(reversed(old), 1):
        copy.write_bytes(by_hand.file.read_bytes())
        os.utime(copy, (0, time.time() - age * 86400))
    os.utime(by_hand.file, (0, 0))
    (stranger := folder_of(file) / "notes.db").touch()
    daily(file)
    kept = [copy.file.name for copy in backups(file)]
    assert kept == [
        f"{TODAY}.db",
        *(copy.name for copy in reversed(old[-KEEP["daily"] + 1 :])),
        by_hand.file.name,
    ]
    assert stranger.exists()


def test_what_a_crash_left_of_a_copy_goes_but_not_one_on_its_way(store: Store, file: Path) -> None:
    folder_of(file).mkdir()
    left, being_made = folder_of(file) / "incoming-a.db", folder_of(file) / "incoming-b.db"
    for copy in (left, being_made):
        copy.touch()
    os.utime(left, (0, time.time() - 7200))
    back_up(file)
    assert (left.exists(), being_made.exists()) == (False, True)
    assert [copy.kind for copy in backups(file)] == ["by-hand"]


def test_a_damaged_database_gives_no_copy(file: Path) -> None:
    with contextlib.closing(Store(file)) as store:
        say(store, "first")
    spoil(file)
    with pytest.raises(
        BackupFailed, match=r"glmchat\.db could not be backed up .*malformed.*Nothing was changed"
    ):
        back_up(file)
    assert list(folder_of(file).iterdir()) == []


def test_a_copy_comes_back_and_the_replaced_one_can_too(file: Path) -> None:
    with contextlib.closing(Store(file)) as store:
        say(store, "first")
        copy = back_up(file)
        say(store, "second")
    aside = restore(file, copy.file)
    assert aside is not None and aside.parent == folder_of(file)
    assert titles(file) == ["first"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in file.parent.iterdir()) == ["backups", file.name]
    assert {copy.kind for copy in backups(file)} == {"by-hand", "replaced"}
    restore(file, aside)
    assert titles(file) == ["first", "second"]


def test_words_that_are_only_in_the_wal_are_kept_aside_and_brought_back(file: Path, tmp_path: Path) -> None:
    """As after a crash: the last turns are in the -wal file alone."""
    with contextlib.closing(Store(file)) as store:
        copy = back_up(file)
        say(store, "only in the wal")
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        for ending in ("", "-wal"):
            (crashed / f"glmchat.db{ending}").write_bytes(file.with_name(file.name + ending).read_bytes())
    before = {entry.name: entry.read_bytes() for entry in crashed.iterdir()}
    restore(file, crashed / "glmchat.db")
    assert titles(file) == ["only in the wal"]
    assert {entry.name: entry.read_bytes() for entry in crashed.iterdir()} == before
    aside = restore(crashed / "glmchat.db", copy.file)
    assert aside is not None and titles(aside) == ["only in the wal"]
    assert titles(crashed / "glmchat.db") == []


@pytest.mark.parametrize("what", ["damaged", "text", "foreign", "newer"])
def test_what_is_no_good_copy_is_refused(file: Path, tmp_path: Path, what: str) -> None:
    with contextlib.closing(Store(file)) as store:
        say(store, "first")
    bad = tmp_path / "bad.db"
    bad.write_bytes(file.read_bytes() if what != "text" else b"Dear diary, " * 1000)
    if what == "damaged":
        spoil(bad)
    elif what in ("foreign", "newer"):
        with contextlib.closing(sqlite3.connect(bad)) as plain:
            plain.execute("pragma application_id = 1" if what == "foreign" else "pragma user_version = 99")
    before = file.read_bytes()
    with pytest.raises((BackupFailed, DatabaseTooNew), match=r"bad\.db .*Nothing was changed"):
        restore(file, bad)
    assert file.read_bytes() == before
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("kind", ["version", "replaced", "damaged", "by-hand"])
def test_two_in_one_second_are_two(store: Store, file: Path, kind: Kind) -> None:
    assert len({back_up(file, kind).file for _ in range(3)}) == 3


# --- the command -----------------------------------------------------------------------------------------


def test_the_command_makes_lists_and_brings_back(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "--list"]) == 0
    assert "no copy" in capsys.readouterr().out
    with contextlib.closing(Store(file)) as store:
        say(store, "first")
        assert main(["backup"]) == 0  # while it is open
        say(store, "second")
    (copy,) = backups(file)
    assert str(copy.file) in capsys.readouterr().out
    assert main(["backup", "--list"]) == 0
    assert f"MB  made by hand        {copy.file}\n" in capsys.readouterr().out
    assert main(["backup", "--restore", copy.file.name]) == 0
    assert titles(file) == ["first"]
    undo = capsys.readouterr().out.splitlines()[-1].split()[-1]
    assert main(["backup", "--restore", undo]) == 0
    assert titles(file) == ["first", "second"]


def test_nothing_is_brought_back_under_a_running_app(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(Store(file)) as store:
        say(store, "first")
    copy = back_up(file)
    before = file.read_bytes()
    with only_one(file.parent / "app.lock"):
        assert main(["backup", "--restore", copy.file.name]) == 1
    assert "GLM Chat is running. Nothing was changed." in capsys.readouterr().err
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], r"glmchat\.db does not exist"),
        (["--restore", "2020-01-01.db"], "There is no copy 2020-01-01.db. Nothing was changed"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments: list[str], sentence: str) -> None:
    done = subprocess.run([sys.executable, "-m", "app", "backup", *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert sentence.replace("\\", "") in done.stderr


def test_the_file_in_use_is_not_a_copy(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(file).close()
    assert main(["backup", "--restore", str(file)]) == 1
    assert "is what is in use" in capsys.readouterr().err
