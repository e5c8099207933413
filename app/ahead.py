"""Documents that were attached and not sent yet, read while the question is still written.

Knows: which files which open page has attached, how far each is read, what was read of them.
Does not know: how a file is read (documents/reading.py), the window, the model.

What is read here is in memory alone: nothing of a file is stored before it is sent, and nothing is left of
one that never is. A file that no page has attached any more is stopped at once and forgotten; a file that was
sent stays until the turn asks for it, which waits for the end of its reading instead of beginning anew.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from app import intake
from app.documents.pages import Unreadable
from app.intake import Read, Stopped
from app.store import Store

log = logging.getLogger(__name__)

SENT_SECONDS = 600.0  # what was sent waits so long for its turn, which may stand behind other answers
PIECE = 1 << 20  # bytes that are hashed between two looks at whether to stop
TICK = 0.1  # seconds


@dataclass(frozen=True)
class State:
    """How far a file is read. done, total: pages, total 0 while nobody knows how many there are.

    over: its reading has ended, with `read` or with `problem`, a sentence for the person. known: `read` is
    what was stored before, without the words it is found by. sha256: of its content, once that is known.
    """

    done: int = 0
    total: int = 0
    over: bool = False
    read: Read | None = None
    known: bool = False
    problem: str = ""
    sha256: str = ""


@dataclass
class _File:
    path: Path
    store: Store
    sha256: str = ""
    state: State = field(default_factory=State)
    sent: float | None = None  # when


class Ahead:
    """One per app; from any thread. One file at a time is read, in the order in which they came."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wanted: dict[str, list[Path]] = {}
        self._files: dict[Path, _File] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def want(self, session: str, files: Iterable[Path], store: Store | None = None) -> None:
        """What a page has attached now: these are read, and what no page has any more is not.

        store: where they will be kept once they are sent; what it has read before is not read again.
        """
        with self._changed:
            self._wanted[session] = list(files)
            for file in self._wanted[session]:
                if store is not None and not self._closed:
                    self._files.setdefault(file, _File(file, store))
            if not self._wanted[session]:
                del self._wanted[session]
            self._forget()
            if self._thread is None and any(not one.state.over for one in self._files.values()):
                self._thread = threading.Thread(target=self._work, name="reading ahead", daemon=True)
                self._thread.start()

    def state(self, file: Path) -> State:
        with self._changed:
            one = self._files.get(file)
            return one.state if one else State()

    def sent(self, session: str, files: Iterable[Path]) -> None:
        """A page has sent its files: their turn comes for them. It reads itself what is not begun yet."""
        with self._changed:
            self._wanted.pop(session, None)
            for one in [self._files[file] for file in files if file in self._files]:
                if one.sha256:
                    one.sent = time.monotonic()
            self._forget()

    def read(
        self, sha256: str, file: Path, name: str, on_page: Callable[[int, int], None], stopped: Stopped
    ) -> Read:
        """What was read of it, after waiting for the end; what was not read here is read now.

        As intake.read_file, whose errors it raises.
        """
        with self._changed:
            same = (f for f in self._files.values() if f.sha256 == sha256 and f.path.name == name)
            one = next(same, None)
        while one is not None and not one.state.over and not stopped():
            on_page(one.state.done, one.state.total)
            with self._changed:
                self._changed.wait(TICK)
                one = one if self._holds(one) else None
        if one is not None:
            with self._changed:
                if self._holds(one):
                    del self._files[one.path]
            if stopped():
                raise Unreadable("stopped", "Reading was stopped. Nothing was kept.")
            if one.state.read is not None and not one.state.known:
                return one.state.read
        return intake.read_file(sha256, file, name, on_page, stopped)

    def close(self) -> None:
        """Stop reading, and forget everything."""
        with self._changed:
            self._closed = True
            self._wanted.clear()
            self._files.clear()
            self._changed.notify_all()

    # --- the thread --------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (one := self._next()) is not None:
            state = self._outcome(one)
            with self._changed:
                one.state = replace(state, over=True, sha256=one.sha256)
                self._changed.notify_all()

    def _next(self) -> _File | None:
        with self._changed:
            found = next((one for one in self._files.values() if not one.state.over), None)
            if found is None:
                self._thread = None
            return found

    def _outcome(self, one: _File) -> State:
        stopped = lambda: not self._holds(one)  # noqa: E731
        try:
            one.sha256 = _content(one.path, stopped)
            if (known := intake.read_before(one.store, one.sha256)) is not None:
                return State(read=known, known=True)
            return State(read=intake.read_file(one.sha256, one.path, one.path.name, self._told(one), stopped))
        except Unreadable as error:
            return State(problem=str(error))
        except OSError:
            return State()  # gone meanwhile: it was sent, or nobody wants it
        except Exception:
            log.exception("a document could not be read ahead")  # it is read, or told, when it is sent
            return State()

    def _told(self, one: _File) -> Callable[[int, int], None]:
        def told(done: int, total: int) -> None:
            one.state = State(done, total)

        return told

    # --- what is kept ------------------------------------------------------------------------------------

    def _holds(self, one: _File) -> bool:
        return self._files.get(one.path) is one

    def _forget(self) -> None:
        wanted = {file for files in self._wanted.values() for file in files}
        since = time.monotonic() - SENT_SECONDS
        for path, one in list(self._files.items()):
            if path not in wanted and (one.sent is None or one.sent < since):
                del self._files[path]


def _content(file: Path, stopped: Stopped) -> str:
    """The SHA-256 of a file. Raises OSError, and Unreadable where it was stopped."""
    digest = hashlib.sha256()
    with file.open("rb") as source:
        while block := source.read(PIECE):
            if stopped():
                raise Unreadable("stopped", "Reading was stopped. Nothing was kept.")
            digest.update(block)
    return digest.hexdigest()
