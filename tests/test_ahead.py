"""Documents of drafts: read before they are sent, stopped when nobody has them any more, leaving no trace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import papers
import pytest
from asking import until

from app.ahead import Ahead
from app.blobs import Blobs
from app.documents import reading
from app.documents.pages import Unreadable
from app.intake import Read
from app.jobs import Jobs
from app.shelves import Shelves
from app.store import Store
from app.turn import Draft
from mlx_backend import Answer, FakeEngine


@pytest.fixture
def ahead() -> Iterator[Ahead]:
    ahead = Ahead()
    yield ahead
    ahead.close()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    file = tmp_path / "notes.md"
    file.write_text("# Depths\n\nAt lowest water 2.1 metres remain.\n\n# Lights\n\nThey are green.\n")
    return file


class Slow:
    """Stands before the real reader and lets it go on when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, self.calls, self.ended = threading.Event(), [], threading.Event()  # type: ignore[var-annotated]
        self._read = reading.read
        monkeypatch.setattr(reading, "read", self.read)

    def read(self, path: Path, name: str, on_page: Callable[[int, int], None], stopped: Callable) -> object:
        self.calls.append(name)
        on_page(1, 2)
        while not self.go.wait(0.01):
            if stopped():
                self.ended.set()
                raise Unreadable("stopped", "Reading was stopped.")
        return self._read(path, name, on_page, stopped)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(monkeypatch)


def rows(store: Store) -> list[int]:
    tables = ("documents", "pages", "chunks", "blobs")
    return [store._db.execute(f"select count(*) from {table}").fetchone()[0] for table in tables]


def test_an_attached_document_is_read_in_memory_alone(ahead: Ahead, store: Store, notes: Path) -> None:
    ahead.want("page", [notes], store)
    until(lambda: ahead.state(notes).over)
    read = ahead.state(notes).read
    assert read is not None and [page.label for page in read.document.pages] == ["Depths"]
    assert read.document.title == "notes.md" and len(read.words) == 1
    assert rows(store) == [0, 0, 0, 0]
    ahead.want("page", [])
    assert ahead.state(notes).read is None


def test_what_cannot_be_read_says_so_before_it_is_sent(ahead: Ahead, store: Store, tmp_path: Path) -> None:
    broken, empty = tmp_path / "broken.pdf", tmp_path / "empty.txt"
    broken.write_bytes(b"%PDF-1.7\nnothing that a PDF has")
    empty.touch()
    ahead.want("page", [broken, empty], store)
    until(lambda: ahead.state(empty).over)
    assert "damaged" in ahead.state(broken).problem
    assert ahead.state(empty).problem == "There is nothing in it to read."


def test_removing_it_stops_the_reading(ahead: Ahead, store: Store, notes: Path, slow: Slow) -> None:
    ahead.want("one", [notes], store)
    ahead.want("another", [notes], store)
    until(lambda: ahead.state(notes).total == 2)
    assert (ahead.state(notes).done, ahead.state(notes).over) == (1, False)
    ahead.want("one", [])
    assert not slow.ended.wait(0.1)  # another page still has it
    ahead.want("another", [])
    assert slow.ended.wait(10)


def ask(jobs: Jobs, notes: Path, words: str = "how deep?") -> object:
    job = jobs.start(None, Draft(words, (notes,)))
    jobs.ahead.sent("page", [notes])
    return job


def test_a_question_asked_at_once_waits_for_the_reading_under_way(
    store: Store, blobs: Blobs, notes: Path, slow: Slow
) -> None:
    jobs = Jobs(Shelves(store, blobs), FakeEngine([Answer("Yes.")]))
    jobs.ahead.want("page", [notes], store)
    until(lambda: jobs.ahead.state(notes).total == 2)
    job = ask(jobs, notes)
    until(lambda: "1 of 2" in str(job.live.progress) or getattr(job.live.progress, "done", 0) == 1)
    slow.go.set()
    assert job.wait(20)
    assert slow.calls == ["notes.md"]
    (document,) = store.documents_of(job.begun.conversation_id)
    assert (document.pages, document.status) == (1, "ready")
    assert store.path(job.begun.conversation_id)[0].evidence["reading"][0]["read"] == 1
    assert jobs.ahead.state(notes).read is None
    jobs.close(1)


def test_what_was_read_once_is_not_read_again(
    store: Store, blobs: Blobs, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = Jobs(Shelves(store, blobs), FakeEngine([Answer("Yes.")]))
    assert ask(jobs, notes).wait(20)
    monkeypatch.setattr(reading, "read", lambda *_: pytest.fail("it was read again"))
    jobs.ahead.want("page", [notes], store)
    until(lambda: jobs.ahead.state(notes).over)
    read = jobs.ahead.state(notes).read
    assert read is not None and len(read.document.pages) == 1
    assert ask(jobs, notes).wait(20)
    jobs.close(1)


def test_a_scan_which_has_no_words_is_not_read_again_either(
    ahead: Ahead, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(papers.scanned())
    ahead.want("page", [scan], store)
    until(lambda: ahead.state(scan).over)
    monkeypatch.setattr(reading, "read", lambda *_: pytest.fail("it was read again"))
    name = ahead.state(scan).sha256
    assert ahead.read(name, scan, "scan.pdf", lambda done, total: None, lambda: False).document.total == 1


def test_one_that_is_sent_before_its_reading_begins_is_read_by_its_turn(
    ahead: Ahead, store: Store, notes: Path, tmp_path: Path, slow: Slow
) -> None:
    other = tmp_path / "other.md"
    other.write_text("Another one.")
    ahead.want("page", [notes], store)
    until(lambda: slow.calls == ["notes.md"])
    ahead.want("other page", [other], store)
    ahead.sent("other page", [other])
    slow.go.set()
    read: Read = ahead.read("0" * 64, other, "other.md", lambda done, total: None, lambda: False)
    assert read.document.pages[0].text.strip() == "Another one."
    until(lambda: ahead.state(notes).over)
    assert slow.calls.count("other.md") == 1


def test_stopping_the_question_stops_the_reading(store: Store, blobs: Blobs, notes: Path, slow: Slow) -> None:
    jobs = Jobs(Shelves(store, blobs), FakeEngine([Answer("Yes.")]))
    jobs.ahead.want("page", [notes], store)
    until(lambda: slow.calls == ["notes.md"])
    job = ask(jobs, notes)
    job.cancel.set()
    assert job.wait(20) and slow.ended.wait(10)
    assert store.documents_of(job.begun.conversation_id) == ()
    jobs.close(1)


def test_a_file_that_is_gone_says_nothing(ahead: Ahead, store: Store, notes: Path, tmp_path: Path) -> None:
    ahead.want("page", [tmp_path / "gone.md"], store)
    until(lambda: ahead.state(tmp_path / "gone.md").over)
    assert ahead.state(tmp_path / "gone.md").problem == ""


def test_closing_ends_it(ahead: Ahead, store: Store, notes: Path, slow: Slow) -> None:
    ahead.want("page", [notes], store)
    until(lambda: slow.calls == ["notes.md"])
    ahead.close()
    assert slow.ended.wait(10)
    ahead.want("page", [notes], store)
    assert slow.calls == ["notes.md"]
