"""A disk without room: refused before, kept on screen after. SQLite is really full, by its own page limit."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app import disk, turn
from app.answering import Live
from app.blobs import Blobs
from app.store import Part, Store
from app.turn import BadDraft, Cancel, Draft
from mlx_backend import Answer, FakeEngine

LONG = "word " * 20_000  # 100 kB: more than an SQLite that may not grow has room for


def fill(store: Store) -> None:
    """From now on the database may not grow."""
    pages = store._db.execute("pragma page_count").fetchone()[0]
    store._db.execute(f"pragma max_page_count = {pages}")


def make_room(store: Store) -> None:
    store._db.execute("pragma max_page_count = 1000000")


def test_a_turn_that_does_not_fit_is_refused_with_its_numbers(
    store: Store, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is the real one; what shall stay free is more than it has."""
    (picture := tmp_path / "a.png").write_bytes(bytes(1_500_000))
    free = blobs.free()
    monkeypatch.setattr(disk, "RESERVE", free * 2)
    with pytest.raises(BadDraft) as refused:
        turn.begin(store, blobs, None, Draft("look", (picture,)))
    sentence = str(refused.value)
    assert f"{(free * 2 + 1_500_000) / 1e6:,.1f} MB are needed, 1.5 MB for the files" in sentence
    assert "Nothing was sent" in sentence
    assert store.conversations() == () and list(blobs.root.iterdir()) == []


def test_the_reserve_is_asked_for_beyond_the_files(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clip := tmp_path / "a.mp4").touch()
    free = blobs.free()
    monkeypatch.setattr(disk, "RESERVE", free // 2)
    assert disk.shortage(blobs, (clip, tmp_path / "gone.png")) is None
    with clip.open("wb") as out:
        out.truncate(free)  # takes no room itself
    assert disk.shortage(blobs, (clip,)) is not None


def test_a_question_that_sqlite_has_no_room_for_is_refused(store: Store, blobs: Blobs) -> None:
    fill(store)
    with pytest.raises(BadDraft, match=r"could not be stored: database or disk is full\. Nothing was sent"):
        turn.begin(store, blobs, None, Draft(LONG))
    assert store.conversations() == ()
    make_room(store)
    turn.begin(store, blobs, None, Draft(LONG))


def test_an_answer_waits_on_screen_until_there_is_room(
    store: Store, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "CHECKPOINT_SECONDS", 0.0)  # so that checkpoints fail as well
    monkeypatch.setattr(turn, "RETRY_SECONDS", 0.02)
    begun, seen = turn.begin(store, blobs, None, Draft("?")), list[Live]()
    fill(store)

    def publish(live: Live) -> None:
        seen.append(live)
        if len(live.parts) == 2:
            make_room(store)

    turn.run(store, blobs, FakeEngine([Answer(LONG), Answer("the end")]), begun, Cancel(), publish)
    said = Part("text", LONG + "the end")
    assert seen[-1].parts == (said, Part("error", disk.UNSTORED, None, {"kind": "disk"}))
    answer = store.path(begun.conversation_id)[-1]
    assert (answer.status, answer.parts) == ("complete", (said,))


def test_the_app_can_end_while_there_is_no_room(
    store: Store, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "RETRY_SECONDS", 0.02)
    begun, cancel, waiting = turn.begin(store, blobs, None, Draft("?")), Cancel(), threading.Event()
    assert store.checkpoint(begun.answer_id, (Part("text", "word "),))
    fill(store)

    def publish(live: Live) -> None:
        if live.parts and live.parts[-1].type == "error":
            waiting.set()

    engine = FakeEngine([Answer(LONG)])
    thread = threading.Thread(target=turn.run, args=(store, blobs, engine, begun, cancel, publish))
    thread.start()
    assert waiting.wait(30)
    cancel.set()
    assert thread.is_alive()  # Stop alone gives up nothing
    cancel.by_person = False
    thread.join(30)
    assert not thread.is_alive()
    assert store.mark_interrupted() == 1
    assert store.path(begun.conversation_id)[-1].parts == (Part("text", "word "),)
