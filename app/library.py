"""The documents of a conversation: chosen for a question, laid before the model, quotations checked.

Knows: how the store and the pure rooms of documents/ work together in a turn.
Does not know: how a file is read (intake.py), how a request is made of messages (turn.py), SQL, formats, the
window.

What a question brings is decided when it is asked, kept with it as numbers of pages, and never decided again:
every later request is made of the same words.
Message.evidence is {"places": [[number, document, page, picture, words], …], "found": bool, "reading":
[{"document", "title", "read", "total"}, …], "outlined": [document, …]}; number is what the model cites,
outlined are the documents whose headings came with this question.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import mlx_backend as backend
from app.blobs import Blobs
from app.documents import cite, drawing, evidence, headings, quotes, rewriting, route
from app.documents.pages import Page, Unreadable
from app.documents.search import Hit, search
from app.store import Message, Part, Store, StoredDocument

ANSWER_TOKENS = 4_096  # of the context, kept free for the answer
SMALLEST = 1_000  # tokens of evidence; with less room there is none

Laid = Mapping[str, tuple[backend.Part, ...]]  # by question, what stands before its words


class Engine(Protocol):
    """All that is asked of an engine here."""

    def stream(
        self, request: backend.Request, cancel: threading.Event | None = None
    ) -> Iterator[backend.Event]: ...

    def measure(self, request: backend.Request) -> backend.Measured: ...


@dataclass(frozen=True)
class Numbered:
    """A page before the model and the number it is cited by."""

    number: int
    place: route.Place


# --- choosing --------------------------------------------------------------------------------------------


def choose(
    store: Store,
    engine: Engine,
    conversation_id: str,
    path: Sequence[Message],
    before: backend.Request,
    cancel: threading.Event,
) -> None:
    """Decide what is laid before the model for the last question of the path, and keep it.

    before: the conversation up to that question, without it.
    """
    question, books = path[-2], read_now(store, conversation_id)
    words = " ".join(part.text for part in question.parts if part.type == "text")
    shown = [numbered.place for numbered in numbers(path[:-2])]
    budget = _budget(engine, before)
    more: tuple[str, ...] = ()
    if words and route.needs_search(books, shown, budget):
        told = [(book.title, rewriting.language(book.pages)) for book in books]
        more = rewriting.rewritten(engine, rewriting.request(before, words, told), cancel)
    choice = route.route(words, books, shown, _finder(store, words, more), budget, outlined(path[:-2]))
    if not cancel.is_set():
        store.keep_evidence(question.id, _kept(choice, numbers(path[:-2])))


def undecided(store: Store, conversation_id: str, path: Sequence[Message]) -> bool:
    """Whether the last question is to be answered from documents, and from which pages is still open."""
    return not path[-2].evidence and any(
        document.active and document.status == "ready" for document in store.documents_of(conversation_id)
    )


def read_now(store: Store, conversation_id: str) -> list[route.Book]:
    """The documents that the conversation's next question reads."""
    return [
        route.Book(d.id, d.title, d.kind, store.pages(d.id), d.total, d.outline)
        for d in store.documents_of(conversation_id)
        if d.active and d.status == "ready"
    ]


def _budget(engine: Engine, before: backend.Request) -> route.Budget:
    measured = engine.measure(replace(before, messages=(*before.messages, _WORD), go_on=False))
    return budget(measured.tokens, measured.limit)


def budget(tokens: int, limit: int) -> route.Budget:
    """What the context has room for, at most the usual. Tokens of pages are estimates: a third is spare."""
    budget = route.Budget()
    room = max(0, (limit - tokens - ANSWER_TOKENS) * 2 // 3)
    pictures = min(budget.pictures, room // 2 // route.PICTURE_TOKENS)
    found = min(budget.found, room - pictures * route.PICTURE_TOKENS)
    return replace(budget, whole=min(budget.whole, room), found=found, pictures=pictures)


_WORD = backend.Message("user", (backend.Text("?"),))  # a request ends in a question


def _finder(store: Store, words: str, more: Sequence[str]) -> route.Finder:
    def index(query: str, documents: Sequence[int], most: int) -> list[Hit]:
        return [Hit(c.document, c.page, c.rank) for c in store.found_chunks(query, documents, most)]

    return lambda documents, most: search(index, words, documents, most, more)


def _kept(choice: route.Choice, before: Sequence[Numbered]) -> dict[str, Any]:
    known = {(n.place.document, n.place.page): n.number for n in before}
    places = []
    for place in choice.added:
        number = known.setdefault((place.document, place.page), len(known) + 1)
        places.append([number, place.document, place.page, int(place.picture), int(place.words)])
    told = [
        {"document": r.document, "title": r.title, "read": r.read, "total": r.total} for r in choice.reading
    ]
    data = {"places": places, "found": choice.found, "reading": told}
    return data | ({"outlined": list(choice.outlined)} if choice.outlined else {})


def outlined(path: Sequence[Message]) -> set[int]:
    """The documents whose headings the questions of a path brought."""
    return {int(document) for message in path for document in message.evidence.get("outlined", ())}


def numbers(path: Sequence[Message]) -> list[Numbered]:
    """All that the questions of a path brought, in order."""
    return [
        Numbered(int(number), route.Place(int(document), int(page), bool(picture), bool(words)))
        for message in path
        for number, document, page, picture, words in message.evidence.get("places", ())
    ]


# --- laying before the model -----------------------------------------------------------------------------


def lay(store: Store, blobs: Blobs, conversation_id: str, path: Sequence[Message]) -> Laid:
    """What stands before the words of each question of the path; of those without evidence nothing.

    Raises BadMedia where a page cannot be drawn any more.
    """
    asked = [message for message in path if message.evidence]
    if not asked:
        return {}
    nonce, texts = store.nonce(conversation_id), _texts(store, numbers(path))
    documents = {document.id: document for document in store.documents_of(conversation_id)}
    laid: dict[str, tuple[backend.Part, ...]] = {}
    first = True
    for question in asked:
        pages = [
            _evidence(blobs, documents[n.place.document], texts[n.place.document, n.place.page], n)
            for n in numbers([question])
            if n.place.document in documents and (n.place.document, n.place.page) in texts
        ]
        known = [documents[one] for one in sorted(outlined([question])) if one in documents]
        lists = [headings.told(one.title, one.outline, one.total, nonce) for one in known]
        found = bool(question.evidence.get("found", True))
        laid[question.id] = evidence.parts(pages, nonce, first, found, outlines=lists)
        first = first and not pages
    return laid


def _texts(store: Store, shown: Sequence[Numbered]) -> dict[quotes.Key, Page]:
    """The pages that were laid before the model, by document and number, in order."""
    by_document: dict[int, list[int]] = {}
    for n in shown:
        by_document.setdefault(n.place.document, []).append(n.place.page)
    pages = {
        (document, page.number): page
        for document, wanted in by_document.items()
        for page in store.pages(document, wanted)
    }
    order = ((n.place.document, n.place.page) for n in shown)
    return {key: pages[key] for key in order if key in pages}


def _evidence(blobs: Blobs, document: StoredDocument, page: Page, n: Numbered) -> evidence.Evidence:
    picture = None
    if n.place.picture:
        file = blobs.path(document.sha256)
        try:
            picture = _drawn(file, page.number)
        except Unreadable as error:
            raise backend.BadMedia(document.title, f"page {page.number} cannot be drawn. {error}") from error
    text = page.text if n.place.words else None
    told = (document.title, page.number, document.total, page.label)
    return evidence.Evidence(n.number, *told, text, picture, page.source != "file")


@lru_cache(maxsize=32)  # about half a megabyte each; files are named by their content
def _drawn(file: Path, number: int) -> bytes:
    return drawing.render(file, number)


# --- quotations ------------------------------------------------------------------------------------------


def highest(path: Sequence[Message]) -> int:
    """The highest number that an answer may cite; 0: there are no documents."""
    return max((n.number for n in numbers(path)), default=0)


def checked(store: Store, path: Sequence[Message], parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts of an answer, each quotation with where its words stand and whether they stand anywhere."""
    if not any(part.type == "citation" for part in parts):
        return tuple(parts)
    shown = numbers(path)
    pages = _texts(store, shown)
    texts = {key: page.text for key, page in pages.items()}
    titles = {document: store.document_title(document) for document, _ in pages}
    cited = {n.number: (n.place.document, n.place.page) for n in shown}
    return tuple(
        _checked(part, cited, pages, texts, titles) if part.type == "citation" else part for part in parts
    )


def _checked(
    part: Part,
    cited: Mapping[int, quotes.Key],
    pages: Mapping[quotes.Key, Page],
    texts: Mapping[quotes.Key, str],
    titles: Mapping[int, str],
) -> Part:
    key = cited.get(int(part.data.get("number", 0)))
    at = quotes.locate(str(part.data.get("words", "")), key, texts)
    where = at.page or key
    data = {**part.data, "how": at.how, "verified": at.verified, "start": at.start, "end": at.end}
    if where is not None and where in pages:
        page = pages[where]
        data |= {"document": where[0], "title": titles[where[0]], "page": page.number, "label": page.label}
        data |= {"transcribed": True} if page.source != "file" else {}
    return Part("citation", part.text, None, data)


def quoted(answer: str, highest: int, over: bool) -> list[Part]:
    """Words of an answer as parts, its quotations apart. over: see cite.said."""
    return [
        Part("citation", piece.source, None, {"number": piece.number, "words": piece.words})
        if isinstance(piece, cite.Cited)
        else Part("text", piece)
        for piece in cite.said(answer, highest, over)
    ]
