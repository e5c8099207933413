"""Conversations in SQLite: one connection, one lock, values in and values out.

Knows: which rooms make up the store. Does not know: SQL; that is in the rooms.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from app.store.backups import Backup, BackupFailed, back_up, backups, daily, restore
from app.store.database import IN_MEMORY
from app.store.documents import Documents, FoundChunk, StoredDocument
from app.store.extractions import ExtractionFile, Extractions, StoredExtraction
from app.store.garbage import UNUSED_DAYS, Garbage
from app.store.held import Held
from app.store.history import TRASH_DAYS, History
from app.store.rescue import Rescued, rescue
from app.store.search import Searching
from app.store.turns import CUT, Turns
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
from app.store.whole import Node, Tree, Whole

# The disk is full, or gone: what was to be written was not, and may be written later. Of SQLite's errors the
# only one that a caller can do something about.
DiskTrouble = sqlite3.OperationalError


class Store(Turns, History, Searching, Whole, Documents, Extractions, Garbage):
    """The database of one person: turns, sidebar, search, whole conversations, documents, tables, settings,
    and sweeping."""

    def setting(self, key: str, default: Any = None) -> Any:
        with self._lock:
            rows = list(self._db.query("select value from settings where key = ?", [key]))
        return json.loads(rows[0]["value"]) if rows else default

    def set_setting(self, key: str, value: Any) -> None:
        with self._lock, self._db.atomic():
            self._db.table("settings").upsert({"key": key, "value": json.dumps(value)}, pk="key")


__all__ = [
    "CUT", "IN_MEMORY", "TRASH_DAYS", "UNUSED_DAYS", "Backup", "BackupFailed", "Begun", "Conversation",
    "DiskTrouble", "ExtractionFile", "Found", "FoundChunk", "Held", "Message", "Node", "Part", "PartType",
    "Rescued", "Status", "StillAnswering", "Store", "StoredBlob", "StoredDocument", "StoredExtraction",
    "Tree", "UnknownConversation", "UnknownMessage", "back_up", "backups", "daily", "rescue", "restore",
    "ulid",
]  # fmt: skip
