"""What only a process can suffer: being killed, aborting, losing the app, failing in its own way.

The slow stand-in of slow_responder.py answers where a test needs to hit a moment; the tiny checkpoint where
it needs the real thing.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from asking import ROOT, SLOW, answer, question, until

from mlx_backend import (
    Answer,
    BackendError,
    Done,
    Engine,
    EngineStopped,
    ModelBroken,
    ModelMissing,
    Progress,
    Request,
    Sampling,
    Saw,
)

LONG = '{"type": "array", "items": {"enum": ["a lamp", "six boats", "red"]}, "minItems": 1000}'
DEATH = 5.0  # seconds after which the news of a death counts as hanging


def gone(pid: int) -> bool:
    """Ended and collected: a zombie still answers to its number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def kill(engine: Engine) -> int:
    pid = engine.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def killed_after(engine: Engine, events: int, request: Request) -> str:
    """Kill the worker once so many events have come; returns what the engine says it was doing."""
    stream = engine.stream(request)
    for _ in range(events):
        next(stream)
    pid = kill(engine)
    died = time.monotonic()
    with pytest.raises(EngineStopped) as caught:
        list(stream)
    assert time.monotonic() - died < DEATH
    assert caught.value.exit_code == -signal.SIGKILL
    assert gone(pid)
    return str(caught.value)


def test_killed_at_twenty_random_moments(slow: Engine) -> None:
    """In load, in prefill and while it speaks: a clear error each time, and the next request works."""
    moments = random.Random(7)
    request = question(max_tokens=20)
    whole = len(answer(slow, request))
    slow.unload()
    before = descriptors()
    doing = []
    for _ in range(20):
        message = killed_after(slow, moments.randrange(1, whole - 5), request)
        doing.append(message.split(" while ")[1].split(" (")[0])
        assert slow.status().state == "stopped"
        assert answer(slow, request)[-1].reason == "length"  # type: ignore[union-attr]
        slow.unload()
    assert {"loading the model", "reading the conversation", "answering"} == set(doing)
    assert descriptors() == before


@pytest.mark.slow
def test_the_real_worker_killed_in_load_prefill_and_decode(tiny_model: Path) -> None:
    with Engine(tiny_model) as engine:
        # a list that must be long: no busy computer reads so slowly that it is said before the kill
        long = replace(question(max_tokens=1500), sampling=Sampling(temperature=1, seed=1), schema=LONG)
        whole = answer(engine, long)
        engine.unload()
        first_word = next(n for n, event in enumerate(whole) if not isinstance(event, Progress | Saw))
        for moment in 1, first_word - 1, first_word + 2:
            killed_after(engine, moment, long)
            assert isinstance(answer(engine, question())[-1], Done)
            engine.unload()


def test_killed_while_it_starts(slow: Engine) -> None:
    slow.start()
    assert slow.status().state == "starting"
    pid = kill(slow)
    until(lambda: gone(pid))
    until(lambda: slow.status().state == "stopped")
    assert isinstance(answer(slow, question())[-1], Done)


@pytest.mark.parametrize("noticed", [True, False])
def test_killed_while_idle_is_no_error_for_the_next_request(slow: Engine, noticed: bool) -> None:
    for _ in range(1 if noticed else 5):  # unnoticed is a race: give it some chances
        answer(slow, question())
        pid = kill(slow)
        if noticed:
            until(lambda: slow.status().state == "stopped")
            assert gone(pid)
        assert isinstance(answer(slow, question())[-1], Done)


def test_an_abort_like_metals_is_told_with_its_signal(slow: Engine) -> None:
    with pytest.raises(EngineStopped, match="signal 6") as caught:
        answer(slow, question("abort"))
    assert caught.value.exit_code == -signal.SIGABRT
    assert isinstance(answer(slow, question())[-1], Done)


def test_a_killed_app_leaves_no_worker(folder: Path) -> None:
    code = f"""if True:
        import time
        from pathlib import Path
        from mlx_backend import Engine
        engine = Engine(Path({str(folder)!r}), responder={SLOW!r})
        list(engine.load(Path({str(folder)!r})))
        print(engine.status().pid, flush=True)
        time.sleep(60)"""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as app:
        assert app.stdout is not None
        worker = int(app.stdout.readline())
        assert running(worker)
        app.kill()
    until(lambda: not running(worker))


def running(pid: int) -> bool:
    """Not gone and not a zombie: whose child it has become may be slow to collect it."""
    shown = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()
    return bool(shown) and not shown.startswith("Z")


def test_ctrl_c_is_not_for_the_worker(slow: Engine) -> None:
    stream = slow.stream(question())
    while not isinstance(next(stream), Answer):
        pass
    pid = slow.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    assert list(stream)[-1].reason == "length"  # type: ignore[union-attr]
    assert slow.status().pid == pid


def test_an_error_of_the_backend_crosses_with_its_numbers(slow: Engine, folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(ModelBroken, match=r"config\.json") as caught:
        answer(slow, question())
    assert caught.value.problem == "is not there."
    pid = slow.status().pid
    (folder / "config.json").touch()
    assert isinstance(answer(slow, question())[-1], Done)
    assert slow.status().pid == pid


def test_any_other_error_is_a_sentence_and_its_traceback_is_in_the_log(slow: Engine, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="ValueError: no such thing") as caught:
        answer(slow, question("raise"))
    assert not isinstance(caught.value, EngineStopped)
    assert isinstance(answer(slow, question())[-1], Done)
    assert "Traceback" in (tmp_path / "worker.log").read_text()


def test_a_command_that_is_none_is_in_the_log(slow: Engine, tmp_path: Path) -> None:
    answer(slow, question())
    worker = slow._worker
    assert worker is not None
    worker._pipe.send_bytes(b"no command")
    until(lambda: worker.exit_code is not None)
    assert worker.exit_code == 1
    assert "UnpicklingError" in (tmp_path / "worker.log").read_text()
    assert isinstance(answer(slow, question())[-1], Done)


def test_the_log_stays_small(slow: Engine, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_bytes(b"old " * 500_000)
    answer(slow, question("print"))
    until(lambda: log.stat().st_size < 1_000_000)
    assert (tmp_path / "worker.log.1").stat().st_size == 2_000_000


def test_another_model_gets_a_worker_of_its_own(slow: Engine, folder: Path, tmp_path: Path) -> None:
    answer(slow, question())
    first = slow.status().pid
    other = tmp_path / "other"
    folder.rename(other)
    assert list(slow.load(other))[-1] == Progress("load", 1000, 1000)
    status = slow.status()
    assert (status.model, status.state) == (str(other), "idle")
    assert first is not None and gone(first) and status.pid != first


def test_a_cancelled_load_goes_on_for_the_next_request(slow: Engine) -> None:
    cancel = threading.Event()
    stream = slow.stream(question(), cancel)
    assert next(stream) == Progress("load", 0, 1000)
    cancel.set()
    assert list(stream)[-1] == Done("cancelled")
    assert slow.status().state == "loading"
    loads = [
        event.done
        for event in answer(slow, question())
        if isinstance(event, Progress) and event.stage == "load"
    ]
    assert loads and loads[0] > 0  # not from the beginning
    assert isinstance(answer(slow, question())[-1], Done)


def test_without_a_model_it_says_so() -> None:
    with Engine(responder=SLOW) as engine, pytest.raises(BackendError, match="No model is chosen"):
        answer(engine, question())


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with Engine(tmp_path / "nothing") as engine, pytest.raises(ModelMissing, match="nothing"):
        answer(engine, question())


def test_a_large_question_crosses_before_the_worker_is_ready(slow: Engine) -> None:
    """Pictures travel in the request: it is longer than what a pipe holds."""
    large = question("word " * 1_000_000)
    assert isinstance(answer(slow, large)[-1], Done)
