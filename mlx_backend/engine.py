"""The app's one door to the model.

Knows: the waiting line, which checkpoint is wanted, when a worker process must be started or replaced.
Does not know: MLX, how the process is spoken to (process.py), how an answer is computed (worker.py) or a
    request measured (measuring.py).

The model lives in a child process because an out-of-memory abort of Metal cannot be caught: it takes the
process with it. When that happens the caller gets EngineStopped and the next request starts a new worker.
A worker loads one checkpoint in its life; unloading ends it, which is the one sure way to give memory back.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from queue import Empty
from types import TracebackType
from typing import Protocol, Self

from .errors import BackendError, EngineStopped, ModelMissing, NotEnoughMemory, closing
from .idle import Idle
from .line import LOOK, Line
from .measuring import Measuring
from .process import RESPONDER, Facts, Loaded, Order, Worker
from .schema import check_schema
from .sizes import Setup
from .sums import DEFAULT
from .types import Done, Event, Measured, Progress, Request, Status

PHASES = {
    "load": "loading the model",
    "images": "reading the pictures",
    "prefill": "reading the conversation",
}


class EngineLike(Protocol):
    """What every engine offers: this one, the scripted fake, one day a remote server."""

    def start(self) -> None:
        """Begin what takes seconds before the first load; returns at once."""

    def load(self, model: Path, setup: Setup = DEFAULT, force: bool = False) -> Iterator[Progress]:
        """Make `model` the one that answers, and load it; one that was loaded is given back first.

        setup: what is traded for memory. force: load it also where it is not expected to fit; the caller has
        said what that may do. Raises BackendError; NotEnoughMemory unless forced. The model that answered
        before then stays the chosen one and is loaded again by the next request.
        """

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        """The events of the answer: Progress while it waits, loads and reads; then its words; Done last.

        Requests are answered one at a time in order of arrival, which is when the first event is asked for.
        Once `cancel` is set the stream ends within one token or one prefill chunk with Done("cancelled");
        while it waits or the model loads, at once (loading goes on). Closing the iterator cancels too.
        Raises BackendError; EngineStopped when the model's process died, BadSchema before anything is done.
        """

    def measure(self, request: Request) -> Measured:
        """What the request would cost and show, counted exactly, without computing any of it.

        Works before the model is loaded and beside an answer under way, from any thread. Blocks, for a second
        or so the first time and for a long video. Raises BackendError: BadMedia for a file that cannot be
        used, ModelMissing where there is no model yet.
        """

    def status(self) -> Status:
        """What it is doing now; never waits."""

    def unload(self) -> None:
        """Give the model's memory back, after the requests already in line. The next request loads again."""

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Inside, nothing of a model is in memory and whoever asks waits in line. Blocks until it is so.

        Raises BackendError when it is closed meanwhile.
        """

    def close(self) -> None:
        """End everything now. A stream under way raises EngineStopped. The engine is of no use afterwards."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Engine:
    """The local engine, see EngineLike.

    model: the checkpoint that the first request loads, unless load() came before.
    setup: how it is run. log: where the worker's output goes; None drops it.
    responder: module:Class that answers in the worker.
    rest: seconds without a request after which the model's memory is given back; 0: never. May be set later.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        setup: Setup = DEFAULT,
        log: Path | None = None,
        responder: str = RESPONDER,
        rest: float = 0.0,
    ) -> None:
        self._order = Order(model, setup) if model else None
        self._log = log
        self._responder = responder
        self._line = Line()
        self._lock = threading.Lock()  # around starting and stopping a worker
        self._worker: Worker | None = None
        self._measuring = Measuring(log.with_name("measure.log") if log else None)
        self._idle = Idle(self._unload_unused, rest)

    @property
    def rest(self) -> float:
        return self._idle.seconds

    @rest.setter
    def rest(self, seconds: float) -> None:
        self._idle.set(seconds)

    def start(self) -> None:
        self._running()

    def load(self, model: Path, setup: Setup = DEFAULT, force: bool = False) -> Iterator[Progress]:
        never, before = threading.Event(), self._order
        with self._place() as place:
            for ahead in self._line.wait(place, never):
                yield Progress("queue", ahead, ahead)
            self._order = Order(model, setup, force)
            try:
                yield from self._load(never)
            except NotEnoughMemory:
                self._order = before or self._order
                raise

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        check_schema(request)
        cancel = cancel or threading.Event()
        with self._place() as place:
            for ahead in self._line.wait(place, cancel):
                yield Progress("queue", ahead, ahead)
            worker = None if cancel.is_set() else (yield from self._load(cancel))
            if worker is None or cancel.is_set():
                yield Done("cancelled")
            else:
                yield from self._respond(worker, request, cancel)

    def measure(self, request: Request) -> Measured:
        order = self._chosen()
        measured = self._measuring.measure(order.folder, request)
        return replace(measured, limit=min(measured.limit, self._setup(order).context))

    def status(self) -> Status:
        worker = self._worker
        model = str(self._order.folder) if self._order else None
        waiting = max(0, len(self._line) - 1)
        if worker is None or worker.state == "stopped":
            return Status("stopped", model, waiting=waiting)
        facts = dict(vars(worker.facts or Facts()))
        del facts["device"]
        return Status(worker.state, model, **facts, waiting=waiting, pid=worker.pid)

    def device(self) -> Mapping[str, str | int]:
        """What MLX says of the device; nothing before a model was loaded."""
        return self._worker.facts.device if self._worker and self._worker.facts else {}

    def unload(self) -> None:
        with self._line.place() as place:
            for _ in self._line.wait(place, threading.Event()):
                pass
            self._stop()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Inside, the model's memory is given back and whoever asks waits in line. Blocks until it is so."""
        with self._place() as place:
            for _ in self._line.wait(place, threading.Event()):
                pass
            if self._line.closed:
                raise closing()
            self._stop()
            yield

    def _unload_unused(self) -> None:
        # Not behind whoever came just now: the model would go when it has answered.
        with self._line.place_if_empty() as unused:
            if unused:
                self._stop()

    @contextlib.contextmanager
    def _place(self) -> Iterator[object]:
        """A place in the line; who leaves it empty begins the time of rest."""
        self._idle.end()
        try:
            with self._line.place() as place:
                yield place
        finally:
            if not len(self._line):
                self._idle.begin()

    def close(self) -> None:
        self._idle.end()
        self._line.close()
        self._measuring.close()
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- one worker at a time ------------------------------------------------------------------------------

    def _setup(self, order: Order) -> Setup:
        """How it is run: what the guard made of the order where it was loaded already, see Guard.load."""
        worker = self._worker
        if worker is None or worker.facts is None or worker.order != order:
            return order.setup
        return worker.facts.setup or order.setup

    def _chosen(self) -> Order:
        if self._order is None:
            raise ModelMissing("")
        return self._order

    def _running(self, order: Order | None = None) -> Worker:
        """The worker, started if there is none, replaced if it holds another model or in another way."""
        with self._lock:
            if self._line.closed:
                raise closing()
            worker = self._worker
            if worker is not None and order is not None and not _serves(worker.order, order):
                worker.stop()  # returns when it is gone: never are two models in memory
            if worker is None or worker.exit_code is not None:
                worker = self._worker = self._started()
            return worker

    def _started(self) -> Worker:
        try:
            return Worker(self._log, self._responder)
        except OSError as error:
            what = f"{error.filename}: {error.strerror}" if error.filename else error
            raise BackendError(
                f"The model process could not be started ({what}). Nothing was lost."
            ) from error

    def _stop(self) -> None:
        with self._lock:
            if self._worker is not None:
                self._worker.stop()

    def _load(self, cancel: threading.Event) -> Generator[Progress, None, Worker]:
        """The worker with the model in it. One that has it answers at once, so nothing is remembered here.

        A load that was cancelled goes on: it is a minute's work that the next question needs as well. Its
        progress reaches whoever waits for the model next.
        """
        order = self._chosen()
        worker = self._running(order)
        had_it = worker.order == order
        number = worker.load(order)
        try:
            for what in _replies(worker, number, "starting" if worker.facts is None else PHASES["load"]):
                if cancel.is_set() or isinstance(what, Loaded):
                    break
                if isinstance(what, Progress):
                    yield what
        except EngineStopped:
            if not had_it:
                raise
            # It died between two requests and nobody had noticed: nothing is lost, a new one is the answer.
            return (yield from self._load(cancel))
        return worker

    def _respond(self, worker: Worker, request: Request, cancel: threading.Event) -> Iterator[Event]:
        number = worker.respond(request)
        try:
            for what in _replies(worker, number, PHASES["prefill"]):
                if cancel.is_set():
                    worker.cancel(number)
                if what is not None and not isinstance(what, Loaded):
                    yield what
                if isinstance(what, Done):
                    return
        finally:
            worker.cancel(number)


def _serves(held: Order | None, wanted: Order) -> bool:
    """Whether a worker that was told to load `held` may be told to load `wanted`."""
    return held is None or (held.folder, held.setup) == (wanted.folder, wanted.setup)


def _replies(worker: Worker, number: int, doing: str) -> Iterator[Event | Loaded | None]:
    """What the worker says of one job, and None now and then so that the caller can look at its cancel event.

    Replies to jobs that nobody waits for any more are dropped, except the progress of a load.
    """
    while True:
        try:
            reply = worker.replies.get(timeout=LOOK)
        except Empty:
            yield None
            continue
        if reply is None:
            raise EngineStopped(worker.exit_code, doing, worker.last_words)
        of, what = reply
        if of != number and not (isinstance(what, Progress) and what.stage == "load"):
            continue
        if isinstance(what, BackendError):
            raise what
        doing = PHASES.get(what.stage, doing) if isinstance(what, Progress) else "answering"
        yield what
