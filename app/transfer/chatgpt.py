"""ChatGPT's export: conversations.json, or conversations-000.json and so on, lists of trees.

Knows: how its messages, pictures, thoughts and tools are told. Does not know: the zip around it, the store.

Known from public descriptions of exports of 2023 to 2026: `mapping` holds nodes by id with `parent`, mostly
`children`, and `message` or null; `current_node` is the leaf that was looked at. A message has an author's
role (system, user, assistant, tool), `create_time` in seconds, and `content` of a `content_type`: text and
multimodal_text with `parts` (strings, or objects such as image_asset_pointer), code, execution_output,
thoughts, and many that come and go. `recipient` other than all is a call of a tool. A picture is named by a
pointer such as file-service://file-ID or sediment://file_ID, and lies in the zip under a name that begins
with file-ID or file_ID, in newer exports with the ending .dat.
"""

from __future__ import annotations

import re
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

_ROLES: dict[str, Literal["user", "assistant"]] = {
    "user": "user",
    "assistant": "assistant",
    "tool": "assistant",
}
_SILENT = ("reasoning_recap", "user_editable_context", "model_editable_context", "tether_browsing_display")
_POINTERS = {"image_asset_pointer": "image", "video_container_asset_pointer": "video"}
_SOUND = ("audio_asset_pointer", "real_time_user_audio_video_asset_pointer")
_ID = re.compile(r"file[-_][0-9A-Za-z]+")
# where a citation's number stood, between characters of private use
_CITATION = re.compile("\ue200(?:file)?cite\ue202[^\ue200\ue201]*\ue201")


def is_chatgpt(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("mapping"), dict)


def read(value: dict[str, Any]) -> Chat:
    """A conversation from its JSON. Raises Broken where it cannot be one."""
    mapping = value.get("mapping")
    if not isinstance(mapping, dict):
        raise Broken("it has no tree of messages.")
    parents = _parents(mapping)
    said = tuple(
        _said(name, parents.get(name), node if isinstance(node, dict) else {})
        for name, node in mapping.items()
    )
    head, pinned = value.get("current_node"), value.get("pinned_time")
    return Chat(
        one_line(value.get("title")),
        said,
        head if isinstance(head, str) else None,
        seconds(value.get("create_time")),
        seconds(value.get("update_time")),
        bool(seconds(pinned)) or value.get("is_starred") is True,
        pieces=True,
    )


def _parents(mapping: dict[str, Any]) -> dict[str, str]:
    """Who follows whom: as the child says, and where it says nothing as its parent does."""
    parents: dict[str, str] = {}
    for name, node in mapping.items():
        children = node.get("children") if isinstance(node, dict) else None
        for child in children if isinstance(children, list) else ():
            if isinstance(child, str):
                parents.setdefault(child, name)
    for name, node in mapping.items():
        if isinstance(node, dict) and isinstance(node.get("parent"), str):
            parents[name] = node["parent"]
    return parents


def _said(name: str, parent: str | None, node: dict[str, Any]) -> Said:
    found = node.get("message")
    message = found if isinstance(found, dict) else {}
    author = message.get("author")
    who = author.get("role") if isinstance(author, dict) else None
    role = _ROLES.get(kind_of(who))
    parts = tuple(_parts(message, who == "tool")) if role and not _hidden(message) else ()
    return Said(name, parent, role if parts else None, parts, seconds(message.get("create_time")))


def _metadata(message: dict[str, Any]) -> dict[str, Any]:
    found = message.get("metadata")
    return found if isinstance(found, dict) else {}


def _hidden(message: dict[str, Any]) -> bool:
    return _metadata(message).get("is_visually_hidden_from_conversation") is True


def _parts(message: dict[str, Any], by_tool: bool) -> Iterator[Part | File]:
    found = message.get("content")
    content = found if isinstance(found, dict) else {}
    kind, recipient = kind_of(content.get("content_type")), message.get("recipient")
    if kind in _SILENT:
        return
    if kind == "thoughts":
        yield from _thoughts(content)
    elif kind == "execution_output" or (kind == "code" and recipient in (None, "all", "python")):
        if text := words(content.get("text")).strip():
            yield Part("text", fenced(text, words(content.get("language")).replace("unknown", "")))
    elif by_tool:
        yield from _tool(message, content)
    elif recipient not in (None, "all"):
        yield note(f"use of the tool {one_line(recipient) or 'of an unknown name'}")
    elif kind in ("text", "multimodal_text"):
        yield from _attached(message, content)
        yield from _pieces(message, content, _by_person(message))
    else:
        yield note(kind)


def _by_person(message: dict[str, Any]) -> bool:
    author = message.get("author")
    return isinstance(author, dict) and author.get("role") == "user"


def _thoughts(content: dict[str, Any]) -> Iterator[Part]:
    told = [
        "\n\n".join(filter(None, (words(thought.get(name)).strip() for name in ("summary", "content"))))
        for thought in dicts(content.get("thoughts"))
    ]
    if text := "\n\n".join(filter(None, told)):
        yield Part("reasoning", text)


def _tool(message: dict[str, Any], content: dict[str, Any]) -> Iterator[Part | File]:
    """What a tool gives back is taken where pictures are in it, else only named."""
    pieces = tuple(_pieces(message, content, False))
    if any(isinstance(piece, File) for piece in pieces):
        yield from pieces
    else:
        author = message.get("author")
        name = one_line(author.get("name")) if isinstance(author, dict) else ""
        yield note(f"use of the tool {name or 'of an unknown name'}")


def _pieces(message: dict[str, Any], content: dict[str, Any], by_person: bool) -> Iterator[Part | File]:
    parts = content.get("parts")
    attached = dicts(_metadata(message).get("attachments"))
    names = {kind_of(one.get("id")): file_name(one.get("name")) for one in attached}
    for piece in parts if isinstance(parts, list) else ():
        if isinstance(piece, str):
            if text := _CITATION.sub("", words(piece)).strip():
                yield Part("text", text)
        elif isinstance(piece, dict):
            yield from _piece(piece, by_person, names)


def _piece(piece: dict[str, Any], by_person: bool, names: dict[str, str]) -> Iterator[Part | File]:
    kind, pointer = kind_of(piece.get("content_type")), piece.get("asset_pointer")
    if kind in _POINTERS and isinstance(pointer, str):
        name = next((names[one] for one in _ID.findall(pointer) if names.get(one)), "")
        yield File(pointer[:500], None, {"name": name} if name else {})
        if not by_person:  # the model's later answers may speak of it
            yield Part("text", f"\n\n[{_POINTERS[kind]}: {_prompt(piece)}]")
    elif kind in _SOUND:
        yield note("audio")
    elif text := words(piece.get("text")).strip():
        yield Part("text", text)
    else:
        yield note(kind)


def _prompt(piece: dict[str, Any]) -> str:
    """What a picture was made from, if the export says."""
    about = piece.get("metadata")
    dalle = about.get("dalle") if isinstance(about, dict) else None
    prompt = one_line(dalle.get("prompt")) if isinstance(dalle, dict) else ""
    return prompt or "made by the model"


def _attached(message: dict[str, Any], content: dict[str, Any]) -> Iterator[Part | File]:
    """Attachments that the message does not show itself."""
    parts = content.get("parts")
    shown = {
        name
        for piece in dicts(parts)
        if isinstance(pointer := piece.get("asset_pointer"), str)
        for name in _ID.findall(pointer)
    }
    for attachment in dicts(_metadata(message).get("attachments")):
        name, key = file_name(attachment.get("name")), kind_of(attachment.get("id"))
        if key in shown:
            continue
        if key and kind_of(attachment.get("mime_type")).startswith(("image/", "video/")):
            yield File(key[:500], None, {"name": name} if name else {})
        else:
            yield note(name or "an attachment")
