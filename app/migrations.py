"""The history of the database's shape: append-only functions, never edited once released.

Knows: every step from an empty file to today's schema, and how to refuse a file from a newer app.
Does not know: what the rows mean, or who reads them.

Plain DDL, not `create()`: the tables refer to each other in a circle (a conversation to its newest message,
a message to its conversation) and carry CHECKs and cascades, which read best as what they are.
"""

from __future__ import annotations

from pathlib import Path

import sqlite_utils
from sqlite_utils import Migrations

from app.fold import fold

APPLICATION_ID = 0x474C4D43  # "GLMC": tools like file(1) can tell whose database this is

migrations = Migrations("glmchat")


class DatabaseTooNew(Exception):
    """The file was written by a newer app. Nothing was changed."""

    def __init__(self, file: Path, found: int, known: int) -> None:
        super().__init__(
            f"{file} was written by a newer GLM Chat (its version is {found}, this one knows up to {known}). "
            "Nothing was changed. Start the newer version, or set GLM_CHAT_HOME to another folder."
        )
        self.found = found
        self.known = known


@migrations()
def m001_initial(db: sqlite_utils.Database) -> None:
    # A message tree: an edit or a second answer is a new row with the same parent, so nothing said is lost.
    db.execute(
        """create table conversations (
            id text primary key, title text not null, head_id text references messages(id),
            created_at real not null, updated_at real not null) strict"""
    )
    db.execute(
        """create table messages (
            id text primary key, conversation_id text not null references conversations(id) on delete cascade,
            parent_id text references messages(id), role text not null check (role in ('user', 'assistant')),
            status text not null check (status in ('streaming', 'complete', 'interrupted', 'error')),
            created_at real not null) strict"""
    )
    db.execute("create index messages_by_conversation on messages(conversation_id)")
    db.execute("create index messages_by_parent on messages(parent_id)")
    # Most messages are complete: the few that stream must be found at every start without reading all.
    db.execute("create index messages_streaming on messages(status) where status = 'streaming'")
    db.execute(
        """create table blobs (
            sha256 text primary key, media_type text not null, bytes integer not null,
            created_at real not null) strict"""
    )
    # An explicit integer key: implicit rowids may change under VACUUM, and search will hang on it.
    db.execute(
        """create table parts (
            id integer primary key, message_id text not null references messages(id) on delete cascade,
            position integer not null, type text not null, text text, sha256 text references blobs(sha256),
            data text not null default '{}', unique (message_id, position)) strict"""
    )
    db.execute("create index parts_by_blob on parts(sha256) where sha256 is not null")
    # What an answer was asked with and what it cost, apart from what it says.
    db.execute(
        """create table turns (
            message_id text primary key references messages(id) on delete cascade,
            options text not null default '{}', finish_reason text,
            prompt_tokens integer, cached_tokens integer, reasoning_tokens integer, output_tokens integer,
            first_token_seconds real, prefill_rate real, decode_rate real, peak_bytes integer) strict"""
    )
    db.execute("create table settings (key text primary key, value text not null) strict")


@migrations()
def m002_history(db: sqlite_utils.Database) -> None:
    # Whatever a person does with a conversation without changing what was said in it.
    db.execute("create table folders (id integer primary key, name text not null unique) strict")
    db.execute("alter table conversations add column pinned integer not null default 0")
    db.execute("alter table conversations add column folder_id integer references folders(id)")
    db.execute("alter table conversations add column trashed_at real")
    db.execute("create index conversations_by_use on conversations(pinned, updated_at)")
    # One row per message and one per title, folded (fold.py). The key is explicit: see m001.
    db.execute(
        """create table search (
            id integer primary key,
            conversation_id text not null references conversations(id) on delete cascade,
            message_id text unique references messages(id) on delete cascade, terms text not null) strict"""
    )
    db.execute("create index search_by_conversation on search(conversation_id)")
    # Prefix indexes because every word is looked for as a beginning, while it is still being typed.
    db.execute(
        """create virtual table search_fts using fts5(terms, content='search', content_rowid='id',
            tokenize='unicode61 remove_diacritics 2', prefix='1 2 3')"""
    )
    for when, change in {
        "after insert": _FTS_NEW,
        "after delete": _FTS_OLD,
        "after update": _FTS_OLD + _FTS_NEW,
    }.items():
        name = when.replace(" ", "_")
        db.execute(f"create trigger search_{name} {when} on search begin {change} end")
    # What was said before there was an index.
    said = """select m.conversation_id, m.id as message_id, group_concat(p.text, ' ') as words
        from messages m join parts p on p.message_id = m.id where p.type in ('text', 'box') group by m.id"""
    for row in list(db.query(said)):
        terms = fold(row["words"][:20_000])
        keys = {"conversation_id": row["conversation_id"], "message_id": row["message_id"]}
        db.table("search").insert({**keys, "terms": terms})
    for row in list(db.query("select id, title from conversations")):
        db.table("search").insert({"conversation_id": row["id"], "terms": fold(row["title"])})


@migrations()
def m003_unused_files(db: sqlite_utils.Database) -> None:
    # Since when no message holds a file; it goes some days later. NULL: one does, or nobody has looked yet.
    db.execute("alter table blobs add column unused_since real")


@migrations()
def m004_saw(db: sqlite_utils.Database) -> None:
    # What the model was shown for an answer: a list as JSON. NULL: nothing, or nobody wrote it down.
    db.execute("alter table turns add column saw text")


_FTS_NEW = "insert into search_fts(rowid, terms) values (new.id, new.terms);"
_FTS_OLD = "insert into search_fts(search_fts, rowid, terms) values ('delete', old.id, old.terms);"

KNOWN = 4  # how many migrations stand above; a test counts them


def bring_up_to_date(db: sqlite_utils.Database, file: Path) -> None:
    """Apply what is pending, each migration in its own transaction.

    Raises DatabaseTooNew, with the file untouched, if a newer app wrote it.
    """
    found = int(db.execute("pragma user_version").fetchone()[0])
    if found > KNOWN:
        raise DatabaseTooNew(file, found, KNOWN)
    migrations.apply(db)
    if found != KNOWN:
        db.execute(f"pragma application_id = {APPLICATION_ID}")
        db.execute(f"pragma user_version = {KNOWN}")
