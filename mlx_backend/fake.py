"""An engine that answers from a script: for tests of what stands above it, and for a look at the window.

Knows: the same interface, the same order and the same way to cancel as the real one.
Does not know: MLX, any model. Deterministic.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from .errors import BackendError, BadMedia, EngineStopped, closing
from .line import LOOK, Line
from .schema import check_schema, plain_value
from .sizes import Setup
from .sums import DEFAULT
from .types import (
    Answer,
    Boxed,
    Boxes,
    Done,
    Event,
    Image,
    Measured,
    Progress,
    Reasoning,
    Request,
    Saw,
    Shown,
    Stats,
    Status,
    Text,
    Video,
)

Step = Event | float | BackendError  # what comes next; a number is a pause in seconds; an error is raised
Script = Sequence[Step] | Callable[[Request], Sequence[Step]]

LIMIT = 65_536  # tokens, as the real model's
LENGTH = 60.0  # seconds that every video is said to last
PICTURE, PAIR, WORD = 100, 40, 2  # tokens of a picture, a pair of frames, a word
COST = Stats(100, 0, 12, 40, 0.1, 1000.0, 20.0, 1_000_000)
LOAD = (Progress("load", 0, 1000), Progress("load", 1000, 1000))


class FakeEngine:
    """See EngineLike in engine.py.

    scripts: one per request, in order; the last one serves all further requests. Without any:
        `default_script`.
        A script that does not end with Done gets one.
    delay: seconds before each event.
    requests: every request that was answered, in order, for a test to look at.
    """

    def __init__(self, *scripts: Script, delay: float = 0.0) -> None:
        self.requests: list[Request] = []
        self._scripts: list[Script] = list(scripts) or [default_script]
        self._delay = delay
        self._line = Line()
        self._model: Path | None = None
        self._setup = DEFAULT
        self._loaded = False

    def start(self) -> None:
        pass

    def load(self, model: Path, setup: Setup = DEFAULT, force: bool = False) -> Iterator[Progress]:
        with self._line.place() as place:
            for ahead in self._line.wait(place, threading.Event()):
                yield Progress("queue", ahead, ahead)
            self._model, self._setup, self._loaded = model, setup, False
            yield from self._load()

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        check_schema(request)
        cancel = cancel or threading.Event()
        with self._line.place() as place:
            for ahead in self._line.wait(place, cancel):
                yield Progress("queue", ahead, ahead)
            if cancel.is_set():
                yield Done("cancelled")
            else:
                yield from self._load()
                yield from self._play(request, cancel)

    def measure(self, request: Request) -> Measured:
        """Two tokens a word; the sizes of `pretended`. Raises BadMedia for a file that is not there."""
        parts = [part for message in request.messages for part in message.content]
        for part in parts:
            if isinstance(part, Image | Video) and isinstance(part.source, Path) and not part.source.exists():
                raise BadMedia(part.name or part.source.name, "there is no such file.")
        words = sum(len(part.text.split()) for part in parts if isinstance(part, Text | Boxed))
        shown = pretended(request)
        return Measured(WORD * words + sum(item.tokens for item in shown), LIMIT, shown)

    def status(self) -> Status:
        model = str(self._model) if self._model else None
        waiting = max(0, len(self._line) - 1)
        if not self._loaded:
            return Status("stopped", model, waiting=waiting)
        state: Literal["busy", "idle"] = "busy" if len(self._line) else "idle"
        return Status(state, model, LOAD[-1].total, waiting=waiting, setup=self._setup)

    def unload(self) -> None:
        with self.alone():
            pass

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        with self._line.place() as place:
            for _ in self._line.wait(place, threading.Event()):
                pass
            self._loaded = False
            yield

    def close(self) -> None:
        self._line.close()
        self._loaded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self) -> Iterator[Progress]:
        if self._line.closed:
            raise closing()
        if not self._loaded:
            yield from LOAD
        self._loaded = True

    def _play(self, request: Request, cancel: threading.Event) -> Iterator[Event]:
        self.requests.append(request)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        for step in (*(script(request) if callable(script) else script), Done("stop")):
            if self._pause(step if isinstance(step, float) else self._delay, cancel):
                yield Done("cancelled")
                return
            if isinstance(step, BackendError):
                raise step
            if not isinstance(step, float):
                yield step
            if isinstance(step, Done):
                return

    def _pause(self, seconds: float, cancel: threading.Event) -> bool:
        """True when the request was cancelled meanwhile. Raises EngineStopped when the engine was closed."""
        end = time.monotonic() + seconds
        while not cancel.wait(max(0.0, min(LOOK, end - time.monotonic()))):
            if self._line.closed:
                raise EngineStopped(0, "answering")
            if time.monotonic() >= end:
                return False
        return True


def pretended(request: Request) -> tuple[Shown, ...]:
    """What the fake says of pictures and videos; it opens none of them."""
    most = request.max_image_tokens
    return tuple(
        _film(part, most) if isinstance(part, Video) else _picture(part, most)
        for message in request.messages
        for part in message.content
        if isinstance(part, Image | Video)
    )


def _picture(part: Image, most: int | None) -> Shown:
    tokens = min(PICTURE, most or PICTURE)
    side = 28 * max(1, int(tokens**0.5))
    return Shown(part.name, False, (1280, 960), side, side, tokens)


def _film(part: Video, most: int | None) -> Shown:
    end = min(LENGTH, LENGTH if part.end is None else part.end)
    count = max(1, int((end - part.start) * (part.fps or 2.0) / 2))
    step = (end - part.start) / count
    moments = tuple(part.start + n * step for n in range(count))
    return Shown(part.name, True, (1920, 1080), 224, 140, min(PAIR, most or PAIR) * count, moments, LENGTH)


def default_script(request: Request) -> list[Step]:
    """A little reasoning, an answer with markdown, and a box on the first picture if there is one.

    Under a schema the answer is the plainest value that follows it.
    """
    question = " ".join(part.text for part in request.messages[-1].content if isinstance(part, Text))
    pictures = [part for message in request.messages for part in message.content if isinstance(part, Image)]
    steps: list[Step] = [Saw(pretended(request)), Progress("prefill", 0, 100), Progress("prefill", 100, 100)]
    if request.thinking:
        steps += [Reasoning(piece) for piece in ("The question is ", "short. ", "A scripted answer will do.")]
    if request.schema is not None:
        value = json.dumps(plain_value(request.schema), ensure_ascii=False)
        return [*steps, *(Answer(value[at : at + 8]) for at in range(0, len(value), 8)), Done("stop", COST)]
    steps += [Answer("You asked: "), Answer(f"*{question.strip() or 'nothing'}*\n\n")]
    if pictures:
        boxed = Answer("[[250, 250, 750, 750]]", boxed=True)
        steps += [Answer("The middle of the picture: "), boxed]
        steps += [Boxes(0, ((250, 250, 750, 750),), "The middle of the picture:"), Answer("\n\n")]
    steps += [
        Answer(piece)
        for piece in ("This is **not a model** but a script:\n\n", "1. it reads nothing\n", "2. ")
    ]
    steps += [Answer("it always says `this`.")]
    return [*steps, Done("stop", COST)]
