"""Running turns: a thread per answer that goes on whether or not anyone is looking.

Knows: which conversation is being answered, how to follow an answer without being flooded, how to stop it,
and when nobody waits, so that a title may be asked for.
Does not know: what a turn does, what a title is, Gradio, SQL. The engine itself takes one request at a time,
in order.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

from app import disk, library, turn
from app.ahead import Ahead
from app.answering import Live
from app.shelves import Shelf, Shelves
from app.store import Begun
from app.titles import Naming
from app.transcribing import Transcribing
from app.turn import Cancel, Draft, Streaming
from mlx_backend import Measured, Request, Status

FOLLOW_HZ = 7  # more is hardly seen and costs the server and the browser as much again


class Measuring(Streaming, Protocol):
    """All that is asked of an engine here."""

    def measure(self, request: Request) -> Measured: ...

    def status(self) -> Status: ...


class Job:
    """One answer on its way. live: its latest state."""

    def __init__(self, begun: Begun, run: Callable[[Job], None]) -> None:
        self.begun = begun
        self.live = Live()
        self.cancel = Cancel()
        self._lock = threading.Lock()  # of the three that change together: live, version, over
        self._version = 0
        self._over = False
        self._thread = threading.Thread(target=self._work, args=(run,), name="turn", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def publish(self, live: Live) -> None:
        with self._lock:
            self.live = live
            self._version += 1

    async def follow(self, hz: float = FOLLOW_HZ) -> AsyncIterator[Live]:
        """The states of the answer, at most `hz` a second, until it is stored; the last one always comes.

        Any number may follow, from any moment on. It looks and is not told: a wakeup for each of fifty words
        a second costs more than ten looks, and no thread waits.
        """
        seen, over = -1, False
        while not over:
            with self._lock:
                version, over, live = self._version, self._over, self.live
            if version != seen:
                seen = version
                yield live
            if not over:
                await asyncio.sleep(1 / hz)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether the answer is stored, after waiting at most so long."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self, run: Callable[[Job], None]) -> None:
        try:
            run(self)
        finally:
            with self._lock:
                self._over = True
                self._version += 1


class Jobs:
    """Every answer on its way, by conversation. latest: the conversation that was answered in last; ahead:
    documents of drafts, read while the question is still written; transcribing: scanned pages, written down
    while nobody waits for an answer."""

    def __init__(
        self, shelves: Shelves, engine: Measuring, titles: Callable[[], bool] = lambda: False
    ) -> None:
        """titles: whether the model is to give titles, asked after every answer."""
        self.shelves, self._engine, self._titles = shelves, engine, titles
        self.ahead = Ahead()
        self.transcribing = Transcribing(engine)
        self.transcribing.resume(shelves.kept.store, shelves.kept.blobs)
        self._naming: Naming | None = None
        self._lock = threading.Lock()
        self._running: dict[str, Job] = {}
        self.latest: str | None = None

    def start(self, conversation_id: str | None, draft: Draft) -> Job:
        """Store the question and begin to answer it. Raises what turn.begin raises."""
        shelf = self.shelves.of(conversation_id)
        return self._go(shelf, turn.begin(shelf.store, shelf.blobs, conversation_id, draft))

    def again(self, conversation_id: str, answer_id: str, options: Mapping[str, Any]) -> Job:
        """Begin another answer to the same question. Raises BadDraft and what store.begin_again raises."""
        shelf = self._with_room(conversation_id)
        return self._go(shelf, shelf.store.begin_again(conversation_id, answer_id, options))

    def go_on(self, conversation_id: str, answer_id: str) -> Job:
        """Go on with an answer that was cut short. Raises BadDraft and what store.go_on raises."""
        shelf = self._with_room(conversation_id)
        return self._go(shelf, shelf.store.go_on(conversation_id, answer_id))

    def measure(self, conversation_id: str | None, draft: Draft) -> Measured:
        """What the draft would cost if it were sent there now; nothing is stored.

        Raises BadDraft for a file that is neither a picture nor a video, and BackendError.
        """
        shelf = self.shelves.of(conversation_id)
        path = shelf.store.path(conversation_id) if conversation_id else ()
        laid = (
            library.lay(shelf.store, shelf.blobs, conversation_id, turn.kept(path)) if conversation_id else {}
        )
        return self._engine.measure(turn.preview(path, shelf.blobs, draft, laid))

    def status(self) -> Status:
        return self._engine.status()

    def _with_room(self, conversation_id: str) -> Shelf:
        shelf = self.shelves.of(conversation_id)
        if short := disk.shortage(shelf.blobs):
            raise turn.BadDraft(short)
        return shelf

    def _go(self, shelf: Shelf, begun: Begun) -> Job:
        job = Job(begun, lambda job: self._run(shelf, job))
        with self._lock:
            self.transcribing.give_way()
            self._running[job.begun.conversation_id] = job
            self.latest = job.begun.conversation_id
            if self._naming is not None:
                self._naming.cancel.set()  # nobody waits for a title
        job.start()
        return job

    def get(self, conversation_id: str | None) -> Job | None:
        """The job answering in this conversation, if one is."""
        with self._lock:
            return self._running.get(conversation_id or "")

    def stop(self, conversation_id: str | None) -> None:
        """Ask for the end of the answer there; it keeps what has arrived. Nothing runs: nothing happens."""
        if job := self.get(conversation_id):
            job.cancel.set()

    def named(self, conversation_id: str | None) -> bool:
        """Whether the conversation got another title from the model, after waiting for one on its way."""
        with self._lock:
            naming = self._naming
        return naming is not None and naming.conversation_id == conversation_id and naming.wait()

    def forget(self, conversation_id: str | None) -> None:
        """End a temporary conversation and its answer: nothing of it is left. Any other stays as it is."""
        if self.shelves.is_temporary(conversation_id):
            self.stop(conversation_id)
            self.shelves.forget(conversation_id)

    def close(self, seconds: float) -> None:
        """End all answers, waiting at most so long for them to be stored."""
        self.ahead.close()
        self.transcribing.close()
        with self._lock:
            jobs, self._titles = list(self._running.values()), lambda: False
        for job in jobs:
            job.cancel.by_person = False
            job.cancel.set()
        until = time.monotonic() + seconds
        for job in jobs:
            job.wait(max(0.0, until - time.monotonic()))
        if self._naming is not None:
            self._naming.cancel.set()
            self._naming.wait(max(0.0, until - time.monotonic()))
        self.transcribing.close(max(0.0, until - time.monotonic()))

    def _run(self, shelf: Shelf, job: Job) -> None:
        try:
            turn.run(
                shelf.store,
                shelf.blobs,
                self._engine,
                job.begun,
                job.cancel,
                job.publish,
                self.ahead.read,
            )
        finally:
            naming = Naming(self._engine, shelf, job.begun.conversation_id) if self._titles() else None
            with self._lock:
                # a follower that finds no job reads the store, so the answer is stored before this line;
                # since then the next question may have been asked, and its job must stay
                if self._running.get(job.begun.conversation_id) is job:
                    del self._running[job.begun.conversation_id]
                if naming is not None and not self._running:
                    self._naming = naming
                    naming.start()
                if not self._running:
                    self.transcribing.go_on()
