"""Our logits against the reference's, as scripts/make_reference stored them: the first promise we make."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from reference.cases import CASES, Input, build, rows_kept
from tokenizers import Tokenizer

from mlx_backend.cache import PrefixCache
from mlx_backend.generate import prefill
from mlx_backend.glm import load
from mlx_backend.glm.model import Model, positions
from mlx_backend.glm.vision import split_rows

LIMIT = 1e-5  # relative L2 in float32
GOLDEN = Path(__file__).parent / "reference" / "logits.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.fixture(scope="module")
def model(tiny_model) -> Model:
    return load(tiny_model, dtype="float32")


@pytest.fixture(scope="module")
def inputs(tiny_model) -> dict[str, Input]:
    tokenizer = Tokenizer.from_file(str(tiny_model / "tokenizer.json"))
    return {name: build(name, lambda text: tokenizer.encode(text).ids) for name in CASES}


def relative(reference: np.ndarray, ours: np.ndarray) -> float:
    return float(np.linalg.norm(reference - ours) / np.linalg.norm(reference))


@pytest.mark.parametrize("name", CASES)
def test_logits_equal_the_reference(name, model, inputs, golden):
    given = inputs[name]
    assert given.ids == golden[f"{name}/ids"].tolist()
    logits = model(given.ids, given.patches, given.grids)
    assert logits.shape == (len(given.ids), model.config.text.vocab_size)
    assert relative(golden[f"{name}/logits"], logits[rows_kept(len(given.ids))]) <= LIMIT


@pytest.mark.parametrize("name", CASES)
def test_positions_equal_the_reference(name, model, inputs, golden):
    given = inputs[name]
    ours, following = positions(given.ids, given.grids, model.image_id)
    assert np.array_equal(ours, golden[f"{name}/positions"])
    assert following == golden[f"{name}/positions"].max() + 1


def run_prefill(model: Model, given: Input, chunk: int) -> tuple[np.ndarray, PrefixCache, int]:
    """Logits behind the prompt, what is in the cache, and the next token's position."""
    where, following = positions(given.ids, given.grids, model.image_id)
    features = (
        []
        if given.patches is None
        else list(model.vision_tower.encode(split_rows(given.patches, given.grids)))
    )
    images = np.flatnonzero(np.array(given.ids) == model.image_id)
    starts = images[np.cumsum([0, *(len(f) for f in features)])[:-1]] if features else []
    vectors = model.embed(given.ids, list(zip(map(int, starts), features, strict=True)))
    prefix = PrefixCache(model.language_model.make_cache)
    steps = prefill(
        model.language_model,
        prefix,
        list(range(len(given.ids))),
        lambda a, b: vectors[a:b],
        where,
        lambda: False,
        chunk,
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return np.array(end.value), prefix, following


@pytest.mark.parametrize("name", CASES)
def test_decoding_equals_the_reference(name, model, inputs, golden):
    _, prefix, position = run_prefill(model, inputs[name], 1024)
    logits = []
    for step, token in enumerate(golden[f"{name}/decoded"].tolist()):
        logits.append(model.language_model.step(mx.array(token), position + step, prefix.kv))
    assert relative(golden[f"{name}/decode_logits"], np.array(mx.stack(logits))) <= LIMIT


@pytest.mark.parametrize("chunk", [7, 16, 64])
@pytest.mark.parametrize("name", CASES)
def test_prefill_in_chunks_equals_the_reference(name, chunk, model, inputs, golden):
    """Chunks of these sizes cut through every picture."""
    last, prefix, _ = run_prefill(model, inputs[name], chunk)
    assert len(prefix.keys) == prefix.kv[0].offset == len(inputs[name].ids)
    assert relative(golden[f"{name}/logits"][-1], last) <= LIMIT


def test_pictures_are_independent_of_their_company(model, inputs):
    """Encoding equal grids together or one by one gives the same vectors."""
    given = inputs["video 8 pairs"]
    together = list(model.vision_tower.encode(split_rows(given.patches, given.grids)))
    size = 8 * 10
    for pair, features in enumerate(together):
        rows = given.patches[pair * size : (pair + 1) * size]
        (alone,) = model.vision_tower.encode([(rows, given.grids[pair])])
        assert relative(np.array(alone), np.array(features)) <= 1e-6


def test_plain_bilinear_positions_would_be_noticed(model, inputs, golden, monkeypatch):
    """The comparison can fail: with another interpolation of the position table it does."""
    import mlx_backend.glm.vision as vision

    def bilinear(n_out: int, n_in: int) -> np.ndarray:
        at = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
        low = np.floor(at).astype(int)
        matrix = np.zeros((n_out, n_in), np.float32)
        matrix[np.arange(n_out), low] += 1 - (at - low)
        matrix[np.arange(n_out), np.minimum(low + 1, n_in - 1)] += at - low
        return matrix

    monkeypatch.setattr(vision, "cubic_matrix", bilinear)
    given = inputs["image 12x16"]
    logits = model(given.ids, given.patches, given.grids)
    assert relative(golden["image 12x16/logits"], logits[rows_kept(len(given.ids))]) > 1000 * LIMIT


@pytest.mark.parametrize(
    ("patches", "grids"), [(None, [(1, 4, 4)]), (np.zeros((16, 1176), np.float32), [(1, 4, 6)])]
)
def test_mismatched_input_is_refused(model, patches, grids):
    with pytest.raises(ValueError, match="patch rows"):
        model([1, 2, 3], patches, grids)


def test_placeholders_without_a_picture_are_refused(model):
    with pytest.raises(ValueError, match="more than the pictures need"):
        model([1, model.image_id, 3])
