"""The engine's contract, held against every engine there is: real, with a slow stand-in, and scripted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import HANG, answer, question, stages, until

from mlx_backend import (
    Answer,
    BackendError,
    Done,
    Engine,
    EngineLike,
    EngineStopped,
    Event,
    FakeEngine,
    Progress,
    Reasoning,
)


@pytest.fixture(scope="module")
def real(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One for all tests that end with a whole engine: each worker with MLX takes seconds to start."""
    with Engine(tiny_model, log=tmp_path_factory.mktemp("real") / "worker.log") as real:
        yield real


@pytest.fixture(params=["real", "slow", "fake"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineLike]:
    """With the model in memory or not, as the test before left it."""
    if request.param == "real":
        yield request.getfixturevalue("real")
    else:
        yield from own(request.param, request, tmp_path)


@pytest.fixture(params=["real", "slow", "fake"])
def own_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineLike]:
    yield from own(request.param, request, tmp_path)


def own(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineLike]:
    if kind == "fake":
        words = [Answer(f"word {n} ") for n in range(60)]
        with FakeEngine([Progress("prefill", 0, 1), *words], delay=0.02) as fake:
            list(fake.load(tmp_path))
            fake.unload()
            yield fake
    elif kind == "slow":
        yield request.getfixturevalue("slow")
    else:
        with Engine(request.getfixturevalue("tiny_model"), log=tmp_path / "worker.log") as real:
            yield real


# --- what every engine does ------------------------------------------------------------------------------


def test_an_answer_loads_reads_speaks_and_ends(engine: EngineLike) -> None:
    engine.unload()
    first, second = answer(engine, question()), answer(engine, question())
    assert stages(first)[0] == "load" and "prefill" in stages(first)
    assert "load" not in stages(second)
    for events in first, second:
        assert [event for event in events if isinstance(event, Done)] == [events[-1]]
        assert any(isinstance(event, Answer | Reasoning) for event in events)
    assert engine.status().state == "idle"
    assert engine.status().weight_bytes > 0


def test_load_tells_bytes_up_to_all_of_them(engine: EngineLike) -> None:
    engine.unload()
    model = engine.status().model
    assert model is not None
    events = list(engine.load(Path(model)))
    assert events[-1].done == events[-1].total > 0
    assert "load" not in stages(answer(engine, question()))


def test_unload_stops_and_the_next_request_loads_again(engine: EngineLike) -> None:
    answer(engine, question())
    engine.unload()
    assert engine.status().state == "stopped"
    assert "load" in stages(answer(engine, question()))


def test_inside_alone_nothing_is_in_memory_and_whoever_asks_waits(engine: EngineLike) -> None:
    answer(engine, question())
    got: list[Event] = []
    asking = threading.Thread(target=lambda: got.extend(answer(engine, question())))
    with engine.alone():
        assert engine.status().state == "stopped"
        asking.start()
        until(lambda: engine.status().waiting == 1)
        assert engine.status().state == "stopped"
    asking.join(HANG)
    assert stages(got)[:2] == ["queue", "load"] and isinstance(got[-1], Done)


def test_two_requests_are_answered_in_order(engine: EngineLike) -> None:
    events: list[tuple[str, Event]] = []
    started = threading.Event()

    def run(name: str) -> None:
        for event in engine.stream(question(max_tokens=20)):
            events.append((name, event))
            started.set()

    first, second = (threading.Thread(target=run, args=(name,)) for name in ("first", "second"))
    first.start()
    assert started.wait(HANG)
    second.start()
    first.join(HANG)
    second.join(HANG)
    assert ("second", Progress("queue", 1, 1)) in events
    spoken = [name for name, event in events if not (isinstance(event, Progress) and event.stage == "queue")]
    assert spoken == sorted(spoken) and set(spoken) == {"first", "second"}


def test_cancel_while_waiting_leaves_the_other_alone(engine: EngineLike) -> None:
    cancel = threading.Event()
    running = engine.stream(question(max_tokens=20))
    begun = next(running)
    waiting = engine.stream(question(), cancel)
    assert next(waiting) == Progress("queue", 1, 1)
    assert engine.status().waiting == 1
    cancel.set()
    assert list(waiting) == [Done("cancelled")]
    rest = [begun, *running]
    assert isinstance(rest[-1], Done) and rest[-1].reason != "cancelled"


def test_cancel_while_speaking_ends_soon_and_truly(engine: EngineLike) -> None:
    cancel = threading.Event()
    after: list[Event] = []
    for event in engine.stream(question(max_tokens=2000), cancel):
        if cancel.is_set():
            after.append(event)
        elif isinstance(event, Answer | Reasoning):
            cancel.set()
    assert isinstance(after[-1], Done) and after[-1].reason == "cancelled"
    assert len(after) < 50  # of 2000; how many were under way already is a matter of luck
    assert isinstance(answer(engine, question())[-1], Done)


def test_cancel_before_anything(engine: EngineLike) -> None:
    cancel = threading.Event()
    cancel.set()
    assert answer(engine, question(), cancel) == [Done("cancelled")]


def test_closing_the_stream_cancels(engine: EngineLike) -> None:
    stream = engine.stream(question(max_tokens=2000))
    for event in stream:
        if isinstance(event, Answer | Reasoning):
            break
    assert engine.status().state == "busy"
    stream.close()  # type: ignore[attr-defined]
    assert isinstance(answer(engine, question())[-1], Done)
    assert engine.status().state == "idle"


def test_close_ends_whoever_speaks_or_waits(own_engine: EngineLike) -> None:
    speaking = own_engine.stream(question(max_tokens=2000))
    while not isinstance(next(speaking), Answer | Reasoning):
        pass
    waiting = own_engine.stream(question())
    next(waiting)
    own_engine.close()
    with pytest.raises(EngineStopped):
        list(speaking)
    with pytest.raises(BackendError, match="closing"):
        list(waiting)
    with pytest.raises(BackendError, match="closing"):
        answer(own_engine, question())
    assert own_engine.status().state == "stopped"
