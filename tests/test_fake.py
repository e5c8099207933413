"""The scripted engine's own side; what it shares with the real one is in test_engine.py."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from asking import answer, question

from mlx_backend import (
    Answer,
    BadMedia,
    Boxes,
    Done,
    EngineStopped,
    Event,
    FakeEngine,
    Image,
    Message,
    Reasoning,
    Reply,
    Request,
    Stats,
    Text,
)


def reply(events: list[Event]) -> Reply:
    whole = Reply()
    for event in events:
        whole.add(event)
    return whole


def test_scripts_are_played_in_order_and_the_last_one_stays() -> None:
    engine = FakeEngine([Answer("one")], [Answer("two")])
    assert [reply(answer(engine, question())).answer for _ in range(3)] == ["one", "two", "two"]


def test_a_script_ends_where_it_says_or_with_stop() -> None:
    ending = Done("length", Stats(output_tokens=3))
    assert answer(FakeEngine([Answer("a"), ending, Answer("never")]), question())[-2:] == [
        Answer("a"),
        ending,
    ]
    assert answer(FakeEngine([Answer("a")]), question())[-1] == Done("stop")


def test_a_script_can_fail_and_the_next_one_works() -> None:
    engine = FakeEngine([Answer("half"), BadMedia("a.png", "not a picture.")], [Answer("whole")])
    with pytest.raises(BadMedia, match=r"a\.png"):
        answer(engine, question())
    assert reply(answer(engine, question())).answer == "whole"


def test_a_script_may_be_made_from_the_request_and_requests_are_kept() -> None:
    engine = FakeEngine(lambda request: [Answer(f"{request.max_tokens} tokens")])
    assert reply(answer(engine, question(max_tokens=5))).answer == "5 tokens"
    assert engine.requests == [question(max_tokens=5)]


def test_a_pause_is_cut_short_by_cancel() -> None:
    cancel = threading.Event()
    stream = FakeEngine([Answer("a"), 3600.0, Answer("b")]).stream(question(), cancel)
    while next(stream) != Answer("a"):
        pass
    cancel.set()
    assert list(stream) == [Done("cancelled")]


def test_a_pause_is_cut_short_by_close() -> None:
    engine = FakeEngine([Answer("a"), 3600.0])
    stream = engine.stream(question())
    while next(stream) != Answer("a"):
        pass
    threading.Timer(0.1, engine.close).start()
    with pytest.raises(EngineStopped):
        list(stream)


def test_the_default_script_thinks_answers_and_points_at_the_first_picture() -> None:
    content = (Image(Path("a.png"), "a.png"), Text("Where is it?"))
    asked = Request((Message("user", content),))
    events = answer(FakeEngine(), asked)
    box = next(n for n, event in enumerate(events) if isinstance(event, Boxes))
    assert events[box - 1] == Answer("[[250, 250, 750, 750]]", boxed=True)
    assert any(isinstance(event, Reasoning) for event in events)
    assert "*Where is it?*" in reply(events).answer
    assert events == answer(FakeEngine(), asked)


def test_the_default_script_without_picture_or_thinking() -> None:
    events = answer(FakeEngine(), question())
    assert not any(isinstance(event, Boxes | Reasoning) for event in events)
