"""What an answer read and what it quotes, in words under it. Pure: values in, words out.

Knows: how a quotation stands in the text, what is told of it below, when an answer proves nothing.
Does not know: where quoted words stand on a picture of the page, how the page is opened, Gradio.

What a model or a document says is untrusted: it is shown letter by letter, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.documents.route import Reading
from app.store import Message, Part

UNPROVEN = "No quotation of this answer was found in the documents. Check it before you rely on it."
NOT_FOUND = "not found in the documents"
LONGEST = 300  # characters of quoted words


def mark(citation: Part, over: bool) -> str:
    """Markdown that stands for a quotation in the text: its number, questioned if it is not proven."""
    sure = citation.data.get("verified") or not over
    return f"&#91;{int(citation.data.get('number', 0))}{'' if sure else '?'}&#93;"


def told(answer: Message, evidence: Mapping[str, Any]) -> Iterator[str]:
    """Lines of plain words: the pages that were read, each quotation with its place, what is not proven."""
    quoted = [part for part in answer.parts if part.type == "citation"]
    for one in evidence.get("reading", ()):
        reading = Reading(0, str(one["title"]), int(one["read"]), int(one["total"]))
        yield f"{reading.title}: {reading}"
    for part in _each([part for part in quoted if "how" in part.data]):  # checked here
        yield f"[{part.data.get('number')}] {_place(part)}{_words(part)}"
    said = any(part.type == "text" and part.text.strip() for part in answer.parts)
    if evidence and answer.status == "complete" and said and not any(p.data.get("verified") for p in quoted):
        yield UNPROVEN


def _each(quoted: Sequence[Part]) -> list[Part]:
    """Every quotation once."""
    return list({(part.data.get("number"), part.data.get("words")): part for part in quoted}.values())


def _place(part: Part) -> str:
    if not part.data.get("verified"):
        return NOT_FOUND
    label = str(part.data.get("label") or f"page {part.data.get('page')}")
    return f"{part.data.get('title')}, {label}"


def _words(part: Part) -> str:
    words = " ".join(str(part.data.get("words") or "").split())
    return f": “{words[:LONGEST]}”" if words else ""
