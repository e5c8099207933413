"""Running turns: a thread per answer that goes on whether or not anyone is looking.

Knows: which conversation is being answered, how to follow an answer without being flooded, how to stop it.
Does not know: what a turn does, Gradio, SQL. The engine itself takes one request at a time, in order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app import disk, turn
from app.answering import Live
from app.blobs import Blobs
from app.store import Begun, Store
from app.turn import Cancel, Draft, Streaming

FOLLOW_HZ = 10  # more is not seen and costs the browser a core


class Job:
    """One answer on its way. live: its latest state."""

    def __init__(self, begun: Begun, run: Callable[[Job], None]) -> None:
        self.begun = begun
        self.live = Live()
        self.cancel = Cancel()
        self._changed = threading.Condition()
        self._version = 0
        self._over = False
        self._thread = threading.Thread(target=self._work, args=(run,), name="turn", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def publish(self, live: Live) -> None:
        with self._changed:
            self.live = live
            self._version += 1
            self._changed.notify_all()

    def follow(self, hz: float = FOLLOW_HZ) -> Iterator[Live]:
        """The states of the answer, at most `hz` a second, until it is stored; the last one always comes.

        Any number may follow, from any moment on.
        """
        seen, over = -1, False
        while not over:
            with self._changed:
                self._changed.wait_for(lambda: self._version != seen)  # noqa: B023 - used before it changes
                seen, over, live = self._version, self._over, self.live
            yield live
            if not over:
                time.sleep(1 / hz)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether the answer is stored, after waiting at most so long."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self, run: Callable[[Job], None]) -> None:
        try:
            run(self)
        finally:
            with self._changed:
                self._over = True
                self._version += 1
                self._changed.notify_all()


class Jobs:
    """Every answer on its way, by conversation."""

    def __init__(self, store: Store, blobs: Blobs, engine: Streaming) -> None:
        self._store, self._blobs, self._engine = store, blobs, engine
        self._lock = threading.Lock()
        self._running: dict[str, Job] = {}

    def start(self, conversation_id: str | None, draft: Draft) -> Job:
        """Store the question and begin to answer it. Raises what turn.begin raises."""
        return self._go(turn.begin(self._store, self._blobs, conversation_id, draft))

    def again(self, conversation_id: str, answer_id: str, options: Mapping[str, Any]) -> Job:
        """Begin another answer to the same question. Raises BadDraft and what store.begin_again raises."""
        self._need_room()
        return self._go(self._store.begin_again(conversation_id, answer_id, options))

    def go_on(self, conversation_id: str, answer_id: str) -> Job:
        """Go on with an answer that was cut short. Raises BadDraft and what store.go_on raises."""
        self._need_room()
        return self._go(self._store.go_on(conversation_id, answer_id))

    def _need_room(self) -> None:
        if short := disk.shortage(self._blobs):
            raise turn.BadDraft(short)

    def _go(self, begun: Begun) -> Job:
        job = Job(begun, self._run)
        with self._lock:
            self._running[job.begun.conversation_id] = job
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

    def close(self, seconds: float) -> None:
        """End all answers, waiting at most so long for them to be stored."""
        with self._lock:
            jobs = list(self._running.values())
        for job in jobs:
            job.cancel.by_person = False
            job.cancel.set()
        until = time.monotonic() + seconds
        for job in jobs:
            job.wait(max(0.0, until - time.monotonic()))

    def _run(self, job: Job) -> None:
        try:
            turn.run(self._store, self._blobs, self._engine, job.begun, job.cancel, job.publish)
        finally:
            with self._lock:
                # a follower that finds no job reads the store, so the answer is stored before this line;
                # since then the next question may have been asked, and its job must stay
                if self._running.get(job.begun.conversation_id) is job:
                    del self._running[job.begun.conversation_id]
