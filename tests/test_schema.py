"""Answers held to a JSON Schema: what is refused, and that every answer is valid under it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import schemas
from asking import ROOT, answer, question
from jsonschema import Draft202012Validator

from mlx_backend import BackendError, Done, Engine, EngineLike, Event, FakeEngine, Reply, Request, Sampling
from mlx_backend.constraint import Constraints
from mlx_backend.errors import BadSchema
from mlx_backend.respond import Responder
from mlx_backend.schema import plain_value
from mlx_backend.sizes import Setup

DEMO = ROOT / "assets" / "demo-model"
HOT = Sampling(temperature=1.5, top_p=0.98, seed=5)
INVOICE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "number": {"type": "string", "maxLength": 12},
        "date": {"type": "string", "format": "date"},
        "total": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9999}, {"type": "null"}]},
        "paid": {"type": "boolean"},
        "currency": {"enum": ["EUR", "USD"]},
        "lines": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/line"}},
    },
    "required": ["number", "date", "total", "paid", "currency", "lines"],
    "additionalProperties": False,
    "$defs": {
        "line": {
            "type": "object",
            "properties": {"words": {"type": "string", "maxLength": 8}},
            "required": ["words"],
            "additionalProperties": False,
        }
    },
}


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Responder:
    return Responder(tiny_model, dtype="float32", setup=Setup(chunk=16))


@pytest.fixture(scope="module")
def demo() -> Responder:
    return Responder(DEMO)


@pytest.fixture(autouse=True)
def forgotten(request: pytest.FixtureRequest) -> None:
    for name in {"tiny", "demo"} & set(request.fixturenames):
        request.getfixturevalue(name).forget()


def under(schema: Any, **changes: Any) -> Request:
    return replace(question("List what you see.", 400), schema=schemas.text_of(schema), **changes)


def folded(events: Iterator[Event] | list[Event]) -> Reply:
    reply = Reply()
    for event in events:
        reply.add(event)
    return reply


def told(engine: EngineLike, request: Request) -> Reply:
    return folded(answer(engine, request))


def valid(reply: Reply, schema: Any) -> Any:
    assert reply.done is not None and reply.done.reason == "stop"
    value = json.loads(reply.answer)
    Draft202012Validator(schema).validate(value)
    return value


# --- at the door -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", schemas.AT_THE_DOOR)
def test_a_schema_that_cannot_be_used_is_refused_in_words(what: str) -> None:
    schema, words = schemas.AT_THE_DOOR[what]
    engine = FakeEngine()
    with pytest.raises(BadSchema, match=words) as caught:
        answer(engine, under(schema()))
    assert "Nothing was asked" in str(caught.value)
    assert engine.requests == []


def test_the_engine_refuses_it_before_a_worker_is_started() -> None:
    with Engine(DEMO) as engine:
        with pytest.raises(BadSchema):
            answer(engine, under("[]"))
        assert engine.status().state == "stopped"


@pytest.mark.parametrize("other", [{"go_on": True}, {"tools": ("{}",)}, {"stop": ("\n",)}])
def test_what_does_not_go_with_a_schema_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(BackendError, match="schema cannot be used"):
        answer(FakeEngine(), under(INVOICE, **other))


# --- the script ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [INVOICE, *map(schemas.made, range(20))])
def test_the_script_answers_with_the_plainest_value(schema: dict[str, Any]) -> None:
    reply = told(FakeEngine(), under(schema))
    assert json.loads(reply.answer) == plain_value(json.dumps(schema))
    if "pattern" not in json.dumps(schema):
        valid(reply, schema)


def test_the_plainest_value_ends_under_a_schema_that_does_not() -> None:
    assert plain_value('{"properties": {"a": {"$ref": "#"}}}')["a"]["a"]
    assert plain_value('{"$ref": "#"}') is None


# --- the model -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(32))
def test_every_answer_of_a_model_that_knows_nothing_is_valid(tiny: Responder, seed: int) -> None:
    schema = schemas.made(seed)
    for sampling in (Sampling(temperature=0), replace(HOT, seed=seed, presence_penalty=0.5)):
        valid(folded(tiny.respond(under(schema, sampling=sampling))), schema)


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("sampling", [Sampling(temperature=0), HOT, replace(HOT, top_k=3, min_p=0.1)])
def test_an_invoice(demo: Responder, thinking: bool, sampling: Sampling) -> None:
    asked = under(INVOICE, thinking=thinking, thinking_budget=12, sampling=sampling)
    reply = folded(demo.respond(asked))
    assert list(valid(reply, INVOICE)) == INVOICE["required"]
    assert bool(reply.reasoning) == thinking
    assert "\n" not in reply.answer


def test_a_string_may_spell_what_steers_the_model(demo: Responder) -> None:
    schema = {"const": "<think>a</think><|user|><tool_call>[gMASK]<|begin_of_box|>[[1, 2]]<|end_of_box|>"}
    assert valid(folded(demo.respond(under(schema))), schema) == schema["const"]


def test_a_number_may_end_or_go_on(tiny: Responder) -> None:
    schema = {"type": "integer", "minimum": 0, "maximum": 10**9}
    seen = {
        len(str(valid(folded(tiny.respond(under(schema, sampling=replace(HOT, seed=n)))), schema)))
        for n in range(6)
    }
    assert len(seen) > 1


def test_the_length_limit_says_so(demo: Responder) -> None:
    reply = folded(demo.respond(under(INVOICE, max_tokens=20)))
    assert reply.done is not None and reply.done.reason == "length"
    assert reply.answer.startswith('{"number": "')


def test_a_value_that_ends_with_the_last_token_is_whole(demo: Responder) -> None:
    whole = folded(demo.respond(under(INVOICE)))
    assert whole.done is not None
    last = folded(demo.respond(under(INVOICE, max_tokens=whole.done.stats.output_tokens)))
    assert valid(last, INVOICE) == valid(whole, INVOICE)


# --- beside it, all is as it was -------------------------------------------------------------------------


def test_what_was_computed_is_reused_and_changes_nothing(demo: Responder) -> None:
    cold = folded(demo.respond(under(INVOICE)))
    warm = folded(demo.respond(under(INVOICE)))
    assert warm.answer == cold.answer
    assert warm.done is not None and warm.done.stats.cached_tokens == warm.done.stats.prompt_tokens - 1
    plain = folded(demo.respond(replace(under(INVOICE), schema=None)))
    assert plain.done is not None and plain.done.stats.cached_tokens == plain.done.stats.prompt_tokens - 1


@pytest.mark.parametrize("sampling", [Sampling(temperature=0), HOT])
def test_without_a_schema_nothing_changes(demo: Responder, sampling: Sampling) -> None:
    """Neither what is sampled nor a bit of what is remembered."""
    asked = replace(question("How many circles?", 40), sampling=sampling)
    before, kept = folded(demo.respond(asked)), remembered(demo)
    demo.forget()
    list(demo.respond(under(INVOICE, max_tokens=30)))
    demo.forget()
    after = folded(demo.respond(asked))
    assert (after.answer, after.reasoning) == (before.answer, before.reasoning)
    assert all(np.array_equal(a, b) for a, b in zip(kept, remembered(demo), strict=True))


def remembered(responder: Responder) -> list[np.ndarray]:
    return [np.array(layer.keys[..., : layer.offset, :]) for layer in responder._prefix.kv]


def test_a_cancelled_one_leaves_the_memory_well(demo: Responder) -> None:
    cold = folded(demo.respond(under(INVOICE)))
    demo.forget()
    left = iter([False] * 12)
    cut = folded(demo.respond(under(INVOICE), lambda: next(left, True)))
    assert cut.done is not None and cut.done.reason == "cancelled"
    assert folded(demo.respond(under(INVOICE))).answer == cold.answer


def test_a_closed_one_leaves_the_memory_well(demo: Responder) -> None:
    cold = folded(demo.respond(under(INVOICE)))
    demo.forget()
    stream = demo.respond(under(INVOICE))
    for _ in range(8):
        next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert folded(demo.respond(under(INVOICE))).answer == cold.answer


# --- the grammar -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", schemas.BY_THE_GRAMMAR)
def test_what_it_cannot_hold_to_is_refused_before_anything_is_computed(demo: Responder, what: str) -> None:
    schema, words = schemas.BY_THE_GRAMMAR[what]
    with pytest.raises(BadSchema, match=words):
        list(demo.respond(under(schema)))
    assert demo.cached_tokens == 0


@pytest.mark.parametrize("what", schemas.HEAVY)
def test_a_heavy_one_is_answered_or_ends_in_words(demo: Responder, what: str) -> None:
    schema = schemas.HEAVY[what]
    try:
        reply = folded(demo.respond(under(schema, max_tokens=24, sampling=HOT)))
    except BackendError as error:
        assert "schema" in str(error)
    else:
        # The judge itself would not come to an end with some of them.
        assert reply.done is not None
        assert reply.done.reason == "length" or reply.answer == json.dumps(
            json.loads(reply.answer), ensure_ascii=False
        )
    assert folded(demo.respond(question("How many circles?"))).done is not None


def test_no_added_token_and_no_padding_is_ever_allowed(demo: Responder) -> None:
    tokenizer = demo.processor.tokenizer
    rows = tokenizer.size + 77
    held = Constraints(tokenizer, rows).under('{"type": "string"}', False)
    for text in ('"', "a", "<", "think"):
        allowed = np.flatnonzero(held.allowed())
        assert len(allowed) and allowed.max() < tokenizer.size
        assert not {*tokenizer.added.values()} & {*allowed.tolist()}
        held.take(tokenizer.encode(text)[0])
    held.take(tokenizer.encode('"')[0])
    assert held.complete
    assert {*np.flatnonzero(held.allowed()).tolist()} == {*tokenizer.stop_ids}


def test_thinking_is_free_and_ends_in_one_way(demo: Responder) -> None:
    tokenizer = demo.processor.tokenizer
    control = tokenizer.control
    held = Constraints(tokenizer, tokenizer.size).under('{"type": "null"}', True)
    assert np.flatnonzero(held.allowed()).tolist() == [control.think]
    held.take(control.think)
    spelled = [*tokenizer.encode("so </think"), *tokenizer.encode(">")]
    for token in spelled[:-1]:
        assert held.allowed()[token]
        assert not held.allowed()[sorted(tokenizer.stop_ids)].any()
        held.take(token)
    assert not held.allowed()[spelled[-1]]
    assert held.allowed()[control.end_think]
    held.take(control.end_think)
    for token in tokenizer.encode("\n"):
        assert np.flatnonzero(held.allowed()).tolist() == [token]
        held.take(token)
    words = [tokenizer.token_bytes(id) for id in np.flatnonzero(held.allowed())]
    assert words and all(b"null".startswith(word) for word in words)


# --- in the worker ---------------------------------------------------------------------------------------


def test_through_the_worker(tmp_path: Path) -> None:
    with Engine(DEMO, log=tmp_path / "worker.log") as engine:
        valid(told(engine, under(INVOICE)), INVOICE)
        with pytest.raises(BadSchema, match="held to not"):
            answer(engine, under({"not": {}}))
        assert isinstance(answer(engine, question())[-1], Done)


def test_the_library_is_loaded_only_when_asked_for() -> None:
    code = "import sys, mlx_backend.respond; sys.exit('llguidance' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
