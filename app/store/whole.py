"""Whole conversations, every branch of them: read at once for an export, written at once by an import.

Knows: the message tree with its parts, turns, times and evidence, and how one is planted under new ids.
Does not know: file formats, where media files lie, what the window shows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from app.store.costs import COLUMNS, columns
from app.store.costs import stats as stats_of
from app.store.database import Database
from app.store.held import Held, cited, renamed
from app.store.search import index_message, index_title
from app.store.values import Part, Status, StoredBlob, ulid


@dataclass(frozen=True)
class Node:
    """A message of a tree. parent: place of the message it follows among the tree's nodes, always before its
    own; None: it begins the conversation. created_at: seconds since 1970. The rest is as in Message, but
    evidence and citations name a document by its place among the tree's.
    """

    parent: int | None
    role: Literal["user", "assistant"]
    status: Status
    parts: tuple[Part, ...]
    created_at: float
    options: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    stats: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tree:
    """A conversation with all that was ever said in it. Without ids: equal content is equal.

    nodes: each branch to its end before the next one begins, of siblings the oldest first.
    head: place of the leaf that is looked at. documents: what it reads, in the order in which it came.
    """

    title: str
    created_at: float
    updated_at: float
    head: int
    nodes: tuple[Node, ...]
    pinned: bool = False
    folder: str | None = None
    documents: tuple[Held, ...] = ()


class Whole(Database):
    """Reading and writing trees."""

    def every_conversation(self) -> tuple[str, ...]:
        """The ids of all conversations outside the trash, the oldest first."""
        sql = "select id from conversations where trashed_at is null order by created_at, id"
        with self._lock:
            return tuple(row["id"] for row in self._db.query(sql))

    def beginnings(self) -> dict[float, tuple[str, ...]]:
        """When first questions were asked, and in which conversations outside the trash."""
        found: dict[float, tuple[str, ...]] = {}
        sql = """select m.created_at, conversation_id from messages m
            join conversations c on c.id = conversation_id where parent_id is null and trashed_at is null"""
        with self._lock:
            for row in self._db.query(sql):
                found[row["created_at"]] = (*found.get(row["created_at"], ()), row["conversation_id"])
        return found

    def whole(self, conversation_id: str) -> Tree | None:
        """A conversation as it stands, from the trash too. None: there is none, or nothing was said in it."""
        with self._lock:
            about = next(self._db.query(_ABOUT, [conversation_id]), None)
            rows = list(self._db.query(_MESSAGES, [conversation_id]))
            documents, places = self._held(conversation_id)
            parts: dict[str, list[Part]] = {}
            for row in self._db.query(_PARTS, [conversation_id]):
                part = Part(row["type"], row["text"] or "", row["sha256"], json.loads(row["data"]))
                parts.setdefault(row["message_id"], []).append(cited(part, places))
        if about is None or not rows:
            return None
        rows = _branch_by_branch(rows)
        place = {row["id"]: n for n, row in enumerate(rows)}
        nodes = tuple(
            _node(row, place.get(row["parent_id"]), parts.get(row["id"], ()), places) for row in rows
        )
        head = place.get(about.pop("head_id"), len(nodes) - 1)
        return Tree(**{**about, "pinned": bool(about["pinned"])}, head=head, nodes=nodes, documents=documents)

    def plant(
        self, tree: Tree, blobs: Iterable[StoredBlob] = (), documents: Sequence[int | None] = ()
    ) -> str:
        """Write a whole conversation under new ids, findable by search, all or nothing. Returns its id.

        blobs: the files its parts name; they lie in their place already. documents: for each of the tree's
        the one that is read here; None, and where it ends: it is not here. A `streaming` answer is written as
        `interrupted`: nobody is answering it here.
        """
        names = {place: one for place, one in enumerate(documents) if one is not None}
        now = time.time()
        ids = sorted(ulid(now) for _ in tree.nodes)  # siblings of one instant are told apart by their ids
        with self._lock, self._db.atomic():
            for blob in blobs:
                sql = (
                    "insert or ignore into blobs (sha256, media_type, bytes, created_at) values (?, ?, ?, ?)"
                )
                self._db.execute(sql, [blob.sha256, blob.media_type, blob.bytes, now])
            conversation = self._plant_conversation(tree, ulid(now))
            for name, node in zip(ids, tree.nodes, strict=True):
                above = None if node.parent is None else ids[node.parent]
                self._plant_message(conversation, name, above, node, names)
            self._plant_documents(conversation, tree, names)
            sql = "update conversations set head_id = ? where id = ?"
            self._db.execute(sql, [ids[tree.head], conversation])
        return conversation

    # --- inside a transaction, lock held ---------------------------------------------------------------

    def _plant_conversation(self, tree: Tree, conversation: str) -> str:
        number = None
        if tree.folder is not None:
            self._db.execute("insert or ignore into folders (name) values (?)", [tree.folder])
            number = self._db.execute("select id from folders where name = ?", [tree.folder]).fetchone()[0]
        sql = """insert into conversations (id, title, created_at, updated_at, pinned, folder_id)
            values (?, ?, ?, ?, ?, ?)"""
        row = [conversation, tree.title, tree.created_at, tree.updated_at, int(tree.pinned), number]
        self._db.execute(sql, row)
        index_title(self._db, conversation, tree.title)
        return conversation

    def _plant_documents(self, conversation: str, tree: Tree, names: Mapping[int, int]) -> None:
        now = time.time()
        for place, document in names.items():
            sql = """insert or ignore into conversation_documents
                (conversation_id, document_id, active, added_at) values (?, ?, ?, ?)"""
            active = int(tree.documents[place].active)
            self._db.execute(sql, [conversation, document, active, now + place / 1e6])  # in their order

    def _plant_message(
        self, conversation: str, name: str, above: str | None, node: Node, names: Mapping[int, int]
    ) -> None:
        status = "interrupted" if node.status == "streaming" else node.status
        sql = """insert into messages (id, conversation_id, parent_id, role, status, created_at)
            values (?, ?, ?, ?, ?, ?)"""
        self._db.execute(sql, [name, conversation, above, node.role, status, node.created_at])
        sql = """insert into parts (message_id, position, type, text, sha256, data)
            values (?, ?, ?, ?, ?, ?)"""
        for n, part in enumerate(node.parts):
            data = json.dumps(dict(cited(part, names).data))
            self._db.execute(sql, [name, n, part.type, part.text, part.sha256, data])
        if node.role == "assistant":
            sql = f"""insert into turns (message_id, options, finish_reason, {", ".join(COLUMNS)})
                values (?, ?, ?, {", ".join("?" for _ in COLUMNS)})"""
            cost = columns(node.stats)
            told = [name, json.dumps(dict(node.options)), node.reason]
            self._db.execute(sql, [*told, *map(cost.get, COLUMNS)])
        if evidence := renamed(node.evidence, names):
            sql = "insert into evidence (message_id, data) values (?, ?)"
            self._db.execute(sql, [name, json.dumps(evidence)])
        index_message(self._db, conversation, name)

    def _held(self, conversation: str) -> tuple[tuple[Held, ...], dict[int, int]]:
        """Its documents, and the place of each number; two readings of one file are one document."""
        held: dict[str, Held] = {}
        order: list[str] = []
        places: dict[int, int] = {}
        for row in self._db.query(_DOCUMENTS, [conversation]):
            if row["sha256"] not in held:
                order.append(row["sha256"])
            before = held.get(row["sha256"])
            active = bool(row["active"]) or (before is not None and before.active)
            held[row["sha256"]] = Held(row["sha256"], row["title"], active)
            places[row["id"]] = order.index(row["sha256"])
        return tuple(held[one] for one in order), places


_DOCUMENTS = """select id, sha256, title, active from documents
    join conversation_documents on document_id = id where conversation_id = ? order by added_at, id"""
_ABOUT = """select title, head_id, c.created_at, updated_at, pinned, folders.name as folder
    from conversations c left join folders on folders.id = folder_id where c.id = ?"""
_MESSAGES = f"""select m.id, parent_id, role, status, m.created_at, options, finish_reason,
    evidence.data as evidence, {", ".join(COLUMNS)} from messages m
    left join turns on turns.message_id = m.id left join evidence on evidence.message_id = m.id
    where conversation_id = ? order by m.created_at, m.id"""
_PARTS = """select message_id, type, text, sha256, data from parts join messages m on m.id = message_id
    where conversation_id = ? order by message_id, position"""


def _branch_by_branch(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parents before children, a branch to its end before the next one; siblings in the order of rows."""
    below: dict[str | None, list[dict[str, Any]]] = {}
    for row in rows:
        below.setdefault(row["parent_id"], []).append(row)
    todo, found = below.get(None, [])[::-1], list[dict[str, Any]]()
    while todo:
        row = todo.pop()
        found.append(row)
        todo += below.get(row["id"], [])[::-1]
    return found


def _node(
    row: Mapping[str, Any], parent: int | None, parts: Iterable[Part], places: Mapping[int, int]
) -> Node:
    options = json.loads(row["options"]) if row["options"] else {}
    return Node(
        parent,
        row["role"],
        row["status"],
        tuple(parts),
        row["created_at"],
        options,
        row["finish_reason"],
        stats_of(row),
        renamed(json.loads(row["evidence"]), places) if row["evidence"] else {},
    )
