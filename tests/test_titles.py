"""Titles by the model with the real store: when one is asked for and taken, and that nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app import titles
from app.blobs import Blobs
from app.config import Config
from app.jobs import Job, Jobs
from app.shelves import Shelves
from app.store import Part, Store
from app.turn import Draft
from mlx_backend import Answer, Engine, EngineStopped, FakeEngine, Reasoning, Request, Text
from mlx_backend.fake import Step

PATIENCE = 60.0  # seconds until a test gives up; never what it measures


def asks(request: Request) -> str:
    """The words of the last question."""
    return "".join(part.text for part in request.messages[-1].content if isinstance(part, Text))


class Titled:
    """Jobs on an engine that gives a title when it is asked for one."""

    def __init__(self, store: Store, blobs: Blobs, *title: Step) -> None:
        def script(request: Request) -> Sequence[Step]:
            return title if asks(request) == titles.QUESTION else [Reasoning("Hm."), Answer("A fox.")]

        self.store = store
        self.engine = FakeEngine(script)
        self.jobs = Jobs(Shelves(store, blobs), self.engine, lambda: titles.wanted(store, False))

    def ask(self, text: str, conversation: str | None = None) -> str:
        job = self.jobs.start(conversation, Draft(text))
        assert job.wait(PATIENCE)
        return job.begun.conversation_id

    def title(self, conversation: str) -> str:
        self.jobs.named(conversation)
        found = self.store.conversation(conversation)
        assert found is not None
        return found.title

    @property
    def asked(self) -> int:
        return sum(asks(request) == titles.QUESTION for request in self.engine.requests)


@pytest.mark.parametrize(
    "words", ["A Fox in the Snow", "雪地里的狐狸", "L’été à Lyon", "What's next: plans (2026)", "x" * 60]
)
def test_a_clean_title_is_taken_and_found(store: Store, blobs: Blobs, words: str) -> None:
    titled = Titled(store, blobs, Answer(words[:3]), Answer(words[3:] + "\n"))
    conversation = titled.ask("what animal is it?")
    assert titled.title(conversation) == words
    assert [one.conversation.id for one in store.search(words)] == [conversation]
    request = titled.engine.requests[-1]
    assert (request.thinking, request.max_tokens, request.sampling.temperature) == (False, 32, 0.0)
    assert titled.engine.requests[0].messages == request.messages[:1]  # the same beginning


@pytest.mark.parametrize(
    "words",
    [
        *(
            "",
            "  ",
            "…",
            "x" * 61,
            "A\nfox",
            "A\u2028fox",
            "A\x07fox",
            "a\x00b",
            "A \ud800 fox",
            "A\u202efox",
        ),
        *(
            '"A fox"',
            "“A fox”",
            "'A fox'",
            "「狐」",
            "**A fox**",
            "# A fox",
            "`fox`",
            "<b>fox</b>",
            "[a](http://b)",
        ),
    ],
)
def test_what_is_not_clean_is_no_title(words: str) -> None:
    assert titles.clean(words) is None


@pytest.mark.parametrize(
    "title",
    [[Answer("[[1,2,3,4]]", boxed=True)], [Reasoning("A fox")], [EngineStopped(-9, "answering")]],
    ids=["boxes", "thought", "stopped"],
)
def test_without_a_title_the_first_words_stay(store: Store, blobs: Blobs, title: list[Step]) -> None:
    titled = Titled(store, blobs, *title)
    conversation = titled.ask("what animal is it?")
    assert titled.title(conversation) == "what animal is it?"
    assert titled.asked == 1


def test_what_a_person_named_stays(store: Store, blobs: Blobs) -> None:
    titled = Titled(store, blobs, 0.2, Answer("A fox"))
    conversation = titled.ask("what animal is it?")
    store.rename(conversation, "Mine")  # while the title is on its way
    assert titled.title(conversation) == "Mine"
    titled.ask("and now?", conversation)
    assert titled.title(conversation) == "Mine"
    assert titled.asked <= 1
    again = titled.ask("A long question with a " + "word " * 30)
    store.rename(again, "Mine too")
    assert titled.title(again) == "Mine too"


def test_one_title_is_enough_and_late_ones_are_not_asked_for(store: Store, blobs: Blobs) -> None:
    titled = Titled(store, blobs, Answer("A fox"))
    conversation = titled.ask("what animal is it?")
    assert titled.title(conversation) == "A fox"
    titled.ask("sure?", conversation)
    assert (titled.title(conversation), titled.asked) == ("A fox", 1)
    refused = Titled(store, blobs, Answer("**A fox**"))
    other = refused.ask("one")
    for n in range(4):
        refused.jobs.named(other)
        refused.ask(f"{n}", other)
    refused.jobs.named(other)
    assert refused.asked == titles.EXCHANGES


def test_the_next_question_does_not_wait(store: Store, blobs: Blobs) -> None:
    titled = Titled(store, blobs, Answer("A "), 600.0, Answer("fox"))
    conversation = titled.ask("what animal is it?")
    titled.ask("and another thing", conversation)  # PATIENCE is less than the title takes
    titled.jobs.close(0)
    assert titled.title(conversation) == "what animal is it?"


def test_off_is_off_and_temporary_chats_have_none(store: Store, blobs: Blobs) -> None:
    titled = Titled(store, blobs, Answer("A fox"))
    store.set_setting(titles.SETTING, False)
    assert titled.title(titled.ask("what is it?")) == "what is it?"
    store.set_setting(titles.SETTING, True)
    shelves = titled.jobs.shelves
    temporary = shelves.begin_temporary()
    titled.ask("what is it?", temporary)
    titled.jobs.named(temporary)
    assert titled.asked == 0
    shelves.close()
    assert titles.wanted(store, True)  # chosen, whatever the model


def test_the_demo_model_is_not_asked_at_first(store: Store) -> None:
    assert not titles.wanted(store, Config(model="demo").is_demo)
    assert titles.wanted(store, Config(model="fake").is_demo)


def test_pictures_alone_are_named_by_their_file_until_then(
    store: Store, blobs: Blobs, tmp_path: Path
) -> None:
    picture = tmp_path / "a fox.png"
    picture.touch()
    titled = Titled(store, blobs, Answer("Red fox"))
    job = titled.jobs.start(None, Draft("", (picture,)))
    conversation = job.begun.conversation_id
    assert (found := store.conversation(conversation)) and found.title == "a fox.png"
    assert job.wait(PATIENCE)
    assert titled.title(conversation) == "Red fox"


@pytest.fixture
def engine(tiny_model: Path, tmp_path: Path) -> Iterator[Engine]:
    with Engine(tiny_model, log=tmp_path / "worker.log") as engine:
        yield engine


@pytest.mark.slow
def test_the_next_question_reuses_as_much(store: Store, blobs: Blobs, engine: Engine) -> None:
    """With the real engine: what is computed for a title takes nothing away, and the same is said."""
    from app.choices import OWN, Choices

    choices = Choices(preset=OWN, temperature=0.0, max_tokens=12)
    told: dict[bool, tuple[tuple[Part, ...], float, float]] = {}
    for with_title in (False, True):
        jobs = Jobs(Shelves(store, blobs), engine, lambda on=with_title: on)

        def ask(words: str, conversation: str | None = None, jobs: Jobs = jobs) -> Job:
            job = jobs.start(conversation, Draft(words, choices=choices))
            assert job.wait(PATIENCE)
            return job

        conversation = ask("what animal is it?").begun.conversation_id
        assert store.path(conversation)[-1].status == "complete"
        jobs.named(conversation)
        ask("and what colour?", conversation)
        answer = store.path(conversation)[-1]
        words = tuple(part for part in answer.parts if part.type != "reasoning")
        told[with_title] = words, answer.stats["cached_tokens"], answer.stats["prompt_tokens"]
    assert told[True][0] == told[False][0] and told[True][2] == told[False][2]
    assert told[True][1] >= told[False][1] > 0


def test_threads_of_titles_end(store: Store, blobs: Blobs) -> None:
    titled = Titled(store, blobs, Answer("A "), 600.0)
    titled.ask("what is it?")
    titled.jobs.close(PATIENCE)
    assert not any(thread.name == "title" for thread in threading.enumerate())
