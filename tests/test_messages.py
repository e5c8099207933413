"""Stored and live turns as Chatbot messages: words for every state, no markup out of a person's text."""

from __future__ import annotations

from typing import Any

import pytest

from app.answering import Live
from app.store import Message, Part
from app.ui import messages
from mlx_backend import Progress

MEDIA = "http://h/media/"


def answer(*parts: Part, status: Any = "complete", reason: str | None = "stop") -> Message:
    return Message("id", "assistant", status, parts, {}, reason)


def texts(shown: list[dict[str, Any]]) -> list[str]:
    return [piece["text"] for message in shown for piece in message["content"]]


def test_a_question_is_one_group_of_files_and_words() -> None:
    image = Part("image", "", "ab" * 32, {"name": "<b>.png", "media_type": "image/png"})
    (shown,) = messages.question(Message("id", "user", "complete", (image, Part("text", "hi"))), MEDIA)
    file, words = shown["content"]
    assert file["file"]["url"] == MEDIA + "ab" * 32
    assert (file["file"]["mime_type"], words) == ("image/png", {"type": "text", "text": "hi"})


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("plain, words (really): yes!", "plain, words (really): yes!"),
        ("*a* _b_ `c`", "&#42;a&#42; &#95;b&#95; &#96;c&#96;"),
        ("# head\n- item\n1. one", "&#35; head\n&#45; item\n1&#46; one"),
        ("    code", "&nbsp;&nbsp;&nbsp;&nbsp;code"),
        ("<img src=x>", "&#60;img src=x&#62;"),
        ("![a](http://t/x)", "!&#91;a&#93;(http&#58;//t/x)"),
        ("$$x$$ \\(y\\)", "&#36;&#36;x&#36;&#36; &#92;(y&#92;)"),
        ("&lt;", "&#38;lt;"),
    ],
)
def test_a_persons_words_are_shown_as_typed(typed: str, shown: str) -> None:
    assert messages.literal(typed) == shown


def test_only_the_end_of_a_live_answer_changes() -> None:
    text = "one\n    two\n\n```\n  code\n"
    before = ""
    for n in range(1, len(text)):
        (shown,) = texts(messages.arriving(Live((Part("text", text[:n]),)), MEDIA)) or [""]
        assert shown.startswith(before)
        before = shown


def test_thinking_runs_and_then_folds() -> None:
    running = Part("reasoning", "hm", None, {"seconds": 2.4, "over": False})
    (shown,) = messages.arriving(Live((running,)), MEDIA)
    assert shown["metadata"] == {"title": "Thinking… 2 s", "status": "pending"}
    over = Part("reasoning", "hm", None, {"seconds": 1.34, "over": True})
    shown = messages.arriving(Live((over, Part("text", "Yes"))), MEDIA)[0]
    assert shown["metadata"] == {"title": "Thought for 1.3 s", "status": "done"}
    shown = messages.answer(answer(running, status="interrupted", reason=None), MEDIA)[
        0
    ]  # cut off by a crash
    assert shown["metadata"]["status"] == "done"
    assert messages.duration(125.9) == "2 min 5 s"


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (None, "Getting ready…"),
        (Progress("queue", 1, 1), "Waiting for 1 other answer to finish…"),
        (Progress("queue", 2, 2), "Waiting for 2 other answers to finish…"),
        (Progress("load", 250, 1000), "Loading the model… 25%"),
        (Progress("load", 0, 0), "Loading the model…"),
        (Progress("images", 1, 4), "Looking at the pictures… 1 of 4"),
        (Progress("prefill", 3200, 9800), "Reading… 3,200 of 9,800 tokens"),
    ],
)
def test_waiting_is_told_in_words(progress: Progress | None, words: str) -> None:
    assert messages.waiting(Live((), progress)) == words
    assert messages.waiting(Live((Part("text", "here"),), progress)) == ""


@pytest.mark.parametrize(
    ("message", "note"),
    [
        (answer(Part("text", "x"), status="interrupted", reason="cancelled"), "You stopped this answer."),
        (answer(Part("text", "x"), status="interrupted", reason=None), "the app was closed before"),
        (answer(Part("text", "x"), reason="length"), "length limit"),
        (answer(Part("text", "x"), reason="repetition"), "repeating itself"),
        (
            answer(Part("error", "Oh no.", None, {"kind": "EngineStopped"}), status="error", reason=None),
            "Oh no.",
        ),
        (
            answer(Part("error", "Bad.", None, {"kind": "BadMedia"}), status="error", reason=None),
            messages.LEFT_OUT,
        ),
    ],
)
def test_how_an_answer_ended_is_said(message: Message, note: str) -> None:
    last = texts(messages.answer(message, MEDIA))[-1]
    assert note in last and "](#note-" in last


def test_a_good_end_needs_no_words() -> None:
    said = answer(Part("text", "[[1]]"), Part("box", "7"), Part("text", "!"))
    assert texts(messages.answer(said, MEDIA)) == ["[[1]]7!"]


def test_a_problem_cannot_smuggle_markup() -> None:
    bad = Part("error", "x](http://t) <img src=y>.png: broken", None, {"kind": "BadMedia"})
    (note,) = texts(messages.answer(answer(bad, status="error", reason=None), MEDIA))
    assert note.count("](") == 1 and "<img" not in note


def test_files_of_an_answer_are_shown_where_they_stand() -> None:
    image = Part("image", "", "cd" * 32, {"name": "drawn.png", "media_type": "image/png"})
    said = answer(
        Part("reasoning", "hm"), Part("text", "Here: "), image, Part("text", "\n"), Part("text", "Done.")
    )
    thought, shown = messages.answer(said, MEDIA)
    assert "metadata" in thought
    before, file, after = shown["content"]
    assert (before["text"], after["text"]) == ("Here: ", "\nDone.")
    assert (file["file"]["url"], file["alt_text"]) == (MEDIA + "cd" * 32, "drawn.png")


def test_a_file_alone_is_an_answer() -> None:
    image = Part("image", "", "cd" * 32, {"name": "drawn.png", "media_type": "image/png"})
    (shown,) = messages.answer(answer(Part("text", "\n"), image), MEDIA)
    assert [piece["type"] for piece in shown["content"]] == ["file"]
