"""A folder that somebody prepared: a strange file is an error in words, and never hides the other models."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlx_backend import BackendError, find_models, look_at
from mlx_backend.errors import ModelBroken
from mlx_backend.glm.checkpoint import entries_of
from mlx_backend.glm.config import parse_config, read_config
from mlx_backend.weighing import largest_picture, shape_of, weigh_config, weigh_folder

NESTED = "[" * 200_000  # deeper than any parser follows
STRANGE: list[Any] = [
    None, -1, 0, float("inf"), float("nan"), 10**400, 10**9, 1.5, "x", "", [], {}, [1], [[1]], {"a": 1}, True,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = put(value[path[0]], path[1:], new)
    return changed


@pytest.fixture
def place(tiny_model: Path, tmp_path: Path) -> Path:
    """Two models, of which one may be damaged: somebody/strange and somebody/fine."""
    for name in ("strange", "fine"):
        shutil.copytree(tiny_model, tmp_path / "place" / "somebody" / name)
    return tmp_path / "place"


def look_everywhere(place: Path) -> None:
    folder = place / "somebody" / "strange"
    assert "somebody/fine" in [found.name for found in find_models([place])]
    for look in (look_at, read_config, largest_picture, weigh_folder, lambda path: weigh_folder(path, 4)):
        try:
            look(folder)
        except BackendError as error:
            assert str(folder) in str(error)


def test_no_number_of_a_config_is_believed(tiny_model: Path) -> None:
    raw = json.loads((tiny_model / "config.json").read_text())
    raw["quantization"] = {
        "bits": 4,
        "group_size": 64,
        "language_model.lm_head": {"bits": 8, "group_size": 64},
    }
    for path in places(raw):
        for strange in STRANGE:
            changed = put(raw, path, strange)
            if not isinstance(changed, dict):
                continue
            try:
                config = parse_config(changed, "config.json")
            except ModelBroken:
                continue
            assert shape_of(config).layers > 0 and weigh_config(config).total > 0, (path, strange)


def test_a_recipe_of_others_is_nobody_s_business(tiny_model: Path) -> None:
    raw = json.loads((tiny_model / "config.json").read_text())
    raw["quantization_config"] = {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": -1,
        "checkpoint_format": None,
    }
    assert parse_config(raw, "config.json").quantization == {"quant_method": "gptq"}


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "preprocessor_config.json",
        "model.safetensors.index.json",
        "glm-chat.json",
        "unfinished.json",
    ],
)
@pytest.mark.parametrize(
    "text",
    [NESTED, "[]", "{}", "1" * 5000, '{"size": {"shortest_edge": 1e999}}',
     '{"weight_map": {"a": "' + "x" * 300 + '"}}', '{"weight_map": {"a": "x\\u0000y"}}'],
    ids=["nested", "list", "empty", "number", "infinite", "long", "zero"],
)  # fmt: skip
def test_a_strange_file_hides_no_other_model(place: Path, name: str, text: str) -> None:
    (place / "somebody" / "strange" / name).write_text(text)
    look_everywhere(place)


GOOD = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


HARMLESS = {("dtype", '"x"'), ("dtype", '""'), *(("shape", n) for n in ("[]", "[1]", "[4, 0]", "[0, 4, 8]"))}


@pytest.mark.parametrize("field", ["dtype", "shape", "data_offsets"])
@pytest.mark.parametrize("strange", [*STRANGE, [-1, 4], [4, 0], [0, 10**400], ["0", 4], [0, 4, 8], "absent"])
def test_a_strange_header_is_refused(field: str, strange: Any) -> None:
    entry = {**GOOD, field: strange}
    if strange == "absent":
        del entry[field]
    header = json.dumps({"__metadata__": {"format": "mlx"}, "fine": GOOD, "strange": entry}).encode()
    if (field, json.dumps(strange)) in HARMLESS:
        assert entries_of(header, "a.safetensors")["strange"] == entry
    else:
        with pytest.raises(ModelBroken, match=r"a\.safetensors: has a header that cannot be read"):
            entries_of(header, "a.safetensors")


@pytest.mark.parametrize("header", [NESTED.encode(), b"[]", b'"text"', b"{", b'{"a": 1}', b"\xff"])
def test_what_is_no_header_hides_no_other_model(place: Path, header: bytes) -> None:
    file = place / "somebody" / "strange" / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(100))
    look_everywhere(place)
    with pytest.raises(ModelBroken, match="cannot be read"):
        weigh_folder(file.parent)
