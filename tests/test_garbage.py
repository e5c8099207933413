"""What nobody needs goes after a week, and nothing else: real files, a real database, any order of events."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from app import intake
from app.blobs import Blobs, Swept
from app.server import tidy
from app.store import UNUSED_DAYS, Store, back_up, backups, restore
from app.store.backups import folder_of
from app.turn import Draft, begin

LONG_AGO = time.time() - (UNUSED_DAYS + 1) * 86400


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "cat.png"
    file.write_bytes(b"png of a cat")
    return file


def ask(store: Store, blobs: Blobs, *files: Path) -> tuple[str, list[Path]]:
    """A conversation, and where its files lie."""
    conversation = begin(store, blobs, None, Draft("look", files)).conversation_id
    parts = store.path(conversation)[0].parts
    return conversation, [blobs.path(part.sha256) for part in parts if part.sha256]


def a_week_goes_by(store: Store, blobs: Blobs) -> None:
    """All that has happened so far happened more than a week ago."""
    with store._lock:
        store._db.execute("update blobs set unused_since = ? where unused_since is not null", [LONG_AGO])
    for file in blobs.root.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if file.is_file():
                os.utime(file, (LONG_AGO, LONG_AGO))


def rows(store: Store) -> int:
    with contextlib.closing(sqlite3.connect(store.file)) as other:
        return int(other.execute("select count(*) from blobs").fetchone()[0])


def test_what_no_message_holds_goes_a_week_later(store: Store, blobs: Blobs, picture: Path) -> None:
    conversation, (file,) = ask(store, blobs, picture)
    a_week_goes_by(store, blobs)
    store.delete_conversation(conversation)
    assert store.sweep(blobs) == Swept(0, 0)
    assert store.sweep(blobs) == Swept(0, 0)
    assert (file.exists(), rows(store)) == (True, 1)
    a_week_goes_by(store, blobs)
    assert store.sweep(blobs) == Swept(1, 12)
    assert (file.exists(), rows(store)) == (False, 0)


def test_what_a_message_holds_stays_however_old(store: Store, blobs: Blobs, picture: Path) -> None:
    conversation, (file,) = ask(store, blobs, picture)
    other, _ = ask(store, blobs, picture)
    store.delete_conversation(other)
    store.throw_away(conversation)
    for _ in range(3):
        a_week_goes_by(store, blobs)
        assert store.sweep(blobs) == Swept(0, 0)
    assert (file.exists(), rows(store)) == (True, 1)


def test_what_is_needed_again_is_as_new(store: Store, blobs: Blobs, picture: Path) -> None:
    conversation, (file,) = ask(store, blobs, picture)
    store.delete_conversation(conversation)
    store.sweep(blobs)
    a_week_goes_by(store, blobs)
    again, _ = ask(store, blobs, picture)
    assert store.sweep(blobs) == Swept(0, 0)
    store.delete_conversation(again)
    store.sweep(blobs)  # the week begins anew
    assert store.sweep(blobs) == Swept(0, 0) and file.exists()


def test_a_file_whose_row_is_still_to_come_stays(store: Store, blobs: Blobs, picture: Path) -> None:
    blob = blobs.put(picture)
    assert store.sweep(blobs) == Swept(0, 0)
    assert blobs.path(blob.sha256).exists()


class Interrupted(Blobs):
    """Between the choice of what to remove and its removal the same picture is sent once more."""

    def __init__(self, root: Path, store: Store, picture: Path) -> None:
        super().__init__(root)
        self._store, self._picture = store, picture

    def sweep(self, needed: object, before: float) -> Swept:
        ask(self._store, self, self._picture)
        return super().sweep(needed, before)  # type: ignore[arg-type]


def test_a_file_that_comes_again_while_it_is_swept_stays(store: Store, blobs: Blobs, picture: Path) -> None:
    conversation, (file,) = ask(store, blobs, picture)
    store.delete_conversation(conversation)
    store.sweep(blobs)
    a_week_goes_by(store, blobs)
    assert store.sweep(Interrupted(blobs.root, store, picture)) == Swept(0, 0)
    assert (file.exists(), rows(store)) == (True, 1)


def test_leftovers_of_a_crash_go_and_strangers_stay(store: Store, blobs: Blobs, picture: Path) -> None:
    lost = blobs.path(blobs.put(picture).sha256)
    (left := blobs.root / "incoming-abc").write_bytes(b"half")
    strangers = [blobs.root / ".DS_Store", lost.parent / "notes.txt", blobs.root / "README"]
    for file in strangers:
        file.touch()
    assert store.sweep(blobs) == Swept(0, 0)
    a_week_goes_by(store, blobs)
    assert store.sweep(blobs) == Swept(2, 16)
    assert [file.exists() for file in (lost, left, *strangers)] == [False, False, True, True, True]


def test_a_backup_keeps_what_it_needs(store: Store, blobs: Blobs, picture: Path) -> None:
    conversation, (file,) = ask(store, blobs, picture)
    copy = back_up(store.file)
    store.delete_conversation(conversation)
    for _ in range(3):
        store.sweep(blobs)
        a_week_goes_by(store, blobs)
    assert (file.exists(), rows(store)) == (True, 0)
    store.close()
    restore(store.file, copy.file)
    with contextlib.closing(Store(store.file)) as back:
        assert back.sweep(blobs) == Swept(0, 0)
        sha256 = back.path(conversation)[0].parts[0].sha256
        assert sha256 is not None and blobs.path(sha256) == file and file.exists()
        for backup in backups(back.file):
            backup.file.unlink()
        back.delete_conversation(conversation)
        back.sweep(blobs)
        a_week_goes_by(back, blobs)
        assert back.sweep(blobs) == Swept(1, 12) and not file.exists()


def test_looking_into_backups_leaves_nothing_beside_them(store: Store, blobs: Blobs, picture: Path) -> None:
    ask(store, blobs, picture)
    copy = back_up(store.file)
    (folder_of(store.file) / "2020-01-01.db").write_bytes(b"not a database at all")
    store.sweep(blobs)
    assert sorted(f.name for f in folder_of(store.file).iterdir()) == ["2020-01-01.db", copy.file.name]


def test_beside_a_damaged_database_every_file_stays(store: Store, blobs: Blobs, picture: Path) -> None:
    lost = blobs.path(blobs.put(picture).sha256)
    back_up(store.file, "damaged")
    a_week_goes_by(store, blobs)
    assert store.sweep(blobs) == Swept(0, 0) and lost.exists()


def test_a_new_table_that_holds_files_counts_without_being_named(
    store: Store, blobs: Blobs, picture: Path
) -> None:
    conversation, (file,) = ask(store, blobs, picture)
    with contextlib.closing(sqlite3.connect(store.file)) as other, other:
        other.execute("create table books (name text, content text references blobs(sha256))")
        other.execute("insert into books select 'a', sha256 from blobs")
        other.execute("insert into books values ('without a file', null)")
    store.delete_conversation(conversation)
    for _ in range(3):
        store.sweep(blobs)
        a_week_goes_by(store, blobs)
    assert (file.exists(), rows(store)) == (True, 1)


def test_sweeping_while_questions_come(store: Store, blobs: Blobs, tmp_path: Path) -> None:
    """Four pictures come and go as fast as they can, each a week after it was last needed."""
    pictures = [tmp_path / f"{n}.png" for n in range(4)]
    for n, file in enumerate(pictures):
        file.write_bytes(bytes([n]) * 100)
    over, failed, removed = threading.Event(), list[Exception](), list[int]()

    def sweeping() -> None:
        try:
            while not over.is_set():
                removed.append(store.sweep(blobs).files)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=sweeping)
    thread.start()
    try:
        for n in range(60):
            conversation, (file,) = ask(store, blobs, pictures[n % 4])
            assert file.exists()
            time.sleep(0.005)
            assert file.exists()
            store.delete_conversation(conversation)
            time.sleep(0.005)
            a_week_goes_by(store, blobs)
    finally:
        over.set()
        thread.join()
    assert failed == [] and sum(removed) > 0


def test_what_is_due_at_a_start(store: Store, blobs: Blobs, picture: Path) -> None:
    conversation, (file,) = ask(store, blobs, picture)
    store.throw_away(conversation)
    with contextlib.closing(sqlite3.connect(store.file)) as other, other:
        other.execute("update conversations set trashed_at = ?", [time.time() - 31 * 86400])
    tidy(store, blobs)
    assert store.conversation(conversation) is None and file.exists()
    (copy,) = backups(store.file)
    assert copy.kind == "daily"
    copy.file.unlink()
    a_week_goes_by(store, blobs)
    tidy(store, blobs)
    assert not file.exists() and len(backups(store.file)) == 1


def test_one_thing_that_fails_does_not_hold_up_the_others(
    store: Store, blobs: Blobs, picture: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = blobs.path(blobs.put(picture).sha256)
    a_week_goes_by(store, blobs)
    folder_of(store.file).write_text("in the way")
    tidy(store, blobs)
    assert "could not be backed up" in caplog.text and "Traceback" not in caplog.text
    assert not lost.exists()


def test_who_deletes_for_good_need_not_wait_a_week(store: Store, blobs: Blobs, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.png" for name in ("erased", "kept", "in a backup", "just come")]
    for file in files:
        file.write_bytes(file.name.encode())
    stored = [ask(store, blobs, file) for file in files[:3]]
    back_up(store.file)
    erased, [gone] = ask(store, blobs, files[0])
    assert erased != stored[0][0] and gone == stored[0][1][0]  # the same picture twice
    before = time.time() - 7200
    for _, [file] in stored:
        os.utime(file, (before, before))
    young = blobs.path(blobs.put(files[3]).sha256)  # its row is still to be written
    for conversation in (erased, stored[0][0], stored[2][0]):
        store.delete_conversation(conversation)
    assert store.sweep_now(blobs) == Swept(0, 0)  # the backup needs them all
    for copy in backups(store.file):
        copy.file.unlink()
    back_up(store.file)
    assert store.sweep_now(blobs).files == 2
    assert [file.exists() for file in (gone, stored[1][1][0], stored[2][1][0], young)] == [
        False,
        True,
        False,
        True,
    ]


def test_documents_go_with_their_last_conversation_unless_they_are_in_the_library(
    store: Store, blobs: Blobs, tmp_path: Path
) -> None:
    (tmp_path / "own.txt").write_text("The keel is of oak.")
    (tmp_path / "shelved.txt").write_text("The sail is of hemp.")
    files = [tmp_path / "own.txt", tmp_path / "shelved.txt"]
    (chat, [own, shelved]), (other, _) = ask(store, blobs, *files), ask(store, blobs, *files)
    for one in (chat, other):
        intake.take_in(store, blobs, one, store.path(one)[0], lambda *told: None, lambda: False)
    store.shelve_document(store.documents_of(chat)[1].id, True)
    a_week_goes_by(store, blobs)
    store.delete_conversation(chat)
    store.throw_away(other)
    assert store.sweep_now(blobs).files == 0  # the one in the trash may come back
    store.empty_trash(0)
    assert store.sweep_now(blobs).files == 1 and (own.exists(), shelved.exists()) == (False, True)
    (kept,) = store.library()
    assert store.pages(kept.id)[0].text == "The sail is of hemp." and store._db.table("pages").count == 1
    store.shelve_document(kept.id, False)
    assert store.sweep_now(blobs).files == 1 and not shelved.exists()
    assert (rows(store), store._db.table("chunks").count) == (0, 0)
