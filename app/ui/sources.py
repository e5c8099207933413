"""What an answer read and what it quotes: numbers in its text, lines under it. Pure: values in, values out.

Knows: how a quotation stands in the text, what is told of it below, which page it leads to, when an answer
    proves nothing.
Does not know: how lines and pages are drawn (sources.js, viewer.js, viewer.py), Gradio, SQL.

What a model or a document says is untrusted: it reaches the page as data, never as markup. A number in the
text is a link whose address begins in a way that no model knows, so that no answer can write one itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.documents.route import Reading
from app.store import Message, Part

PREFIX = f"#quote-{secrets.token_hex(8)}-"  # of this run of the app; then which quotation of an answer
NOT_FOUND = "not found in the documents"
LONGEST = 300  # characters of quoted words

Address = Callable[[int], str]  # of a document's id what viewer.py knows it by; empty: it is gone


def mark(citation: Part, over: bool, at: int) -> str:
    """Markdown that stands for a quotation in the text: its number, questioned if it is not proven.

    at: which of the answer's quotations it is. One that has a page leads there.
    """
    sure = citation.data.get("verified") or not over
    words = f"&#91;{int(citation.data.get('number', 0))}{'' if sure else '?'}&#93;"
    return f"[{words}]({PREFIX}{at})" if over and _leads(citation) else words


def told(answer: Message, evidence: Mapping[str, Any], address: Address) -> dict[str, Any] | None:
    """What sources.js draws of an answer; None where there is nothing.

    {prefix, quotes: one for each quotation in order, plain: the answer to copy where it quotes, read: one
    for each document that was read for the question, unproven: nothing that it quotes was found, demo: it is
    the demo model's, which cannot read documents}. Of quotes:
    {number, verified, similar: most of the words are on the page, words, title, label, page, start, end,
    document: its address, "" where it is gone, None where no page is meant, checked: here}. Of read: {title,
    words, page, document: as above}.
    """
    quoted = [part for part in answer.parts if part.type == "citation"]
    said = any(part.type == "text" and part.text.strip() for part in answer.parts)
    sure = any(part.data.get("verified") for part in quoted)
    if not quoted and not evidence:
        return None
    quotes = [_quote(part, address) for part in quoted]
    demo = bool(evidence) and answer.options.get("demo") is True
    return {
        "prefix": PREFIX,
        "quotes": quotes,
        "plain": _plain(answer, quotes) if quotes else "",
        "read": [_read(one, evidence, address) for one in evidence.get("reading", ())],
        "unproven": bool(evidence) and answer.status == "complete" and said and not sure and not demo,
        "demo": demo,
    }


def by_answer(path: Sequence[Message], address: Address) -> dict[str, dict[str, Any]]:
    """The same for every answer of a path, by its id."""
    pairs = zip(path[::2], path[1::2], strict=False)
    return {
        answer.id: value
        for question, answer in pairs
        if (value := told(answer, question.evidence, address)) is not None
    }


def _leads(citation: Part) -> bool:
    """Whether it was checked here and there is a page to look at: an imported one was not, and has none."""
    where = (citation.data.get("document"), citation.data.get("page"))
    return "how" in citation.data and all(isinstance(one, int) and one > 0 for one in where)


def _quote(part: Part, address: Address) -> dict[str, Any]:
    data, leads = part.data, _leads(part)
    return {
        "number": int(data.get("number", 0)),
        "checked": "how" in data,
        "verified": bool(data.get("verified")),
        "similar": data.get("how") == "similar",
        "transcribed": bool(data.get("transcribed")),  # found in what the model wrote down of a scan
        "words": " ".join(str(data.get("words") or "").split())[:LONGEST],
        "title": str(data.get("title") or ""),
        "label": str(data.get("label") or f"page {data.get('page')}"),
        "page": data["page"] if leads else 0,
        "start": int(data.get("start", 0)) if leads else 0,
        "end": int(data.get("end", 0)) if leads else 0,
        "document": address(data["document"]) if leads else None,
    }


def _plain(answer: Message, quotes: Sequence[Mapping[str, Any]]) -> str:
    """The answer in its own Markdown, quotations as numbers and below it what they are."""
    number = iter(quotes)
    said = [
        _number(next(number)) if part.type == "citation" else part.text
        for part in answer.parts
        if part.type in ("text", "box", "citation")
    ]
    places = (f"{one['title']}, {one['label']}" if one["verified"] else NOT_FOUND for one in quotes)
    lines = (f"{_number(one)} {place}: “{one['words']}”" for one, place in zip(quotes, places, strict=True))
    return "\n".join(("".join(said).strip(), "", *dict.fromkeys(lines)))


def _number(quote: Mapping[str, Any]) -> str:
    return f"[{quote['number']}{'' if quote['verified'] else '?'}]"


def _read(one: Mapping[str, Any], evidence: Mapping[str, Any], address: Address) -> dict[str, Any]:
    document = one.get("document")
    reading = Reading(0, str(one["title"]), int(one["read"]), int(one["total"]))
    pages = [page for _, of, page, *_ in evidence.get("places", ()) if of == document]
    return {
        "title": reading.title,
        "words": str(reading),
        "page": min(pages, default=1),
        "document": address(document) if isinstance(document, int) else None,
    }
