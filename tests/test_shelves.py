"""Temporary conversations without a window: a shelf of their own, and nothing left after any death."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asking import ROOT

from app import scratch
from app.blobs import Blobs
from app.jobs import Jobs
from app.shelves import Shelves
from app.store import Store, UnknownConversation
from app.turn import Draft
from mlx_backend import Answer, FakeEngine

PATIENCE = 20.0  # seconds until a test gives up; never what it measures


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where private folders are made here."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(scratch, "IN_MEMORY", tmp_path / "none")
    return folder


@pytest.fixture
def shelves(store: Store, blobs: Blobs) -> Iterator[Shelves]:
    shelves = Shelves(store, blobs)
    yield shelves
    shelves.close()


@pytest.fixture
def jobs(shelves: Shelves) -> Iterator[Jobs]:
    jobs = Jobs(shelves, FakeEngine([Answer("Once "), 0.05, Answer("upon a time")]))
    yield jobs
    jobs.close(PATIENCE)


def eventually(state: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not state() and time.monotonic() < until:
        time.sleep(0.02)
    assert state()


def test_a_temporary_conversation_has_a_shelf_of_its_own(
    jobs: Jobs, store: Store, blobs: Blobs, tmp_path: Path, temporary: Path
) -> None:
    shelves = jobs.shelves
    picture = tmp_path / "secret.png"
    picture.write_bytes(b"a picture")
    conversation = shelves.begin_temporary()
    assert jobs.start(conversation, Draft("hush", (picture,))).wait(PATIENCE)
    question, answer = shelves.of(conversation).store.path(conversation)
    assert "".join(part.text for part in answer.parts) == "Once upon a time"
    name = question.parts[0].sha256 or ""
    stored = shelves.media(name)
    assert stored is not None and (stored.media_type, stored.kept) == ("image/png", False)
    assert stored.file.is_relative_to(temporary) and stored.file.read_bytes() == b"a picture"
    assert store.conversations() == () and store.search("hush") == () and store.media_type(name) is None
    assert list(blobs.root.iterdir()) == []
    assert jobs.start(None, Draft("to be kept", (picture,))).wait(PATIENCE)
    kept = shelves.media(name)
    assert kept is not None and kept.kept
    jobs.forget(conversation)
    assert not stored.file.exists() and kept.file.exists()
    assert shelves.of(conversation) is shelves.kept
    with pytest.raises(UnknownConversation):
        jobs.start(conversation, Draft("still there?"))


def test_forgetting_ends_the_answer_and_frees_the_database(store: Store, blobs: Blobs) -> None:
    engine = FakeEngine([Answer("Once "), *[Answer("more "), 0.02] * 500])
    shelves = Shelves(store, blobs)
    jobs = Jobs(shelves, engine)
    conversation = shelves.begin_temporary()
    memory = shelves.of(conversation).store
    job = jobs.start(conversation, Draft("?"))
    jobs.forget(conversation)
    assert job.cancel.is_set()
    assert job.wait(PATIENCE)  # it ends well: the one who works on a shelf holds it
    assert memory.path(conversation)[-1].status == "interrupted"
    shelves.close()


def test_other_conversations_are_not_forgotten(jobs: Jobs, store: Store) -> None:
    job = jobs.start(None, Draft("?"))
    jobs.forget(job.begun.conversation_id)
    jobs.forget(None)
    jobs.forget("nobody")
    assert not job.cancel.is_set()
    assert job.wait(PATIENCE)
    assert store.path(job.begun.conversation_id)[-1].status == "complete"


def test_a_memory_database_is_gone_with_its_last_holder(shelves: Shelves) -> None:
    conversation = shelves.begin_temporary()
    connection = shelves.of(conversation).store._db.conn
    assert connection.execute("select count(*) from conversations").fetchone() == (1,)
    shelves.forget(conversation)
    with pytest.raises(Exception, match="closed database"):
        connection.execute("select 1")


def test_what_files_come_through_goes_with_the_folder(
    store: Store, blobs: Blobs, tmp_path: Path, temporary: Path
) -> None:
    uploads = tmp_path / "with a 'quote and -dash"
    uploads.mkdir()
    (uploads / "waiting.png").touch()
    shelves = Shelves(store, blobs, [uploads])
    shelves.close()
    assert uploads.exists()  # no temporary chat, no sweeping
    shelves.begin_temporary()
    assert [folder.stat().st_mode & 0o777 for folder in temporary.iterdir()] == [0o700]
    shelves.close()
    assert not uploads.exists() and list(temporary.iterdir()) == []


DIES = """
import sys, time
from pathlib import Path
from app import scratch
scratch.IN_MEMORY = Path({none!r})
folder = scratch.Scratch("glm-chat-test").folder()
(folder / "secret").write_text("secret")
print(folder, flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["time.sleep(600)", "raise SystemExit", "import os; os._exit(1)"])
def test_the_folder_goes_however_the_process_ends(end: str, temporary: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", DIES.format(end=end, none=str(tmp_path / "none"))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        if "sleep" in end:
            assert (folder / "secret").exists() and folder.parent == temporary
        process.kill()
    eventually(lambda: not folder.exists())


def test_what_a_power_cut_left_goes_at_the_next_start(temporary: Path) -> None:
    left, other = temporary / "glm-chat-mine-abc", temporary / "glm-chat-other-abc"
    for folder in (left, other):
        folder.mkdir()
        (folder / "secret").touch()
    scratch.Scratch("glm-chat-mine")
    assert not left.exists() and other.exists()


def test_a_small_memory_disk_is_not_taken(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(scratch, "IN_MEMORY", memory)
    for room, root in ((scratch.ROOM, memory), (10**18, temporary)):
        monkeypatch.setattr(scratch, "ROOM", room)
        one = scratch.Scratch("glm-chat-small")
        assert one.folder().parent == root
        one.close()
