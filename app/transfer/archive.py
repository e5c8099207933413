"""Our own export: conversations as JSON and back, nothing of them lost.

Knows: the format, its version, and what a part or a number may be to be taken over from a file.
Does not know: the zip around it, where media lie, the database.

    {"format": "glm-chat", "version": 1, "conversations": [{"title", "created_at", "updated_at", "pinned",
     "folder", "head", "documents": [{"sha256", "title", "active"}], "messages": [{"parent", "role", "status",
     "created_at", "parts", "options", "reason", "stats", "evidence"}]}]}

Times are seconds since 1970. `parent` and `head` are places in `messages`; a parent stands before its
children, null begins a conversation. A part is {"type", "text", "sha256", "data"}; the bytes of a picture,
video or document lie beside the JSON as media/<sha256>.<ending>. What is empty is left out. Evidence is as in
app/library.py, but a document is its place in `documents`. What was read of a document is not told: it is
read again, and what the model wrote down of scanned pages is not taken from a stranger.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, cast, get_args

from app.look import look
from app.store import Node, Part, PartType, Tree
from app.store.costs import SAW, STATS
from app.store.values import ENDED
from app.transfer import evidence
from app.transfer.loose import (
    BadImport,
    Broken,
    Chat,
    File,
    Said,
    dicts,
    file_name,
    note,
    one_line,
    seconds,
    storable,
    words,
)
from app.transfer.media import EXTENSIONS

FORMAT, VERSION = "glm-chat", 1
MAX_DATA = 1 << 20  # characters of JSON in one part's data or one answer's options
WHOLE = tuple(name for name in STATS if name.endswith(("_tokens", "_bytes")))  # integer columns
LOOK = ("fps", "start", "end")  # how a video is looked at
SHOWN = {"name", "video", "original", "width", "height", "tokens", "moments", "length"}
MAX_SHOWN, MAX_MOMENTS, MAX_PIXELS = 1000, 100_000, 1 << 31  # far above what any answer saw
LARGEST = 1 << 62  # what an integer column takes, and no count of tokens or bytes comes near


# --- out -------------------------------------------------------------------------------------------------


def opening(made: float) -> str:
    """The document up to its conversations. made: seconds since 1970."""
    return json.dumps({"format": FORMAT, "version": VERSION, "made": made})[:-1] + ', "conversations": [\n'


CLOSING = "\n]}\n"


def told(tree: Tree) -> str:
    """One conversation as JSON on one line. An answer that is still arriving is `interrupted` in it."""
    about = {"title": tree.title, "created_at": tree.created_at, "updated_at": tree.updated_at}
    about |= _filled({"pinned": tree.pinned, "folder": tree.folder})
    if tree.documents or any(part.type == "document" for node in tree.nodes for part in node.parts):
        about["documents"] = [asdict(held) for held in tree.documents]
    whole = {**about, "head": tree.head, "messages": [_message(node) for node in tree.nodes]}
    return storable(json.dumps(whole, ensure_ascii=False))


def _message(node: Node) -> dict[str, Any]:
    status = "interrupted" if node.status == "streaming" else node.status
    told = {"parent": node.parent, "role": node.role, "status": status, "created_at": node.created_at}
    parts = [_filled(asdict(part)) for part in node.parts]
    rest = {"parts": parts, "options": dict(node.options), "reason": node.reason, "stats": dict(node.stats)}
    rest["evidence"] = dict(node.evidence)
    return told | _filled(rest)


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


# --- in --------------------------------------------------------------------------------------------------


def is_ours(document: Any) -> bool:
    return isinstance(document, dict) and document.get("format") == FORMAT


def conversations(document: dict[str, Any]) -> list[Any]:
    """Its conversations, unread. Raises BadImport where a newer app wrote it, or there is no list."""
    version, found = document.get("version"), document.get("conversations")
    if isinstance(version, int) and version > VERSION:
        raise BadImport(
            f"This export was made by a newer GLM Chat (its version is {version}, this one reads up to "
            f"{VERSION}). Nothing was imported. Update the app and try again."
        )
    if not isinstance(found, list):
        raise BadImport("This export of GLM Chat has no list of conversations in it. Nothing was imported.")
    return found


def read(value: dict[str, Any]) -> Chat:
    """A conversation from its JSON. Raises Broken where it cannot be one."""
    messages = value.get("messages")
    if not isinstance(messages, list):
        raise Broken("it has no list of messages.")
    head = value.get("head")
    said = tuple(_said(n, message) for n, message in enumerate(messages))
    return Chat(
        one_line(value.get("title")),
        said,
        str(head) if isinstance(head, int) else None,
        seconds(value.get("created_at")),
        seconds(value.get("updated_at")),
        value.get("pinned") is True,
        one_line(value.get("folder")) or None,
        documents=evidence.held(value["documents"]) if "documents" in value else evidence.attached(said),
    )


def _said(place: int, message: Any) -> Said:
    if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
        raise Broken(f"its message {place + 1} is not one.")
    parent, status = message.get("parent"), message.get("status")
    reason = message.get("reason")
    return Said(
        str(place),
        None if parent is None else str(parent)[:20],
        message["role"],
        tuple(_part(part) for part in dicts(message.get("parts"))),
        seconds(message.get("created_at")),
        status if status in ENDED else "interrupted",
        _object(message.get("options")),
        words(reason)[:100] if isinstance(reason, str) else None,
        _stats(message.get("stats")),
        evidence.read(message.get("evidence")) if message["role"] == "user" else {},
    )


def _part(part: dict[str, Any]) -> Part | File:
    kind, sha256, data = part.get("type"), part.get("sha256"), _data(part.get("data"))
    if not isinstance(kind, str) or kind not in get_args(PartType):
        return note(kind if isinstance(kind, str) else "")
    if kind in ("image", "video", "document"):
        if not evidence.is_sha256(sha256):
            return note(str(data.get("name") or kind))
        return File(str(sha256), str(sha256), data, kind == "document")
    if kind == "citation":
        return _citation(words(part.get("text")), data)
    return Part(cast(PartType, kind), words(part.get("text")), None, data)


def _citation(text: str, data: Mapping[str, Any]) -> Part:
    """A quotation that nobody has checked here: that it was verified elsewhere is only said."""
    number, quoted = data.get("number"), data.get("words")
    if not isinstance(number, int) or not 0 < number < 10_000 or not isinstance(quoted, str):
        return Part("text", text)
    return Part("citation", text, None, {"number": number, "words": quoted})


def _data(value: Any) -> dict[str, Any]:
    """What is known of a part. Names that the app reads hold what it expects, or are left out."""
    data = _object(value)
    if isinstance(data.get("boxes"), list):
        data["boxes"] = [box for box in data["boxes"] if _place(box)]
    right: dict[str, Callable[[Any], bool]] = {
        "name": lambda v: isinstance(v, str) and v != "",
        "media_type": lambda v: isinstance(v, str) and v in EXTENSIONS,
        "seconds": lambda v: _number(v) and 0 <= v < 1e9,
        "over": lambda v: isinstance(v, bool),
        "kind": lambda v: isinstance(v, str),
        "image": lambda v: isinstance(v, int) and 0 <= v < 1e6,
        "label": lambda v: isinstance(v, str),
        "boxes": lambda v: isinstance(v, list),
    }
    if isinstance(data.get("name"), str):
        data["name"] = file_name(data["name"])
    held = {name: value for name, value in data.items() if name not in right or right[name](value)}
    return {name: value for name, value in held.items() if name not in LOOK} | look(data)


def _place(box: Any) -> bool:
    return isinstance(box, list) and len(box) in (2, 4) and all(_number(at) and 0 <= at <= 1000 for at in box)


def _object(value: Any) -> dict[str, Any]:
    """What of a JSON object can be stored and read back: value by value, so that a bad one costs no other."""
    held: dict[str, Any] = {}
    left = MAX_DATA
    for name, one in value.items() if isinstance(value, dict) else ():
        try:
            plain = json.dumps(_finite({name: one}), ensure_ascii=False, allow_nan=False)
        except (ValueError, RecursionError):  # nested deeper than any data
            continue
        if len(plain) <= left:
            held |= json.loads(storable(plain))
            left -= len(plain)
    return held


def _finite(value: Any) -> Any:
    """The value without NaN and infinities, which Python reads and writes but JSON does not know: left out of
    objects, None in lists, where a place has a meaning."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_finite(one) for one in value]
    if isinstance(value, dict):
        return {
            name: good for name, one in value.items() if (good := _finite(one)) is not None or one is None
        }
    return value


def _stats(value: Any) -> dict[str, Any]:
    given = value if isinstance(value, dict) else {}
    found = {
        name: given[name]
        for name in STATS
        if _number(given.get(name))
        and 0 <= given[name] < LARGEST
        and (name not in WHOLE or isinstance(given[name], int))
    }
    return found | _saw(given.get(SAW))


def _saw(value: Any) -> dict[str, Any]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_SHOWN or not all(map(_shown, value)):
        return {}
    return {SAW: [{**one, "name": file_name(one["name"])} for one in value]}


def _shown(one: Any) -> bool:
    """Whether it is what the model was shown of one picture or video, and nothing else."""
    if not isinstance(one, dict) or set(one) != SHOWN:
        return False
    original, moments = one["original"], one["moments"]
    if not isinstance(original, list) or len(original) != 2 or not isinstance(moments, list):
        return False
    pixels = (*original, one["width"], one["height"], one["tokens"])
    seconds = (*moments, one["length"])
    return (
        isinstance(one["name"], str)
        and isinstance(one["video"], bool)
        and all(isinstance(n, int) and _number(n) and 0 <= n < MAX_PIXELS for n in pixels)
        and len(moments) <= MAX_MOMENTS
        and all(_number(n) and 0 <= n < 1e6 for n in seconds)
    )


def _number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)
