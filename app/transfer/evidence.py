"""What an export says of documents and of pages that were laid before the model, as far as it may be so.

Knows: the shape of evidence, how much of it a question can have brought.
Does not know: whether such pages exist (lent.py), files, the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.store import Held
from app.transfer.loose import File, Said, dicts, file_name, one_line

MOST_DOCUMENTS = 200  # of a conversation
MOST_PLACES, MOST_PICTURES = 1500, 16  # of a question: more fit into no budget
LARGEST = 100_000  # a page's number, and the number that it is cited by


def is_sha256(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and not set(value) - set("0123456789abcdef")


def held(value: Any) -> tuple[Held, ...]:
    """The documents of a conversation. One that is none stays as one that is nowhere: places count them."""
    return tuple(
        Held(
            one["sha256"] if is_sha256(one.get("sha256")) else "",
            file_name(one.get("title")) or "document",
            one.get("active") is not False,
        )
        for one in dicts(value)[:MOST_DOCUMENTS]
    )


def attached(said: Iterable[Said]) -> tuple[Held, ...]:
    """The documents of a conversation whose export does not list them: what is attached to its messages."""
    found = {
        part.key: Held(part.key, part.name)
        for one in said
        for part in one.parts
        if isinstance(part, File) and part.document
    }
    return tuple(found.values())[:MOST_DOCUMENTS]


def read(value: Any) -> dict[str, Any]:
    """A question's evidence; empty where it is none."""
    if not isinstance(value, dict) or not isinstance(value.get("places"), list):
        return {}
    places = [place for place in value["places"][:MOST_PLACES] if _place(place)]
    pictures = 0
    for place in places:
        pictures += place[3]
        place[3] = int(place[3] and pictures <= MOST_PICTURES)
    found = {
        "places": places,
        "found": value.get("found") is not False,
        "reading": [_reading(one) for one in dicts(value.get("reading"))[:MOST_DOCUMENTS]],
    }
    outlined = value.get("outlined")
    if isinstance(outlined, list) and outlined:
        found["outlined"] = [one for one in outlined[:MOST_DOCUMENTS] if _counts(one, 0)]
    return found


def _place(place: Any) -> bool:
    """Whether it is [number, document, page, picture, words]."""
    return (
        isinstance(place, list)
        and len(place) == 5
        and all(_counts(n, least) for n, least in zip(place, (1, 0, 1, 0, 0), strict=True))
        and place[3] < 2
        and place[4] < 2
    )


def _reading(one: dict[str, Any]) -> dict[str, Any]:
    told = {name: one[name] if _counts(one.get(name), 0) else 0 for name in ("read", "total")}
    found: dict[str, Any] = {"title": one_line(one.get("title")), **told}
    return found | ({"document": one["document"]} if _counts(one.get("document"), 0) else {})


def _counts(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < LARGEST
