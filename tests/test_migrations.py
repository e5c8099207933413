"""Migrations on real files: from nothing to today's schema, once, and never over a newer app's file."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlite_utils

from app import migrations
from app.migrations import DatabaseTooNew
from app.store import BackupFailed, Part, Store, backups
from app.store.backups import damage

REFERENCE = Path(__file__).resolve().parent / "reference"
# Written by the app of that version itself: two conversations, a picture, an answer that was never finished.
RELEASED = {1: REFERENCE / "version-1.db"}


def test_known_counts_the_migrations() -> None:
    db = sqlite_utils.Database(memory=True)
    assert len(migrations.migrations.pending(db)) == migrations.KNOWN
    db.close()


def test_a_fresh_file_gets_strict_tables_and_its_marks(tmp_path: Path) -> None:
    Store(tmp_path / "chat.db").close()
    db = sqlite_utils.Database(tmp_path / "chat.db")
    ours = {"conversations", "messages", "parts", "turns", "blobs", "settings"}
    assert ours <= set(db.table_names())
    assert all(db.table(name).strict for name in ours)
    assert db.execute("pragma user_version").fetchone() == (migrations.KNOWN,)
    assert db.execute("pragma application_id").fetchone() == (migrations.APPLICATION_ID,)
    assert db.journal_mode == "wal"
    db.close()


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    Store(tmp_path / "chat.db").close()
    before = (tmp_path / "chat.db").read_bytes()
    Store(tmp_path / "chat.db").close()
    assert (tmp_path / "chat.db").read_bytes() == before


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "chat.db"
    with sqlite3.connect(file) as plain:
        plain.execute("create table conversations (id text, something_new text)")
        plain.execute("pragma user_version = 99")
    plain.close()
    before = file.read_bytes()
    with pytest.raises(DatabaseTooNew, match=r"chat\.db .*99.*Nothing was changed") as refused:
        Store(file)
    assert (refused.value.found, refused.value.known) == (99, migrations.KNOWN)
    assert file.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["chat.db"]


def test_a_message_must_have_a_known_status(tmp_path: Path) -> None:
    Store(tmp_path / "chat.db").close()
    plain = sqlite3.connect(tmp_path / "chat.db")
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        plain.execute("insert into messages values ('m', 'c', null, 'user', 'half-done', 0.0)")
    plain.close()


@pytest.fixture(params=RELEASED)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database that an earlier version of the app left behind."""
    return Path(shutil.copy(RELEASED[request.param], tmp_path / "chat.db"))


def rows(file: Path, table: str, columns: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(file)) as plain:
        return plain.execute(f"select {columns} from {table} order by 1, 2").fetchall()


def test_an_old_file_keeps_every_word(old: Path) -> None:
    with contextlib.closing(sqlite3.connect(old)) as plain:
        names = plain.execute("select name from sqlite_master where type = 'table'").fetchall()
        columns = {
            name: ", ".join(row[1] for row in plain.execute(f"pragma table_info({name})"))
            for (name,) in names
            if not name.startswith(("sqlite_", "_sqlite"))
        }
    before = {name: rows(old, name, columns[name]) for name in columns}
    assert all(before[name] for name in ("conversations", "messages", "parts", "turns", "blobs", "settings"))
    Store(old).close()
    assert {name: rows(old, name, columns[name]) for name in columns} == before
    assert damage(old) is None
    with contextlib.closing(sqlite3.connect(old)) as plain:
        assert plain.execute("pragma user_version").fetchone() == (migrations.KNOWN,)
        assert plain.execute("pragma foreign_key_check").fetchall() == []


def test_old_words_are_found_and_go_on(old: Path) -> None:
    with contextlib.closing(Store(old)) as store:
        for words in ("schnurr", "УЛИЦЕ", "图片", "katze"):
            assert len(store.search(words)) == 1, words
        assert store.mark_interrupted() == 1
        conversation = store.search("Schnurrhaaren")[0].conversation.id
        question, answer, *_ = store.path(conversation)
        assert [part.data.get("name") for part in question.parts] == ["Kätzchen.png", None]
        assert answer.parts[-1].data["boxes"] == [[10, 20, 300, 400]]
        begun = store.begin_turn(conversation, "", (Part("text", "and now?"),))
        assert len(store.path(begun.conversation_id)) == 6
        assert len(store.search("now")) == 1


def test_an_old_file_is_copied_before_it_is_changed(old: Path) -> None:
    before = rows(old, "parts", "*")
    Store(old).close()
    (copy,) = backups(old)
    assert copy.kind == "version" and copy.file.name.endswith("-version-1.db")
    assert rows(copy.file, "parts", "*") == before
    with contextlib.closing(sqlite3.connect(copy.file)) as plain:
        assert plain.execute("pragma user_version").fetchone() == (1,)
    Store(old).close()
    assert backups(old) == (copy,)


def test_what_cannot_be_copied_is_not_changed(old: Path) -> None:
    (old.parent / "backups").write_text("in the way")
    before = old.read_bytes()
    with pytest.raises(BackupFailed, match=r"chat\.db could not be backed up .*Nothing was changed"):
        Store(old)
    assert old.read_bytes() == before
