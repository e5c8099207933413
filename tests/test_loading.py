"""Every weight layout, config form and quantization loads, and what cannot be loaded says why."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from make_tiny_model import make

from mlx_backend.errors import ModelBroken, ModelMissing
from mlx_backend.glm import load
from mlx_backend.glm.loading import KEPT_FLOAT32

IDS = list(range(40, 60))
RNG = np.random.Generator(np.random.PCG64(5))
PATCHES = RNG.standard_normal((48, 1176), dtype=np.float32)
GRIDS = [(1, 6, 8)]


def answer(folder: Path) -> np.ndarray:
    model = load(folder, dtype="float32")
    ids = [*IDS, *[model.image_id] * 12, *IDS]
    return model(ids, PATCHES, GRIDS)


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


@pytest.fixture(scope="module")
def plain(tiny_model) -> np.ndarray:
    return answer(tiny_model)


@pytest.mark.parametrize("layout", ["per-expert", "fused", "stacked"])
@pytest.mark.parametrize("form", ["original", "transformers5", "mlx"])
def test_every_layout_and_config_form(layout, form, tmp_path, plain):
    folder = make(tmp_path, layout=layout, form=form)
    assert np.array_equal(answer(folder), plain)


def test_an_appended_mtp_layer_is_dropped(tmp_path, plain):
    assert np.array_equal(answer(make(tmp_path, mtp=True)), plain)


def test_shards_with_an_index(tmp_path, plain):
    assert np.array_equal(answer(make(tmp_path, shards=3)), plain)


QUANTIZED = [
    *({"bits": bits, "group_size": group} for bits in (3, 4, 5, 6, 8) for group in (32, 64)),
    {"bits": 4, "group_size": 32, "mode": "mxfp4"},
    {"bits": 4, "group_size": 16, "mode": "nvfp4"},
    {"bits": 8, "group_size": 32, "mode": "mxfp8"},
]


def dequantized(folder: Path, out: Path) -> Path:
    """The same checkpoint with every quantized matrix written out in full."""
    shutil.copytree(folder, out)
    tensors = mx.load(str(folder / "model.safetensors"))
    config = json.loads((folder / "config.json").read_text())
    recipe = config.pop("quantization")
    for name in [n for n in tensors if n.endswith(".scales")]:
        path = name.removesuffix(".scales")
        own = recipe[path] if path in recipe else {k: v for k, v in recipe.items() if "." not in k}
        biases = tensors.pop(f"{path}.biases", None)
        tensors[f"{path}.weight"] = mx.dequantize(
            tensors[f"{path}.weight"], tensors.pop(name), biases, **own
        ).astype(mx.float32)
    mx.save_safetensors(str(out / "model.safetensors"), tensors)
    (out / "config.json").write_text(json.dumps(config))
    return out


@pytest.mark.parametrize("recipe", QUANTIZED, ids=lambda r: "-".join(map(str, r.values())))
def test_quantized_weights_compute_what_they_stand_for(recipe, tmp_path, plain):
    folder = make(tmp_path / "quantized", layout="stacked", form="mlx", recipe=recipe)
    logits = answer(folder)
    assert relative(answer(dequantized(folder, tmp_path / "full")), logits) < 1e-5
    assert relative(plain, logits) > 1e-4  # it really is another model


def test_a_mixed_recipe(tmp_path):
    def overrides(path: str):
        if path.endswith("lm_head"):
            return {"bits": 8, "group_size": 32}
        return False if "self_attn.o_proj" in path else None

    folder = make(
        tmp_path / "q",
        layout="stacked",
        form="mlx",
        recipe={"bits": 4, "group_size": 64},
        overrides=overrides,
    )
    model = load(folder)
    assert (model.language_model.lm_head.bits, model.language_model.lm_head.group_size) == (8, 32)
    assert model.language_model.model.layers[0].mlp.down_proj.bits == 4
    assert not hasattr(model.language_model.model.layers[0].self_attn.o_proj, "bits")
    assert relative(answer(dequantized(folder, tmp_path / "full")), answer(folder)) < 1e-5


def test_per_expert_names_may_be_quantized_too(tmp_path):
    folder = make(tmp_path / "q", layout="stacked", form="mlx", recipe={"bits": 4, "group_size": 32})
    expected = answer(folder)
    tensors = mx.load(str(folder / "model.safetensors"))
    for name in [n for n in tensors if ".switch_mlp." in n]:
        for expert, array in enumerate(tensors.pop(name)):
            tensors[name.replace(".switch_mlp.", f".experts.{expert}.")] = mx.contiguous(array)
    mx.save_safetensors(str(folder / "model.safetensors"), tensors)
    assert np.array_equal(answer(folder), expected)


def test_the_expert_bias_stays_float32(tiny_model):
    model = load(tiny_model, dtype="bfloat16")
    parameters = model.language_model.model.layers[1].mlp.gate
    assert getattr(parameters, KEPT_FLOAT32).dtype == mx.float32
    assert parameters.weight.dtype == mx.bfloat16


def test_progress_counts_every_byte(tiny_model):
    seen = []
    load(tiny_model, progress=lambda done, total: seen.append((done, total)))
    assert seen[0][0] == 0 and seen[-1][0] == seen[-1][1] > 0
    assert [done for done, _ in seen] == sorted(done for done, _ in seen) and len(seen) > 5


def test_bfloat16_stays_near(tmp_path, plain):
    """The type the real model runs in. MLX's CPU backend multiplies experts in it only when quantized."""
    folder = make(tmp_path, layout="stacked", form="mlx", recipe={"bits": 8, "group_size": 32})
    model = load(folder, dtype="bfloat16")
    assert model.language_model.model.norm.weight.dtype == mx.bfloat16
    logits = model([*IDS, *[model.image_id] * 12, *IDS], PATCHES, GRIDS)
    # The median: where rounding makes the router choose another expert, a position is far off by right.
    apart = np.linalg.norm(plain - logits, axis=1) / np.linalg.norm(plain, axis=1)
    assert np.median(apart) < 0.05


@pytest.mark.slow
def test_what_mlx_vlm_s_own_converter_writes(tiny_model, tmp_path):
    """Text only: on pictures mlx-vlm is no measure."""
    source, out = shutil.copytree(tiny_model, tmp_path / "source"), tmp_path / "converted"
    config = json.loads((source / "config.json").read_text())
    config["vision_start_token_id"] = config["image_start_token_id"]  # its own names, which it insists on
    config["vision_end_token_id"] = config["image_end_token_id"]
    (source / "config.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "mlx_vlm", "convert", "--hf-path", source, "--mlx-path", out]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run([*command, "-q", "--q-bits", "4"], check=True, capture_output=True, env=environment)
    reference = (
        "import sys, numpy as np, mlx.core as mx; from pathlib import Path;"
        "from mlx_vlm.utils import load_model;"
        "m = load_model(Path(sys.argv[1])); m.set_dtype(mx.float32);"
        "np.save(sys.argv[2], np.array(m.language_model(mx.array([list(range(40, 60))])).logits[0]))"
    )
    subprocess.run(
        [sys.executable, "-c", reference, out, tmp_path / "l.npy"],
        check=True,
        capture_output=True,
        env=environment,
    )
    assert relative(np.load(tmp_path / "l.npy"), load(out, dtype="float32")(IDS)) < 1e-5


# --- folders that cannot be loaded -----------------------------------------------------------------------


@pytest.fixture
def copy(tiny_model, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


def edit_config(folder: Path, change) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_no_folder(tmp_path):
    with pytest.raises(ModelMissing, match="no such folder"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ModelMissing) as caught:
        load(copy)
    assert caught.value.missing == [name]


def test_a_missing_shard_is_named(tmp_path):
    folder = make(tmp_path, shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(ModelMissing) as caught:
        load(folder)
    assert caught.value.missing == ["model-00002-of-00003.safetensors"]


@pytest.mark.parametrize("keep", [0, 5, 5000, -1])
def test_a_truncated_file_is_named(copy, keep):
    file = copy / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:keep])
    with pytest.raises(ModelBroken, match="cut short") as caught:
        load(copy)
    assert caught.value.file == str(file)


def test_a_header_of_garbage(copy):
    file = copy / "model.safetensors"
    file.write_bytes(struct.pack("<Q", 64) + b"\xff" * 64 + bytes(1000))
    with pytest.raises(ModelBroken, match="header"):
        load(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_damaged_config(copy, text):
    (copy / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(ModelBroken, match=r"config\.json"):
        load(copy)


def test_another_architecture(copy):
    edit_config(copy, lambda c: c.update(model_type="llama"))
    with pytest.raises(ModelBroken, match=r"'llama'.*GLM-4\.5V"):
        load(copy)


def test_a_missing_field_is_named(copy):
    edit_config(copy, lambda c: c["text_config"].pop("hidden_size"))
    with pytest.raises(ModelBroken, match="hidden_size"):
        load(copy)


def test_a_wrong_shape_names_the_tensor(copy):
    edit_config(copy, lambda c: c["vision_config"].update(depth=1))
    with pytest.raises(ModelBroken, match=r"blocks\.1\."):
        load(copy)
    edit_config(copy, lambda c: c["vision_config"].update(depth=2, intermediate_size=64))
    with pytest.raises(ModelBroken, match=r"merger.*\(128, 64\)"):
        load(copy)


def test_a_missing_tensor_is_named(copy):
    file = str(copy / "model.safetensors")
    tensors = mx.load(file)
    tensors.pop("model.language_model.norm.weight")
    mx.save_safetensors(file, tensors)
    with pytest.raises(ModelBroken, match=r"language_model\.model\.norm\.weight"):
        load(copy)


def test_a_missing_expert_is_named(copy):
    file = str(copy / "model.safetensors")
    tensors = mx.load(file)
    tensors.pop("model.language_model.layers.1.mlp.experts.3.up_proj.weight")
    mx.save_safetensors(file, tensors)
    with pytest.raises(ModelBroken, match="no expert 3"):
        load(copy)


def test_a_quantization_of_others_is_refused(tmp_path):
    folder = make(tmp_path, layout="stacked", form="mlx", recipe={"bits": 4, "group_size": 32})
    edit_config(folder, lambda c: c.update(quantization={"quant_method": "compressed-tensors"}))
    with pytest.raises(ModelBroken, match="compressed-tensors"):
        load(folder)


def test_an_unknown_mode_is_refused(tmp_path):
    folder = make(tmp_path, layout="stacked", form="mlx", recipe={"bits": 4, "group_size": 32})
    edit_config(folder, lambda c: c["quantization"].update(mode="magic"))
    with pytest.raises(ModelBroken, match="magic"):
        load(folder)


# --- the real model's size, by arithmetic alone ----------------------------------------------------------

REAL_TEXT = {
    "vocab_size": 151552,
    "hidden_size": 4096,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "num_hidden_layers": 46,
    "num_attention_heads": 96,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "n_routed_experts": 128,
    "num_experts_per_tok": 8,
    "n_shared_experts": 1,
    "max_position_embeddings": 65536,
    "partial_rotary_factor": 0.5,
    "rope_theta": 10000.0,
    "rope_scaling": {"rope_type": "default", "mrope_section": [8, 12, 12]},
}
REAL_VISION = {
    "depth": 24,
    "hidden_size": 1536,
    "num_heads": 12,
    "out_hidden_size": 4096,
    "intermediate_size": 10944,
}


def test_the_real_shape_has_the_real_model_s_parameters(tmp_path):
    """Nothing is allocated: arrays stay unevaluated. 107,710,933,120 is the published checkpoint's count."""
    from mlx.utils import tree_flatten

    from mlx_backend.glm.config import read_config
    from mlx_backend.glm.model import Model

    config = {"model_type": "glm4v_moe", "text_config": REAL_TEXT, "vision_config": REAL_VISION}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = Model(read_config(tmp_path), image_id=151363)
    sizes = {name: array.size for name, array in tree_flatten(model.parameters())}
    assert sum(sizes.values()) == 107_710_933_120
    vision = sum(size for name, size in sizes.items() if name.startswith("vision_tower."))
    assert vision == 858_681_856
