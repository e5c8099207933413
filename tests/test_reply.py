"""The whole reply is the fold of its events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_backend.reply import Reply
from mlx_backend.types import (
    Answer,
    Boxed,
    Boxes,
    Done,
    Event,
    Progress,
    Reasoning,
    Rethink,
    Stats,
    Text,
    ToolCall,
)

PLACE = Boxes(0, ((1, 2, 3, 4),), "cat")
CALL = ToolCall("now", {})
END = Done("stop", Stats(output_tokens=3))


def fold(*events: Event) -> Reply:
    reply = Reply()
    for event in events:
        reply.add(event)
    return reply


@pytest.mark.parametrize(
    ("events", "reply"),
    [
        ((), Reply()),
        ((Progress("prefill", 1, 2),), Reply()),
        ((Reasoning("a"), Reasoning(" b")), Reply("a b")),
        ((Answer("a"), Answer(" b")), Reply(segments=[Text("a b")])),
        (
            (Answer("a "), Answer("1", True), Answer("2", True), Answer(" b")),
            Reply(segments=[Text("a "), Boxed("1"), Boxed("2"), Text(" b")]),
        ),
        ((Answer("[1,2,3,4]", True), PLACE), Reply(segments=[Boxed("[1,2,3,4]")], boxes=[PLACE])),
        ((CALL, CALL), Reply(tool_calls=[CALL, CALL])),
        ((Answer("a"), END), Reply(segments=[Text("a")], done=END)),
        ((Answer("Hm. "), Rethink()), Reply("Hm.")),
        ((Answer("Hm."), Rethink(), Answer("a")), Reply("Hm.", [Text("a")])),
        ((Reasoning("A."), Answer("B."), Rethink(), Answer("c")), Reply("A.\n\nB.", [Text("c")])),
        ((Answer("at "), Answer("[1,2]", True), PLACE, Rethink()), Reply("at [1,2]")),
        ((Reasoning("A."), Rethink()), Reply("A.")),
        ((Answer("Hm."), CALL, Rethink()), Reply("Hm.", tool_calls=[CALL])),
    ],
)
def test_folds(events: tuple[Event, ...], reply: Reply) -> None:
    assert fold(*events) == reply


def test_the_answer_is_all_that_is_visible_and_the_parts_keep_the_boxes_apart() -> None:
    reply = fold(Answer("It is "), Answer("42", True), Answer("."))
    assert reply.answer == "It is 42."
    assert reply.parts() == (Text("It is "), Boxed("42"), Text("."))


def test_a_part_of_an_earlier_look_does_not_change() -> None:
    reply = fold(Answer("a"))
    parts = reply.parts()
    reply.add(Answer("b"))
    assert parts == (Text("a"),)


@given(st.lists(st.builds(Answer, st.text(), st.booleans()) | st.builds(Reasoning, st.text())))
def test_no_piece_is_lost(events: list[Event]) -> None:
    reply = fold(*events)
    assert reply.answer == "".join(event.text for event in events if isinstance(event, Answer))
    assert reply.reasoning == "".join(event.text for event in events if isinstance(event, Reasoning))
    boxed = [event.text for event in events if isinstance(event, Answer) and event.boxed]
    assert [part.text for part in reply.parts() if isinstance(part, Boxed)] == boxed
