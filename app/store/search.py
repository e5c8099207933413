"""The history's full-text index: titles and messages, in any language.

Knows: the table of folded words and its FTS5 index, how a query finds conversations.
Does not know: how text is folded (fold.py), what the window shows.
"""

from __future__ import annotations

import sqlite_utils

from app.fold import fold, marked, query, runs
from app.store.database import Database
from app.store.values import Conversation, Found

PIECE = 20_000  # characters of a message that are searched: a pasted book would be most of the index
CANDIDATES = 400  # best rows looked at; several may belong to one conversation


class Searching(Database):
    """Searching the history."""

    def search(self, text: str, limit: int = 50) -> tuple[Found, ...]:
        """Conversations in which every word of `text` begins some word of one message or of the title.

        The best first, outside the trash. Nothing to look for: empty.
        """
        wanted = query(text)
        if not wanted:
            return ()
        with self._lock:
            rows = list(self._db.query(_FOUND, {"wanted": wanted, "candidates": CANDIDATES}))[:limit]
            words = {
                row["message_id"]: _said(self._db, row["message_id"]) for row in rows if row["message_id"]
            }
        return tuple(
            Found(
                Conversation(
                    row["id"],
                    row["title"],
                    row["created_at"],
                    row["updated_at"],
                    bool(row["pinned"]),
                    row["folder"],
                ),
                marked(words[row["message_id"]], runs(text)) if row["message_id"] else (),
                row["message_id"],
            )
            for row in rows
        )


_FOUND = """
with hits as (
    select rowid, bm25(search_fts) as rank from search_fts where search_fts match :wanted
        order by rank limit :candidates
)
select c.id, c.title, c.created_at, c.updated_at, c.pinned, f.name as folder, s.message_id,
    min(hits.rank) as rank
    from hits join search s on s.id = hits.rowid join conversations c on c.id = s.conversation_id
    left join folders f on f.id = c.folder_id
    where c.trashed_at is null group by c.id order by rank
"""


def index_message(db: sqlite_utils.Database, conversation_id: str, message_id: str) -> None:
    """Make a message findable by the words of its text parts. Inside a transaction."""
    db.execute("delete from search where message_id = ?", [message_id])
    if terms := fold(_said(db, message_id)):
        row = {"conversation_id": conversation_id, "message_id": message_id, "terms": terms}
        db.table("search").insert(row)


def index_title(db: sqlite_utils.Database, conversation_id: str, title: str) -> None:
    """Make a conversation findable by its title. Inside a transaction."""
    db.execute("delete from search where conversation_id = ? and message_id is null", [conversation_id])
    if terms := fold(title):
        db.table("search").insert({"conversation_id": conversation_id, "terms": terms})


def _said(db: sqlite_utils.Database, message_id: str) -> str:
    """The words of a message, names of its files included."""
    sql = """select coalesce(nullif(text, ''), json_extract(data, '$.name'), '') as words from parts
        where message_id = ? and type in ('text', 'box', 'image', 'video', 'document') order by position"""
    return " ".join(row["words"] for row in db.query(sql, [message_id]))[:PIECE]
