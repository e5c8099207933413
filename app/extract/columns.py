"""What a table's columns are: a list in a person's words or a JSON Schema; and the schema of an answer.

Knows: how columns are written, what of a JSON Schema a table can have, how an answer carries its evidence.
Does not know: files, prompts, the engine.

An answer is {"rows": [{column: {"quote": "verbatim words", "page": n, "value": …}, …}, …]}. The words come
before the value: what has just been copied decides what the value is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.documents.evidence import plain

Kind = Literal["text", "number", "date", "yesno"]

MOST = 40  # columns
NAME, HINT = 80, 300  # characters
CHOICES = 50  # words that a column may be held to
LONGEST = 100_000  # characters of a schema
DEEPEST = 8  # levels of it
ROWS = 500  # of one answer
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("number", "amount", "integer", "数字", "金额", "数量", "整数"), "number"),
    **dict.fromkeys(("date", "day", "日期"), "date"),
    **dict.fromkeys(("yes/no", "yes or no", "boolean", "是/否", "是否"), "yesno"),
    **dict.fromkeys(("text", "string", "文字", "文本"), "text"),
}
_VALUES: Mapping[Kind, dict[str, Any]] = {
    "text": {"type": ["string", "null"], "maxLength": 400},
    "number": {"type": ["number", "null"]},
    "date": {"type": ["string", "null"], "maxLength": 24},  # free: "March 2026" has no day to be invented
    "yesno": {"type": ["boolean", "null"]},
}
_OPEN, _CLOSE = "(（", ")）"


class BadColumns(Exception):
    """The columns cannot be used; nothing was asked. The text is for the person."""


@dataclass(frozen=True)
class Column:
    """A column. hint: what belongs in it, in the person's words. choices: all that may stand in it."""

    name: str
    kind: Kind = "text"
    hint: str = ""
    choices: tuple[str, ...] = ()


def parse(text: str) -> tuple[Column, ...]:
    """Columns as a person writes them: "number, total (number)", or a JSON Schema. Raises BadColumns."""
    if len(text) > LONGEST:
        raise BadColumns(f"The columns have {len(text):,} characters, and {LONGEST:,} are the most.")
    found = _of_schema(text) if text.lstrip().startswith(("{", "[")) else _of_list(text)
    return _usable(tuple(found))


def stored(values: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Columns from what was kept of them; see dataclasses.asdict."""
    return tuple(Column(**{**value, "choices": tuple(value.get("choices", ()))}) for value in values)


def _usable(found: tuple[Column, ...]) -> tuple[Column, ...]:
    names = [column.name.casefold() for column in found]
    if not found:
        raise BadColumns("There are no columns. Write their names, as: number, date, total (number).")
    if len(found) > MOST:
        raise BadColumns(f"There are {len(found)} columns, and {MOST} are the most. Leave some out.")
    if twice := next((c.name for c in found if names.count(c.name.casefold()) > 1), None):
        raise BadColumns(f"Two columns are called {twice}. Give each its own name.")
    return found


# --- a list of names ---------------------------------------------------------------------------------------


def _of_list(text: str) -> Iterator[Column]:
    for item in _split(text, ",;\n，；、"):
        name, told = _taken_apart(item)
        if name:
            yield _described(name, told)


def _split(text: str, signs: str) -> Iterator[str]:
    """The text between signs that stand outside parentheses."""
    depth, piece = 0, ""
    for char in text:
        depth = max(0, depth + (char in _OPEN) - (char in _CLOSE))
        if char in signs and not depth:
            yield piece
            piece = ""
        else:
            piece += char
    yield piece


def _taken_apart(item: str) -> tuple[str, str]:
    """The name and what stands in parentheses behind it."""
    item = item.strip()
    begins = [at for sign in _OPEN if (at := item.find(sign)) >= 0] if item.endswith(tuple(_CLOSE)) else []
    return (item[: min(begins)].rstrip(), item[min(begins) + 1 : -1]) if begins else (item, "")


def _described(name: str, told: str) -> Column:
    kind: Kind = "text"
    hints, choices = [], _chosen(told.split("|") if "|" in told else ())
    for words in () if choices else (piece.strip() for piece in _split(told, ",;，；、")):
        if (known := _KINDS.get(words.casefold())) is not None:
            kind = known
        elif words:
            hints.append(words)
    return Column(_named(name), kind, _clean(", ".join(hints), HINT), choices[:CHOICES])


def _chosen(words: Iterable[str]) -> tuple[str, ...]:
    """Words that a column may be held to, each once, none empty: a schema's enum takes no others."""
    return tuple(word for word in dict.fromkeys(_clean(word, NAME) for word in words) if word)


def _named(name: object) -> str:
    clean = _clean(name, NAME) if isinstance(name, str) else ""
    if not any(char.isalnum() for char in clean):
        raise BadColumns("A column has no name. Write one with letters or digits in it.")
    return clean


def _clean(words: str, most: int) -> str:
    """On one line, without what nobody sees and without spellings of control tokens."""
    return plain(" ".join(words.split()))[:most]


# --- a JSON Schema ---------------------------------------------------------------------------------------


def _of_schema(text: str) -> Iterator[Column]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise BadColumns(
            "The schema is not valid JSON. Correct it, or write the columns as a list."
        ) from None
    if isinstance(given, list):
        for one in given:
            yield _described(one, "") if isinstance(one, str) else _leaf(_of(one, "name"), one)
        return
    yield from _properties(_row(given), (), 0)


def _of(rule: object, key: str) -> Any:
    return rule.get(key) if isinstance(rule, dict) else None


def _row(rule: Any) -> Any:
    """The rule of one row: a list of them is what a table is anyway."""
    for _ in range(DEEPEST):
        properties = _of(rule, "properties")
        if _of(rule, "type") == "array" or (not properties and isinstance(_of(rule, "items"), dict)):
            rule = _of(rule, "items")
        elif isinstance(properties, dict) and len(properties) == 1 and _listed(only := _only(properties)):
            rule = only["items"]
        else:
            break
    if not isinstance(_of(rule, "properties"), dict):
        raise BadColumns("The schema has no properties, which would be the columns of the table.")
    return rule


def _only(properties: Mapping[str, Any]) -> Any:
    return next(iter(properties.values()))


def _listed(rule: Any) -> bool:
    """Whether it is a list of objects."""
    return isinstance(_of(_of(rule, "items"), "properties"), dict)


def _properties(rule: Mapping[str, Any], above: tuple[str, ...], depth: int) -> Iterator[Column]:
    if depth >= DEEPEST:
        raise BadColumns(f"The schema is nested deeper than {DEEPEST} levels. A table has one.")
    for name, inner in rule["properties"].items():
        if "$ref" in (inner if isinstance(inner, dict) else {}):
            raise BadColumns(f"Column {name[:NAME]} refers to another rule. Write the rule itself there.")
        if isinstance(_of(inner, "properties"), dict):
            yield from _properties(inner, (*above, name), depth + 1)
        elif _listed(inner):
            raise BadColumns(
                f"Column {name[:NAME]} is a list of rows within a row. Describe one row of the table."
            )
        else:
            yield _leaf(".".join((*above, name)), inner)


def _leaf(name: object, rule: Any) -> Column:
    kinds = _of(rule, "type")
    kinds = {one for one in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(one, str)} - {
        "null"
    }
    kind: Kind = "text"
    if kinds and kinds <= {"number", "integer"}:
        kind = "number"
    elif kinds == {"boolean"}:
        kind = "yesno"
    elif _of(rule, "format") in ("date", "date-time"):
        kind = "date"
    hint = _of(rule, "description")
    choices = _of(rule, "enum")
    words = _chosen(one for one in choices if isinstance(one, str)) if isinstance(choices, list) else ()
    if len(words) > CHOICES:
        raise BadColumns(f"Column {str(name)[:NAME]} has more than {CHOICES} choices. Leave the enum out.")
    if kinds == {"array"} and not hint:
        hint = "several are separated by semicolons"
    return Column(_named(name), kind, _clean(hint, HINT) if isinstance(hint, str) else "", words)


# --- the answer's schema -----------------------------------------------------------------------------------


def answer_schema(columns: Sequence[Column], pictures: bool) -> str:
    """The JSON Schema of one answer. pictures: pages are pictures, where a place is the better evidence."""
    row = {column.name: _cell(column, pictures) for column in columns}
    rows = {"type": "array", "maxItems": ROWS, "items": _object(row)}
    return json.dumps(_object({"rows": rows}), ensure_ascii=False)


def _cell(column: Column, pictures: bool) -> dict[str, Any]:
    value = {"enum": [*column.choices, None]} if column.choices else _VALUES[column.kind]
    quote = {"type": "string", "maxLength": 300}
    cell: dict[str, Any] = {"quote": quote, "page": {"type": "integer", "minimum": 0, "maximum": 99_999}}
    if pictures:
        side = {"type": "integer", "minimum": 0, "maximum": 1000}
        cell["box"] = {"type": "array", "items": side, "maxItems": 4}
    return _object({**cell, "value": value})


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
