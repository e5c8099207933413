"""Answers held to a JSON Schema: what is refused, and that every answer is valid under it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from asking import answer, question

from mlx_backend import BackendError, EngineLike, FakeEngine, Reply, Request
from mlx_backend.errors import BadSchema
from mlx_backend.schema import DEEPEST, LONGEST, plain_value

INVOICE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "number": {"type": "string", "maxLength": 12},
        "date": {"type": "string", "format": "date"},
        "total": {"type": ["number", "null"]},
        "paid": {"type": "boolean"},
        "currency": {"enum": ["EUR", "USD"]},
        "lines": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/line"}},
    },
    "required": ["number", "date", "total", "paid", "currency", "lines"],
    "additionalProperties": False,
    "$defs": {"line": {"type": "object", "properties": {"words": {"type": "string", "maxLength": 8}}}},
}


def under(schema: Any, request: Request | None = None) -> Request:
    return replace(request or question(), schema=schema if isinstance(schema, str) else json.dumps(schema))


def told(engine: EngineLike, request: Request) -> Reply:
    reply = Reply()
    for event in answer(engine, request):
        reply.add(event)
    return reply


def nested(depth: int) -> Any:
    return {"items": nested(depth - 1)} if depth else {}


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "not JSON": (lambda: '{"type":', "line 1"),
    "endless nesting": (lambda: '{"items":' * 9000, "nested too deeply|line 1"),
    "a list": (lambda: "[]", "no JSON object"),
    "false": (lambda: "false", "no JSON object"),
    "huge": (lambda: {"description": "x" * LONGEST}, "characters"),
    "deep": (lambda: nested(DEEPEST), "deeper"),
    "remote": (lambda: {"$ref": "https://example.org/a.json"}, r"example\.org"),
    "file": (lambda: {"items": {"$ref": "file:///etc/passwd"}}, "passwd"),
    "relative": (lambda: {"properties": {"a": {"$ref": "other.json#/a"}}}, "other"),
    "not a number": (lambda: '{"const": NaN}', "not JSON"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_schema_that_cannot_be_used_is_refused_in_words(what: str) -> None:
    schema, words = REFUSED[what]
    engine = FakeEngine()
    with pytest.raises(BadSchema, match=words) as caught:
        answer(engine, under(schema()))
    assert "Nothing was asked" in str(caught.value)
    assert engine.requests == []


@pytest.mark.parametrize("other", [{"go_on": True}, {"tools": ("{}",)}, {"stop": ("\n",)}])
def test_what_does_not_go_with_a_schema_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(BackendError, match="schema cannot be used"):
        answer(FakeEngine(), replace(under(INVOICE), **other))


def test_the_script_answers_with_the_plainest_value() -> None:
    value = json.loads(told(FakeEngine(), under(INVOICE)).answer)
    assert value == plain_value(json.dumps(INVOICE))
    assert value["date"] == "2026-01-31" and value["lines"] == [{"words": "text"}]


def test_the_plainest_value_ends_under_a_schema_that_does_not() -> None:
    assert plain_value('{"properties": {"a": {"$ref": "#"}}}')["a"]["a"]
