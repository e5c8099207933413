"""Background answers with the real store: they go on unseen, can be followed by many and stopped by one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import disk
from app.answering import Live
from app.blobs import Blobs
from app.jobs import FOLLOW_HZ, Job, Jobs
from app.shelves import Shelves
from app.store import Part, StillAnswering, Store
from app.turn import BadDraft, Draft
from mlx_backend import Answer, Event, FakeEngine, Request

PATIENCE = 30.0  # seconds until a test gives up; never what it measures


class Gated:
    """An engine whose words come when the test says so."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        for n in range(1000):
            while not self.gate.acquire(timeout=0.01):
                if cancel is not None and cancel.is_set():
                    return
            if n == 3:
                return
            yield Answer(f"{n} ")


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    store = Store(home / "chat.db")
    yield store
    store.close()


@pytest.fixture
def engine() -> Gated:
    return Gated()


@pytest.fixture
def jobs(store: Store, home: Path, engine: Gated) -> Iterator[Jobs]:
    jobs = Jobs(Shelves(store, Blobs(home / "blobs")), engine)
    yield jobs
    jobs.close(PATIENCE)


def following(job: Job, hz: float = FOLLOW_HZ) -> Iterator[Live]:
    """What a follower sees, one state at a time."""
    states = job.follow(hz)

    async def step() -> Live | None:
        return await anext(states, None)

    with asyncio.Runner() as runner:
        while (live := runner.run(step())) is not None:
            yield live


def test_followers_come_any_time_and_see_the_end(jobs: Jobs, store: Store, engine: Gated) -> None:
    job = jobs.start(None, Draft("?"))
    early = following(job, hz=1000)
    assert next(early).parts == ()
    engine.gate.release()
    while not (live := next(early)).parts:
        pass
    assert live.parts == (Part("text", "0 "),)
    late = following(job, hz=1000)
    assert next(late).parts == (Part("text", "0 "),)
    engine.gate.release(3)
    words = (Part("text", "0 1 2 "),)
    assert [list(follower)[-1].parts for follower in (early, late)] == [words, words]
    assert job.wait(PATIENCE)
    assert store.path(job.begun.conversation_id)[-1].parts == words
    assert jobs.get(job.begun.conversation_id) is None
    assert [live.parts for live in following(job)] == [words]  # one who comes after the end


def test_a_flood_of_words_is_coalesced(store: Store, home: Path) -> None:
    words = [Answer("x") for _ in range(2000)]
    jobs = Jobs(Shelves(store, Blobs(home / "blobs")), FakeEngine(words))
    job = jobs.start(None, Draft("?"))
    states = list(following(job, hz=10))
    assert states[-1].parts == (Part("text", "x" * 2000),)
    assert len(states) < 1000


def test_stop_keeps_what_came(jobs: Jobs, store: Store, engine: Gated) -> None:
    job = jobs.start(None, Draft("?"))
    engine.gate.release()
    follower = following(job, hz=1000)
    while not next(follower).parts:
        pass
    jobs.stop(job.begun.conversation_id)
    assert job.wait(PATIENCE)
    stored = store.path(job.begun.conversation_id)[-1]
    assert (stored.status, stored.reason, stored.parts) == ("interrupted", "cancelled", (Part("text", "0 "),))


def test_closing_ends_all_without_blaming_the_person(jobs: Jobs, store: Store) -> None:
    running = [jobs.start(None, Draft("?")) for _ in range(3)]
    jobs.close(PATIENCE)
    for job in running:
        stored = store.path(job.begun.conversation_id)[-1]
        assert (stored.status, stored.reason) == ("interrupted", None)


def test_unknown_conversations_do_nothing(jobs: Jobs) -> None:
    assert jobs.get(None) is None and jobs.get("nobody") is None
    jobs.stop(None)
    jobs.stop("nobody")


def test_one_answer_at_a_time_in_a_conversation(jobs: Jobs, engine: Gated) -> None:
    job = jobs.start(None, Draft("?"))
    with pytest.raises(StillAnswering):
        jobs.start(job.begun.conversation_id, Draft("again"))
    assert jobs.get(job.begun.conversation_id) is job
    engine.gate.release(4)
    assert job.wait(PATIENCE)
    engine.gate.release(4)
    assert jobs.start(job.begun.conversation_id, Draft("again")).wait(PATIENCE)


def test_a_deleted_conversation_ends_its_job(jobs: Jobs, store: Store, engine: Gated) -> None:
    job = jobs.start(None, Draft("?"))
    store.delete_conversation(job.begun.conversation_id)
    engine.gate.release(4)
    assert job.wait(PATIENCE)
    assert [live.parts for live in following(job)]
    assert store.conversations() == ()
    assert jobs.get(job.begun.conversation_id) is None


def test_answering_again_and_going_on_need_room_too(
    store: Store, jobs: Jobs, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = store.begin_turn(None, "t", (Part("text", "Tell me."),))
    store.finish(begun.answer_id, (Part("text", "Once"),), "interrupted", "cancelled")
    before = store.path(begun.conversation_id)
    monkeypatch.setattr(disk, "RESERVE", Blobs(home / "blobs").free() * 2)
    for begin in (
        lambda: jobs.again(begun.conversation_id, begun.answer_id, {}),
        lambda: jobs.go_on(begun.conversation_id, begun.answer_id),
    ):
        with pytest.raises(BadDraft, match="nearly full"):
            begin()
    assert store.path(begun.conversation_id) == before
