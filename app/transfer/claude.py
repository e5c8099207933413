"""Claude's export: conversations.json, a list of conversations with chat_messages.

Knows: how its messages, thoughts, attachments and tools are told.
Does not know: the zip around it, the store.

Known from public descriptions of exports of 2024 to 2026: `sender` is human or assistant; the words are in
`content` (text, thinking, tool_use, tool_result) and often in `text` as well; a pasted text is an attachment
with `extracted_content`; `files` name pictures whose bytes are mostly not in the export; times are ISO dates.
Newer exports link messages by `parent_message_uuid`, the first one to an id that no message has; older ones
are in the order in which they were written.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from typing import Any, Literal

from app.store import Part
from app.transfer.loose import (
    Broken,
    Chat,
    File,
    Said,
    dicts,
    fenced,
    file_name,
    kind_of,
    note,
    one_line,
    seconds,
    words,
)

_ROLES: dict[str, Literal["user", "assistant"]] = {"human": "user", "user": "user", "assistant": "assistant"}
_SILENT = ("token_budget", "flag")  # kinds of content in which nothing is said


def is_claude(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("chat_messages"), list)


def read(value: dict[str, Any]) -> Chat:
    """A conversation from its JSON. Raises Broken where it cannot be one."""
    messages = value.get("chat_messages")
    if not isinstance(messages, list):
        raise Broken("it has no list of messages.")
    said = _linked(dicts(messages))
    leaf = value.get("current_leaf_message_uuid")
    head = leaf if isinstance(leaf, str) else said[-1].id if said else None
    created, updated = seconds(value.get("created_at")), seconds(value.get("updated_at"))
    return Chat(one_line(value.get("name")), said, head, created, updated, pieces=True)


def _linked(messages: list[dict[str, Any]]) -> tuple[Said, ...]:
    known: dict[str, None] = {}
    for n, message in enumerate(messages):
        uuid = message.get("uuid")
        # a second message of the same name gets one of its own: nothing that was said is lost
        known[uuid if isinstance(uuid, str) and uuid not in known else f"message {n}"] = None
    ids = list(known)
    linked = any(message.get("parent_message_uuid") in known for message in messages if _named(message))
    said = []
    for n, message in enumerate(messages):
        before = ids[n - 1] if n else None
        parent = message["parent_message_uuid"] if linked and _named(message) else before
        said.append(_said(ids[n], parent, message))
    return tuple(said)


def _named(message: dict[str, Any]) -> bool:
    return isinstance(message.get("parent_message_uuid"), str)


def _said(name: str, parent: str | None, message: dict[str, Any]) -> Said:
    role = _ROLES.get(kind_of(message.get("sender")))
    parts = tuple(_parts(message)) if role else ()
    return Said(
        name,
        parent,
        role if parts else None,
        parts,
        seconds(message.get("created_at")),
    )


def _parts(message: dict[str, Any]) -> Iterator[Part | File]:
    yield from _attached(message)
    told = [part for block in dicts(message.get("content")) for part in _block(block)]
    plain = words(message.get("text")).strip()
    if plain and not any(part.type == "text" for part in told):
        told.append(Part("text", plain))
    yield from told


def _attached(message: dict[str, Any]) -> Iterator[Part | File]:
    given = set()
    for attachment in dicts(message.get("attachments")):
        name, text = file_name(attachment.get("file_name")), words(attachment.get("extracted_content"))
        given.add(name)
        if text.strip():
            yield Part("text", f"{name or 'Pasted text'}:\n\n{fenced(text)}")
        else:
            yield note(name or "an attachment")
    for file in [*dicts(message.get("files")), *dicts(message.get("files_v2"))]:
        name = file_name(file.get("file_name"))
        if name in given:
            continue
        given.add(name)
        kind = (mimetypes.guess_type(name)[0] or "").split("/")[0]
        if kind in ("image", "video"):
            yield File(kind_of(file.get("file_uuid"))[:500] or name, None, {"name": name})
        else:
            yield note(name or "a file")


def _block(block: dict[str, Any]) -> Iterator[Part]:
    kind = kind_of(block.get("type"))
    if kind == "thinking":
        if thought := words(block.get("thinking")).strip():
            yield Part("reasoning", thought)
    elif kind in ("tool_use", "tool_result"):
        yield _tool(block)
    elif text := words(block.get("text")).strip():
        yield Part("text", text)
    elif kind not in ("text", *_SILENT):
        yield note(kind)


def _tool(block: dict[str, Any]) -> Part:
    """An artifact is something the model wrote; any other tool's work is named only."""
    name, given = one_line(block.get("name")), block.get("input")
    if name == "artifacts" and isinstance(given, dict) and words(given.get("content")).strip():
        title = one_line(given.get("title")) or "Artifact"
        return Part(
            "text", f"{title}:\n\n{fenced(words(given.get('content')), words(given.get('language')))}"
        )
    return note(f"use of the tool {name or 'of an unknown name'}")
