"""Scanned pages are written down by the model while nobody waits for it: page by page, each kept at once.

Knows: which document is next, that a question goes before, what is told of the progress, which failures are a
    page's own.
Does not know: what the model is asked (documents/transcript.py), the window, SQL, who asks questions.

What is wanted is a setting of the store, what is missing are its pages: after a crash the rest is done. A
question ends the page that is being written, which is begun again later: nobody waits for a page.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass, field, replace

import mlx_backend as backend
from app.blobs import Blobs
from app.documents import drawing, transcript
from app.documents.indexing import chunks
from app.documents.pages import PICTURED, Page, Unreadable
from app.library import Engine
from app.store import DiskTrouble, Store, StoredDocument

log = logging.getLogger(__name__)

SETTING = "transcribe"  # documents that a person wants transcribed, by number
QUIET_SECONDS = 20.0  # after an answer: its conversation's next question shall find what was computed for it
OF_THE_PAGE = (Unreadable, backend.BadMedia, backend.ContextTooLong, backend.OutOfMemory)
DEATHS = 2  # of the model's process in a row: then it is not the page
FULL = "The disk is full or cannot be written. The pages so far are kept. Make room and begin again."
UNEXPECTED = "Something went wrong inside GLM Chat. The pages so far are kept; the details are in the log."


@dataclass(frozen=True)
class State:
    """How far a document is transcribed. done, total: pages. failed: which of them could not be.

    running: more pages will come. problem: why it ended before its end, a sentence for the person.
    """

    done: int = 0
    total: int = 0
    failed: tuple[int, ...] = ()
    running: bool = False
    problem: str = ""


@dataclass
class _Order:
    store: Store
    blobs: Blobs
    document: int
    total: int
    failed: list[int] = field(default_factory=list)
    problem: str = ""
    over: bool = False


def missing(store: Store, document_id: int) -> tuple[int, ...]:
    """Scanned pages of a document that nobody has written down; none where it is unknown or is being read."""
    document = store.document_numbered(document_id)
    if document is None or document.status != "ready" or document.kind not in PICTURED:
        return ()
    return store.scanned(document_id)


def write_down(
    store: Store, blobs: Blobs, engine: Engine, document: StoredDocument, page: Page, cancel: threading.Event
) -> bool:
    """Transcribe one page and keep it. False: it was cancelled, and nothing was kept.

    Raises BackendError, Unreadable where the page cannot be drawn, and DiskTrouble.
    """
    picture = drawing.render(blobs.path(document.sha256), page.number)
    reply = backend.Reply()
    for event in engine.stream(transcript.request(picture, f"{document.title}, {page.label}"), cancel):
        reply.add(event)
    if reply.done is None or reply.done.reason == "cancelled" or cancel.is_set():
        return False
    read = replace(page, text=transcript.read(reply.answer, reply.done.reason == "stop"), source="vlm-ocr")
    words = list(chunks([read], document.title, document.outline))
    store.replace_page(document.id, read, words)
    return True


class Transcribing:
    """One per app; from any thread. One page at a time, document after document in the order of asking.

    quiet: seconds without a question before a page is begun.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self.quiet = engine, QUIET_SECONDS
        self._changed = threading.Condition()
        self._orders: dict[tuple[Store, int], _Order] = {}
        self._cancel = threading.Event()
        self._current: _Order | None = None  # whose page is being written
        self._busy, self._closed, self._deaths = False, False, 0
        self._since = 0.0  # when the last answer was over
        self._thread: threading.Thread | None = None

    def start(self, store: Store, blobs: Blobs, document_id: int) -> State:
        """Want a document transcribed; what is written down already is not done again."""
        if count := len(missing(store, document_id)):
            wanted = store.setting(SETTING, [])
            store.set_setting(SETTING, [*(one for one in wanted if one != document_id), document_id])
            self._order(_Order(store, blobs, document_id, count))
        return self.state(store, document_id)

    def resume(self, store: Store, blobs: Blobs) -> None:
        """Go on with what was wanted when the app ended."""
        for document_id in store.setting(SETTING, []):
            if isinstance(document_id, int) and (count := len(missing(store, document_id))):
                self._order(_Order(store, blobs, document_id, count))

    def stop(self, store: Store, document_id: int) -> None:
        """Want no more pages of it. Those that are written down stay."""
        self._unwanted(store, document_id)
        with self._changed:
            order = self._orders.pop((store, document_id), None)
            if order is not None and order is self._current:  # the page of another document goes on
                self._cancel.set()
            self._changed.notify_all()

    def state(self, store: Store, document_id: int) -> State:
        """Of a document that nobody wanted, none of so many pages."""
        left = len(missing(store, document_id))
        with self._changed:
            order = self._orders.get((store, document_id))
            if order is None:
                return State(0, left)
            done = max(0, order.total - left)
            return State(done, order.total, tuple(order.failed), not order.over, order.problem)

    def give_way(self) -> None:
        """A question comes: the page that is being written ends, and none is begun until go_on()."""
        with self._changed:
            self._busy = True
            self._cancel.set()

    def go_on(self) -> None:
        """Nobody waits for the model any more."""
        with self._changed:
            self._busy, self._since = False, time.monotonic()
            self._changed.notify_all()

    def close(self, seconds: float = 0.0) -> None:
        """End at once; what is missing is done at the next start."""
        with self._changed:
            self._closed, thread = True, self._thread
            self._cancel.set()
            self._changed.notify_all()
        if thread is not None:
            thread.join(seconds)

    # --- the thread --------------------------------------------------------------------------------------

    def _order(self, order: _Order) -> None:
        with self._changed:
            key = order.store, order.document
            if key not in self._orders or self._orders[key].over:
                self._orders[key] = order
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="transcribing", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while (order := self._next()) is not None:
            try:
                self._page(order)
            except DiskTrouble:
                self._end(order, FULL)
            except Exception:
                log.exception("a page could not be transcribed")
                self._end(order, UNEXPECTED)

    def _next(self) -> _Order | None:
        """The document whose page is next, as soon as nobody waits; None: there is none."""
        with self._changed:
            while True:
                order = next((one for one in self._orders.values() if not one.over), None)
                if order is None or self._closed:
                    self._thread = None
                    return None
                wait = self._since + self.quiet - time.monotonic() if self._since else 0.0
                if not self._busy and wait <= 0:
                    self._cancel, self._current = threading.Event(), order
                    return order
                self._changed.wait(None if self._busy else wait)

    def _page(self, order: _Order) -> None:
        document = order.store.document_numbered(order.document)
        wanted = [one for one in missing(order.store, order.document) if one not in order.failed]
        pages = order.store.pages(order.document, wanted[:1])
        if document is None or not pages:
            self._end(order, "")
            return
        page = pages[0]
        try:
            write_down(order.store, order.blobs, self._engine, document, page, self._cancel)
            self._deaths = 0
        except OF_THE_PAGE as error:
            log.info("page %d could not be transcribed: %s", page.number, type(error).__name__)
            order.failed.append(page.number)
        except backend.EngineStopped as error:
            self._deaths += 1
            order.failed.append(page.number)
            if self._deaths >= DEATHS:
                self._deaths = 0  # whoever begins again has the same patience
                self._end(order, str(error))
        except backend.BackendError as error:
            self._end(order, str(error))

    def _end(self, order: _Order, problem: str) -> None:
        with self._changed:
            order.over, order.problem = True, problem
        self._unwanted(order.store, order.document)

    def _unwanted(self, store: Store, document_id: int) -> None:
        with contextlib.suppress(DiskTrouble):
            wanted = store.setting(SETTING, [])
            store.set_setting(SETTING, [one for one in wanted if one != document_id])
