"""What a person does with conversations: list, rename, pin, sort into folders, throw away, take back.

Knows: the sidebar's order, the trash and how long it keeps.
Does not know: messages, the model, how the sidebar looks.
"""

from __future__ import annotations

import time
from typing import Any

from app.store.database import Database
from app.store.documents import ORPHANS
from app.store.search import index_title
from app.store.values import Conversation

TRASH_DAYS = 30
TITLE_LIMIT = 200  # characters of a title or a folder's name
_COLUMNS = """select c.id, title, c.created_at, updated_at, pinned, folders.name as folder, trashed_at
    from conversations c left join folders on folders.id = folder_id"""


class History(Database):
    """The sidebar's list and what can be done with its lines."""

    def conversations(
        self, limit: int = 500, folder: str | None = None, after: Conversation | None = None
    ) -> tuple[Conversation, ...]:
        """Pinned ones first, then the most recently used; none from the trash.

        folder: only those in it. after: only those that come after this one in that order.
        """
        inside = "and folders.name = :folder" if folder is not None else ""
        beyond = "and (pinned, updated_at, c.id) < (:pinned, :at, :id)" if after is not None else ""
        sql = f"""{_COLUMNS} where trashed_at is null {inside} {beyond}
            order by pinned desc, updated_at desc, c.id desc limit :limit"""
        place = {"pinned": after.pinned, "at": after.updated_at, "id": after.id} if after else {}
        return self._listed(sql, {"limit": limit, "folder": folder, **place})

    def count(self) -> int:
        """How many conversations there are outside the trash."""
        sql = "select count(*) from conversations where trashed_at is null"
        with self._lock:
            return int(self._db.execute(sql).fetchone()[0])

    def trash(self) -> tuple[Conversation, ...]:
        """Thrown away and still to be had back, the last thrown away first."""
        return self._listed(
            f"{_COLUMNS} where trashed_at is not null order by trashed_at desc, c.id desc", {}
        )

    def conversation(self, conversation_id: str) -> Conversation | None:
        """One conversation, from the trash too."""
        return next(iter(self._listed(f"{_COLUMNS} where c.id = :id", {"id": conversation_id})), None)

    def folders(self) -> tuple[str, ...]:
        """The names of all folders that hold something, by name."""
        sql = """select distinct name from folders join conversations on folder_id = folders.id
            where trashed_at is null order by name collate nocase"""
        with self._lock:
            return tuple(row["name"] for row in self._db.query(sql))

    def _listed(self, sql: str, values: dict[str, Any]) -> tuple[Conversation, ...]:
        with self._lock:
            rows = list(self._db.query(sql, values))
        return tuple(Conversation(**{**row, "pinned": bool(row["pinned"])}) for row in rows)

    # --- writing; an unknown conversation: nothing happens ---------------------------------------------

    def rename(self, conversation_id: str, title: str) -> None:
        """Give a conversation another title; one without a visible character changes nothing."""
        if title := _one_line(title):
            with self._lock, self._db.atomic():
                self._db.execute("update conversations set title = ? where id = ?", [title, conversation_id])
                if self._exists(conversation_id):
                    index_title(self._db, conversation_id, title)

    def retitle(self, conversation_id: str, was: str, title: str) -> bool:
        """Rename, but only while the title is still what it was. False: it was not, nothing was changed."""
        with self._lock, self._db.atomic():
            sql = "update conversations set title = ? where id = ? and title = ?"
            if self._db.execute(sql, [title, conversation_id, was]).rowcount != 1:
                return False
            index_title(self._db, conversation_id, title)
            return True

    def pin(self, conversation_id: str, pinned: bool) -> None:
        self._set("pinned", int(pinned), conversation_id)

    def file_under(self, conversation_id: str, folder: str | None) -> None:
        """Put into a folder, which is made where there is none of that name; None: take out."""
        name = _one_line(folder or "")
        with self._lock, self._db.atomic():
            number = None
            if name:
                self._db.execute("insert or ignore into folders (name) values (?)", [name])
                found = self._db.execute("select id from folders where name = ?", [name]).fetchone()
                number = found[0]
            sql = "update conversations set folder_id = ? where id = ?"
            self._db.execute(sql, [number, conversation_id])

    def throw_away(self, conversation_id: str) -> None:
        """Into the trash: out of the list and the search, kept for TRASH_DAYS."""
        self._set("trashed_at", time.time(), conversation_id)

    def take_back(self, conversation_id: str) -> None:
        self._set("trashed_at", None, conversation_id)

    def empty_trash(self, older_than_days: float = TRASH_DAYS) -> int:
        """Delete for good what was thrown away so long ago. Returns how many conversations."""
        before = time.time() - older_than_days * 86400
        old = [c.id for c in self.trash() if c.trashed_at is not None and c.trashed_at <= before]
        for conversation_id in old:
            self.delete_conversation(conversation_id)
        return len(old)

    def delete_conversation(self, conversation_id: str) -> None:
        """Remove a conversation with all its messages for good."""
        with self._lock, self._db.atomic():
            # the circle conversation -> head -> conversation must be opened before it can be removed
            self._db.execute("update conversations set head_id = null where id = ?", [conversation_id])
            self._db.execute(
                "update messages set parent_id = null where conversation_id = ?", [conversation_id]
            )
            self._db.execute("delete from search where conversation_id = ?", [conversation_id])
            self._db.execute("delete from conversations where id = ?", [conversation_id])
            self._db.execute(ORPHANS)

    def _set(self, column: str, value: Any, conversation_id: str) -> None:
        with self._lock, self._db.atomic():
            self._db.execute(f"update conversations set {column} = ? where id = ?", [value, conversation_id])

    def _exists(self, conversation_id: str) -> bool:
        sql = "select 1 from conversations where id = ?"
        return self._db.execute(sql, [conversation_id]).fetchone() is not None


def _one_line(words: str) -> str:
    return " ".join(words.split())[:TITLE_LIMIT]
