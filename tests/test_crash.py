"""Kill -9 in the middle of everything, thirty times on the same home: nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import hashlib
import random
import sqlite3
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from crashing import content, words

from app.blobs import Blobs
from app.store import Message, Store

CRASHES = 30
LONGEST = 0.5  # seconds from the first sign of life to the kill
PROGRAM = Path(__file__).resolve().parent / "crashing.py"
# sqlite-utils imports pandas where there is one, which costs each of thirty lives more than all else.
START = (
    "import runpy, sys; sys.modules['pandas'] = None; sys.argv.pop(0); "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


@dataclass
class Acknowledged:
    """All that the program was told to be safe, over all its lives."""

    asked: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # answer -> chat, question, number
    kept: dict[str, int] = field(default_factory=dict)  # answer -> characters
    finished: set[str] = field(default_factory=set)

    def hear(self, line: str) -> None:
        match line.split():
            case ["asked", conversation, question, answer, number]:
                self.asked[answer] = conversation, question, int(number)
            case ["kept", answer, characters]:
                self.kept[answer] = int(characters)
            case ["finished", answer]:
                self.finished.add(answer)


def live_and_die(home: Path, seed: int, after: float, known: Acknowledged) -> None:
    """Start the chat, kill it so many seconds after its first line, hear all it had said."""
    command = [sys.executable, "-c", START, str(PROGRAM), str(home), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as chat:
        assert chat.stdout is not None
        assert chat.stdout.readline().startswith("interrupted ")
        killer = threading.Timer(after, chat.kill)
        killer.start()
        for line in chat.stdout:
            if line.endswith("\n"):  # the last one may have been cut
                known.hear(line)
        killer.join()
    assert chat.returncode == -9


def check(home: Path, known: Acknowledged) -> list[Message]:
    """What is on disk after a crash, without the app's own code first, then with it. Returns all answers."""
    with contextlib.closing(sqlite3.connect(home / "chat.db")) as plain:
        assert plain.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert plain.execute("pragma foreign_key_check").fetchall() == []
        held = plain.execute("select distinct sha256 from parts where sha256 is not null").fetchall()
    blobs = Blobs(home / "blobs")
    for (sha256,) in held:
        assert hashlib.sha256(blobs.path(sha256).read_bytes()).hexdigest() == sha256
    with contextlib.closing(Store(home / "chat.db")) as store:
        store.mark_interrupted()
        messages = {m.id: m for c in store.conversations(10_000) for m in store.path(c.id)}
    for answer, (_, question, number) in known.asked.items():
        check_question(messages[question], number)
        check_answer(messages[answer], number, known)
    return [message for message in messages.values() if message.role == "assistant"]


def check_question(question: Message, number: int) -> None:
    *files, text = question.parts
    assert text.text == str(number)
    expected = [hashlib.sha256(content(number, n)).hexdigest() for n in range(len(files))]
    assert [part.sha256 for part in files] == expected
    assert [part.data["name"] for part in files] == [f"{number}-{n}.png" for n in range(len(files))]


def check_answer(answer: Message, number: int, known: Acknowledged) -> None:
    said = "".join(part.text for part in answer.parts)
    whole = "thinking about it" + "".join(words(number))
    assert whole.startswith(said) and len(said) >= known.kept.get(answer.id, 0)
    if answer.id in known.finished:
        assert (answer.status, said) == ("complete", whole)
    else:
        # killed between the last write and its word of it
        assert answer.status == "interrupted" or (answer.status, said) == ("complete", whole)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    chance, known = random.Random(20261121), Acknowledged()
    answers: list[Message] = []
    for seed in range(CRASHES):
        live_and_die(tmp_path, seed, chance.uniform(0, LONGEST), known)
        answers = check(tmp_path, known)
    partial = [answer for answer in answers if answer.status == "interrupted" and answer.parts]
    assert partial, "no crash fell into an answer: the test proves too little"
    assert known.finished
    cut = len(list((tmp_path / "blobs").glob("incoming-*")))
    print(
        f"{CRASHES} crashes, {len(known.asked)} questions, {len(known.finished)} finished answers, "
        f"{len(partial)} kept in part, {cut} files cut on arrival"
    )
