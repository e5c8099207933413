"""A JSON Schema as a request carries it: what is refused at the door, and the plainest value under it.

Knows: JSON, which requests a schema goes with, how large and deep it may be, that a reference stays inside.
Does not know: tokens, grammars, which rules of JSON Schema can be held to (constraint.py). Fetches nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from .errors import BadSchema
from .types import Request

LONGEST = 100_000  # characters; a table of a thousand described columns is no longer
DEEPEST = 64  # levels of nesting
# Levels when every reference is followed once, one behind the other. What makes a grammar of a schema follows
# them as one call within another, and its stack ends at 1,500: that would be the end of the model's process.
DEEPEST_FOLLOWED = 500
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
# What stands under these is data, whatever it looks like.
DATA = ("const", "enum", "default", "examples", "required")
FORMATS = {
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "name@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "example.org",
    "duration": "P1D",
}

Schema = Mapping[str, Any]


def check_schema(request: Request) -> None:
    """Raises BadSchema for a request whose schema cannot be used, before anything is computed."""
    if request.schema is None:
        return
    for asked, what in (
        (request.go_on, "an answer that was cut short cannot go on under a schema; ask again instead"),
        (request.tools, "tools cannot be called in an answer that must be JSON; leave one of them out"),
        (request.stop, "a stop string would cut the JSON; leave one of them out"),
    ):
        if asked:
            raise BadSchema(what)
    read(request.schema)


def read(text: str) -> Schema:
    """The schema, `true` as the empty one. Raises BadSchema."""
    if len(text) > LONGEST:
        raise BadSchema(f"it has {len(text):,} characters and {LONGEST:,} are the most")
    try:
        schema = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        where = "nested too deeply" if isinstance(error, RecursionError) else "it holds a number that is none"
        where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else where
        raise BadSchema(f"it is not JSON ({where})") from error
    try:
        json.dumps(schema, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BadSchema("it holds half a character (a lone surrogate)") from error
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        raise BadSchema("it is no JSON object with rules")
    _check(schema)
    return schema


def plain_value(text: str) -> Any:
    """The plainest value under a schema, every property of an object present. For a script, not for proof:
    patterns are not looked at. Raises BadSchema."""
    schema = read(text)
    return _value(schema, schema, 0)


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _check(schema: Schema) -> None:
    depth = _depth(schema)
    if depth > DEEPEST:
        raise BadSchema(f"it is nested deeper than {DEEPEST} levels")
    targets = set(_references(schema))
    for target in targets:
        if not target.startswith("#"):
            raise BadSchema(
                f"it refers to {target[:80]}, and nothing outside of it is ever read; put the rules "
                "themselves under $defs"
            )
        depth += _depth(_at(schema, target))
    if depth > DEEPEST_FOLLOWED:
        raise BadSchema(
            f"its {len(targets):,} references lead too deep; write out some of the rules they name"
        )


def _depth(node: Any) -> int:
    deepest, todo = 0, [(node, 1)]
    while todo:
        inner, depth = todo.pop()
        deepest = max(deepest, depth)
        todo += [(each, depth + 1) for each in inside(inner)]
    return deepest


def _references(node: Any) -> Iterator[str]:
    todo = [node]
    while todo:
        inner = todo.pop()
        if isinstance(inner, dict):
            yield from (inner[name] for name in REFERENCES if isinstance(inner.get(name), str))
        todo += inside(inner)


def inside(node: Any) -> Iterator[Any]:
    """The rules within a rule, and what may be mistaken for some."""
    if isinstance(node, dict):
        yield from (value for name, value in node.items() if name not in DATA or isinstance(value, dict))
    elif isinstance(node, list):
        yield from node


def _value(rule: Any, root: Schema, depth: int) -> Any:
    if not isinstance(rule, dict) or depth > DEEPEST:
        return None
    if "const" in rule or rule.get("enum"):
        return rule["const"] if "const" in rule else rule["enum"][0]
    for name in ("anyOf", "oneOf"):
        if rule.get(name):
            return _value({**rule, name: None, **rule[name][0]}, root, depth + 1)
    if "$ref" in rule:
        return _value(_at(root, rule["$ref"]), root, depth + 1)
    if rule.get("allOf"):
        merged = {name: value for part in rule["allOf"] for name, value in part.items()}
        return _value({**rule, "allOf": None, **merged}, root, depth + 1)
    return _of_kind(_kind(rule), rule, root, depth)


def _kind(rule: Schema) -> str:
    kind = rule.get("type", "object" if "properties" in rule else "string")
    return str((kind or ["null"])[0] if isinstance(kind, list) else kind)


def _of_kind(kind: str, rule: Schema, root: Schema, depth: int) -> Any:
    match kind:
        case "object":
            properties = rule.get("properties", {})
            return {name: _value(inner, root, depth + 1) for name, inner in properties.items()}
        case "array":
            first = list(rule.get("prefixItems", ()))
            count = max(int(rule.get("minItems", 1)), len(first))
            return [
                _value(inner, root, depth + 1) for inner in [*first, *[rule.get("items")] * count][:count]
            ]
        case "string":
            text = FORMATS.get(str(rule.get("format")), "text")[: rule.get("maxLength")]
            return text.ljust(int(rule.get("minLength", 0)), "x")
        case "integer" | "number":
            return rule.get("minimum", min(1, rule.get("maximum", 1)))
        case "boolean":
            return True
    return None


def _at(root: Schema, reference: str) -> Any:
    """What a reference names: all of the schema where it names no place, None where nothing is there."""
    node: Any = root
    for step in unquote(reference).removeprefix("#").split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            node = node[int(step)] if step.isdigit() and int(step) < len(node) else None
        else:
            node = node.get(step) if isinstance(node, dict) else None
    return node
