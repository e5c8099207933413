"""Bytes of weights: the published table to the byte, and what a real checkpoint really takes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from make_tiny_model import make
from mlx.utils import tree_flatten

from mlx_backend.errors import ModelBroken, ModelMissing
from mlx_backend.glm.config import parse_config, read_config
from mlx_backend.glm.loading import load
from mlx_backend.published import CONFIG, ladder, named, published, published_config, published_shape
from mlx_backend.weighing import (
    RECIPES,
    Recipe,
    largest_picture,
    shape_of_folder,
    weigh_config,
    weigh_folder,
    weigh_headers,
)

# Bytes of GLM-4.5V in each format, as published or as the real module tree sums up.
EXACT = {
    "bf16": 215_421_866_240,
    "8-bit": 115_270_979_840,
    "6-bit": 88_564_076_800,
    "5-bit": 75_210_625_280,
    "4-bit": 61_857_173_760,
    "3-bit": 48_503_722_240,
    "mxfp4": 58_518_810_880,
    "nvfp4": 61_857_173_760,
    "mxfp8": 111_932_616_960,
}
# GB, and GB read for one token, where only two digits are known.
ROUNDED = {
    "3-bit g32": (55.18, 6.44),
    "4-bit g32": (68.53, 8.04),
    "5-bit g32": (81.89, 9.63),
    "6-bit g32": (95.24, 11.23),
    "8-bit g32": (121.95, 14.43),
}
ACTIVE = {
    "bf16": 25.61, "8-bit": 13.63, "6-bit": 10.43, "5-bit": 8.83, "4-bit": 7.24, "3-bit": 5.64,
    "mxfp4": 6.84, "nvfp4": 7.24, "mxfp8": 13.23,
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_the_real_model_to_the_byte(name: str) -> None:
    weights = named(name)
    assert weights is not None
    assert weights.total == EXACT[name]
    assert weights.active / 1e9 == pytest.approx(ACTIVE[name], abs=0.005)
    # The tower is 858,681,856 parameters in bfloat16, whatever the language model is.
    assert weights.vision == 858_681_856 * 2


@pytest.mark.parametrize("name", ROUNDED)
def test_the_real_model_in_groups_of_32(name: str) -> None:
    weights = named(name)
    assert weights is not None
    assert (weights.total / 1e9, weights.active / 1e9) == pytest.approx(ROUNDED[name], abs=0.005)


def test_an_expert_weighs_what_it_does() -> None:
    four = published(RECIPES[4])
    assert four.experts / (45 * 128) == 17_301_504 * 4.5 / 8
    assert [w.name for w in ladder()] == ["8-bit", "6-bit", "5-bit", "4-bit", "3-bit"]


def test_a_group_that_does_not_divide_a_matrix_leaves_it_plain() -> None:
    """10,944 is no multiple of 128: the dense layer's last matrix stays as it is, also in the converter."""
    wide = Recipe("4-bit g128", 4, 128)
    regular = sum(
        t.count * (t.rows * t.columns * 4 // 8 + t.rows * t.columns // 128 * 4)
        for t in _quantized()
        if t.columns % 128 == 0
    )
    plain = sum(t.rows * t.columns * 2 for t in _quantized() if t.columns % 128)
    assert plain == 10_944 * 4096 * 2
    assert published(wide).total == regular + plain + _never_quantized()


def _quantized() -> list[Any]:
    from mlx_backend.weighing import tensors_of

    return [t for t in tensors_of(published_config()) if not t.plain]


def _never_quantized() -> int:
    from mlx_backend.weighing import tensors_of

    return sum(t.rows * t.columns * t.count * 2 for t in tensors_of(published_config()) if t.plain)


# --- real checkpoints ------------------------------------------------------------------------------------

MADE: dict[str, dict[str, Any] | None] = {
    "plain": None,
    "3-bit": {"bits": 3, "group_size": 64, "mode": "affine"},
    "4-bit": {"bits": 4, "group_size": 64, "mode": "affine"},
    "5-bit g32": {"bits": 5, "group_size": 32, "mode": "affine"},
    "6-bit": {"bits": 6, "group_size": 64, "mode": "affine"},
    "8-bit g32": {"bits": 8, "group_size": 32, "mode": "affine"},
    "mxfp4": {"bits": 4, "group_size": 32, "mode": "mxfp4"},
    "nvfp4": {"bits": 4, "group_size": 16, "mode": "nvfp4"},
    "mxfp8": {"bits": 8, "group_size": 32, "mode": "mxfp8"},
}


def _mixed(path: str) -> dict[str, Any] | bool | None:
    if path.endswith("lm_head"):
        return {"bits": 8, "group_size": 32, "mode": "affine"}
    return False if path.endswith("embed_tokens") else None


def _made(folder: Path, name: str) -> Path:
    return make(folder, layout="stacked", form="mlx", recipe=MADE[name], shards=2)


@pytest.mark.parametrize("name", MADE)
def test_headers_config_and_memory_agree(name: str, tmp_path: Path) -> None:
    folder = _made(tmp_path / "model", name)
    weights, config = weigh_folder(folder), read_config(folder)
    # The small checkpoints are written in float32: a float takes 4 bytes.
    computed = weigh_config(config, item=4)
    kept = 2 * config.text.n_routed_experts * (config.text.num_hidden_layers - 1)  # counted as bfloat16
    assert computed.total + kept == weights.total
    assert weights.total == _loaded(folder)
    assert (weights.experts, weights.vision) == (computed.experts, computed.vision)
    assert weights.name == {"plain": "bf16"}.get(name, name)


def test_a_mixed_recipe_is_counted_layer_by_layer(tmp_path: Path) -> None:
    folder = make(tmp_path / "model", layout="stacked", form="mlx", recipe=MADE["4-bit"], overrides=_mixed)
    weights, config = weigh_folder(folder), read_config(folder)
    kept = 2 * config.text.n_routed_experts * (config.text.num_hidden_layers - 1)
    assert weigh_config(config, item=4).total + kept == weights.total == _loaded(folder)
    assert weights.name == "mixed"


@pytest.mark.parametrize("layout", ["per-expert", "fused"])
def test_other_layouts_weigh_the_same_and_are_stacked_while_loading(layout: str, tmp_path: Path) -> None:
    stacked = weigh_folder(make(tmp_path / "a", layout="stacked", form="mlx"))
    other = weigh_folder(make(tmp_path / "b", layout=layout, mtp=layout == "per-expert"))
    assert other.total == stacked.total
    assert (stacked.stacked, other.stacked) == (True, False)


def test_floats_that_are_converted_at_load_are_counted_as_converted(tmp_path: Path) -> None:
    folder = _made(tmp_path / "model", "4-bit")
    half = weigh_folder(folder, item=2)
    model = load(folder, dtype="bfloat16")
    assert half.total == sum(array.nbytes for _, array in tree_flatten(model.parameters()))
    assert half.total < weigh_folder(folder).total


def _loaded(folder: Path) -> int:
    """What MLX holds once the checkpoint is loaded, and nothing else."""
    mx.clear_cache()
    before = mx.get_active_memory()
    model = load(folder)
    held = mx.get_active_memory() - before
    parameters = sum(array.nbytes for _, array in tree_flatten(model.parameters()))
    assert held == pytest.approx(parameters, abs=4096)  # constants of the model's own, some bytes each
    return parameters


def test_headers_alone_are_enough(tmp_path: Path) -> None:
    """As a program does that asked a server for the first bytes of each file."""
    folder = _made(tmp_path / "model", "6-bit")
    headers = []
    for file in sorted(folder.glob("*.safetensors")):
        raw = file.read_bytes()[: 8 + struct.unpack("<Q", file.read_bytes()[:8])[0]]
        headers.append(json.loads(raw[8:]))
    assert weigh_headers(headers, read_config(folder)) == weigh_folder(folder)


def test_a_folder_that_is_no_checkpoint_is_told_by_file(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        weigh_folder(tmp_path / "none")
    folder = make(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ModelBroken, match=r"model\.safetensors"):
        weigh_folder(folder)
    rope = {"rope_scaling": {"mrope_section": [0, 0, 0]}, "head_dim": 1}
    with pytest.raises(ModelBroken, match="vocab_size"):
        parse_config({**CONFIG, "text_config": rope}, "config.json")


def test_the_shape_of_a_folder(tmp_path: Path) -> None:
    folder = make(tmp_path / "model")
    shape = shape_of_folder(folder, 4)
    assert (shape.layers, shape.heads, shape.kv_heads, shape.head_dim, shape.item) == (3, 4, 2, 32, 4)
    assert largest_picture(folder) == 24_576
    assert published_shape().max_context == 65_536
