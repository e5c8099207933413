"""A follow-up about a document computes only what is new, and gives the logits of a cold run."""

from __future__ import annotations

from pathlib import Path

import pytest
from asked_pages import BOOKS
from turns import check

from app import turn
from app.blobs import Blobs
from app.store import Store
from app.turn import Cancel, Draft
from mlx_backend import Answer, FakeEngine
from mlx_backend.respond import Responder
from mlx_backend.sizes import Setup


@pytest.fixture(scope="module")
def pair(tiny_model: Path) -> tuple[Responder, Responder]:
    warm, cold = (Responder(tiny_model, dtype="float32", setup=Setup(chunk=256)) for _ in range(2))
    return warm, cold


def test_a_follow_up_reuses_the_documents_tokens(
    store: Store, blobs: Blobs, tmp_path: Path, pair: tuple[Responder, Responder]
) -> None:
    file = tmp_path / "Handbook.md"
    file.write_text("\n\n".join(f"# Part {p.number}\n\n{p.text}" for p in BOOKS["en"][:5]), "utf-8")
    answer = 'Fourteen euros [[1|"A boat of up to eight metres pays 14 euros a night"]].'
    engine = FakeEngine([Answer(answer)], [Answer("Diesel only.")], [Answer("Yes.")])
    conversation = None
    for words, files in (("What is the fee?", (file,)), ("Which fuel is sold?", ()), ("Sure?", ())):
        begun = turn.begin(store, blobs, conversation, Draft(words, files))
        conversation = begun.conversation_id
        turn.run(store, blobs, engine, begun, Cancel(), lambda _: None)
    first, *later = [check(*pair, *request.messages) for request in engine.requests]
    assert first[0] == 0
    before = first[1]
    for reused, tokens, _ in later:
        print(f"{reused} of {before} tokens of the question before were found again, of {tokens} in all")
        assert reused >= 0.9 * before
        before = tokens
