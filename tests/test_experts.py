"""Slow mode: experts read from disk as they are needed. The same tokens, within a budget, or a clear no."""

from __future__ import annotations

import gc
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from asking import ROOT
from make_tiny_model import TINY, make
from mlx.utils import tree_flatten

from mlx_backend import Engine, small
from mlx_backend.apart import expert_bytes, is_repacked
from mlx_backend.errors import BackendError, ModelBroken, NotEnoughMemory
from mlx_backend.glm import experts, load
from mlx_backend.guard import LEAST, LIMIT
from mlx_backend.limits import guard_of
from mlx_backend.respond import Responder
from mlx_backend.sizes import EDGE, GB, GIB, Machine, Setup
from mlx_backend.types import Answer, Message, Request, Sampling, Text

SHAPE = replace(TINY, hidden=128, moe_inter=256, experts=32, layers=9, experts_per_token=4)
FOUR = {"bits": 4, "group_size": 32}


@pytest.fixture(scope="module", params=["plain", "4-bit"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint, and the same prepared for slow mode."""
    folder = tmp_path_factory.mktemp(request.param)
    recipe = None if request.param == "plain" else FOUR
    whole = make(folder / "whole", shape=SHAPE, layout="stacked" if recipe else "per-expert", recipe=recipe)
    experts.make(whole, folder / "slow")
    return whole, folder / "slow"


def spoken(folder: Path, most: int | None, prompt: int) -> tuple[list[int], int, int]:
    """Tokens; and the most bytes held beyond the resident weights, while reading and while speaking."""
    gc.collect()
    mx.clear_cache()
    before = mx.get_active_memory()
    model = load(folder, "float32", experts=most)
    resident = sum(array.nbytes for _, array in tree_flatten(model.parameters()))
    language, tokens = model.language_model, []
    cache = language.make_cache()
    ids = mx.array(np.arange(40, 40 + prompt) % 250)
    mx.reset_peak_memory()
    hidden = language(language.embed(ids), np.broadcast_to(np.arange(prompt), (3, prompt)), cache)
    token = mx.argmax(language.logits(hidden[-1:])[0])
    mx.eval(token)
    reading = mx.get_peak_memory() - before - resident
    mx.reset_peak_memory()
    for step in range(24):
        tokens.append(int(token.item()))  # type: ignore[arg-type]
        token = mx.argmax(language.step(token, prompt + step, cache))
    mx.eval(token)
    return tokens, reading, mx.get_peak_memory() - before - resident


@pytest.mark.parametrize("prompt", [12, 80])  # a few experts of each layer, and most of them
def test_the_same_tokens_within_the_budget(pair: tuple[Path, Path], prompt: int) -> None:
    """At 25, 50 and 100 % of the experts. What any run holds beside weights is measured without slow mode."""
    whole, slow = pair
    every = expert_bytes(slow)
    expected, reading, speaking = spoken(whole, None, prompt)
    held = []
    for share in (0.25, 0.5, 1.0):
        budget = int(every * share)
        tokens, read, said = spoken(slow, budget, prompt)
        assert tokens == expected
        assert read <= budget + reading and said <= budget + speaking
        held.append(said)
    assert held[0] < held[1] and held[0] < every / 3  # they were really dropped


def test_logits_are_equal_to_the_bit(pair: tuple[Path, Path]) -> None:
    whole, slow = pair
    ids = list(range(40, 70))
    least = experts.layer_bytes(slow)
    assert np.array_equal(load(whole, "float32")(ids), load(slow, "float32", experts=least)(ids))


def test_a_whole_answer_in_slow_mode(pair: tuple[Path, Path]) -> None:
    whole, slow = pair
    greedy = Sampling(temperature=0)
    request = Request((Message("user", (Text("hello world"),)),), sampling=greedy, max_tokens=12)
    said = [
        [event for event in Responder(folder, setup=setup).respond(request) if isinstance(event, Answer)]
        for folder, setup in ((whole, Setup()), (slow, Setup(experts_share=0.3)))
    ]
    assert said[0] == said[1] != []


# --- what stays for experts --------------------------------------------------------------------------------


def machine(working_set: int) -> Machine:
    return Machine("a Mac", 64 * GIB, working_set, gpu=False)


def test_keys_and_values_have_their_room_before_experts(pair: tuple[Path, Path]) -> None:
    """The longer the conversation may get, the fewer experts stay; with room for all, all do."""
    guard = guard_of(pair[1], Setup(vision=False, patches=0, picture_tokens=0), "float32", False)
    assert guard.load(machine(64 * GB)).experts_share == 1.0

    def share(context: int, working_set: int) -> float:
        return (
            replace(guard, setup=replace(guard.setup, context=context))
            .load(machine(working_set))
            .experts_share
        )

    full = guard._judge(machine(64 * GB), guard.setup)
    tight = int((full.metal_peak - guard.weights.experts / 2) / 0.97)
    assert 0.4 < share(65_536, tight) < 0.6
    assert share(2048, tight) == 1.0
    with pytest.raises(NotEnoughMemory):
        guard.load(machine(1_000_000))


def test_the_limit_reaches_the_store(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup(context=2048, patches=0, picture_tokens=0)
    found = guard_of(pair[1], setup, "float32", False)
    needed = found._judge(machine(64 * GB), setup).metal_peak
    monkeypatch.setenv(LIMIT, str(int((needed - found.weights.experts // 2) / 0.97)))
    responder = Responder(pair[1], setup=setup)
    assert responder.setup.experts_share < 0.6


def test_a_conversation_that_the_guard_made_shorter_is_the_one_that_is_told(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for one layer of experts and a short conversation: measured as the loaded model holds it."""
    setup = Setup(vision=False, patches=0, picture_tokens=0)
    found = guard_of(pair[1], setup, "float32", False)
    least = replace(small(setup), context=LEAST, experts_share=found.layer / found.weights.experts)
    monkeypatch.setenv(LIMIT, str(int(found._judge(machine(64 * GB), least).metal_peak / EDGE) + 1))
    question = Request((Message("user", (Text("hello"),)),))
    with Engine(pair[1], setup=setup) as engine:
        assert engine.measure(question).limit == setup.context
        for _ in engine.load(pair[1], setup):
            pass
        assert engine.status().setup is not None and engine.status().setup.context == LEAST
        assert engine.measure(question).limit == LEAST


# --- preparing ---------------------------------------------------------------------------------------------


def test_slow_mode_of_a_checkpoint_that_is_not_prepared(tiny_model: Path) -> None:
    with pytest.raises(BackendError, match=r"not prepared for slow mode.*mlx_backend\.glm\.experts"):
        Responder(tiny_model, setup=Setup(experts_share=0.5))


def test_a_layer_without_its_experts_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    import shutil

    broken = shutil.copytree(pair[1], tmp_path / "broken")
    (broken / "experts" / "layer_0003.safetensors").unlink()
    with pytest.raises(ModelBroken, match=r"layer_0003\.safetensors"):
        load(broken, "float32")


def test_without_its_two_folders_it_says_how_it_is_used() -> None:
    command = [sys.executable, "-m", "mlx_backend.glm.experts", "only one"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: python -m mlx_backend.glm.experts CHECKPOINT FOLDER\n")


def test_what_cannot_be_prepared_leaves_nothing(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole")
    (tmp_path / "there").mkdir()
    with pytest.raises(BackendError, match="there already"):
        experts.make(whole, tmp_path / "there")
    (next(iter(whole.glob("*.safetensors")))).write_bytes(b"no weights")
    with pytest.raises(BackendError, match="could not be prepared"):
        experts.make(whole, tmp_path / "slow")
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "there"}


def test_the_command_prepares_a_copy(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole")
    command = [sys.executable, "-m", "mlx_backend.glm.experts"]
    subprocess.run([*command, whole, tmp_path / "slow"], cwd=ROOT, check=True, capture_output=True)
    assert is_repacked(tmp_path / "slow") and not is_repacked(whole)
    again = subprocess.run([*command, whole, tmp_path / "slow"], cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 1 and "there already" in again.stderr and "Traceback" not in again.stderr
