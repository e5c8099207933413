"""Messages: what is written when a turn begins, goes on and ends, and the tree that edits and retries make.

Knows: what must be written together, what a crash may leave behind, which message follows which.
Does not know: the model, the window, where media files lie.

The invariant: a question and its files are on disk before the model is asked. So begin_turn writes the user's
message, an empty assistant message marked `streaming` and the conversation's new head in one transaction;
checkpoint and finish only ever touch that assistant message.
An edited question or a second answer is a new message with the same parent, and the head says which leaf is
looked at: nothing that was said is lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from app.store.costs import COLUMNS, columns
from app.store.costs import stats as stats_of
from app.store.database import Database
from app.store.search import index_message, index_title
from app.store.values import (
    ENDED,
    Begun,
    Message,
    Part,
    Status,
    StillAnswering,
    StoredBlob,
    UnknownConversation,
    UnknownMessage,
    ulid,
)

CUT = ("length", "repetition", "cancelled")  # finish reasons after which an answer can go on


class Turns(Database):
    """Questions and answers."""

    # --- reading -------------------------------------------------------------------------------------

    def path(self, conversation_id: str) -> tuple[Message, ...]:
        """The visible messages, oldest first: from the head up through the parents. Unknown: empty."""
        with self._lock:
            rows = list(self._db.query(_PATH, {"id": conversation_id}))
            parts = self._parts([row["id"] for row in rows])
            variants = self._variants(conversation_id, [row["parent_id"] for row in rows])
        return tuple(
            _message(row, parts.get(row["id"], ()), variants.get(row["parent_id"], ())) for row in rows
        )

    def _parts(self, message_ids: Sequence[str]) -> dict[str, tuple[Part, ...]]:
        found: dict[str, tuple[Part, ...]] = {}
        sql = """select message_id, type, text, sha256, data from parts
            where message_id in (select value from json_each(?)) order by message_id, position"""
        for row in self._db.query(sql, [json.dumps(message_ids)]):
            part = Part(row["type"], row["text"] or "", row["sha256"], json.loads(row["data"]))
            found[row["message_id"]] = (*found.get(row["message_id"], ()), part)
        return found

    def _variants(
        self, conversation_id: str, parents: Sequence[str | None]
    ) -> dict[str | None, tuple[str, ...]]:
        """The children of each parent, oldest first; None is the parent of first messages."""
        found: dict[str | None, tuple[str, ...]] = {}
        sql = """select id, parent_id from messages where parent_id in (select value from json_each(?))
            or (conversation_id = ? and parent_id is null) order by created_at, id"""
        for row in self._db.query(sql, [json.dumps(parents), conversation_id]):
            found[row["parent_id"]] = (*found.get(row["parent_id"], ()), row["id"])
        return found

    def media_type(self, sha256: str) -> str | None:
        """The media type of a file that some message holds; None if no message does."""
        sql = "select media_type from blobs where sha256 = ?"
        with self._lock:
            return next((str(row["media_type"]) for row in self._db.query(sql, [sha256])), None)

    # --- beginning -----------------------------------------------------------------------------------

    def begin_conversation(self, title: str) -> str:
        """A conversation in which nothing has been said yet; its id."""
        with self._lock, self._db.atomic():
            return self._new_conversation(title, time.time())

    def begin_turn(
        self,
        conversation_id: str | None,
        title: str,
        parts: Sequence[Part],
        blobs: Sequence[StoredBlob] = (),
        options: Mapping[str, Any] | None = None,
        *,
        instead_of: str | None = None,
    ) -> Begun:
        """Write the question, an empty answer marked `streaming`, and the new head, all or nothing.

        conversation_id None starts a conversation with that title. options: what the answer is asked with.
        instead_of: the question that this one is another wording of; None: it follows the head.
        Raises UnknownConversation, UnknownMessage or StillAnswering; then nothing was written.
        """
        now = time.time()
        with self._lock, self._db.atomic():
            conversation_id = conversation_id or self._new_conversation(title, now)
            parent = self._head(conversation_id)
            if instead_of is not None:
                parent = self._parent(conversation_id, instead_of, "user")
            for blob in blobs:
                self._note_blob(blob, now)
            question = self._new_message(conversation_id, parent, "user", "complete", now)
            self._write_parts(question, parts)
            index_message(self._db, conversation_id, question)
            answer = self._new_answer(conversation_id, question, options or {}, now)
        return Begun(conversation_id, question, answer)

    def begin_again(self, conversation_id: str, answer_id: str, options: Mapping[str, Any]) -> Begun:
        """Write another empty answer to the same question. Raises as begin_turn does."""
        now = time.time()
        with self._lock, self._db.atomic():
            self._head(conversation_id)
            question = self._parent(conversation_id, answer_id, "assistant")
            assert question is not None  # only questions are without a parent
            answer = self._new_answer(conversation_id, question, options, now)
        return Begun(conversation_id, question, answer)

    def go_on(self, conversation_id: str, answer_id: str) -> Begun:
        """Open an answer again that was cut short: what it said stays, and more may follow.

        Raises what begin_turn raises; UnknownMessage also where the answer came to its own end.
        """
        with self._lock, self._db.atomic():
            self._head(conversation_id)
            question = self._parent(conversation_id, answer_id, "assistant")
            sql = """select status, finish_reason from messages join turns on message_id = id where id = ?"""
            row = next(self._db.query(sql, [answer_id]))
            if question is None or not (row["status"] != "complete" or row["finish_reason"] in CUT):
                raise UnknownMessage
            self._db.table("messages").update(answer_id, {"status": "streaming"})
            self._look_at(conversation_id, answer_id, time.time())
        return Begun(conversation_id, question, answer_id)

    def select(self, conversation_id: str, message_id: str) -> None:
        """Look at the branch of a message: its newest leaf becomes the head. Raises as begin_turn does."""
        with self._lock, self._db.atomic():
            self._head(conversation_id)
            leaf = self._db.execute(_LEAF, {"id": message_id, "conversation": conversation_id}).fetchone()
            if leaf is None:
                raise UnknownMessage
            self._db.table("conversations").update(conversation_id, {"head_id": leaf[0]})

    # --- going on and ending -------------------------------------------------------------------------

    def checkpoint(self, answer_id: str, parts: Sequence[Part]) -> bool:
        """Keep what has been answered so far. False: the message is gone or ended, nothing was written."""
        with self._lock, self._db.atomic():
            if self._streaming_in(answer_id) is None:
                return False
            self._write_parts(answer_id, parts)
            return True

    def finish(
        self,
        answer_id: str,
        parts: Sequence[Part],
        status: Status,
        reason: str | None = None,
        stats: Mapping[str, Any] | None = None,
    ) -> bool:
        """The answer's last state. False: the message is gone or ended already, nothing was written.

        reason: how the stream ended (a Done.reason), None where it did not. stats: see costs.py.
        """
        if status not in ENDED:
            raise ValueError(f"an answer cannot end as {status!r}")
        with self._lock, self._db.atomic():
            conversation_id = self._streaming_in(answer_id)
            if conversation_id is None:
                return False
            self._write_parts(answer_id, parts)
            self._db.table("messages").update(answer_id, {"status": status})
            self._db.table("turns").update(answer_id, {"finish_reason": reason, **columns(stats or {})})
            index_message(self._db, conversation_id, answer_id)
            return True

    def mark_interrupted(self) -> int:
        """Call at start, when no answer can be running: a crash left as `streaming` what is `interrupted`.

        What was being read of a document goes, its file with it if nothing else needs that: it is read anew
        when it is asked about again.
        """
        with self._lock, self._db.atomic():
            self._db.execute("delete from documents where status = 'reading' and in_library = 0")
            cut = list(self._db.query("select id, conversation_id from messages where status = 'streaming'"))
            for row in cut:
                self._db.table("messages").update(row["id"], {"status": "interrupted"})
                index_message(self._db, row["conversation_id"], row["id"])
            return len(cut)

    # --- inside a transaction, lock held ---------------------------------------------------------------

    def _new_conversation(self, title: str, now: float) -> str:
        row = {"id": ulid(now), "title": title, "created_at": now, "updated_at": now}
        self._db.table("conversations").insert(row)
        index_title(self._db, str(row["id"]), title)
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

    def _parent(self, conversation_id: str, message_id: str, role: str) -> str | None:
        sql = "select parent_id from messages where id = ? and conversation_id = ? and role = ?"
        row = self._db.execute(sql, [message_id, conversation_id, role]).fetchone()
        if row is None:
            raise UnknownMessage
        parent: str | None = row[0]
        return parent

    def _new_answer(self, conversation_id: str, question: str, options: Mapping[str, Any], now: float) -> str:
        answer = self._new_message(conversation_id, question, "assistant", "streaming", now)
        self._db.table("turns").insert({"message_id": answer, "options": json.dumps(dict(options))})
        self._look_at(conversation_id, answer, now)
        return answer

    def _look_at(self, conversation_id: str, head: str, now: float) -> None:
        self._db.table("conversations").update(conversation_id, {"head_id": head, "updated_at": now})

    def _new_message(
        self, conversation_id: str, parent: str | None, role: str, status: Status, now: float
    ) -> str:
        row = {"id": ulid(now), "conversation_id": conversation_id, "parent_id": parent}
        self._db.table("messages").insert({**row, "role": role, "status": status, "created_at": now})
        return str(row["id"])

    def _note_blob(self, blob: StoredBlob, now: float) -> None:
        row = {"sha256": blob.sha256, "media_type": blob.media_type, "bytes": blob.bytes, "created_at": now}
        self._db.table("blobs").insert(row, ignore=True)

    def _streaming_in(self, message_id: str) -> str | None:
        """The conversation that waits for this answer; None where nothing does."""
        sql = "select conversation_id from messages where id = ? and status = 'streaming'"
        row = self._db.execute(sql, [message_id]).fetchone()
        return str(row[0]) if row else None

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


_PATH = f"""
with recursive up(id, parent_id, role, status, depth) as (
    select m.id, m.parent_id, m.role, m.status, 0 from conversations c join messages m on m.id = c.head_id
        where c.id = :id
    union all
    select m.id, m.parent_id, m.role, m.status, depth + 1 from messages m join up on m.id = up.parent_id
)
select up.id, up.parent_id, role, status, options, finish_reason, evidence.data as evidence,
    {", ".join(COLUMNS)} from up left join turns on turns.message_id = up.id
    left join evidence on evidence.message_id = up.id order by depth desc
"""

_LEAF = """
with recursive down(id) as (
    select id from messages where id = :id and conversation_id = :conversation
    union all
    select (select m.id from messages m where m.parent_id = down.id order by m.created_at desc, m.id desc
        limit 1) from down where down.id is not null
)
select id from (select id, row_number() over () as depth from down) where id is not null
    order by depth desc limit 1
"""


def _message(row: Mapping[str, Any], parts: tuple[Part, ...], variants: tuple[str, ...]) -> Message:
    options = json.loads(row["options"]) if row["options"] else {}
    evidence = json.loads(row["evidence"]) if row["evidence"] else {}
    reason, stats = row["finish_reason"], stats_of(row)
    return Message(row["id"], row["role"], row["status"], parts, options, reason, stats, variants, evidence)
