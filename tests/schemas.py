"""Random JSON Schemas that a program could have written, and schemas that somebody wrote to do harm."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from mlx_backend.schema import DEEPEST, LONGEST

PATTERNS = (r"^[A-Z]{2}\d{3}$", r"^\d{4}-\d{2}$", r"^(yes|no)$")


def made(seed: int) -> dict[str, Any]:
    """One whose every value is short, so that a model that knows nothing of JSON comes to its end."""
    return rule(random.Random(seed), 2)


def rule(dice: random.Random, depth: int) -> dict[str, Any]:
    deep = [_object, _array, _either] if depth else []
    return dice.choice([_string, _number, _choice, _pattern, _date, *deep, *deep])(dice, depth)


def _object(dice: random.Random, depth: int) -> dict[str, Any]:
    names = dice.sample(
        ['price "net"', "名称", "a", "it's", "x\\y", "<think>", "total/€"], dice.randint(0, 3)
    )
    asked = [name for name in names if dice.random() < 0.7]
    properties = {name: rule(dice, depth - 1) for name in names}
    return {"type": "object", "properties": properties, "required": asked, "additionalProperties": False}


def _array(dice: random.Random, depth: int) -> dict[str, Any]:
    least = dice.randint(0, 2)
    items = rule(dice, depth - 1)
    return {"type": "array", "items": items, "minItems": least, "maxItems": least + dice.randint(0, 1)}


def _either(dice: random.Random, depth: int) -> dict[str, Any]:
    return {"anyOf": [rule(dice, depth - 1), {"type": dice.choice(["null", "boolean"])}]}


def _string(dice: random.Random, depth: int) -> dict[str, Any]:
    least = dice.randint(0, 3)
    return {"type": "string", "minLength": least, "maxLength": least + dice.randint(0, 6)}


def _number(dice: random.Random, depth: int) -> dict[str, Any]:
    least = dice.randint(-50, 50)
    return {"type": "integer", "minimum": least, "maximum": least + dice.randint(0, 900)}


def _choice(dice: random.Random, depth: int) -> dict[str, Any]:
    return {"enum": dice.sample(["EUR", "<|user|>", "</think>", 7, 2.5, None, True, "ö\n"], 3)}


def _pattern(dice: random.Random, depth: int) -> dict[str, Any]:
    return {"type": "string", "pattern": dice.choice(PATTERNS)}


def _date(dice: random.Random, depth: int) -> dict[str, Any]:
    return {"type": "string", "format": dice.choice(["date", "time", "uuid", "ipv4"])}


def nested(depth: int) -> Any:
    return {"items": nested(depth - 1)} if depth else {}


def doubling(depth: int, how: str) -> dict[str, Any]:
    """Every rule names the next one twice: 2 ** depth when written out."""
    twice = {f"d{n}": {how: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(depth)}
    return {"$ref": "#/$defs/d0", "$defs": {**twice, f"d{depth}": {"type": "null"}}}


def chain(length: int) -> dict[str, Any]:
    links = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**links, f"d{length}": {"type": "null"}}}


def links(count: int, depth: int) -> dict[str, Any]:
    """As a chain, every link deep in lists of lists."""
    defs: dict[str, Any] = {f"d{count}": {"type": "null"}}
    for n in range(count):
        link: Any = {"$ref": f"#/$defs/d{n + 1}"}
        for _ in range(depth):
            link = {"items": link}
        defs[f"d{n}"] = link
    return {"$ref": "#/$defs/d0", "$defs": defs}


def product(count: int) -> dict[str, Any]:
    """count alternatives at once: 2 ** count when multiplied out."""
    kinds = ("string", "integer")
    return {
        "allOf": [{"anyOf": [{"properties": {f"p{n}": {"type": k}}} for k in kinds]} for n in range(count)]
    }


def pattern(regex: str) -> dict[str, Any]:
    return {"type": "string", "pattern": regex}


# What is refused at the door, with a word of the refusal.
AT_THE_DOOR: dict[str, tuple[Callable[[], Any], str]] = {
    "not JSON": (lambda: '{"type":', "line 1"),
    "endless nesting": (lambda: '{"items":' * 9000, "nested too deeply|line 1"),
    "a list": (lambda: "[]", "no JSON object"),
    "false": (lambda: "false", "no JSON object"),
    "nothing": (lambda: "", "not JSON"),
    "huge": (lambda: {"description": "x" * LONGEST}, "characters"),
    "deep": (lambda: nested(DEEPEST), "deeper"),
    "a chain": (lambda: chain(600), "references"),
    "a chain of deep rules": (lambda: links(20, 60), "references"),
    "remote": (lambda: {"$ref": "https://example.org/a.json"}, r"example\.org"),
    "file": (lambda: {"items": {"$ref": "file:///etc/passwd"}}, "passwd"),
    "relative": (lambda: {"properties": {"a": {"$ref": "other.json#/a"}}}, "other"),
    "half a character": (lambda: '{"const": "\\ud800"}', "half a character"),
    "not a number": (lambda: '{"const": NaN}', "not JSON"),
    "too many digits": (lambda: '{"const": %s}' % ("9" * 5000), "not JSON"),
}
# What only the grammar can tell.
BY_THE_GRAMMAR: dict[str, tuple[Any, str]] = {
    "not": ({"not": {"type": "string"}}, "held to not"),
    "unique": ({"type": "array", "uniqueItems": True}, "uniqueItems"),
    "if": ({"if": {}, "then": {}}, "if, then"),
    "leave to skip rules": ({"x-guidance": {"lenient": True}, "not": {}}, "held to not"),
    "deep leave": ({"properties": {"a": {"x-guidance": {"lenient": True}, "not": {}}}}, "held to not"),
    "no such type": ({"type": "frog"}, "frog"),
    "type of a number": ({"type": 5}, "type"),
    "no such format": ({"type": "string", "format": "weird"}, "weird"),
    "unknown draft": ({"$schema": "http://127.0.0.1:9/x"}, "127.0.0.1"),
    "nothing inside": ({"$ref": "#/$defs/absent"}, "absent"),
    "nobody is both": ({"type": "integer", "minimum": 5, "maximum": 4}, "minimum"),
    "no choice": ({"enum": []}, "empty|Unsatisfiable"),
    "itself": ({"$ref": "#"}, "no value can follow"),
    "each other": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        "no v",
    ),
    "broken pattern": (pattern("["), "regex"),
    "looking ahead": (pattern("(?=a)b"), "look-ahead"),
    "many steps": ({"type": "integer", "multipleOf": 999_983}, "multipleOf"),
    "many steps together": ({"allOf": [{"multipleOf": 9973}, {"multipleOf": 9967}]}, "multipleOf"),
    "no steps": ({"multipleOf": True}, "schema"),
    "endless steps": ('{"type": "number", "multipleOf": 1e400}', "schema"),
    "many steps of a name": ({"properties": {"const": {"multipleOf": 999_983}}}, "multipleOf"),
    "product": (product(20), "too large"),
    "every end open": ({"allOf": [pattern(f".*{letter}.{{9}}") for letter in "abcdefgh"]}, "regex"),
    "huge number": ({"type": "integer", "minimum": 10**400}, "number"),
}
# What is answered, in bounded time and memory, or ends in words.
HEAVY: dict[str, Any] = {
    "powers": pattern("((a{1,99}){1,99}){1,99}"),
    "backtracking": pattern("(x+x+)+y"),
    "far behind": pattern(".*a.{20}"),
    "doubling": doubling(30, "allOf"),
    "doubled choice": doubling(30, "anyOf"),
    "chain": chain(400),
    "endless": {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
    "endless object": {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    "a million items": {"type": "array", "minItems": 10**6},
    "a string of a million": {"type": "string", "minLength": 10**6},
    "thousands of values": {"enum": [f"value {n * 7919}" for n in range(3000)]},
    "1,500 optional properties": {"type": "object", "properties": {f"p{n}": {} for n in range(1500)}},
}


def text_of(schema: Any) -> str:
    return schema if isinstance(schema, str) else json.dumps(schema)
