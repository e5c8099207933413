"""A chat that never ends, until it is killed: real store, real files, a scripted model. Run as a program.

usage: python crashing.py HOME SEED

Every line it prints is something that was acknowledged: `asked`, `kept` (characters of a checkpoint) or
`finished`, with the names it needs to be found again. The file's name and content follow from the number that
is printed: see content() and words().
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app import turn
from app.blobs import Blobs
from app.store import Part, Store
from app.turn import Cancel, Draft
from mlx_backend import Answer, FakeEngine, Reasoning, Request, Text

WORDS = 40  # of an answer, a millisecond each


def words(number: int) -> list[str]:
    return [f"{number}:{n} " for n in range(WORDS)]


def content(number: int, n: int) -> bytes:
    """Of the n-th file of a question: from nothing to some megabytes, every third one the same for all."""
    seed = f"{number if n != 2 else 0}.{n}".encode()
    size = (0, 100, 70_000, 3_000_000)[(number + n) % 4] if n != 2 else 5_000
    return (hashlib.sha256(seed).digest() * (size // 32 + 1))[:size] + seed


def script(request: Request) -> list[Reasoning | Answer]:
    (text,) = [part.text for part in request.messages[-1].content if isinstance(part, Text)]
    said = words(int(text))
    return [Reasoning("thinking "), Reasoning("about it"), *map(Answer, said)]


class Telling(Store):
    """Says what it has kept, once it is kept."""

    def checkpoint(self, answer_id: str, parts: Sequence[Part]) -> bool:
        kept = super().checkpoint(answer_id, parts)
        print("kept", answer_id, sum(len(part.text) for part in parts), flush=True)
        return kept


def chat(home: Path, seed: int) -> None:
    store, blobs, engine = Telling(home / "chat.db"), Blobs(home / "blobs"), FakeEngine(script, delay=0.001)
    print("interrupted", store.mark_interrupted(), flush=True)
    turn.CHECKPOINT_SECONDS = 0.004
    chance, conversation = random.Random(seed), None
    for number in range(seed * 10_000, (seed + 1) * 10_000):
        files = []
        for n in range(chance.randrange(4)):
            files.append(home / f"{number}-{n}.png")
            files[-1].write_bytes(content(number, n))
        begun = turn.begin(store, blobs, conversation, Draft(str(number), tuple(files)))
        print("asked", begun.conversation_id, begun.question_id, begun.answer_id, number, flush=True)
        for file in files:
            file.unlink()
        turn.run(store, blobs, engine, begun, Cancel(), lambda _: None)
        print("finished", begun.answer_id, flush=True)
        conversation = begun.conversation_id if chance.random() < 0.7 else None


if __name__ == "__main__":
    chat(Path(sys.argv[1]), int(sys.argv[2]))
