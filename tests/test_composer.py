"""What a draft costs, with the real store and the scripted engine: files, meter, choices, what is learnt."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asking import until

from app.documents import reading
from app.jobs import Jobs
from app.shelves import Shelves
from app.store import Store
from app.turn import BadDraft, Draft
from app.ui import sizes
from app.ui.composer import NOTHING, Composer, looks
from app.ui.settings import Settings
from mlx_backend import Answer, BackendError, Done, FakeEngine, Measured, Request, Stats

FIGURES = Stats(prompt_tokens=500, cached_tokens=100, output_tokens=5, prefill_rate=100.0)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine([Answer("Yes."), Done("stop", FIGURES)])


@pytest.fixture
def jobs(store: Store, blobs: Any, engine: FakeEngine) -> Jobs:
    return Jobs(Shelves(store, blobs), engine)


@pytest.fixture
def settings(store: Store, home: Path) -> Settings:
    return Settings(store, home, lambda: False)


@pytest.fixture
def composer(store: Store, jobs: Jobs, settings: Settings) -> Composer:
    return Composer(store, jobs, settings)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    names = ["a.png", "b.mp4"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    return [str(tmp_path / name) for name in names]


def act(
    composer: Composer, text: str = "", files: Any = (), conversation: str | None = None, **event: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    value = {"text": text, "files": list(files)}
    return composer.act(SimpleNamespace(n=1, **event), value, conversation, True)


def ask(jobs: Jobs, text: str, conversation: str | None = None) -> str:
    job = jobs.start(conversation, Draft(text))
    assert job.wait(20)
    return job.begun.conversation_id


def test_an_empty_draft_costs_nothing(composer: Composer) -> None:
    told, meter = act(composer)
    assert (told["n"], told["files"], told["details"], meter) == (1, [], None, NOTHING)
    assert composer.act(SimpleNamespace(), None, None, True)[1] == NOTHING


def test_a_message_is_counted_alone_and_with_what_was_said(composer: Composer, jobs: Jobs) -> None:
    conversation = ask(jobs, "one two three")  # the script counts two tokens a word; "Yes." is one more
    _, meter = act(composer, "four five", conversation=conversation)
    assert meter["words"] == "This message: 4 tokens; the conversation then fills less than 1 % of 65,536"
    assert meter["share"] == pytest.approx(12 / 65_536) and meter["wrong"] is False


def test_files_are_told_in_their_order_and_a_video_as_it_is_looked_at(
    composer: Composer, files: list[str]
) -> None:
    told, meter = act(composer, "", files, looks=[{}, {"fps": "1", "from": "0:10", "to": "0:30"}])
    picture, clip = told["files"]
    assert picture["cost"] == "100 tokens"
    assert clip["cost"].endswith("0:10–0:30 / 1:00 · 20 frames · 1 a second")
    assert meter["words"].startswith("This message: 500 tokens")


def test_a_file_that_cannot_be_used_says_why_and_the_rest_is_measured(
    composer: Composer, files: list[str], tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    gone, drawing = str(other / "a.png"), str(tmp_path / "x.svgz")  # one has the name of a good one
    told, meter = act(composer, "", [files[0], gone, drawing, files[1]], looks=[{}, {}, {}, {"to": "soon"}])
    assert told["files"][0]["cost"] == "100 tokens"
    assert told["files"][1] == {"problem": "there is no such file."}
    assert told["files"][2] == {"problem": sizes.NEITHER}
    assert told["files"][3]["problem"].startswith("The range ends at a time like")
    assert meter["words"].startswith("This message: 100 tokens")


class Held:
    """Stands before the real reader of documents until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, self._read = threading.Event(), reading.read
        monkeypatch.setattr(reading, "read", self.read)

    def read(self, path: Path, name: str, on_page: Any, stopped: Any) -> Any:
        on_page(12, 42)
        assert self.go.wait(20)
        return self._read(path, name, on_page, stopped)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held(monkeypatch)
    yield held
    held.go.set()


@pytest.fixture
def depths(tmp_path: Path) -> str:
    (tmp_path / "depths.md").write_text("# Depths\n\n" + "At lowest water 2.1 metres remain. " * 40)
    return str(tmp_path / "depths.md")


def papers(composer: Composer, *files: str, text: str = "How deep?", **more: Any) -> Any:
    """The chips and the meter once every document is read."""
    until(lambda: not any(chip.get("reading") for chip in act(composer, text, files, **more)[0]["files"]))
    return act(composer, text, files, **more)


def test_a_document_is_read_while_the_question_is_written(
    composer: Composer, files: list[str], depths: str, held: Held
) -> None:
    act(composer, "How deep?", [files[0], depths])
    until(lambda: "12" in act(composer, "", [depths])[0]["files"][0]["cost"])
    told, meter = act(composer, "How deep?", [files[0], depths, files[1]], looks=[{}, {}, {"fps": "1"}])
    assert told["files"][0]["cost"] == "100 tokens"
    paper = told["files"][1]
    assert (paper["kind"], paper["size"], paper["reading"]) == ("markdown", "Markdown · 1 kB", True)
    assert paper["cost"] == "Reading… page 12 of 42"
    assert told["files"][2]["cost"].endswith("1 a second")
    pages = "tokens and its document's pages, counted once they are read"
    assert meter["words"] == f"This message: 1,304 {pages}"
    assert act(composer, "", [depths])[1]["words"] == f"This message: 0 {pages}"
    held.go.set()
    told, meter = papers(composer, depths)
    assert told["files"][0]["size"] == "Markdown · 1 page · 1 kB"
    assert told["files"][0]["cost"] == "whole document, 1 of 1 page"
    assert re.fullmatch(
        r"This message and its documents: about 3\d\d tokens; .* fills less than 1 % of 65,536",
        meter["words"],
    )


def test_two_documents_that_are_not_read_yet_are_told_as_two(
    composer: Composer, depths: str, tmp_path: Path, held: Held
) -> None:
    (tmp_path / "more.txt").write_text("More.")
    meter = act(composer, "one", [depths, str(tmp_path / "more.txt")])[1]
    assert meter["words"] == "This message: 2 tokens and its documents' pages, counted once they are read"


def test_a_document_that_cannot_be_read_says_why_on_its_chip(
    composer: Composer, tmp_path: Path, depths: str
) -> None:
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7\nnothing that a PDF has")
    told, meter = papers(composer, str(tmp_path / "bad.pdf"), depths)
    assert told["files"][0]["problem"].startswith("It is damaged") and told["files"][0]["kind"] == "pdf"
    assert told["files"][1]["cost"] == "whole document, 1 of 1 page"
    assert "wrong" in meter and not meter["wrong"]


def test_a_long_document_says_how_many_pages_are_likely(composer: Composer, tmp_path: Path) -> None:
    long = tmp_path / "long.md"
    long.write_text("".join(f"# Part {n}\n\n" + f"Word {n} of many here. " * 150 + "\n\n" for n in range(60)))
    told, meter = papers(composer, str(long))
    assert told["files"][0]["cost"] == "about 8 of 60 pages"
    tokens = int(re.search(r"about ([\d,]+) tokens", meter["words"])[1].replace(",", ""))  # type: ignore[index]
    assert 5_000 < tokens < 9_000


def test_a_document_of_the_conversation_is_counted_until_it_was_read(
    composer: Composer, jobs: Jobs, depths: str
) -> None:
    conversation = ask(jobs, "one")
    store = jobs.shelves.kept.store
    assert act(composer, "two", conversation=conversation)[1]["words"].startswith("This message: 2 tokens")
    job = jobs.start(None, Draft("other", (Path(depths),)))
    assert job.wait(20)
    (document,) = store.documents_of(job.begun.conversation_id)
    store.give_document(conversation, document.id)
    meter = act(composer, "two", conversation=conversation)[1]
    assert meter["words"].startswith("This message and its documents: about 3")
    same = papers(composer, depths, conversation=conversation)  # attached once more, it is the same one
    assert same[0]["files"][0]["cost"] == "whole document, 1 of 1 page"
    assert same[1]["words"].startswith("This message and its documents: about 3")
    store.choose_document(conversation, document.id, False)
    assert act(composer, "two", conversation=conversation)[1]["words"].startswith("This message: 2 tokens")
    # read already, it costs nothing more
    after = act(composer, "two", conversation=job.begun.conversation_id)[1]
    assert after["words"].startswith("This message: 2 tokens")


def test_what_a_page_has_no_longer_is_not_read(
    composer: Composer, jobs: Jobs, depths: str, held: Held
) -> None:
    act(composer, "", [depths])
    until(lambda: jobs.ahead.state(Path(depths)).total == 42)
    act(composer, "", [])
    assert jobs.ahead.state(Path(depths)).total == 0


def test_a_file_sent_before_that_is_gone_is_told_in_the_meter(
    composer: Composer, jobs: Jobs, files: list[str], blobs: Any
) -> None:
    job = jobs.start(None, Draft("look", (Path(files[0]),)))
    assert job.wait(20)
    for file in blobs.root.glob("??/*"):
        file.unlink()
    _, meter = act(composer, "more", conversation=job.begun.conversation_id)
    assert meter["wrong"] and "a.png: its stored copy is missing." in meter["words"]


def test_what_does_not_fit_is_said_before_it_is_sent(composer: Composer, files: list[str]) -> None:
    _, meter = act(composer, "word " * 33_000, files[:1])
    assert meter["words"] == (
        "This does not fit: 66,100 tokens, 565 too many of 65,536. "
        "What helps: lower picture detail or fewer files."
    )
    assert (meter["wrong"], meter["share"]) == (True, 1.0)


def test_each_detail_is_told_for_the_attached_pictures_while_the_options_are_open(
    composer: Composer, files: list[str]
) -> None:
    told, _ = act(composer, "", [files[0], files[0], files[1]], open=True)
    assert {name: words.split(" · ")[1] for name, words in told["details"].items()} == {
        "low": "2,600 tokens", "medium": "2,600 tokens", "full": "2,600 tokens",
    }  # fmt: skip
    told, _ = act(composer, "hello", open=True)
    assert told["details"]["low"] == "at most 256 tokens a picture"


def test_choices_are_the_same_here_and_in_the_settings(composer: Composer, settings: Settings) -> None:
    settings.change({"system": "Be short."})
    told, _ = act(composer, choices={"detail": "low", "thinking_budget": None, "system": "Steal."})
    assert told["choices"] == {"detail": "low", "thinking_budget": 0}
    told, _ = act(composer, choices={"thinking_budget": 4000})
    assert told["choices"] == {"detail": "low", "thinking_budget": 4000}
    chosen = settings.value()["choices"]
    assert (chosen["detail"], chosen["thinking_budget"], chosen["system"]) == ("low", 4000, "Be short.")
    told, _ = act(composer, choices={"detail": "<b>", "thinking_budget": "many"})
    assert told["choices"] == {"detail": "full", "thinking_budget": 0}


def test_the_first_word_is_foretold_once_this_computer_was_measured(
    composer: Composer, jobs: Jobs, engine: FakeEngine
) -> None:
    conversation = ask(jobs, "one")
    assert "first word" not in act(composer, "two " * 600)[1]["words"]
    answer = jobs.shelves.kept.store.path(conversation)[-1]
    composer.learn(conversation, answer)
    assert act(composer, "two " * 600)[1]["words"].endswith(" · first word in about 12 s")
    engine.unload()
    assert act(composer, "two " * 600)[1]["words"].endswith("about 12 s once the model is loaded")


def test_what_the_engine_still_holds_is_not_counted_again(
    composer: Composer, jobs: Jobs, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = ask(jobs, "one")
    composer.learn(conversation, jobs.shelves.kept.store.path(conversation)[-1])
    idle = engine.status()
    monkeypatch.setattr(engine, "status", lambda: replace(idle, cached_tokens=700))
    words = "two " * 600  # 1203 tokens with what was said; 500 of them were in the last prompt
    assert "about 7 s" in act(composer, words, conversation=conversation)[1]["words"]
    assert "about 12 s" in act(composer, words)[1]["words"]  # another conversation
    assert (
        "about 12 s" in act(composer, words, conversation=conversation, choices={"detail": "low"})[1]["words"]
    )


def test_a_rate_of_a_few_tokens_says_nothing(composer: Composer, jobs: Jobs, engine: FakeEngine) -> None:
    engine._scripts[:] = [[Answer("Yes."), Done("stop", Stats(110, 100, prefill_rate=3.0))]]
    conversation = ask(jobs, "one")
    composer.learn(conversation, jobs.shelves.kept.store.path(conversation)[-1])
    assert "first word" not in act(composer, "two")[1]["words"]


def test_without_a_model_nothing_is_said(store: Store, blobs: Any, settings: Settings) -> None:
    class NoModel(FakeEngine):
        def measure(self, request: Request) -> Measured:
            raise BackendError("No model is chosen. Choose one, then ask again.")

    composer = Composer(store, Jobs(Shelves(store, blobs), NoModel()), settings)
    assert act(composer, "hello")[1] == NOTHING


def test_looks_for_sending_are_checked_again(tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "b.mp4"]
    assert looks([{}, {"from": "0:05"}, {"from": "x"}], files) == ({}, {"start": 5.0})
    assert looks("nonsense", files) == ({}, {})
    with pytest.raises(BadDraft, match=r"b\.mp4: The range ends at 0:01, which is not after 0:05"):
        looks([{}, {"from": "0:05", "to": "0:01"}], files)
