"""Conversations in SQLite: one connection, one lock, values in and values out.

Knows: the schema (see migrations.py), what must be written together, what a crash may leave behind.
Does not know: the model, the window, where media files lie.

The invariant: a question and its files are on disk before the model is asked. So begin_turn writes the user's
message, an empty assistant message marked `streaming` and the conversation's new head in one transaction;
checkpoint and finish only ever touch that assistant message.
One connection under one lock because a deferred transaction that starts by reading cannot wait for the write
lock: with several connections it fails at once with "database is locked", whatever busy_timeout says.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import sqlite_utils

from app.migrations import bring_up_to_date

Status = Literal["streaming", "complete", "interrupted", "error"]
PartType = Literal["text", "reasoning", "image", "video", "box", "error"]
ENDED: tuple[Status, ...] = ("complete", "interrupted", "error")


class UnknownConversation(Exception):
    """The conversation does not exist (any more); nothing was written."""

    def __init__(self) -> None:
        super().__init__(
            "This conversation no longer exists. Nothing was sent. Start a new chat and send again."
        )


class StillAnswering(Exception):
    """The conversation's last message is not finished; nothing was written."""

    def __init__(self) -> None:
        super().__init__("This conversation is still being answered. Stop the answer first, or wait for it.")


@dataclass(frozen=True)
class Part:
    """A piece of a message: words, a file, or a place in a picture.

    sha256: for image and video, the content. data: file name, media type, bounding boxes, seconds of thought.
    """

    type: PartType
    text: str = ""
    sha256: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """One message on the visible path.

    options and reason belong to answers: what the answer was asked with, and how its stream ended.
    """

    id: str
    role: Literal["user", "assistant"]
    status: Status
    parts: tuple[Part, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class Conversation:
    """A line of the sidebar. Times are seconds since 1970."""

    id: str
    title: str
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class StoredBlob:
    """A media file to be known to the database. bytes: its size."""

    sha256: str
    media_type: str
    bytes: int


@dataclass(frozen=True)
class Begun:
    """Names of what begin_turn wrote."""

    conversation_id: str
    question_id: str
    answer_id: str


class Store:
    """The database of one person. Every method is one transaction and may be called from any thread."""

    def __init__(self, file: Path) -> None:
        """Open, creating and migrating as needed. Raises DatabaseTooNew (see migrations), file unchanged."""
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))  # -wal and -shm take the main file's mode
        self._lock = threading.Lock()
        connection = sqlite3.connect(file, check_same_thread=False)
        self._db = sqlite_utils.Database(connection)
        try:
            bring_up_to_date(self._db, file)
            for pragma in ("journal_mode=wal", "synchronous=normal", "foreign_keys=on"):
                connection.execute(f"pragma {pragma}")
            # deleted words are overwritten in the file, except in free pages that a query may still read
            connection.execute("pragma secure_delete=fast")
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # --- reading -------------------------------------------------------------------------------------

    def conversations(self, limit: int = 500) -> tuple[Conversation, ...]:
        """The most recently used first."""
        sql = """select id, title, created_at, updated_at from conversations
            order by updated_at desc, id desc limit ?"""
        with self._lock:
            return tuple(Conversation(**row) for row in self._db.query(sql, [limit]))

    def conversation(self, conversation_id: str) -> Conversation | None:
        sql = "select id, title, created_at, updated_at from conversations where id = ?"
        with self._lock:
            return next((Conversation(**row) for row in self._db.query(sql, [conversation_id])), None)

    def path(self, conversation_id: str) -> tuple[Message, ...]:
        """The visible messages, oldest first: from the head up through the parents. Unknown: empty."""
        with self._lock:
            rows = list(self._db.query(_PATH, {"id": conversation_id}))
            parts = self._parts([row["id"] for row in rows])
        return tuple(_message(row, parts.get(row["id"], ())) for row in rows)

    def _parts(self, message_ids: Sequence[str]) -> dict[str, tuple[Part, ...]]:
        found: dict[str, tuple[Part, ...]] = {}
        sql = """select message_id, type, text, sha256, data from parts
            where message_id in (select value from json_each(?)) order by message_id, position"""
        for row in self._db.query(sql, [json.dumps(message_ids)]):
            part = Part(row["type"], row["text"] or "", row["sha256"], json.loads(row["data"]))
            found[row["message_id"]] = (*found.get(row["message_id"], ()), part)
        return found

    def media_type(self, sha256: str) -> str | None:
        """The media type of a file that some message holds; None if no message does."""
        sql = "select media_type from blobs where sha256 = ?"
        with self._lock:
            return next((str(row["media_type"]) for row in self._db.query(sql, [sha256])), None)

    def setting(self, key: str, default: Any = None) -> Any:
        with self._lock:
            rows = list(self._db.query("select value from settings where key = ?", [key]))
        return json.loads(rows[0]["value"]) if rows else default

    # --- writing -------------------------------------------------------------------------------------

    def set_setting(self, key: str, value: Any) -> None:
        with self._lock, self._db.atomic():
            self._db.table("settings").upsert({"key": key, "value": json.dumps(value)}, pk="key")

    def begin_turn(
        self,
        conversation_id: str | None,
        title: str,
        parts: Sequence[Part],
        blobs: Sequence[StoredBlob] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Begun:
        """Write the question, an empty answer marked `streaming`, and the new head, all or nothing.

        conversation_id None starts a conversation with that title. options: what the answer is asked with.
        Raises UnknownConversation or StillAnswering; then nothing was written.
        """
        now = time.time()
        with self._lock, self._db.atomic():
            conversation_id = conversation_id or self._new_conversation(title, now)
            parent = self._head(conversation_id)
            for blob in blobs:
                row = {
                    "sha256": blob.sha256,
                    "media_type": blob.media_type,
                    "bytes": blob.bytes,
                    "created_at": now,
                }
                self._db.table("blobs").insert(row, ignore=True)
            question = self._new_message(conversation_id, parent, "user", "complete", now)
            self._write_parts(question, parts)
            answer = self._new_message(conversation_id, question, "assistant", "streaming", now)
            self._db.table("turns").insert({"message_id": answer, "options": json.dumps(dict(options or {}))})
            self._db.table("conversations").update(conversation_id, {"head_id": answer, "updated_at": now})
        return Begun(conversation_id, question, answer)

    def checkpoint(self, answer_id: str, parts: Sequence[Part]) -> bool:
        """Keep what has been answered so far. False: the message is gone or ended, nothing was written."""
        with self._lock, self._db.atomic():
            if not self._is_streaming(answer_id):
                return False
            self._write_parts(answer_id, parts)
            return True

    def finish(
        self,
        answer_id: str,
        parts: Sequence[Part],
        status: Status,
        reason: str | None = None,
        stats: Mapping[str, float] | None = None,
    ) -> bool:
        """The answer's last state. False: the message is gone or ended already, nothing was written.

        reason: how the stream ended (a Done.reason), None where it did not. stats: columns of `turns`.
        """
        if status not in ENDED:
            raise ValueError(f"an answer cannot end as {status!r}")
        with self._lock, self._db.atomic():
            if not self._is_streaming(answer_id):
                return False
            self._write_parts(answer_id, parts)
            self._db.table("messages").update(answer_id, {"status": status})
            self._db.table("turns").update(answer_id, {"finish_reason": reason, **(stats or {})})
            return True

    def mark_interrupted(self) -> int:
        """Call at start, when no answer can be running: a crash left as `streaming` what is `interrupted`."""
        with self._lock, self._db.atomic():
            sql = "update messages set status = 'interrupted' where status = 'streaming'"
            return int(self._db.execute(sql).rowcount)

    def delete_conversation(self, conversation_id: str) -> None:
        """Remove a conversation with all its messages for good. Unknown: nothing happens."""
        with self._lock, self._db.atomic():
            # the circle conversation -> head -> conversation must be opened before it can be removed
            self._db.execute("update conversations set head_id = null where id = ?", [conversation_id])
            self._db.execute(
                "update messages set parent_id = null where conversation_id = ?", [conversation_id]
            )
            self._db.execute("delete from conversations where id = ?", [conversation_id])

    # --- inside a transaction, lock held ---------------------------------------------------------------

    def _new_conversation(self, title: str, now: float) -> str:
        row = {"id": ulid(now), "title": title, "created_at": now, "updated_at": now}
        self._db.table("conversations").insert(row)
        return str(row["id"])

    def _head(self, conversation_id: str) -> str | None:
        sql = """select head_id, messages.status from conversations
            left join messages on messages.id = head_id where conversations.id = ?"""
        row = next(self._db.query(sql, [conversation_id]), None)
        if row is None:
            raise UnknownConversation
        if row["status"] == "streaming":
            raise StillAnswering
        head: str | None = row["head_id"]
        return head

    def _new_message(
        self, conversation_id: str, parent: str | None, role: str, status: Status, now: float
    ) -> str:
        row = {"id": ulid(now), "conversation_id": conversation_id, "parent_id": parent}
        self._db.table("messages").insert({**row, "role": role, "status": status, "created_at": now})
        return str(row["id"])

    def _is_streaming(self, message_id: str) -> bool:
        sql = "select 1 from messages where id = ? and status = 'streaming'"
        return self._db.execute(sql, [message_id]).fetchone() is not None

    def _write_parts(self, message_id: str, parts: Sequence[Part]) -> None:
        self._db.table("parts").delete_where("message_id = ?", [message_id])
        self._db.table("parts").insert_all(
            {
                "message_id": message_id,
                "position": position,
                "type": part.type,
                "text": part.text,
                "sha256": part.sha256,
                "data": json.dumps(dict(part.data)),
            }
            for position, part in enumerate(parts)
        )


_PATH = """
with recursive up(id, parent_id, role, status, depth) as (
    select m.id, m.parent_id, m.role, m.status, 0 from conversations c join messages m on m.id = c.head_id
        where c.id = :id
    union all
    select m.id, m.parent_id, m.role, m.status, depth + 1 from messages m join up on m.id = up.parent_id
)
select up.id, role, status, options, finish_reason from up
    left join turns on message_id = up.id order by depth desc
"""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _message(row: Mapping[str, Any], parts: tuple[Part, ...]) -> Message:
    options = json.loads(row["options"]) if row["options"] else {}
    return Message(row["id"], row["role"], row["status"], parts, options, row["finish_reason"])


def ulid(now: float) -> str:
    """26 characters that sort by time to the millisecond, then at random.

    now: seconds since 1970. Source: the ULID specification, 48 bits of time and 80 random ones in Crockford's
    base 32.
    """
    number = (int(now * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
