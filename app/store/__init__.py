"""Conversations in SQLite: one connection, one lock, values in and values out.

Knows: which rooms make up the store. Does not know: SQL; that is in the rooms.
"""

from __future__ import annotations

import json
from typing import Any

from app.store.history import TRASH_DAYS, History
from app.store.search import Searching
from app.store.turns import Turns
from app.store.values import (
    Begun,
    Conversation,
    Found,
    Message,
    Part,
    PartType,
    Status,
    StillAnswering,
    StoredBlob,
    UnknownConversation,
    UnknownMessage,
    ulid,
)


class Store(Turns, History, Searching):
    """The database of one person: turns, the sidebar, the search, settings."""

    def setting(self, key: str, default: Any = None) -> Any:
        with self._lock:
            rows = list(self._db.query("select value from settings where key = ?", [key]))
        return json.loads(rows[0]["value"]) if rows else default

    def set_setting(self, key: str, value: Any) -> None:
        with self._lock, self._db.atomic():
            self._db.table("settings").upsert({"key": key, "value": json.dumps(value)}, pk="key")


__all__ = [
    "TRASH_DAYS", "Begun", "Conversation", "Found", "Message", "Part", "PartType", "Status", "StillAnswering",
    "Store", "StoredBlob", "UnknownConversation", "UnknownMessage", "ulid",
]  # fmt: skip
