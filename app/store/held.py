"""The documents of a whole conversation, which know each other by place and not by a database's numbers.

Knows: where evidence and citations name a document, and how one name becomes another.
Does not know: SQL, files, who reads documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.store.values import Part


@dataclass(frozen=True)
class Held:
    """A document that a conversation has. active: its next question reads it."""

    sha256: str
    title: str
    active: bool = True


def renamed(evidence: Mapping[str, Any], names: Mapping[int, int]) -> dict[str, Any]:
    """Evidence (see app/library.py) with other names for its documents; what has none is left out."""
    if not evidence:
        return {}
    places = [
        [number, names[document], *rest]
        for number, document, *rest in evidence.get("places", ())
        if document in names
    ]
    reading = [_told(one, names) for one in evidence.get("reading", ())]
    data = {**evidence, "places": places, "reading": reading}
    if "outlined" in evidence:
        data["outlined"] = [names[one] for one in evidence["outlined"] if one in names]
    return data


def cited(part: Part, names: Mapping[int, int]) -> Part:
    """A citation with another name for its document; any other part as it is."""
    if part.type != "citation" or "document" not in part.data:
        return part
    data = dict(part.data)
    document = data.pop("document")
    return replace(part, data=data | ({"document": names[document]} if document in names else {}))


def _told(one: Mapping[str, Any], names: Mapping[int, int]) -> dict[str, Any]:
    data = {name: value for name, value in one.items() if name != "document"}
    return data | ({"document": names[one["document"]]} if one.get("document") in names else {})
