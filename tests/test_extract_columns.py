"""Columns as people write them, schemas as programs do, and what neither may be."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.extract.columns import BadColumns, Column, answer_schema, parse
from mlx_backend.schema import plain_value, read


def test_a_list_says_what_belongs_in_each_column() -> None:
    assert parse("number, date (date), total (number, with tax)\npaid (yes/no); state (open | paid)") == (
        Column("number"),
        Column("date", "date"),
        Column("total", "number", "with tax"),
        Column("paid", "yesno"),
        Column("state", choices=("open", "paid")),
    )
    assert parse("编号，日期（日期），总额（数字，含税）") == (
        Column("编号"),
        Column("日期", "date"),
        Column("总额", "number", "含税"),
    )


def test_brackets_and_choices_that_are_written_oddly() -> None:
    assert parse("state (open||paid| open), a (b) c, d ((e)), (f)x") == (
        Column("state", choices=("open", "paid")),
        Column("a (b) c"),
        Column("d", hint="(e)"),
        Column("(f)x"),
    )
    assert len(parse("a" + "(" * 99_000)) == len(parse("a" + " " * 50_000 + "b")) == 1  # at once


def test_a_schema_of_one_row_or_of_a_list_of_them() -> None:
    row = {
        "type": "object",
        "properties": {
            "total": {"type": ["number", "null"], "description": "with tax"},
            "day": {"type": "string", "format": "date"},
            "seller": {"properties": {"name": {"type": "string"}, "paid": {"type": "boolean"}}},
            "currency": {"enum": ["EUR", "USD", None]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    }
    columns = (
        Column("total", "number", "with tax"),
        Column("day", "date"),
        Column("seller.name"),
        Column("seller.paid", "yesno"),
        Column("currency", choices=("EUR", "USD")),
        Column("tags", hint="several are separated by semicolons"),
    )
    for schema in (row, {"type": "array", "items": row}, {"properties": {"invoices": {"items": row}}}):
        assert parse(json.dumps(schema)) == columns
    assert parse('["a", {"name": "b", "type": "number"}]') == (Column("a"), Column("b", "number"))


def nested(depth: int) -> Any:
    return {"properties": {"a": nested(depth - 1), "b": {}}} if depth else {}


REFUSED = {
    "nothing": ("", "no columns"),
    "signs": (" , ;\n, ", "no columns"),
    "no name": ("number, ?!", "no name"),
    "twice": ("a, A", "Two columns are called a"),
    "too many": (",".join(f"c{n}" for n in range(41)), "41 columns"),
    "not JSON": ('{"properties": ', "not valid JSON"),
    "endless nesting": ("[" * 50_000, "not valid JSON"),
    "no properties": ('{"type": "string"}', "no properties"),
    "properties of no object": ('{"properties": 3}', "no properties"),
    "deep": (json.dumps(nested(20)), "nested deeper"),
    "a reference": (
        '{"properties": {"a": {"$ref": "file:///etc/passwd"}, "b": {}}}',
        "refers to another rule",
    ),
    "rows in a row": ('{"properties": {"a": {}, "b": {"items": {"properties": {}}}}}', "rows within a row"),
    "huge": ('{"x": "' + "y" * 200_000 + '"}', "characters"),
    "a thousand choices": (
        json.dumps({"properties": {"a": {"enum": [str(n) for n in range(999)]}}}),
        "choices",
    ),
    "numbers": ("[1, 2]", "no name"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_columns_that_cannot_be_used_are_refused_in_words(what: str) -> None:
    text, words = REFUSED[what]
    with pytest.raises(BadColumns, match=words):
        parse(text)


def test_no_name_spells_a_control_token_or_hides_anything() -> None:
    names = [c.name for c in parse("<|user|>, <think>, a\u202eb\x00c, /nothink, [[1|")]
    for name, hidden in zip(names, ("<|", "<think", "\u202e", "/nothink", "[["), strict=True):
        assert hidden not in name


@pytest.mark.parametrize("pictures", [False, True])
def test_an_answer_has_evidence_for_every_cell(pictures: bool) -> None:
    columns = parse('name, total (number), state (open | paid), "quoted"')
    schema = answer_schema(columns, pictures)
    read(schema)  # the engine takes it
    (row,) = plain_value(schema)["rows"]
    assert list(row) == [column.name for column in columns]
    wanted = ["quote", "page", "box", "value"] if pictures else ["quote", "page", "value"]
    assert all(list(cell) == wanted for cell in row.values())
    assert row["state"]["value"] == "open" and isinstance(row["total"]["value"], int)


@given(some.text(max_size=300))
def test_any_text_is_columns_or_refused(text: str) -> None:
    try:
        columns = parse(text)
    except BadColumns:
        return
    assert json.loads(answer_schema(columns, False))


@given(
    some.recursive(
        some.none() | some.booleans() | some.integers() | some.text(max_size=8),
        lambda inner: (
            some.lists(inner, max_size=3)
            | some.dictionaries(
                some.sampled_from(["properties", "items", "type", "enum", "a", "$ref"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_columns_or_refused(value: Any) -> None:
    with contextlib.suppress(BadColumns):
        parse(json.dumps({"properties": value} if isinstance(value, dict) else [value]))
