"""Whatever is reused between turns, the logits are those of a cold run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest
from turns import QUESTION, TURN_2, assistant, check, picture, user

from mlx_backend.cache import FeatureCache, PrefixCache
from mlx_backend.digests import Digests
from mlx_backend.respond import Responder
from mlx_backend.sizes import Setup
from mlx_backend.types import Image, Request, Sampling, Text


@pytest.fixture(scope="module", params=[None, 8, 4], ids=["plain", "8 bit", "4 bit"])
def pair(request, tiny_model) -> tuple[Responder, Responder]:
    """Two of the same: everything that follows holds whatever keys and values are kept in."""
    first, second = (
        Responder(tiny_model, dtype="float32", setup=Setup(chunk=64, kv_bits=request.param)) for _ in range(2)
    )
    return first, second


@pytest.fixture
def warm(pair) -> Responder:
    pair[0].forget()
    return pair[0]


@pytest.fixture
def cold(pair) -> Responder:
    return pair[1]


def test_text_follow_up(warm, cold):
    first = check(warm, cold, QUESTION)
    assert first[0] == 0 and first[2] == 1
    reused, total, encoded = check(warm, cold, *TURN_2)
    assert reused == first[1] and reused < total and encoded == 0


def test_new_picture_in_a_later_turn(warm, cold):
    first = check(warm, cold, *TURN_2)
    reused, _, encoded = check(
        warm, cold, *TURN_2, assistant("red."), user(picture(2, 112, 168), Text("and this?"))
    )
    assert reused == first[1] and encoded == 1


def test_regenerate_computes_one_token(warm, cold):
    check(warm, cold, *TURN_2)
    reused, total, encoded = check(warm, cold, *TURN_2)
    assert (reused, encoded) == (total - 1, 0)


def test_a_swapped_picture_of_the_same_size_is_seen(warm, cold):
    check(warm, cold, QUESTION)
    swapped = user(picture(7), Text("what is in this picture?"))
    reused, _, encoded = check(warm, cold, swapped)
    assert encoded == 1
    assert reused < 8  # nothing behind the picture's first token


def test_swapping_back_encodes_nothing(warm, cold):
    check(warm, cold, QUESTION)
    check(warm, cold, user(picture(7), Text("what is in this picture?")))
    assert check(warm, cold, QUESTION)[2] == 0  # the vectors were kept, only the KV is computed again


def test_edited_history(warm, cold):
    check(warm, cold, *TURN_2, assistant("red."), user(Text("thank you")))
    edited = (QUESTION, assistant("a fox."), user(Text("and how old is it?")))
    reused, _, encoded = check(warm, cold, *edited)
    prompt = warm.processor.layout((QUESTION, assistant("a fox."))).ids
    assert reused >= len(prompt) - 2 and encoded == 0


def test_thinking_toggled_between_turns(warm, cold):
    """The flag lives with each message: toggling rewrites no history."""
    asked = replace(QUESTION, thinking=True)
    first = check(warm, cold, asked)
    off = user(Text("shortly, please"), thinking=False)
    reused, _, _ = check(warm, cold, asked, assistant("a fox."), off)
    assert reused == first[1]
    second = warm.cached_tokens
    on = user(Text("now think"), thinking=True)
    reused, _, _ = check(warm, cold, asked, assistant("a fox."), off, assistant("fox"), on)
    assert reused >= second - 4  # all but the opening of the answer


def test_after_a_generated_answer_with_reasoning(warm, cold):
    """The KV of what the model thought is trimmed; the short answer is computed behind what stays."""
    request = Request((QUESTION,), sampling=Sampling(temperature=0), max_tokens=40)
    before = len(warm.processor.layout(request.messages).ids)
    done = list(warm.respond(request))[-1]
    assert done.stats.output_tokens > 10
    # The token that ends an answer was computed too, and counts for no output.
    assert warm.cached_tokens == before + done.stats.output_tokens + (done.reason == "stop")
    reused, _, encoded = check(warm, cold, *TURN_2)
    assert reused >= before and encoded == 0


def test_a_cancelled_prefill_is_not_lost(warm, cold):
    story = user(Text("the quick brown fox jumps over the lazy dog. " * 10))
    calls = iter([False, False, True])  # two chunks of 64, then stop
    list(warm.compute(warm.prepare(Request((story,))), cancelled=lambda: next(calls)))
    assert warm.cached_tokens == 128
    assert check(warm, cold, story)[0] == 128


def test_an_edited_file_is_seen_as_another_picture(warm, cold, tmp_path):
    file = tmp_path / "p.png"
    file.write_bytes(picture(1).source)
    question = user(Image(file), Text("what?"))
    check(warm, cold, question)
    file.write_bytes(picture(7).source)
    assert check(warm, cold, question)[2] == 1


def test_digests_read_a_file_once_until_it_changes(tmp_path):
    file, digests = tmp_path / "f", Digests()
    file.write_bytes(b"one")
    first = digests.of(file)
    assert digests.of(file) == first == digests.of(b"one")
    file.write_bytes(b"two")
    assert digests.of(file) == digests.of(b"two") != first


def test_features_are_bounded_in_bytes():
    cache = FeatureCache(limit=3000)
    for key in range(5):
        cache.put(key, mx.zeros(250))  # 1000 bytes
        cache.get(0)
    assert cache.nbytes <= 3000
    assert cache.get(0) is not None and cache.get(1) is None and cache.get(4) is not None


class Layer:
    """A KV cache that only counts."""

    def __init__(self) -> None:
        self.offset = 0
        self.keys = self.values = None

    def trim(self, n: int) -> int:
        self.offset -= n
        return n


def test_positions_without_a_name_are_cut_too():
    prefix = PrefixCache(lambda: [Layer()])
    prefix.extend([1, 2, 3])
    prefix.kv[0].offset = 4  # a step was under way when everything stopped
    assert prefix.reuse([1, 2, 3, 9]) == 3
    assert prefix.kv[0].offset == 3


def test_the_last_token_is_always_computed():
    prefix = PrefixCache(lambda: [Layer()])
    prefix.extend([1, 2, 3])
    prefix.kv[0].offset = 3
    assert prefix.reuse([1, 2, 3]) == 2


def test_nothing_is_written_to_disk(warm, cold, home: Path):
    check(warm, cold, QUESTION)
    assert not home.exists()
