"""The store against a real SQLite file: what is written together, what survives, what is refused."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store import Part, StillAnswering, Store, StoredBlob, UnknownConversation, ulid

ASK = (Part("text", "What is this?"),)
SHA = "ab" * 32
PICTURE = StoredBlob(SHA, "image/png", 12)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "home" / "chat.db")
    yield store
    store.close()


def test_a_turn_is_all_there_before_the_answer_begins(store: Store) -> None:
    image = Part("image", "", SHA, {"name": "a.png"})
    begun = store.begin_turn(None, "What is this?", (image, *ASK), (PICTURE,), {"thinking": True})
    question, answer = store.path(begun.conversation_id)
    assert (question.role, question.status, question.parts) == ("user", "complete", (image, *ASK))
    assert (answer.role, answer.status, answer.parts) == ("assistant", "streaming", ())
    assert answer.options == {"thinking": True}
    assert store.media_type(SHA) == "image/png"
    assert [c.title for c in store.conversations()] == ["What is this?"]


def test_a_failed_turn_writes_nothing(store: Store) -> None:
    unknown_file = Part("image", "", "cd" * 32)  # no such row in blobs: the foreign key refuses it
    with pytest.raises(sqlite3.IntegrityError):
        store.begin_turn(None, "t", (unknown_file,))
    assert store.conversations() == ()


def test_checkpoints_replace_and_finish_ends(store: Store) -> None:
    begun = store.begin_turn(None, "t", ASK)
    assert store.checkpoint(begun.answer_id, (Part("reasoning", "hm"),))
    assert store.checkpoint(begun.answer_id, (Part("reasoning", "hm, yes", None, {"seconds": 1.5}),))
    parts = (Part("reasoning", "hm, yes", None, {"seconds": 1.5}), Part("text", "A cat."))
    assert store.finish(begun.answer_id, parts, "complete", "stop", {"output_tokens": 7, "decode_rate": 3.5})
    answer = store.path(begun.conversation_id)[-1]
    assert (answer.status, answer.reason, answer.parts) == ("complete", "stop", parts)


def test_nothing_rewrites_an_ended_answer(store: Store) -> None:
    begun = store.begin_turn(None, "t", ASK)
    store.finish(begun.answer_id, (Part("text", "done"),), "complete", "stop")
    assert not store.checkpoint(begun.answer_id, (Part("text", "late"),))
    assert not store.finish(begun.answer_id, (Part("text", "late"),), "error")
    assert store.path(begun.conversation_id)[-1].parts == (Part("text", "done"),)


def test_an_answer_cannot_end_as_streaming(store: Store) -> None:
    begun = store.begin_turn(None, "t", ASK)
    with pytest.raises(ValueError, match="streaming"):
        store.finish(begun.answer_id, (), "streaming")


def test_turns_follow_each_other(store: Store) -> None:
    first = store.begin_turn(None, "t", ASK)
    store.finish(first.answer_id, (Part("text", "one"),), "complete", "stop")
    second = store.begin_turn(first.conversation_id, "ignored", (Part("text", "and?"),))
    ids = [message.id for message in store.path(first.conversation_id)]
    assert ids == [first.question_id, first.answer_id, second.question_id, second.answer_id]
    assert store.conversations()[0].title == "t"


def test_a_second_question_waits_for_the_answer(store: Store) -> None:
    begun = store.begin_turn(None, "t", ASK)
    with pytest.raises(StillAnswering):
        store.begin_turn(begun.conversation_id, "t", ASK)
    assert len(store.path(begun.conversation_id)) == 2


def test_an_unknown_conversation_is_refused(store: Store) -> None:
    with pytest.raises(UnknownConversation):
        store.begin_turn("nobody", "t", ASK)
    assert store.path("nobody") == ()
    assert store.conversation("nobody") is None


def test_deleting_while_answering_stops_the_writes(store: Store) -> None:
    begun = store.begin_turn(None, "t", ASK)
    store.delete_conversation(begun.conversation_id)
    assert store.conversations() == ()
    assert not store.checkpoint(begun.answer_id, (Part("text", "late"),))
    assert not store.finish(begun.answer_id, (Part("text", "late"),), "complete")


def test_leftovers_become_interrupted(tmp_path: Path) -> None:
    store = Store(tmp_path / "chat.db")
    done = store.begin_turn(None, "t", ASK)
    store.finish(done.answer_id, (Part("text", "all"),), "complete", "stop")
    left = store.begin_turn(None, "t", ASK)
    store.checkpoint(left.answer_id, (Part("text", "half"),))
    store.close()
    store = Store(tmp_path / "chat.db")
    assert store.mark_interrupted() == 1
    assert store.path(left.conversation_id)[-1].status == "interrupted"
    assert store.path(left.conversation_id)[-1].parts == (Part("text", "half"),)
    assert store.path(done.conversation_id)[-1].status == "complete"
    assert store.mark_interrupted() == 0
    store.close()


def test_settings_survive(tmp_path: Path) -> None:
    store = Store(tmp_path / "chat.db")
    assert store.setting("thinking", True) is True
    store.set_setting("thinking", False)
    store.set_setting("thinking", {"on": [1]})
    store.close()
    store = Store(tmp_path / "chat.db")
    assert store.setting("thinking") == {"on": [1]}
    store.close()


def test_everything_is_private(store: Store, tmp_path: Path) -> None:
    store.begin_turn(None, "t", ASK)
    home = tmp_path / "home"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    files = list(home.iterdir())
    assert {file.name for file in files} == {"chat.db", "chat.db-wal", "chat.db-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_many_threads_write_without_an_error(store: Store) -> None:
    failed: list[Exception] = []

    def work() -> None:
        try:
            for n in range(25):
                begun = store.begin_turn(None, "t", ASK)
                store.checkpoint(begun.answer_id, (Part("text", str(n)),))
                store.finish(begun.answer_id, (Part("text", str(n)),), "complete", "stop")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert failed == []
    assert len(store.conversations()) == 100


def test_ids_sort_by_time() -> None:
    early, late = ulid(1_700_000_000.0), ulid(1_700_000_000.002)
    assert len(early) == 26 and early < late
    assert ulid(0.0).startswith("0000000000")


WRITER = """
import sys
from pathlib import Path
from app.store import Part, Store
store = Store(Path(sys.argv[1]))
begun = store.begin_turn(None, "t", (Part("text", "question"),))
for n in range(1, 10**6):
    store.checkpoint(begun.answer_id, (Part("text", "x" * n),))
    print(n, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 20, 90])
def test_a_killed_writer_loses_nothing_acknowledged(tmp_path: Path, lines: int) -> None:
    file = tmp_path / "chat.db"
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, file], stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ}
    ) as writer:
        assert writer.stdout is not None
        for _ in range(lines):
            acknowledged = int(writer.stdout.readline())
        writer.kill()
    store = Store(file)
    assert store.mark_interrupted() == 1
    (conversation,) = store.conversations()
    question, answer = store.path(conversation.id)
    assert question.parts == (Part("text", "question"),)
    assert len(answer.parts[0].text) >= acknowledged
    store.close()
    with sqlite3.connect(file) as plain:
        assert plain.execute("pragma integrity_check").fetchone() == ("ok",)
    plain.close()


def test_recent_conversations_come_first(store: Store) -> None:
    first = store.begin_turn(None, "first", ASK)
    store.finish(first.answer_id, (), "complete")
    time.sleep(0.002)
    store.begin_turn(None, "second", ASK)
    assert [c.title for c in store.conversations()] == ["second", "first"]
    time.sleep(0.002)
    store.begin_turn(first.conversation_id, "", ASK)
    assert [c.title for c in store.conversations(limit=1)] == ["first"]
