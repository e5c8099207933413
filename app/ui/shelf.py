"""The panel of documents: what this chat reads, what the library holds, what is on its way into it.

Knows: the value that shelf.js draws, each document in words.
Does not know: the addresses (lending.py), how a file is read, Gradio, SQL.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app import library, turn
from app.choices import Choices
from app.documents import route
from app.documents.coming import Coming, coming
from app.documents.transcript import FEW
from app.jobs import Jobs
from app.store import Store, StoredDocument
from app.transcribing import State
from app.turn import Draft
from app.ui import sizes
from mlx_backend import BackendError

NOT_READ = "not read"
READERS_SHOWN = 3


@dataclass
class Adding:
    """A file on its way into the library. done, total: pages, total 0 while nobody knows; stop ends it."""

    name: str
    done: int = 0
    total: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


def value(
    jobs: Jobs, conversation: str | None, adding: Mapping[int, Adding], told: str = ""
) -> dict[str, Any]:
    """{chat, library, adding, temporary, told: how the last order went}.

    A line of both lists: {id, sha256, title, kind, facts, problems}. Of chat also {active, reads, kept:
    whether the library has it, scans: see _scans}; of library {here: whether the chat has it, readers: titles
    of chats, more: how many others}. Of adding: {id, name, words}.
    """
    shelf, kept = jobs.shelves.of(conversation), jobs.shelves.kept.store
    own = shelf.store.documents_of(conversation) if conversation else ()
    told_of = _coming(jobs, shelf.store, conversation) if any(one.active for one in own) else {}
    shelved = kept.library()
    known, here = {one.sha256 for one in shelved}, {one.sha256 for one in own}
    return {
        "chat": [
            _own(
                one,
                told_of.get(one.id),
                one.sha256 in known,
                _scans(jobs.transcribing.state(shelf.store, one.id)),
            )
            for one in own
        ],
        "library": [_shelved(one, kept.readers_of(one.id), one.sha256 in here) for one in shelved],
        "adding": [
            {"id": n, "name": one.name, "words": sizes.reading(one.done, one.total)}
            for n, one in list(adding.items())
        ],
        "temporary": jobs.shelves.is_temporary(conversation),
        "told": told,
    }


def _own(one: StoredDocument, reads: Coming | None, kept: bool, scans: dict[str, Any]) -> dict[str, Any]:
    words = str(reads) if reads is not None else NOT_READ
    return {**_line(one), "active": one.active, "reads": words, "kept": kept, "scans": scans}


def _scans(state: State) -> dict[str, Any]:
    """What is told of scanned pages, and what may be done: {act, label: of its button, words, runs}."""
    left, done = state.total - state.done, f"{state.done:,} of {state.total:,} scanned pages transcribed"
    words = [done] if state.running else [state.problem] if state.problem else []
    if state.failed:
        words.append(f"{sizes.pages(len(state.failed))} could not be transcribed")
    told = {"words": " · ".join(words), "runs": state.running}
    if state.running:
        return {"act": "leave", "label": "Stop", **told}
    if left <= FEW:  # they are simply looked at
        return {"act": "", "label": "", **told}
    return {"act": "transcribe", "label": f"Transcribe {left:,} scanned pages", **told}


def _shelved(one: StoredDocument, readers: tuple[str, ...], here: bool) -> dict[str, Any]:
    more = max(0, len(readers) - READERS_SHOWN)
    return {**_line(one), "here": here, "readers": list(readers[:READERS_SHOWN]), "more": more}


def _line(one: StoredDocument) -> dict[str, Any]:
    return {
        "id": one.id,
        "sha256": one.sha256,
        "title": one.title,
        "kind": one.kind,
        "facts": f"{sizes.KINDS.get(one.kind, 'Document')} · {sizes.pages(max(one.total, one.pages))}",
        "problems": list(one.problems),
    }


def _coming(jobs: Jobs, store: Store, conversation: str | None) -> dict[int, Coming]:
    """What the next question reads, by document."""
    assert conversation is not None
    shown = library.numbers(turn.kept(store.path(conversation)))
    books = library.read_now(store, conversation)
    told: Iterable[Coming] = coming(books, [n.place for n in shown], _budget(jobs, conversation))
    return {one.document: one for one in told}


def _budget(jobs: Jobs, conversation: str) -> route.Budget:
    try:
        measured = jobs.measure(conversation, Draft("?", (), Choices()))
    except BackendError:
        return route.Budget()  # no model yet: as if nothing else were said
    return library.budget(measured.tokens, measured.limit)
