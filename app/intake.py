"""A file becomes a document: known by its content, read once, stored with the words it is found by.

Knows: which files are documents, that one content is read once, whoever asks for it.
Does not know: formats, what is laid before the model of a document (library.py), SQL, the window.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mlx_backend as backend
from app.blobs import Blobs
from app.documents import reading
from app.documents.indexing import Chunk, chunks
from app.documents.pages import Document, Unreadable
from app.documents.reader.items import Refusal
from app.documents.reader.kind import kind_of
from app.store import Message, Store, StoredBlob, StoredDocument

DOCUMENT = "application/octet-stream"
READER = 3  # goes up when files are read better than before: they are read anew
PAUSE = 0.0002  # seconds after each page; measured beside it, the longest wait of a thread was 316 ms, then 4
WAIT = 0.1  # seconds between two looks at whether to stop
_reading = threading.Lock()  # one file at a time, whoever asks: the second one to ask finds it read

Told = Callable[[str, int, int], None]  # name of the file, pages done, pages in all or 0
Stopped = Callable[[], bool]


@dataclass(frozen=True)
class Read:
    """What was read of a file, and the words it is found by."""

    document: Document
    words: tuple[Chunk, ...] = ()


# (SHA-256, where it lies, its name, told after every page: done and in all, asked whether to stop)
Reads = Callable[[str, Path, str, Callable[[int, int], None], Stopped], Read]


# --- what is a document ---------------------------------------------------------------------------------


def media_type(file: Path) -> str | None:
    """Of a file that can be read as a document, by its content; None: it is none.

    A picture is none: the model looks at it. All are bytes to a browser, which shall open none of them.
    """
    try:
        kind = kind_of(file)
    except Refusal as refusal:
        # it says so when it is read, and why; what is no document at all is not sent
        return DOCUMENT if refusal.item.code in _DOCUMENTS_STILL else None
    except OSError:
        return None
    return None if kind == "picture" else DOCUMENT


def kind(file: Path) -> str:
    """Of a document: one of Kind; "" where it cannot be told."""
    try:
        return kind_of(file)
    except (Refusal, OSError):
        return ""


_DOCUMENTS_STILL = ("password", "corrupt", "empty", "bomb", "too-large")


# --- reading it ------------------------------------------------------------------------------------------


def take_in(
    store: Store,
    blobs: Blobs,
    conversation_id: str,
    question: Message,
    told: Told,
    stopped: Stopped,
    reads: Reads | None = None,
) -> None:
    """Read the question's documents that are not read yet. Raises BadMedia for one that cannot be used.

    reads: how a file is read that was not read before; without it, as read_file does.
    """
    for part in question.parts:
        if part.type == "document" and part.sha256 is not None:
            name = str(part.data.get("name", "document"))
            file = blobs.path(part.sha256)
            document = kept(store, part.sha256, file, name, told, stopped, reads or read_file)
            if document is None:
                return  # stopped
            if document.status == "failed":
                raise backend.BadMedia(name, " ".join(document.problems))
            store.give_document(conversation_id, document.id)
            if not question.evidence:  # attached anew, it is meant to be read again
                store.choose_document(conversation_id, document.id, True)


def shelve(store: Store, blobs: Blobs, file: Path, told: Told, stopped: Stopped) -> StoredDocument | None:
    """Read a file right into the library. None: it was stopped, and nothing is kept.

    Raises BadMedia for what cannot be used, and OSError where it cannot be stored.
    """
    if media_type(file) is None:
        raise backend.BadMedia(file.name, "This is not a document that can be read here. Nothing was read.")
    blob = blobs.put(file)
    document = kept(store, blob.sha256, blobs.path(blob.sha256), file.name, told, stopped, read_file)
    if document is not None and document.status == "failed":
        raise backend.BadMedia(file.name, " ".join(document.problems))
    if document is not None:
        store.shelve_document(document.id, True)
    return document


def kept(
    store: Store, sha256: str, file: Path, name: str, told: Told, stopped: Stopped, reads: Reads
) -> StoredDocument | None:
    """A file as a stored document, read now if it was not before. None: it was stopped, and the next one to
    ask reads it.

    One that could not be read is tried again: the computer may have been busy, or this may be asked because
    something was mended.
    """
    while not _reading.acquire(timeout=WAIT):
        if stopped():  # another file may be read for minutes
            return None
    try:
        return _kept_now(store, sha256, file, name, told, stopped, reads)
    finally:
        _reading.release()


def read_file(
    sha256: str, file: Path, name: str, on_page: Callable[[int, int], None], stopped: Stopped
) -> Read:
    """Read a file here and now. Raises Unreadable."""
    read = reading.read(file, name, on_page, stopped)
    words = tuple(_giving_way(chunks(read.pages, f"{name} › {read.title}", read.outline)))
    # by the name that the person gave it: what a file calls itself may be anything
    return Read(replace(read, title=name), words)


def _giving_way(words: Iterable[Chunk]) -> Iterator[Chunk]:
    """The same, and after each the other threads' turn: beside half a second of work without a pause, every
    step of the window's would wait for the interpreter."""
    for chunk in words:
        yield chunk
        time.sleep(PAUSE)


def read_before(store: Store, sha256: str) -> Read | None:
    """What is stored of a file, without the words it is found by; None: nothing that can be used."""
    found = store.document(sha256, READER)
    if found is None or found.status != "ready":
        return None
    pages = store.pages(found.id)
    return Read(Document(found.kind, found.title, pages, found.outline, found.total, found.problems))


def _kept_now(
    store: Store, sha256: str, file: Path, name: str, told: Told, stopped: Stopped, reads: Reads
) -> StoredDocument | None:
    found = store.document(sha256, READER)
    if found is not None and found.status == "ready":
        return found
    blob = StoredBlob(
        sha256, store.media_type(sha256) or DOCUMENT, file.stat().st_size if file.exists() else 0
    )
    document_id = store.begin_document(blob, READER, name, "text")
    try:
        read = reads(sha256, file, name, lambda done, total: told(name, done, total), stopped)
    except Unreadable as error:
        if error.code == "stopped":
            return None
        store.fail_document(document_id, str(error))
    else:
        store.finish_document(document_id, read.document, read.words)
    return store.document(sha256, READER)
