"""Documents of one question on the command line: read, laid before it, its quotations checked.

Knows: a store in memory and a folder that goes with it, so that nothing of a file stays.
Does not know: argument parsing, how an answer is printed.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app import intake, library, transcribing
from app.blobs import Blobs
from app.documents.pages import Unreadable
from app.drafts import Draft, begin
from app.intake import Told
from app.library import Engine
from app.store import IN_MEMORY, Message, Part, Store
from mlx_backend import BadMedia, Request, Text


@dataclass(frozen=True)
class Attached:
    """A question with its documents. request: what is to be asked. read: how much of each document it holds.

    check: the quotations of an answer: {number, words, verified, how, title, page, label, start, end}.
    """

    request: Request
    read: tuple[dict[str, Any], ...] = ()
    check: Callable[[str], list[dict[str, Any]]] = lambda answer: []


@contextlib.contextmanager
def attached(
    engine: Engine, request: Request, files: Sequence[Path], told: Told, transcribe: bool = False
) -> Iterator[Attached]:
    """The question with its documents before it. Raises BadMedia for a file that cannot be used.

    transcribe: scanned pages are written down by the model first. told: pages that are read or written down.
    """
    for file in files:
        if intake.media_type(file) is None:
            raise BadMedia(str(file), "it is no document that can be read.")
    with tempfile.TemporaryDirectory(prefix="glm-chat-") as folder:
        store, blobs = Store(IN_MEMORY), Blobs(Path(folder))
        yield _attached(store, blobs, engine, request, files, told, transcribe)


def _attached(
    store: Store,
    blobs: Blobs,
    engine: Engine,
    request: Request,
    files: Sequence[Path],
    told: Told,
    transcribe: bool,
) -> Attached:
    asked = request.messages[-1]
    words = "".join(part.text for part in asked.content if isinstance(part, Text))
    begun = begin(store, blobs, None, Draft(words, tuple(files)))
    name, never = begun.conversation_id, threading.Event()
    intake.take_in(store, blobs, name, store.path(name)[0], told, never.is_set)
    if transcribe:
        _transcribe(store, blobs, engine, name, told)
    before = replace(request, messages=request.messages[:-1])
    library.choose(store, engine, name, store.path(name), before, never)
    path = store.path(name)
    laid = library.lay(store, blobs, name, path).get(begun.question_id, ())
    question = replace(asked, content=(*laid, *asked.content))
    return Attached(
        replace(request, messages=(*before.messages, question)),
        tuple(path[0].evidence.get("reading", ())),
        lambda answer: _checked(store, path, answer),
    )


def _transcribe(store: Store, blobs: Blobs, engine: Engine, conversation_id: str, told: Told) -> None:
    for document in store.documents_of(conversation_id):
        pages = store.pages(document.id, transcribing.missing(store, document.id))
        for done, page in enumerate(pages):
            told(document.title, done, len(pages))
            try:
                transcribing.write_down(store, blobs, engine, document, page, threading.Event())
            except Unreadable as error:
                raise BadMedia(document.title, f"page {page.number} cannot be drawn. {error}") from error
        if pages:
            told(document.title, len(pages), len(pages))


def _checked(store: Store, path: Sequence[Message], answer: str) -> list[dict[str, Any]]:
    parts: Sequence[Part] = library.quoted(answer, library.highest(path), over=True)
    return [dict(part.data) for part in library.checked(store, path, parts) if part.type == "citation"]
