"""Whole answers from the tiny checkpoint: when they end, and that they are the same every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from turns import picture, user

from mlx_backend.errors import BadMedia, ContextTooLong
from mlx_backend.respond import Responder
from mlx_backend.sizes import Setup
from mlx_backend.types import (
    Answer,
    Done,
    Event,
    Image,
    Message,
    Progress,
    Reasoning,
    Request,
    Sampling,
    Text,
)

HELLO = Request((Message("user", (Text("hello world"),)),), sampling=Sampling(temperature=0), max_tokens=48)
LOOP = replace(HELLO, max_tokens=2000)


@pytest.fixture(scope="module")
def responder(tiny_model) -> Responder:
    return Responder(tiny_model, dtype="float32", setup=Setup(chunk=16))


@pytest.fixture(autouse=True)
def forgotten(responder):
    responder.forget()


def events(responder: Responder, request: Request, **kwargs) -> list[Event]:
    found = list(responder.respond(request, **kwargs))
    assert isinstance(found[-1], Done)
    assert sum(isinstance(event, Done) for event in found) == 1
    return found


def text(found: list[Event]) -> str:
    return "".join(event.text for event in found if isinstance(event, Answer | Reasoning))


def test_greedy_is_deterministic_cold_and_warm(responder):
    cold = events(responder, HELLO)
    warm = events(responder, HELLO)
    assert text(cold) == text(warm) != ""
    assert cold[-1].stats.cached_tokens == 0
    assert warm[-1].stats.cached_tokens == warm[-1].stats.prompt_tokens - 1


def test_a_seed_repeats_the_answer(responder):
    hot = replace(HELLO, sampling=Sampling(temperature=1.5, top_p=0.9, top_k=50, seed=11))
    assert text(events(responder, hot)) == text(events(responder, hot))
    other = replace(hot, sampling=replace(hot.sampling, seed=12))
    assert text(events(responder, hot)) != text(events(responder, other))


def test_the_token_limit_ends_it(responder):
    found = events(responder, replace(HELLO, max_tokens=5))
    assert (found[-1].reason, found[-1].stats.output_tokens) == ("length", 5)


@pytest.fixture
def endless(responder, monkeypatch):
    """The tiny model loops soon, unless it happens upon a stop token first."""
    monkeypatch.setattr(responder.processor.tokenizer, "stop_ids", frozenset())


def test_a_hopeless_loop_is_ended(responder, endless):
    found = events(responder, LOOP)
    assert found[-1].reason == "repetition"
    assert found[-1].stats.output_tokens < 1500


def test_a_penalty_breaks_the_loop(responder, endless):
    sampling = Sampling(temperature=0, frequency_penalty=1.0)
    found = events(responder, replace(LOOP, sampling=sampling, max_tokens=600))
    assert found[-1].reason != "repetition"


def test_a_stop_string_ends_it_and_is_not_shown(responder):
    whole = text(events(responder, HELLO))
    stop = whole[10:13]
    found = events(responder, replace(HELLO, stop=(stop,)))
    assert found[-1].reason == "stop"
    assert text(found) == whole[: whole.index(stop)].rstrip() or text(found) == whole[: whole.index(stop)]


def test_the_stop_token_ends_it(responder, monkeypatch):
    """The tiny model rarely ends by itself: let one of the tokens it writes be a stop token."""
    tokenizer = responder.processor.tokenizer
    seen = []
    feed = tokenizer.token_bytes
    monkeypatch.setattr(tokenizer, "token_bytes", lambda id: seen.append(id) or feed(id))
    events(responder, HELLO)
    stop = seen[7]
    monkeypatch.setattr(tokenizer, "stop_ids", frozenset({stop}))
    found = events(responder, HELLO)
    assert (found[-1].reason, found[-1].stats.output_tokens) == ("stop", seen.index(stop))


def test_cancel_between_chunks_and_between_tokens(responder):
    for calls in range(8):
        count = iter(range(100))
        responder.forget()
        found = events(responder, HELLO, cancelled=lambda count=count, calls=calls: next(count) >= calls)
        assert found[-1].reason == "cancelled"
        assert found[-1].stats.output_tokens <= calls
    assert text(events(responder, HELLO)) == text(events(responder, HELLO))


def test_progress_of_the_prefill(responder):
    found = events(responder, HELLO)
    steps = [event for event in found if isinstance(event, Progress) and event.stage == "prefill"]
    total = found[-1].stats.prompt_tokens
    assert [s.done for s in steps] == [*range(0, total, 16), total]
    assert {s.total for s in steps} == {total}


def test_the_thinking_budget_closes_the_reasoning(responder, endless, monkeypatch):
    """The tiny model writes no <think>: put one first, as the real one does."""
    control = responder.processor.tokenizer.control
    import mlx_backend.respond as respond

    decode = respond.decode

    def opened(*args):
        yield control.think
        yield from decode(*args)

    monkeypatch.setattr(respond, "decode", opened)
    request = replace(HELLO, thinking_budget=9, max_tokens=40)
    found = events(responder, request)
    kinds = [type(event) for event in found if isinstance(event, Answer | Reasoning)]
    assert Reasoning in kinds and Answer in kinds
    assert kinds.index(Answer) > kinds.index(Reasoning)
    assert 9 <= found[-1].stats.reasoning_tokens <= 12
    unbounded = events(responder, replace(request, thinking_budget=None))
    assert unbounded[-1].stats.reasoning_tokens > 12


def test_too_long_a_conversation(tmp_path):
    from make_tiny_model import TINY, make

    small = Responder(make(tmp_path, shape=replace(TINY, context=64)), dtype="float32")
    long = replace(HELLO, messages=(Message("user", (Text("hello world " * 60),)),))
    with pytest.raises(ContextTooLong) as caught:
        list(small.respond(long))
    assert caught.value.limit == 64 < caught.value.tokens
    found = list(small.respond(LOOP))  # an answer may fill the context, not more
    assert found[-1].stats.prompt_tokens + found[-1].stats.output_tokens <= 64


def test_a_bad_picture_is_named_and_nothing_is_lost(responder, tmp_path):
    file = tmp_path / "broken.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n not really")
    bad = replace(HELLO, messages=(Message("user", (Image(file, "holiday.png"), Text("what?"))),))
    with pytest.raises(BadMedia, match=r"holiday\.png"):
        list(responder.respond(bad))
    assert events(responder, HELLO)[-1].reason == "length"


def test_a_missing_picture_is_named(responder, tmp_path):
    gone = Image(tmp_path / "gone.png")
    with pytest.raises(BadMedia, match=r"gone\.png"):
        list(responder.respond(replace(HELLO, messages=(Message("user", (gone,)),))))


def test_statistics_add_up(responder):
    stats = events(responder, HELLO)[-1].stats
    assert stats.output_tokens == 48
    assert 0 < stats.first_token_seconds < 60
    assert stats.decode_rate > 0 and stats.prefill_rate > 0
    assert stats.peak_bytes >= responder.weight_bytes
    assert responder.cached_tokens == stats.prompt_tokens + stats.output_tokens


def test_the_token_limit_of_pictures_shrinks_them(responder, tmp_path):
    from PIL import Image as Pillow

    file = tmp_path / "large.png"
    Pillow.fromarray(np.zeros((336, 448, 3), np.uint8)).save(file)
    request = replace(HELLO, messages=(Message("user", (Image(file), Text("what?"))),), max_tokens=1)
    full = events(responder, request)[-1].stats.prompt_tokens
    small = events(responder, replace(request, max_image_tokens=48))[-1].stats.prompt_tokens
    assert full - small > 130  # of 16 x 12 tokens
    assert small < 48 + 50


def test_no_picture_is_looked_at_that_was_not_forecast(tiny_model, monkeypatch):
    """Room for the vectors of one picture: the new one pushes the kept one out, which is needed after it."""
    found = Responder(tiny_model, dtype="float32")
    list(found.respond(replace(HELLO, messages=(user(picture(1)),), max_tokens=1)))
    found._sight.kept.limit = found._sight.kept.nbytes
    looked: list[int] = []
    real = found.model.encode

    def encode(pieces):
        looked.append(1)
        return real(pieces)

    monkeypatch.setattr(found.model, "encode", encode)
    run = found.prepare(replace(HELLO, messages=(user(picture(2), picture(1)),), max_tokens=1))
    list(found.compute(run))
    assert len(run.needs.pictures) == len(looked) == 1


def test_another_chat_template_is_told_in_the_log(tiny_model, tmp_path, caplog):
    import shutil

    folder = shutil.copytree(tiny_model, tmp_path / "copy")
    Responder(folder)
    assert not caplog.records
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("/nothink", "/no_think"))
    Responder(folder)
    assert len(caplog.records) == 1 and str(folder) in caplog.text
