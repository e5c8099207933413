"""A model that nobody asks gives its memory back after a time, and comes back with the next question."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from asking import HANG, answer, question, stages, until
from test_worker import gone

from mlx_backend import BackendError, Done, Engine, ModelBroken, Progress
from mlx_backend.idle import Idle
from mlx_backend.line import Line
from mlx_backend.sizes import Setup

SOON = 0.05


def test_nothing_happens_while_it_is_off_or_something_is_under_way() -> None:
    called = threading.Event()
    off, busy = Idle(called.set), Idle(called.set, SOON)
    off.begin()
    busy.begin()
    busy.end()
    assert not called.wait(4 * SOON)
    busy.begin()
    assert called.wait(HANG)


def test_many_ends_of_work_at_once_leave_one_timer() -> None:
    """One that nobody knows of any more could not be stopped, and the model would go in the midst of work."""
    idle = Idle(lambda: None, 1000.0)
    together = threading.Barrier(8)

    def begin() -> None:
        for _ in range(50):
            together.wait(HANG)
            idle.begin()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    idle.end()
    until(lambda: not any(isinstance(thread, threading.Timer) for thread in threading.enumerate()))


def test_only_an_empty_line_gives_its_head_away() -> None:
    line = Line()
    with line.place() as first:
        with line.place_if_empty() as free:
            assert not free and len(line) == 1
        assert list(line.wait(first, threading.Event())) == []
    with line.place_if_empty() as free, line.place() as second:
        assert free and next(line.wait(second, threading.Event())) == 1
    assert len(line) == 0


def test_a_time_that_is_chosen_later_counts_from_then() -> None:
    called = threading.Event()
    idle = Idle(called.set, 1000.0)
    idle.begin()
    idle.set(SOON)
    assert called.wait(HANG)


def test_the_model_is_given_back_and_comes_back(slow: Engine) -> None:
    slow.rest = SOON
    assert slow.rest == SOON
    answer(slow, question())
    until(lambda: slow.status().state == "stopped")
    assert "load" in stages(answer(slow, question()))


def test_a_long_answer_is_no_rest(slow: Engine) -> None:
    slow.rest = SOON
    events = answer(slow, question(max_tokens=60))  # 0.6 s
    assert isinstance(events[-1], Done) and events[-1].reason == "length"


def test_who_waits_in_line_is_served_by_the_same_worker(slow: Engine) -> None:
    slow.rest = 5 * SOON
    answer(slow, question())
    pid = slow.status().pid
    threads = [threading.Thread(target=answer, args=(slow, question(max_tokens=30))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    assert slow.status().pid == pid
    until(lambda: slow.status().state == "stopped")


def test_zero_is_never(slow: Engine) -> None:
    slow.rest = SOON
    slow.rest = 0
    answer(slow, question())
    threading.Event().wait(4 * SOON)
    assert slow.status().state == "idle"


def test_closing_ends_the_wait(slow: Engine) -> None:
    slow.rest = SOON
    answer(slow, question())
    slow.close()
    with pytest.raises(BackendError, match="closing"):
        answer(slow, question())


def test_the_first_model_is_gone_before_the_second_begins(slow: Engine, folder: Path, tmp_path: Path) -> None:
    """Never two in memory: with the first progress of the second, the first one's process has ended."""
    answer(slow, question())
    first = slow.status().pid
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").touch()
    loading = slow.load(other)
    assert next(loading) == Progress("load", 0, 1000)
    assert first is not None and gone(first)
    list(loading)
    assert slow.status().model == str(other) != str(folder)


def test_another_setup_is_another_load(slow: Engine, folder: Path) -> None:
    answer(slow, question())
    first = slow.status().pid
    list(slow.load(folder, Setup(kv_bits=8)))
    second = slow.status().pid
    assert second != first
    list(slow.load(folder, Setup(kv_bits=8)))
    assert slow.status().pid == second


def test_a_model_that_cannot_be_loaded_stays_chosen_and_says_so_again(slow: Engine, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for _ in range(2):
        with pytest.raises(ModelBroken):
            list(slow.load(empty))
    assert slow.status().model == str(empty)
