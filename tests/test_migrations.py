"""Migrations on real files: from nothing to today's schema, once, and never over a newer app's file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlite_utils

from app import migrations
from app.migrations import DatabaseTooNew
from app.store import Store


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
