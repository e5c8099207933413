"""Documents in a turn: read once, laid before the question, the same ever after, quotations checked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from asked_pages import BOOKS

from app import intake, library, turn
from app.answering import Live, Opening
from app.blobs import Blobs
from app.documents import reading
from app.documents.isolated import Child, Guard
from app.store import Begun, Message, Part, Store
from app.turn import BadDraft, Cancel, Draft
from app.ui import messages, sources
from mlx_backend import Answer, FakeEngine, Image, Request, Text

ASK = "How deep is the water over the sill of the inner basin?"


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    file = tmp_path / "Harbour handbook.md"
    file.write_text("\n\n".join(f"# Part {p.number}\n\n{p.text}" for p in BOOKS["en"]), "utf-8")
    return file


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    """Too long to be read whole."""
    parts = [
        f"# Part {n}\n\n{page.text}\n\n" + "Nothing of note here. " * 120
        for n, page in enumerate(BOOKS["en"] * 2)
    ]
    (tmp_path / "Manual.md").write_text("\n\n".join(parts), "utf-8")
    return tmp_path / "Manual.md"


class Chat:
    """A conversation with a scripted engine."""

    def __init__(self, store: Store, blobs: Blobs, *scripts: object) -> None:
        self.store, self.blobs = store, blobs
        self.engine = FakeEngine(*scripts)
        self.id: str | None = None
        self.lives: list[Live] = []

    def ask(self, words: str, *files: Path, cancel: Cancel | None = None) -> Message:
        return self.run(turn.begin(self.store, self.blobs, self.id, Draft(words, files)), cancel)

    def run(self, begun: Begun, cancel: Cancel | None = None) -> Message:
        self.id = begun.conversation_id
        turn.run(self.store, self.blobs, self.engine, begun, cancel or Cancel(), self.lives.append)
        return self.path[-1]

    @property
    def path(self) -> Sequence[Message]:
        assert self.id is not None
        return self.store.path(self.id)


def words(request: Request) -> str:
    return "".join(part.text for part in request.messages[-1].content if isinstance(part, Text))


def number(request: Request, of: str) -> int:
    """The number under which a page with these words was laid down."""
    before = words(request).partition(of)[0]
    return int(before.rpartition(" page ")[2].partition(" ")[0])


def quotations(answer: Message) -> list[dict]:
    return [dict(part.data) for part in answer.parts if part.type == "citation"]


def quoting(of: str, *, at: int = 0) -> object:
    def script(request: Request) -> list:
        answer = f'So it is [[{at or number(request, of)}|"{of}"]]. Really.'
        return [Answer(answer[n : n + 5]) for n in range(0, len(answer), 5)]

    return script


def test_a_question_is_answered_with_evidence(store: Store, blobs: Blobs, handbook: Path) -> None:
    chat = Chat(store, blobs, quoting("2.1 metres remain over the sill of the inner basin"))
    answer = chat.ask(ASK, handbook)
    (asked,) = chat.engine.requests
    assert words(asked).startswith("Below are pages of documents") and words(asked).endswith(f"\n\n{ASK}")
    assert all(page.text.split(". ")[0] in words(asked) for page in BOOKS["en"])
    (found,) = quotations(answer)
    assert (found["verified"], found["how"], found["words"]) == (
        True,
        "exact",
        "2.1 metres remain over the sill of the inner basin",
    )
    (document,) = store.documents_of(chat.id or "")
    (page,) = store.pages(document.id, [found["page"]])
    assert page.text[found["start"] : found["end"]] == found["words"]
    assert [part.type for part in answer.parts] == ["text", "citation", "text"]
    assert (
        "".join(part.text for part in answer.parts)
        == f'So it is [[{found["number"]}|"{found["words"]}"]]. Really.'
    )
    read = chat.path[0].evidence["reading"][0]
    assert read["read"] == read["total"] == document.total > 1
    assert chat.lives[0].parts == () and any(isinstance(live.progress, Opening) for live in chat.lives)
    assert not any("[[" in part.text for live in chat.lives for part in live.parts if part.type == "text")


def test_a_follow_up_begins_with_the_very_same_words(store: Store, blobs: Blobs, handbook: Path) -> None:
    chat = Chat(store, blobs, quoting("speak", at=1))
    chat.ask(ASK, handbook)
    chat.ask("And at night?")
    first, second = chat.engine.requests
    assert second.messages[0] == first.messages[0] and len(second.messages) == 3
    answered = "".join(part.text for part in second.messages[1].content if isinstance(part, Text))
    assert answered == 'So it is [[1|"speak"]]. Really.'  # as the model wrote it
    assert words(second) == "And at night?"
    assert store.nonce(chat.id or "") in words(first)


def test_asking_again_reads_the_same_pages(store: Store, blobs: Blobs, manual: Path) -> None:
    chat = Chat(store, blobs, [Answer("sill depth")], [Answer("one")], [Answer("two")])
    answer = chat.ask(ASK, manual)
    chat.run(store.begin_again(chat.id or "", answer.id, {}))
    _, first, second = chat.engine.requests
    assert first.messages == second.messages


def test_a_long_document_is_searched_with_the_models_terms(store: Store, blobs: Blobs, manual: Path) -> None:
    chat = Chat(
        store,
        blobs,
        [Answer("sill basin\ndepth water\n")],
        quoting("2.1 metres remain over the sill"),
        [Answer("Truro hospital")],
        quoting("At night the hospital at Truro is called"),
    )
    answer = chat.ask(ASK, manual)
    terms, asked = chat.engine.requests
    assert "Do not answer" in words(terms) and '"Manual.md" (English)' in words(terms)
    assert quotations(answer)[0]["verified"]
    read = chat.path[0].evidence["reading"][0]
    assert 0 < read["read"] < read["total"]
    later = chat.ask("Whom do I call?")
    again, last = chat.engine.requests[2:]
    assert again.messages[:2] == asked.messages[:1] + last.messages[1:2]  # asked at the conversation's end
    assert last.messages[0] == asked.messages[0] and words(last).startswith("More pages of the documents")
    assert quotations(later)[0]["verified"]
    numbers = [n.number for n in library.numbers(chat.path)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert chat.path[2].evidence["reading"][0]["read"] == len(numbers)


def test_headings_of_a_long_document_come_once_before_its_pages(
    store: Store, blobs: Blobs, manual: Path
) -> None:
    chat = Chat(store, blobs, [Answer("sill")], [Answer("One.")], [Answer("Truro")], [Answer("Two.")])
    chat.ask(ASK, manual)
    chat.ask("Whom do I call?")
    first, _, last = chat.engine.requests[1:]
    assert words(first).count(' headings of "') == 1 and last.messages[0] == first.messages[0]
    before, after = words(first).split("end of the headings]")
    assert before.startswith("Below are pages of documents") and "¦ Part 7 · 8\n" in before
    assert " page 1 · " not in before and " page 1 · " in after
    assert ' headings of "' not in words(last) and "More pages" in words(last)
    assert library.outlined(chat.path) == {store.documents_of(chat.id or "")[0].id}


def test_a_conversation_that_was_begun_without_headings_stays_as_it_was(
    store: Store, blobs: Blobs, manual: Path
) -> None:
    chat = Chat(store, blobs, [Answer("sill")], [Answer("One.")], [Answer("Truro")], [Answer("Two.")])
    chat.ask(ASK, manual)
    store._db.execute("update evidence set data = json_remove(data, '$.outlined')")  # as older apps kept it
    laid = library.lay(store, blobs, chat.id or "", turn.kept(chat.path))[chat.path[0].id]
    assert not any("headings" in part.text for part in laid if isinstance(part, Text))
    chat.ask("Whom do I call?")
    last = chat.engine.requests[-1]
    assert last.messages[0].content[:-1] == laid and ' headings of "' in words(last)


def test_a_quotation_that_is_nowhere_is_said_to_be_so(store: Store, blobs: Blobs, handbook: Path) -> None:
    chat = Chat(store, blobs, quoting("the moon is made of green cheese", at=2))
    answer = chat.ask(ASK, handbook)
    assert [(q["verified"], q["how"]) for q in quotations(answer)] == [(False, "missing")]
    shown = "\n".join(str(piece) for piece in messages.exchanges(chat.path, "/media/"))
    assert f"[&#91;2?&#93;]({sources.PREFIX}0)" in shown
    told = sources.by_answer(chat.path, str)[answer.id]
    assert told["unproven"] and [one["words"][:14] for one in told["read"]] == ["whole document"]


def test_a_number_that_was_never_given_is_words(store: Store, blobs: Blobs, handbook: Path) -> None:
    chat = Chat(store, blobs, quoting("anything at all", at=999))
    assert [part.type for part in chat.ask(ASK, handbook).parts] == ["text"]
    plain = Chat(store, blobs, quoting("anything at all", at=1))
    assert [part.type for part in plain.ask("no documents here").parts] == ["text"]


def test_a_file_is_read_once_whoever_has_it(
    store: Store, blobs: Blobs, handbook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = reading.read
    monkeypatch.setattr(reading, "read", lambda *given: calls.append(given) or real(*given))
    for _ in range(2):
        chat = Chat(store, blobs, [Answer("Yes.")])
        chat.ask(ASK, handbook)
        chat.ask(ASK, handbook)
    assert len(calls) == 1 and len(store.documents_of(chat.id or "")) == 1


def test_a_file_that_cannot_be_read_says_why_and_the_next_question_works(
    store: Store, blobs: Blobs, handbook: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\nnothing that a PDF has")
    chat = Chat(store, blobs, [Answer("Yes.")])
    answer = chat.ask("what?", broken)
    assert answer.status == "error" and answer.parts[0].text.startswith("broken.pdf: ")
    assert chat.engine.requests == []
    assert chat.ask(ASK, handbook).status == "complete"
    (asked,) = chat.engine.requests
    assert len(asked.messages) == 1 and words(asked).startswith("Below are pages")


def test_a_file_that_could_not_be_read_is_tried_again(
    store: Store, blobs: Blobs, handbook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = Chat(store, blobs, [Answer("Yes.")])
    with monkeypatch.context() as busy:
        child = partial(Child, guard=Guard(seconds=0.0, per_line=0.0))
        busy.setattr(reading, "Child", lambda arguments, guard, stopped: child(arguments, stopped=stopped))
        assert chat.ask(ASK, handbook).status == "error"
    assert chat.ask(ASK, handbook).status == "complete"


def test_one_waits_for_a_file_of_somebody_else_and_can_be_stopped(
    store: Store, blobs: Blobs, handbook: Path
) -> None:
    with intake._reading:
        cancel = Cancel()
        cancel.set()
        assert Chat(store, blobs, [Answer("Yes.")]).ask(ASK, handbook, cancel=cancel).status == "interrupted"


def test_a_document_that_is_put_aside_brings_no_more_pages(
    store: Store, blobs: Blobs, handbook: Path
) -> None:
    chat = Chat(store, blobs, [Answer("Yes.")])
    chat.ask(ASK, handbook)
    (document,) = store.documents_of(chat.id or "")
    store.choose_document(chat.id or "", document.id, False)
    chat.ask("And page 3?")
    assert chat.path[2].evidence == {}
    assert chat.engine.requests[1].messages[0] == chat.engine.requests[0].messages[0]  # what was said stays


def test_stopping_while_a_document_is_read_keeps_the_question(
    store: Store, blobs: Blobs, handbook: Path
) -> None:
    chat, cancel = Chat(store, blobs, [Answer("Yes.")]), Cancel()
    cancel.set()
    assert chat.ask(ASK, handbook, cancel=cancel).status == "interrupted"
    assert chat.path[0].evidence == {} and chat.engine.requests == []
    assert chat.run(store.begin_again(chat.id or "", chat.path[-1].id, {})).status == "complete"
    assert chat.path[0].evidence["places"]


def test_a_page_that_is_asked_for_comes_as_a_picture(store: Store, blobs: Blobs) -> None:
    file = next(Path("/usr/share/doc").glob("libtasn1-doc/*.pdf"), None)
    if file is None:
        pytest.skip("libtasn1-doc is not installed")
    chat = Chat(store, blobs, [Answer("terms")], [Answer("Yes.")])
    chat.ask("What is on page 3?", file)
    pictures = [part for part in chat.engine.requests[-1].messages[-1].content if isinstance(part, Image)]
    assert [part.name.rpartition(", ")[2] for part in pictures] == ["page 3"]
    assert isinstance(pictures[0].source, bytes) and pictures[0].source.startswith(b"\x89PNG")


def test_what_a_meter_counts_holds_the_documents(store: Store, blobs: Blobs, handbook: Path) -> None:
    chat = Chat(store, blobs, [Answer("Yes.")])
    chat.ask(ASK, handbook)
    laid = library.lay(store, blobs, chat.id or "", turn.kept(chat.path))
    asked = turn.preview(chat.path, blobs, Draft("And?"), laid)
    assert asked.messages[0] == chat.engine.requests[0].messages[0]


def test_what_is_no_document_is_not_sent(store: Store, blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"\x1f\x8b")
    with pytest.raises(BadDraft, match=r"a\.zip is neither a picture, a video nor a document"):
        turn.begin(store, blobs, None, Draft("look", (tmp_path / "a.zip",)))


def test_a_citation_is_stored_and_gone_on_with(store: Store, blobs: Blobs, handbook: Path) -> None:
    chat = Chat(store, blobs, quoting("2.1 metres remain over the sill"), [Answer(" And more.")])
    answer = chat.ask(ASK, handbook)
    store._db.execute("update turns set finish_reason = 'length' where message_id = ?", [answer.id])
    longer = chat.run(store.go_on(chat.id or "", answer.id))
    assert longer.parts[:2] == answer.parts[:2]
    assert longer.parts[2] == Part("text", ". Really. And more.")
