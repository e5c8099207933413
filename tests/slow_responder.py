"""A stand-in for the model in the worker: slow enough to be killed midway, and able to fail on request.

Loads in ten steps and reads in ten steps of STEP seconds each, then says `word 1`, `word 2`, … until
max_tokens. What it does beside that is the last message's text: see `respond`.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mlx_backend import Answer, Done, Event, ModelBroken, Progress, Request, Stats
from mlx_backend.process import Facts

STEP = 0.01


class SlowResponder:
    def __init__(self, folder: Path, progress: Callable[[Progress], None], **how: object) -> None:
        if not (folder / "config.json").exists():
            raise ModelBroken(str(folder / "config.json"), "is not there.")
        for step in range(11):
            progress(Progress("load", step * 100, 1000))
            time.sleep(STEP)

    def facts(self) -> Facts:
        return Facts(weight_bytes=1000, active_bytes=1500, peak_bytes=2000, cached_tokens=7)

    def respond(self, request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
        for step in range(11):
            yield Progress("prefill", step, 10)
            if cancelled():
                yield Done("cancelled")
                return
            time.sleep(STEP)
        said = request.messages[-1].content[0].text  # type: ignore[union-attr]
        if said == "raise":
            raise ValueError("no such thing")
        if said == "abort":
            os.abort()
        if said.startswith("raise: "):
            raise RuntimeError(said.removeprefix("raise: "))
        if said.startswith("metal: "):  # what macOS says when a Metal error is thrown where nobody catches it
            words = f"libc++abi: terminating due to uncaught exception of type std::runtime_error: {said[7:]}"
            print(words, file=sys.stderr, flush=True)
            os.abort()
        if said == "print":
            print("x" * 2_000_000)
        for word in range(request.max_tokens):
            yield Answer(f"word {word + 1} ")
            time.sleep(STEP)
            if cancelled():
                yield Done("cancelled", Stats(output_tokens=word + 1))
                return
        yield Done("length", Stats(output_tokens=request.max_tokens))
