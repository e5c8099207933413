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


@migrations()
def m005_documents(db: sqlite_utils.Database) -> None:
    # One row per content and version of our reader: a better reader reads again, and what was quoted from the
    # earlier reading keeps its page. in_library: every conversation may use it, and it outlives them.
    db.execute(
        """create table documents (
            id integer primary key, sha256 text not null references blobs(sha256), parser integer not null,
            title text not null, kind text not null, pages integer not null default 0,
            status text not null check (status in ('reading', 'ready', 'failed')),
            problems text not null default '[]', outline text not null default '[]',
            in_library integer not null default 0, created_at real not null,
            unique (sha256, parser)) strict"""
    )
    db.execute(
        """create table conversation_documents (
            conversation_id text not null references conversations(id) on delete cascade,
            document_id integer not null references documents(id) on delete cascade,
            active integer not null default 1, added_at real not null,
            primary key (conversation_id, document_id)) strict"""
    )
    db.execute("create index conversations_by_document on conversation_documents(document_id)")
    db.execute(
        """create table pages (
            id integer primary key, document_id integer not null references documents(id) on delete cascade,
            number integer not null, label text not null, text text not null, width real not null,
            height real not null, image_only integer not null, pictured real not null, source text not null,
            unique (document_id, number)) strict"""
    )
    # Positions count the page's own characters; terms are folded (fold.py) and hold more than them: headings
    # above and the end of the chunk before.
    db.execute(
        """create table chunks (
            id integer primary key, page_id integer not null references pages(id) on delete cascade,
            start integer not null, stop integer not null, terms text not null) strict"""
    )
    db.execute("create index chunks_by_page on chunks(page_id)")
    # Stems because a question is asked in other forms of the words than the page has.
    db.execute(
        """create virtual table chunks_fts using fts5(terms, content='chunks', content_rowid='id',
            tokenize='porter unicode61 remove_diacritics 2')"""
    )
    _keep_in_step(db, "chunks")
    # What was laid before the model with a question: written once, so that every later request is made of the
    # same words and finds what was computed for them.
    db.execute(
        """create table evidence (
            message_id text primary key references messages(id) on delete cascade,
            data text not null) strict"""
    )
    # Marks the borders of evidence. Of each conversation its own, unknown to whoever writes documents.
    db.execute("alter table conversations add column nonce text")


@migrations()
def m006_predicted(db: sqlite_utils.Database) -> None:
    # What the planner says of the memory an answer took, beside peak_bytes. NULL: an older app did not say.
    db.execute("alter table turns add column predicted_bytes integer")


@migrations()
def m007_extractions(db: sqlite_utils.Database) -> None:
    # A table that is filled from files, one file after the other: what waits is what is still missing.
    db.execute(
        """create table extractions (
            id integer primary key, title text not null, question text not null, columns text not null,
            created_at real not null) strict"""
    )
    # document_id: what the file was read as; a better reader may have thrown that away.
    db.execute(
        """create table extraction_files (
            id integer primary key,
            extraction_id integer not null references extractions(id) on delete cascade,
            position integer not null, name text not null, sha256 text not null references blobs(sha256),
            document_id integer references documents(id) on delete set null,
            state text not null check (state in ('waiting', 'done', 'failed')),
            problem text not null default '', rows text not null default '[]',
            finished integer not null default 0, seconds real not null default 0,
            unique (extraction_id, position)) strict"""
    )
    db.execute("create index extraction_files_by_document on extraction_files(document_id)")


def _keep_in_step(db: sqlite_utils.Database, table: str) -> None:
    """Triggers that write a table's terms into its index `table_fts`."""
    new = f"insert into {table}_fts(rowid, terms) values (new.id, new.terms);"
    old = f"insert into {table}_fts({table}_fts, rowid, terms) values ('delete', old.id, old.terms);"
    for when, change in {"after insert": new, "after delete": old, "after update": old + new}.items():
        db.execute(f"create trigger {table}_{when.replace(' ', '_')} {when} on {table} begin {change} end")


_FTS_NEW = "insert into search_fts(rowid, terms) values (new.id, new.terms);"
_FTS_OLD = "insert into search_fts(search_fts, rowid, terms) values ('delete', old.id, old.terms);"

KNOWN = 7  # how many migrations stand above; a test counts them


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
