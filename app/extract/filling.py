"""One file becomes rows: read, asked about in as many questions as it takes, each cell proven.

Knows: the order of it, what of a document a question may hold.
Does not know: which file is next, what is kept (running.py), prompts, how a cell is proven.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import mlx_backend as backend
from app import intake
from app.blobs import Blobs
from app.documents import drawing
from app.documents.pages import PICTURED, Unreadable
from app.extract import asking, cells
from app.extract.asking import Piece
from app.extract.columns import Column
from app.library import Engine
from app.store import ExtractionFile, Store, StoredDocument

NONCE_BYTES = 5
SPARE = 2_000  # tokens of a question beside its pages
SMALLEST = 500  # estimated tokens of its pages
NOTHING = "The model found nothing for these columns in it."
CUT = "Its list was too long for one answer, so rows are missing after the last one. Split the file."
NO_TABLE = "The model's answer was not a table. Try again, or use a larger model."

Told = Callable[[str, int, int], None]  # stage: opening, one of Progress, or writing; done, total


class Stopped(Exception):
    """Somebody asked for the end; nothing of the file is kept."""


@dataclass(frozen=True)
class Filled:
    """What a file gave. problem: for the person; empty where nothing is missing."""

    document: int
    rows: tuple[cells.Row, ...]
    problem: str = ""


@dataclass(frozen=True)
class Filling:
    """What files are asked for, and with what."""

    store: Store
    blobs: Blobs
    engine: Engine
    columns: tuple[Column, ...]
    question: str
    cancel: threading.Event

    def filled(self, file: ExtractionFile, told: Told) -> Filled:
        """Raises Unreadable where the file cannot be used, Stopped, BackendError."""
        book = self._read(file, told)
        pages = self.store.pages(book.id)
        groups = asking.groups(pages, self._room(), book.kind in PICTURED)
        if not groups:
            raise Unreadable("empty", "There is nothing in it to read.")
        answers: list[list[cells.Row]] = []
        missing: dict[str, None] = {}  # sentences, in order and once
        for group in groups:
            found, whole = self._answered(book, file.name, max(book.total, len(pages)), group, told)
            asked = {piece.page.number: piece.page for piece in group}
            if whole or found:
                answers.append([cells.checked(self.columns, row, asked) for row in found])
            if not whole:
                missing[CUT if found else _lost(min(asked), max(asked))] = None
        if not answers:
            raise Unreadable("corrupt", NO_TABLE)
        rows = cells.merged(answers)
        problems = (*book.problems, *(missing or ([] if rows else [NOTHING])))
        return Filled(book.id, tuple(rows), " ".join(filter(None, problems)))

    def _read(self, file: ExtractionFile, told: Told) -> StoredDocument:
        """The file as a document, a picture as one of a page."""
        path = self.blobs.path(file.sha256)
        if not path.exists():
            raise Unreadable("corrupt", "Its stored copy is missing. Add the file again.")
        read = intake.kept(
            self.store,
            file.sha256,
            path,
            file.name,
            lambda _, done, total: told("opening", done, total),
            self.cancel.is_set,
            intake.read_file,
        )
        if read is None or self.cancel.is_set():
            raise Stopped
        if read.status == "failed":
            raise Unreadable("corrupt", " ".join(read.problems))
        return read

    def _room(self) -> int:
        """Estimated tokens of one question's pages; a third is spare, as estimates may be wrong."""
        bare = asking.request(self.columns, self.question, "", 0, (), {}, "0" * 2 * NONCE_BYTES)
        measured = self.engine.measure(replace(bare, schema=None))
        room = (measured.limit - measured.tokens - asking.ANSWER - SPARE) * 2 // 3
        return max(SMALLEST, min(asking.GROUP, room))

    def _answered(
        self, book: StoredDocument, name: str, total: int, group: Sequence[Piece], told: Told
    ) -> tuple[list[Mapping[str, object]], bool]:
        """The rows of one answer, and whether it was whole; neither where it was no table."""
        path = self.blobs.path(book.sha256)
        pictures = {p.page.number: drawing.render(path, p.page.number) for p in group if p.text is None}
        nonce = secrets.token_hex(NONCE_BYTES)
        asked = asking.request(self.columns, self.question, name, total, group, pictures, nonce)
        reply = backend.Reply()
        for event in self.engine.stream(asked, self.cancel):
            reply.add(event)
            if isinstance(event, backend.Progress):
                told(event.stage, event.done, event.total)
            elif isinstance(event, backend.Answer):
                told("writing", 0, 0)
        if self.cancel.is_set() or reply.done is None or reply.done.reason == "cancelled":
            raise Stopped
        return asking.rows(reply.answer)


def _lost(first: int, last: int) -> str:
    return f"About pages {first} to {last} the model's answer was not a table, so their rows are missing."
