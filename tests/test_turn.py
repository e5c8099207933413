"""One turn with the real store and real files: what is asked, what is kept, how it ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from media import write_video
from PIL import Image as Pillow

from app import turn
from app.answering import Live
from app.blobs import Blobs
from app.choices import Choices
from app.store import Message, Part, Store
from app.turn import BadDraft, Cancel, Draft
from mlx_backend import (
    Answer,
    BadMedia,
    Boxed,
    Boxes,
    Done,
    Engine,
    EngineStopped,
    Event,
    FakeEngine,
    Image,
    Progress,
    Reasoning,
    Request,
    Rethink,
    Saw,
    Shown,
    Stats,
    Text,
    Video,
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "a cat.png"
    file.write_bytes(b"png of a cat")
    return file


def answer(
    store: Store, blobs: Blobs, engine: turn.Streaming, draft: Draft, conversation: str | None = None
) -> tuple[str, Message, list[Live]]:
    """Run one turn to its end: conversation, stored answer, everything published."""
    begun = turn.begin(store, blobs, conversation, draft)
    seen: list[Live] = []
    turn.run(store, blobs, engine, begun, Cancel(), seen.append)
    return begun.conversation_id, store.path(begun.conversation_id)[-1], seen


def test_a_whole_turn(store: Store, blobs: Blobs, picture: Path) -> None:
    stats = Stats(prompt_tokens=30, output_tokens=4, first_token_seconds=0.5)
    events = [Progress("prefill", 0, 30), Reasoning("hm"), Answer("A "), Answer("cat."), Done("stop", stats)]
    engine = FakeEngine(events)
    conversation, stored, seen = answer(store, blobs, engine, Draft("What is it?", (picture,)))
    assert (stored.status, stored.reason) == ("complete", "stop")
    reasoning, words = stored.parts
    assert (reasoning.type, reasoning.text, words) == ("reasoning", "hm", Part("text", "A cat."))
    assert reasoning.data["over"] is True and reasoning.data["seconds"] >= 0
    assert Progress("prefill", 0, 30) in [live.progress for live in seen]
    assert seen[-1].parts == stored.parts
    (asked,) = engine.requests
    assert asked.thinking is True
    image, text = asked.messages[0].content
    assert isinstance(image, Image) and isinstance(image.source, Path)
    assert (image.name, image.source.read_bytes(), text) == (
        "a cat.png",
        b"png of a cat",
        Text("What is it?"),
    )
    picture.unlink()  # the conversation has its own copy
    answer(store, blobs, engine, Draft("And now?"), conversation)
    assert engine.requests[1].messages[0].content == (image, text)


def test_past_turns_go_back_as_they_were(store: Store, blobs: Blobs, tmp_path: Path) -> None:
    clip = tmp_path / "walk.mp4"
    clip.write_bytes(b"mp4")
    engine = FakeEngine(
        [Reasoning("look"), Answer("At "), Answer("[[1,2]]", boxed=True), Answer(" there")], [Answer("ok")]
    )
    conversation, stored, _ = answer(store, blobs, engine, Draft("Where?", (clip,), Choices(thinking=False)))
    assert [part.type for part in stored.parts] == ["reasoning", "text", "box", "text"]
    answer(store, blobs, engine, Draft("Sure?"), conversation)
    question, reply, again = engine.requests[1].messages
    assert isinstance(question.content[0], Video) and question.thinking is False
    assert reply.content == (Text("At "), Boxed("[[1,2]]"), Text(" there"))
    assert (again.content, again.thinking, engine.requests[1].thinking) == ((Text("Sure?"),), True, True)


def test_places_are_kept_with_their_words(store: Store, blobs: Blobs) -> None:
    boxes = Boxes(0, ((1, 2, 3, 4),), "cup")
    engine = FakeEngine([Answer("cup: "), Answer("[[1,2,3,4]]", boxed=True), boxes, Answer("!")])
    _, stored, _ = answer(store, blobs, engine, Draft("Find the cup"))
    assert stored.parts[1].data == {"image": 0, "boxes": [[1, 2, 3, 4]], "label": "cup"}


def test_words_that_turn_out_to_be_thinking(store: Store, blobs: Blobs) -> None:
    engine = FakeEngine([Answer("I wonder"), Rethink(), Answer("Yes.")])
    _, stored, _ = answer(store, blobs, engine, Draft("?"))
    assert [(part.type, part.text) for part in stored.parts] == [("reasoning", "I wonder"), ("text", "Yes.")]


@pytest.mark.parametrize("kind", ["length", "repetition"])
def test_other_ends_are_complete_and_say_why(store: Store, blobs: Blobs, kind: str) -> None:
    engine = FakeEngine([Answer("x"), Done(kind)])  # type: ignore[arg-type]
    _, stored, _ = answer(store, blobs, engine, Draft("?"))
    assert (stored.status, stored.reason) == ("complete", kind)


@pytest.mark.parametrize(("by_person", "reason"), [(True, "cancelled"), (False, None)])
def test_stopping_keeps_the_words(store: Store, blobs: Blobs, by_person: bool, reason: str | None) -> None:
    begun = turn.begin(store, blobs, None, Draft("?"))
    cancel = Cancel()
    cancel.by_person = by_person

    def publish(live: Live) -> None:
        if live.parts:
            cancel.set()

    turn.run(store, blobs, FakeEngine([Answer("half"), 60.0, Answer("late")]), begun, cancel, publish)
    stored = store.path(begun.conversation_id)[-1]
    assert (stored.status, stored.reason, stored.parts) == ("interrupted", reason, (Part("text", "half"),))


def test_an_engine_that_dies(store: Store, blobs: Blobs) -> None:
    error = EngineStopped(-9, "answering")
    _, stored, _ = answer(store, blobs, FakeEngine([Answer("half"), error]), Draft("?"))
    assert stored.status == "error"
    assert stored.parts == (
        Part("text", "half"),
        Part("error", error.message, None, {"kind": "EngineStopped"}),
    )


def test_anything_else_is_one_plain_sentence(
    store: Store, blobs: Blobs, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
            yield Answer("half")
            raise ZeroDivisionError("secret detail")

    _, stored, _ = answer(store, blobs, Broken(), Draft("?"))
    assert stored.parts[-1].text == turn.UNEXPECTED
    assert "secret detail" in caplog.text and "secret detail" not in stored.parts[-1].text


def test_a_picture_that_failed_does_not_poison_the_conversation(
    store: Store, blobs: Blobs, picture: Path
) -> None:
    engine = FakeEngine([BadMedia("a cat.png", "it is not a picture.")], [EngineStopped(1)], [Answer("fine")])
    conversation, _, _ = answer(store, blobs, engine, Draft("one", (picture,)))
    answer(store, blobs, engine, Draft("two"), conversation)
    answer(store, blobs, engine, Draft("three"), conversation)
    assert [message.content for message in engine.requests[2].messages] == [(Text("two"),), (Text("three"),)]


def test_a_lost_file_is_told_by_its_name(store: Store, blobs: Blobs, picture: Path) -> None:
    engine = FakeEngine([Answer("ok")])
    conversation, stored, _ = answer(store, blobs, engine, Draft("one", (picture,)))
    question = store.path(conversation)[0]
    blobs.path(question.parts[0].sha256 or "").unlink()
    _, stored, _ = answer(store, blobs, engine, Draft("two"), conversation)
    assert stored.status == "error" and "a cat.png: its stored copy is missing." in stored.parts[0].text
    assert len(engine.requests) == 1


def test_the_partial_answer_is_on_disk_while_it_streams(
    store: Store, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "CHECKPOINT_SECONDS", 0.0)
    begun = turn.begin(store, blobs, None, Draft("?"))
    on_disk: list[Sequence[Part]] = []

    def publish(live: Live) -> None:
        on_disk.append(store.path(begun.conversation_id)[-1].parts)

    turn.run(store, blobs, FakeEngine([Answer("a"), Answer("b"), Answer("c")]), begun, Cancel(), publish)
    assert (Part("text", "a"),) in on_disk and (Part("text", "ab"),) in on_disk


def test_a_deleted_conversation_ends_its_answer(
    store: Store, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "CHECKPOINT_SECONDS", 0.0)
    begun, cancel = turn.begin(store, blobs, None, Draft("?")), Cancel()
    store.delete_conversation(begun.conversation_id)
    turn.run(
        store, blobs, FakeEngine([Answer("a"), Answer("b"), 60.0, Answer("c")]), begun, cancel, lambda _: None
    )
    assert store.conversations() == ()


@pytest.mark.parametrize("name", ["notes.txt", "page.html", "no-extension", "drawing.svgz", "a.tar.gz"])
def test_other_files_are_refused_by_name(store: Store, blobs: Blobs, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b packed, whatever its name says")
    with pytest.raises(BadDraft, match=name):
        turn.begin(store, blobs, None, Draft("look", (tmp_path / name,)))
    assert store.conversations() == () and list(blobs.root.iterdir()) == []


def test_nothing_and_gone_files_are_refused(store: Store, blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(BadDraft, match="nothing to send"):
        turn.begin(store, blobs, None, Draft(" \n "))
    with pytest.raises(BadDraft, match=r"gone\.png could not be stored: No such file"):
        turn.begin(store, blobs, None, Draft("look", (tmp_path / "gone.png",)))
    assert store.conversations() == ()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello there", "Hello there"),
        ("two\n\n  lines", "two lines"),
        ("", "a cat.png"),
        ("word " * 30, "word " * 11 + "word…"),
        ("x" * 100, "x" * 60 + "…"),
    ],
)
def test_titles(text: str, title: str) -> None:
    assert turn.title_of(Draft(text, (Path("/somewhere/a cat.png"),))) == title


def test_a_cut_answer_goes_on_after_its_words(store: Store, blobs: Blobs) -> None:
    boxed = Answer("[[1,2,3,4]]", boxed=True)
    first = [
        Reasoning("hm"),
        Answer("Here: "),
        boxed,
        Boxes(0, ((1, 2, 3, 4),), "Here:"),
        Answer(" and"),
        Done("length"),
    ]
    engine = FakeEngine(first, [Answer(" there."), Done("stop")])
    conversation, cut, _ = answer(store, blobs, engine, Draft("Where?"))
    begun = store.go_on(conversation, cut.id)
    seen: list[Live] = []
    turn.run(store, blobs, engine, begun, Cancel(), seen.append)
    assert seen[0].parts[1:] == cut.parts[1:]  # nothing vanishes from the screen meanwhile
    whole = store.path(conversation)[-1]
    assert (whole.status, whole.reason) == ("complete", "stop")
    assert [part.text for part in whole.parts] == ["hm", "Here: ", "[[1,2,3,4]]", " and there."]
    assert whole.parts[2].data == cut.parts[2].data
    assert whole.parts[0].data["over"] and whole.parts[0].data["seconds"] >= cut.parts[0].data["seconds"]
    asked = engine.requests[1].messages
    assert [m.role for m in asked] == ["user", "assistant"]
    assert engine.requests[1].go_on and not engine.requests[0].go_on
    assert (
        asked[1].content == (Text("Here: "), Boxed("[[1,2,3,4]]"), Text(" and"))
        and asked[1].reasoning == "hm"
    )


def test_a_cut_reasoning_goes_on_as_reasoning(store: Store, blobs: Blobs) -> None:
    engine = FakeEngine(
        [Reasoning("Let me"), Done("length")], [Reasoning(" see."), Answer("A cat."), Done("stop")]
    )
    conversation, cut, _ = answer(store, blobs, engine, Draft("What?"))
    turn.run(store, blobs, engine, store.go_on(conversation, cut.id), Cancel(), lambda live: None)
    assert [part.text for part in store.path(conversation)[-1].parts] == ["Let me see.", "A cat."]
    assert engine.requests[1].messages[-1].reasoning == "Let me"


def test_going_on_keeps_pictures_that_another_model_made(store: Store, blobs: Blobs, picture: Path) -> None:
    begun = turn.begin(store, blobs, None, Draft("Draw a cat.", (picture,)))
    drawn = store.path(begun.conversation_id)[0].parts[0]
    store.finish(begun.answer_id, (Part("text", "Here is"), drawn), "interrupted", None, None)
    engine = FakeEngine([Answer(" a cat."), Done("stop")])
    goes_on = store.go_on(begun.conversation_id, begun.answer_id)
    turn.run(store, blobs, engine, goes_on, Cancel(), lambda live: None)
    after = store.path(begun.conversation_id)[-1]
    assert [(part.type, part.text) for part in after.parts] == [("image", ""), ("text", "Here is a cat.")]
    assert after.parts[0].sha256 == drawn.sha256


def test_going_on_that_fails_keeps_what_there_was(store: Store, blobs: Blobs) -> None:
    engine = FakeEngine([Answer("Once upon"), Done("length")], [EngineStopped(9, "answering")])
    conversation, cut, _ = answer(store, blobs, engine, Draft("Tell me."))
    turn.run(store, blobs, engine, store.go_on(conversation, cut.id), Cancel(), lambda live: None)
    after = store.path(conversation)[-1]
    assert after.status == "error"
    assert [part.type for part in after.parts] == ["text", "error"] and after.parts[0].text == "Once upon"


def test_an_edited_question_keeps_its_pictures(store: Store, blobs: Blobs, picture: Path) -> None:
    engine = FakeEngine([Answer("A cat."), Done("stop")])
    conversation, _, _ = answer(store, blobs, engine, Draft("What is it?", (picture,)))
    question = store.path(conversation)[0]
    kept = tuple(part for part in question.parts if part.sha256)
    draft = Draft("What colour is it?", kept=kept, instead_of=question.id)
    answer(store, blobs, engine, draft, conversation)
    edited = store.path(conversation)[0]
    assert edited.parts == (*kept, Part("text", "What colour is it?"))
    assert len(edited.variants) == 2 and len(engine.requests[1].messages) == 1


def test_how_long_reading_will_take_is_told_by_its_speed(store: Store, blobs: Blobs) -> None:
    events = [
        Progress("prefill", 100, 900),
        0.2,
        Progress("prefill", 300, 900),
        Answer("A cat."),
        Done("stop"),
    ]
    _, _, seen = answer(store, blobs, FakeEngine(events), Draft("What?"))
    first, second = (live for live in seen if live.progress is not None and live.progress.stage == "prefill")
    assert first.left is None
    assert second.left is not None and second.left >= 0.6  # 600 tokens at 1,000 a second, or slower
    assert seen[-1].left is None and seen[-1].progress is None


def test_what_a_draft_would_ask_is_what_is_asked_then(
    store: Store, blobs: Blobs, picture: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "walk.mp4"
    clip.write_bytes(b"mp4")
    engine = FakeEngine([Reasoning("hm"), Answer("ok")])
    conversation, _, _ = answer(store, blobs, engine, Draft("One", (picture,), Choices(thinking=False)))
    looks: tuple[dict[str, float], ...] = ({}, {"fps": 1.0, "start": 2.0, "end": 5.0})
    draft = Draft(" Two ", (picture, clip), Choices(detail="low", system="Be short."), looks=looks)
    before = sorted(blobs.root.rglob("*"))
    told = turn.preview(store.path(conversation), blobs, draft)
    assert sorted(blobs.root.rglob("*")) == before  # nothing is copied
    answer(store, blobs, engine, draft, conversation)

    def spelled(request: Request) -> Request:
        """With the bytes in place of where they lie."""
        return replace(
            request,
            messages=tuple(
                replace(
                    message,
                    content=tuple(
                        replace(part, source=part.source.read_bytes())  # type: ignore[arg-type, union-attr]
                        if isinstance(part, Image | Video)
                        else part
                        for part in message.content
                    ),
                )
                for message in request.messages
            ),
        )

    assert spelled(told) == spelled(engine.requests[1])
    stored = store.path(conversation)[-2].parts
    assert [dict(part.data) for part in stored[:2]] == [
        {"name": "a cat.png", "media_type": "image/png"},
        {"name": "walk.mp4", "media_type": "video/mp4", "fps": 1.0, "start": 2.0, "end": 5.0},
    ]


def test_a_draft_of_something_else_cannot_be_looked_at(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(BadDraft, match=r"notes\.txt is neither"):
        turn.preview((), blobs, Draft("", (tmp_path / "notes.txt",)))


CAT = Shown("a cat.png", False, (400, 200), 392, 196, 98)
WALK = Shown("walk.mp4", True, (128, 96), 140, 84, 60, (2.0, 3.0), 10.0)


def test_what_the_model_saw_is_kept_with_the_answer(store: Store, blobs: Blobs, picture: Path) -> None:
    events = [Progress("load", 1, 1), Saw((CAT, WALK)), Progress("prefill", 0, 9), Answer("ok")]
    _, stored, seen = answer(store, blobs, FakeEngine(events), Draft("?", (picture,)))
    assert stored.stats["saw"] == json.loads(json.dumps([asdict(CAT), asdict(WALK)]))
    assert stored.stats["prompt_tokens"] == 0
    told = [live.progress.stage for live in seen if live.progress]
    assert told == ["load"] * 4 + ["prefill"]  # what is waited for stays on the screen


def test_what_was_seen_before_it_failed_is_kept_too(store: Store, blobs: Blobs, picture: Path) -> None:
    engine = FakeEngine([Saw((CAT,)), EngineStopped(-9, "reading the conversation")])
    _, stored, _ = answer(store, blobs, engine, Draft("?", (picture,)))
    assert stored.status == "error"
    assert stored.stats == {"saw": [json.loads(json.dumps(asdict(CAT)))]}


def test_an_answer_about_words_alone_says_nothing_of_pictures(store: Store, blobs: Blobs) -> None:
    _, stored, _ = answer(store, blobs, FakeEngine([Saw(()), Answer("ok")]), Draft("?"))
    assert "saw" not in stored.stats


def test_going_on_that_fails_keeps_what_the_first_half_cost(store: Store, blobs: Blobs) -> None:
    first = [Saw((CAT,)), Answer("Once"), Done("length", Stats(prompt_tokens=7))]
    engine = FakeEngine(first, [Saw((CAT,)), EngineStopped(9, "answering")])
    conversation, cut, _ = answer(store, blobs, engine, Draft("Tell me."))
    turn.run(store, blobs, engine, store.go_on(conversation, cut.id), Cancel(), lambda live: None)
    assert store.path(conversation)[-1].stats == cut.stats


def test_a_look_at_a_video_reaches_the_model_in_this_turn_and_the_next(
    store: Store, blobs: Blobs, tmp_path: Path
) -> None:
    (clip := tmp_path / "walk.mp4").write_bytes(b"mp4")
    look = {"fps": 1.0, "start": 2.0, "end": 6.0, "name": "evil", "sha256": "no"}
    engine = FakeEngine([Answer("ok")])
    conversation, _, _ = answer(store, blobs, engine, Draft("?", (clip,), looks=(look,)))  # type: ignore[arg-type]
    answer(store, blobs, engine, Draft("And?"), conversation)
    for asked in engine.requests:
        video = asked.messages[0].content[0]
        assert isinstance(video, Video) and isinstance(video.source, Path)
        assert video == Video(video.source, "walk.mp4", fps=1.0, start=2.0, end=6.0)
    data = {"name": "walk.mp4", "media_type": "video/mp4", "fps": 1.0, "start": 2.0, "end": 6.0}
    assert store.path(conversation)[0].parts[0].data == data


def test_what_a_draft_is_measured_at_is_what_it_costs_in_every_turn(
    store: Store, blobs: Blobs, tmp_path: Path, tiny_model: Path
) -> None:
    """The real engine: before each of three turns, with files that are not stored yet."""
    Pillow.new("RGB", (500, 300), "red").save(tmp_path / "red.png")
    write_video(tmp_path / "walk.mp4", 150)
    low = Choices(thinking=False, detail="low", max_tokens=3, temperature=0.0)
    think = Choices(max_tokens=3, temperature=0.0, system="Be brief.")
    drafts = [
        Draft("What is it?", (tmp_path / "red.png",), think),
        Draft("And this?", (tmp_path / "walk.mp4", tmp_path / "red.png"), low, looks=({"start": 1.0},)),
        Draft("Thank you.", choices=think),
    ]
    conversation = None
    with Engine(tiny_model) as engine:
        for draft in drafts:
            path = store.path(conversation) if conversation else ()
            measured = engine.measure(turn.preview(path, blobs, draft))
            conversation, stored, _ = answer(store, blobs, engine, draft, conversation)
            assert stored.status == "complete"
            assert stored.stats["prompt_tokens"] == measured.tokens
            assert stored.stats["saw"] == json.loads(json.dumps([asdict(one) for one in measured.shown]))
