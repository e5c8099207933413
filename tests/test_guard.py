"""What does not fit is refused in words and with numbers; smaller pieces come first. With limits set low."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from asking import answer, question, stages

from mlx_backend import (
    BackendError,
    Done,
    Engine,
    Message,
    NotEnoughMemory,
    OutOfMemory,
    Progress,
    Request,
    Sampling,
    Text,
)
from mlx_backend.guard import LIMIT, Guard, Needs, amount, machine_now
from mlx_backend.limits import guard_of
from mlx_backend.respond import Responder
from mlx_backend.sizes import EDGE, GB, GIB, Machine, Setup


@pytest.fixture
def guard(tiny_model: Path) -> Guard:
    return guard_of(tiny_model, Setup(), "float32", False)


def machine(working_set: int, gib: int = 64) -> Machine:
    return Machine("a Mac", gib * GIB, working_set, gpu=False)


def set_limit(monkeypatch: pytest.MonkeyPatch, bytes_: int) -> None:
    """So that what takes `bytes_` just fits: the planner leaves 3 % free."""
    monkeypatch.setenv(LIMIT, str(int(bytes_ / EDGE) + 1))


def taken(guard: Guard, prompt: int, chunk: int) -> int:
    """What the plan of a request takes with the small caches of a computer that is short of memory."""
    careful = replace(guard, setup=guard.load(machine_now({})))
    return careful._request(machine_now({}), Needs(prompt), chunk, prompt + 256).metal_peak


# --- loading -----------------------------------------------------------------------------------------------


def test_what_fits_as_a_whole_is_loaded_as_asked(guard: Guard) -> None:
    assert guard.load(machine(64 * GB)) == guard.setup


def test_what_fits_with_small_caches_gets_them(guard: Guard) -> None:
    careful = guard.load(machine(GB))
    assert careful.cache_limit < guard.setup.cache_limit and careful.kept < guard.setup.kept
    assert careful.context == guard.setup.context  # a long conversation is refused when it comes


def test_what_does_not_fit_is_refused_with_numbers(guard: Guard) -> None:
    with pytest.raises(NotEnoughMemory) as caught:
        guard.load(machine(100_000_000))
    error = caught.value
    assert isinstance(error, OutOfMemory)
    assert error.needed > error.available == int(100_000_000 * EDGE)
    assert sum(size for _, size in error.items) >= error.needed
    assert [size for _, size in error.items] == sorted((size for _, size in error.items), reverse=True)
    for said in "Loading this model needs", "Nothing was loaded", "anyway", "restart", error.items[0][0]:
        assert said in str(error)


def test_forced_it_is_loaded_with_small_caches(guard: Guard) -> None:
    forced = replace(guard, force=True).load(machine(100_000_000))
    assert forced.cache_limit < guard.setup.cache_limit


def test_memory_that_other_programs_hold_counts(guard: Guard) -> None:
    alone = Machine("a Mac", 16 * GIB, 8 * GIB, gpu=False)
    guard.load(alone)
    with pytest.raises(NotEnoughMemory, match="Loading"):
        guard.load(replace(alone, others=14 * GIB))


def test_the_limit_of_the_environment_lowers_what_may_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = machine_now({})
    monkeypatch.setenv(LIMIT, "123456789")
    assert machine_now({}) == replace(
        whole, working_set=123456789, others=machine_now({}).others, source=LIMIT
    )
    monkeypatch.setenv(LIMIT, " ")
    assert machine_now({}).working_set == whole.working_set


@pytest.mark.parametrize(
    ("written", "size"),
    [("8000000000", 8 * GB), ("8GB", 8 * GB), ("8 GB", 8 * GB), ("8G", 8 * GB), ("8 gib", 8 * GIB),
     ("0.5 GiB", GIB // 2), ("700MB", 700_000_000), ("1.1TB", 1_100_000_000_000), ("12 B", 12)],
)  # fmt: skip
def test_the_limit_is_read_as_people_write_it(written: str, size: int) -> None:
    assert amount(written) == size


@pytest.mark.parametrize(
    "written", ["much", "0", "-8GB", "8 apples", "8,000", "GB", "8 GB RAM", "٨GB", "1e9"]
)
def test_a_limit_that_is_no_amount_is_refused_by_name(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, written)
    with pytest.raises(BackendError, match=rf"^GLM_CHAT_MEMORY_LIMIT is {re.escape(written)}, which is no"):
        machine_now({})


def test_never_the_whole_working_set_is_wired(guard: Guard) -> None:
    """Weights, keys and values; nothing where 8 GB or 15 % of the memory would not stay free."""
    mac = Machine("a Mac", 64 * GIB, 48 * GIB, gpu=True)
    fast = guard.wired(mac, replace(guard.setup, context=4096))
    assert guard.weights.total < fast < guard.weights.total + GB
    assert guard.wired(replace(mac, gpu=False), guard.setup) == 0
    assert guard.wired(replace(mac, physical=8 * GB), guard.setup) == 0


# --- requests ----------------------------------------------------------------------------------------------


def test_the_chunk_shrinks_before_anything_is_refused(guard: Guard) -> None:
    needs = Needs(8000)
    chunks = []
    for chunk in (1024, 512, 256, 128):
        needed = guard._request(machine(GB * 64), needs, chunk, 8256).metal_peak
        chunks.append(guard.request(machine(int(needed / EDGE) + 1), needs).chunk)
    assert chunks == [1024, 512, 256, 128]
    with pytest.raises(NotEnoughMemory, match=r"This conversation needs .* Nothing was computed"):
        guard.request(machine(int(needed / EDGE) - 1_000_000), needs)


def test_forced_a_request_runs_in_the_smallest_pieces(guard: Guard) -> None:
    fit = replace(guard, force=True).request(machine(1), Needs(8000))
    assert fit.chunk == 128


def test_an_answer_may_grow_as_far_as_memory_goes(guard: Guard) -> None:
    """Not refused for what it might need, as a bound on its tokens would have it; but never beyond."""
    needed = guard._request(machine(GB * 64), Needs(1000), 1024, 1000 + 256).metal_peak
    fit = guard.request(machine(int(needed / EDGE) + 1), Needs(1000))
    assert 1256 <= fit.most < guard.shape.max_context
    assert guard.request(machine(GB * 64), Needs(1000)).most == guard.shape.max_context


def test_a_late_tower_counts_only_while_it_looks(guard: Guard) -> None:
    late = replace(guard, setup=replace(guard.setup, vision=False))
    here, picture = machine(GB * 64), Needs(9000, pictures=[[(1, 4, 4)]])
    assert (
        guard.peak(here, Needs(9000), 64, 9000) - late.peak(here, Needs(9000), 64, 9000)
        == guard.weights.vision
    )
    assert guard.peak(here, picture, 64, 9000) - late.peak(here, picture, 64, 9000) == guard.weights.vision
    looking = Needs(100, pictures=[[(1, 100, 100)]])
    assert late.peak(here, looking, 64, 100) > guard.weights.total


# --- the real thing ----------------------------------------------------------------------------------------


def long(words: int) -> Request:
    greedy = Sampling(temperature=0)
    return Request((Message("user", (Text("hello " * words),)),), False, greedy, max_tokens=4)


def test_a_load_is_refused_and_the_override_works(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "1000000")
    with Engine(tiny_model) as engine:
        with pytest.raises(NotEnoughMemory) as caught:
            answer(engine, question())
        assert caught.value.available == 970_000 and caught.value.items  # crossed the pipe with its numbers
        assert list(engine.load(tiny_model, force=True))[-1].done > 0
        assert isinstance(answer(engine, question())[-1], Done)


def test_a_request_is_refused_and_nothing_is_lost(
    tiny_model: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, "600000000")
    set_limit(monkeypatch, taken(guard, 2000, 128))
    responder = Responder(tiny_model)
    first = list(responder.respond(long(20)))
    kept = responder.cached_tokens
    with pytest.raises(NotEnoughMemory) as caught:
        list(responder.respond(long(9_000)))
    assert "conversation" in str(caught.value) and caught.value.remedy
    assert responder.cached_tokens == kept > 0
    again = list(responder.respond(long(20)))
    assert again[-1].stats.cached_tokens > 0  # type: ignore[union-attr]
    assert first[-1].reason == again[-1].reason  # type: ignore[union-attr]


def test_a_prompt_is_read_in_smaller_pieces_where_memory_is_short(
    tiny_model: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, "600000000")
    request = long(700)
    tokens = len(Responder(tiny_model).processor.of(request).ids)
    set_limit(monkeypatch, taken(guard, tokens, 256))
    steps = [e.done for e in Responder(tiny_model).respond(request) if isinstance(e, Progress)]
    assert steps[:3] == [0, 256, 512]


def test_predicted_and_actual_are_told(tiny_model: Path) -> None:
    with Engine(tiny_model) as engine:  # in a process of its own: no array of another test is in the peak
        events = list(engine.stream(long(300)))
    done = events[-1]
    assert isinstance(done, Done) and "prefill" in stages(events)
    assert abs(done.stats.predicted_bytes - done.stats.peak_bytes) < 20_000_000
