"""The vision tower that lies in its files until a picture comes: same logits, fewer bytes."""

from __future__ import annotations

import gc
import shutil
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from make_tiny_model import TINY, make
from mlx.utils import tree_flatten
from turns import QUESTION, TURN_2, last_logits, picture, user

from mlx_backend.errors import ModelBroken
from mlx_backend.glm import load
from mlx_backend.glm.loading import load_vision
from mlx_backend.respond import Responder
from mlx_backend.sizes import Setup
from mlx_backend.types import Done, Progress, Request, Sampling, Text

PATCHES = np.random.Generator(np.random.PCG64(5)).standard_normal((48, 1176), dtype=np.float32)
GRIDS = [(1, 6, 8)]
LATE = Setup(vision=False)


def nbytes(module: object) -> int:
    return sum(array.nbytes for _, array in tree_flatten(module.parameters()))  # type: ignore[attr-defined]


@pytest.mark.parametrize("layout", ["per-expert", "stacked"])
@pytest.mark.parametrize("shards", [1, 3])
def test_the_same_logits_with_the_tower_read_late(layout: str, shards: int, tmp_path: Path) -> None:
    folder = make(tmp_path, layout=layout, shards=shards)
    whole, late = load(folder, "float32"), load(folder, "float32", vision=False)
    words = list(range(40, 60))
    ids = [*words, *[whole.image_id] * 12, *words]
    assert np.array_equal(late(words), whole(words))
    with pytest.raises(ValueError, match="not in memory"):
        late(ids, PATCHES, GRIDS)
    told: list[tuple[int, int]] = []
    load_vision(late, folder, "float32", lambda done, total: told.append((done, total)))
    assert np.array_equal(late(ids, PATCHES, GRIDS), whole(ids, PATCHES, GRIDS))
    assert told[0][0] == 0 and told[-1] == (nbytes(late.vision_tower), nbytes(late.vision_tower))


def test_bytes_that_are_not_held(tmp_path: Path) -> None:
    """Measured by MLX: what loading without the tower holds is less by the tower's bytes, to the byte."""
    folder = make(tmp_path, shape=replace(TINY, vision_depth=10, vision_hidden=256), layout="stacked")

    def held(vision: bool) -> tuple[int, object]:
        gc.collect()  # models of earlier tests
        mx.clear_cache()
        before = mx.get_active_memory()
        model = load(folder, "float32", vision=vision)
        return mx.get_active_memory() - before, model

    bare, late = held(False)
    full, whole = held(True)
    assert full - bare == nbytes(whole.vision_tower) > 10_000_000  # type: ignore[attr-defined]
    load_vision(late, folder, "float32")  # type: ignore[arg-type]
    late.vision_tower = None  # type: ignore[attr-defined]
    del whole
    again, _ = held(False)
    assert again == bare


def test_only_files_with_some_of_the_tower_are_opened(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (file,) = folder.glob("*.safetensors")
    arrays = mx.load(str(file))
    for name, ours in (("tower", True), ("words", False)):
        part = {n: a for n, a in arrays.items() if n.startswith("model.visual.") is ours}
        mx.save_safetensors(str(folder / f"{name}.safetensors"), part)
    file.unlink()
    model = load(folder, "float32", vision=False)
    opened: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        real = mx.load
        patch.setattr(mx, "load", lambda file: opened.append(Path(file).name) or real(file))
        load_vision(model, folder, "float32")
    assert opened == ["tower.safetensors"]


def test_a_tower_that_changed_on_disk_is_refused_in_words(tmp_path: Path) -> None:
    folder, other = make(tmp_path / "a"), make(tmp_path / "b", shape=replace(TINY, vision_depth=3))
    model = load(folder, "float32", vision=False)
    for file in other.iterdir():
        shutil.copy(file, folder / file.name)
    with pytest.raises(ModelBroken, match=r"holds blocks\.2.*does not have"):
        load_vision(model, folder, "float32")
    assert model.vision_tower is None


def test_pictures_are_seen_as_with_the_tower_in_memory(tiny_model: Path) -> None:
    whole, late = Responder(tiny_model), Responder(tiny_model, setup=LATE)
    bare = late.weight_bytes
    for turn in [(user(Text("hello")),), (QUESTION,), TURN_2, (*TURN_2[:2], user(picture(2), Text("this?")))]:
        ours, expected = last_logits(late, *turn), last_logits(whole, *turn)
        assert np.array_equal(ours[0], expected[0]) and ours[1:] == expected[1:]
        assert late.weight_bytes == bare < whole.weight_bytes
        assert late.facts().weight_bytes == bare


def test_the_tower_is_read_only_for_a_picture_that_is_not_kept(tiny_model: Path) -> None:
    late = Responder(tiny_model, setup=LATE)

    def loads(*messages: object) -> int:
        request = Request(messages, sampling=Sampling(temperature=0), max_tokens=2)  # type: ignore[arg-type]
        events = list(late.respond(request))
        assert isinstance(events[-1], Done)
        return sum(isinstance(event, Progress) and event.stage == "load" for event in events)

    assert loads(user(Text("hello"))) == 0
    assert loads(QUESTION) == 2  # its beginning and its end
    assert loads(*TURN_2) == 0
    late._prefix.clear()
    assert loads(QUESTION) == 0  # its vectors are kept


def test_cancelled_while_it_looks_the_tower_is_given_back(tiny_model: Path) -> None:
    late = Responder(tiny_model, setup=LATE)
    events = list(late.respond(Request((QUESTION,)), lambda: True))
    assert events[-1].reason == "cancelled"  # type: ignore[union-attr]
    assert late.model.vision_tower is None
