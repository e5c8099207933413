"""What tests share: where the project lies, a short question, the events of its answer, no endless waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlx_backend import EngineLike, Event, Message, Progress, Request, Sampling, Text

ROOT = Path(__file__).resolve().parent.parent
SLOW = "slow_responder:SlowResponder"  # a stand-in for the model in the worker
HANG = 60.0  # seconds after which a test says that something hangs; no statement about speed


def question(text: str = "Hello", max_tokens: int = 12) -> Request:
    greedy = Sampling(temperature=0)
    return Request((Message("user", (Text(text),)),), thinking=False, sampling=greedy, max_tokens=max_tokens)


def answer(engine: EngineLike, request: Request, cancel: threading.Event | None = None) -> list[Event]:
    """All events of a request, in a thread so that a hang is a failure and not the end of the test run."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: list(engine.stream(request, cancel))).result(HANG)


def until(true: Callable[[], object], seconds: float = HANG) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def stages(events: list[Event]) -> list[str]:
    return [event.stage for event in events if isinstance(event, Progress)]
