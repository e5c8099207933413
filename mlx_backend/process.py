"""The worker process as the app sees it: started, spoken to, and mourned.

Knows: the child process, the pipe to it and the form of what goes through, its log file.
Does not know: what the work is, who may ask for it when, MLX.

One thread per worker reads the pipe. The pipe ends when the worker dies, however it dies, because nobody
else holds its other end; the same thread then collects the exit code, so that no zombie stays, and says so
in `replies`. In the other direction the worker ends itself when its end of the pipe does.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Literal

from .device import this_machine
from .errors import BackendError
from .sizes import OVERHEAD, Setup
from .sums import DEFAULT
from .types import Done, Event, Request

RESPONDER = "mlx_backend.respond:Responder"
WORDS = 65_536  # bytes of a log's end; a dump of all threads stands behind what a process died of
LOG_BYTES = 1_000_000  # a log that has grown past this is kept once, as NAME.1, and begun anew
# -P: a file of the person's working folder must not pass for a module of ours.
COMMAND = [sys.executable, "-P", "-X", "faulthandler", "-m"]
PATIENCE = 5.0  # seconds between asking a worker to end and killing it
LOOK_EVERY = 2.0  # seconds between two looks at what other programs hold
GRACE = 0.5  # seconds between the end of its pipe and killing it

Verb = Literal["load", "respond", "cancel", "others"]


@dataclass(frozen=True)
class Facts:
    """What the worker knows of itself; see Status. The first one says that it is ready."""

    weight_bytes: int = 0
    active_bytes: int = 0
    peak_bytes: int = 0
    cached_tokens: int = 0
    kv_bytes: int = 0
    cache_bytes: int = 0
    limit_bytes: int = 0
    other_bytes: int = 0
    device: Mapping[str, str | int] = field(default_factory=dict)  # mx.device_info()
    setup: Setup | None = None


@dataclass(frozen=True)
class Order:
    """What to load, and how. force: also where it is not expected to fit."""

    folder: Path
    setup: Setup = DEFAULT
    force: bool = False


# A job's number, what to do, with what. others: the bytes that other programs hold, told before each job.
Command = tuple[int, Verb, Order | Request | int | None]


@dataclass(frozen=True)
class Loaded:
    """The last reply to a load that went well, as Done is to a request."""


Outcome = Event | Loaded | BackendError
Reply = tuple[int, Outcome | Facts]  # the job's number, and what came of it


class Worker:
    """One worker process, from its start to its end. Commands are sent by one thread at a time.

    replies: what the worker said; None when it is gone, after which `exit_code` is known.
    order: what it was told to load; a worker loads only one checkpoint in its life.
    jobs: what it was told and has not ended, by number.
    last_words: the end of its log, once it is gone; "" where it has none.
    """

    def __init__(self, log: Path | None, responder: str) -> None:
        self.replies: SimpleQueue[tuple[int, Outcome] | None] = SimpleQueue()
        self.order: Order | None = None
        self._looked = 0.0
        self.facts: Facts | None = None
        self.jobs: dict[int, Verb] = {}
        self.last_words = ""
        self._cancelled = 0
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._log, self._log_begin = log, _length(log)
        self._process, self._pipe = start_child(log, "mlx_backend.worker", responder)
        self._reader = threading.Thread(target=self._read, name="worker-reader", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    @property
    def state(self) -> Literal["stopped", "starting", "loading", "idle", "busy"]:
        if self.exit_code is not None:
            return "stopped"
        if self.facts is None:
            return "starting"
        jobs = set(self.jobs.values())
        return "loading" if "load" in jobs else "busy" if jobs else "idle"

    def load(self, order: Order) -> int:
        """Returns the job's number. Costs nothing when it is loaded already."""
        self.order = order
        return self._give("load", order)

    def respond(self, request: Request) -> int:
        return self._give("respond", request)

    def cancel(self, number: int) -> None:
        """Ask it to end a job soon. Asking twice, or for a job that has ended, does nothing."""
        if number in self.jobs and number > self._cancelled:
            self._cancelled = number
            self._send((number, "cancel", None))

    def stop(self) -> None:
        """End it now; returns when it is gone and collected."""
        self._process.terminate()
        self._reader.join(PATIENCE)
        if self._reader.is_alive():
            self._process.kill()
            self._reader.join()

    def _give(self, verb: Verb, argument: Order | Request) -> int:
        number = next(self._numbers)
        self.jobs[number] = verb
        self._send((number, "others", self._others(self.facts or Facts())))
        self._send((number, verb, argument))
        return number

    def _send(self, command: Command) -> None:
        with self._sending, contextlib.suppress(OSError):  # it is gone: the reader sees that too, and tells
            self._pipe.send(command)

    def _read(self) -> None:
        try:
            while True:
                self._take(self._pipe.recv())
        except (EOFError, OSError):
            pass  # the worker is gone, or will be in a moment
        finally:
            with self._sending:  # else a send under way could hit a descriptor that means something new
                self._pipe.close()
            self._collect()
            self.replies.put(None)

    def _collect(self) -> None:
        """Wait for the exit code; what does not end by itself is killed: a caller waits under a second."""
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.last_words = _end_of(self._log, self._log_begin)

    def _take(self, reply: Reply) -> None:
        number, what = reply
        if isinstance(what, Facts):
            self.facts = self._with_others(what)
            return
        if isinstance(what, Loaded | Done | BackendError):
            self.jobs.pop(number, None)  # before anybody is told: who sees Done finds the engine idle
        self.replies.put((number, what))

    def _with_others(self, facts: Facts) -> Facts:
        """What other programs hold is asked here: the worker is too large a process to run a command in."""
        now = time.monotonic()
        if self.facts is not None and now < self._looked + LOOK_EVERY:
            return replace(facts, other_bytes=self.facts.other_bytes)
        self._looked = now
        return replace(facts, other_bytes=self._others(facts))

    def _others(self, facts: Facts) -> int:
        held = facts.active_bytes + facts.cache_bytes
        return this_machine(facts.device, held + OVERHEAD if held else 0).others


def start_child(log: Path | None, module: str, *arguments: str) -> tuple[subprocess.Popen[bytes], Connection]:
    """Run a module with a pipe to it, whose number is its first argument. Raises OSError.

    The module ends itself when its end of the pipe does: that is how it learns that the app was killed.
    """
    ours, theirs = multiprocessing.Pipe()
    with theirs, _opened(log) as output:
        process = subprocess.Popen(
            [*COMMAND, module, str(theirs.fileno()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            env=_environment(),
        )
    return process, ours


@contextlib.contextmanager
def _opened(log: Path | None) -> Iterator[IO[Any] | int]:
    if log is None:
        yield subprocess.DEVNULL
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))
    with log.open("ab") as file:
        yield file


def _length(log: Path | None) -> int:
    try:
        return log.stat().st_size if log else 0
    except OSError:
        return 0


def _end_of(log: Path | None, begin: int) -> str:
    """What was added to a log since it had `begin` bytes, at most WORDS of it."""
    size = _length(log)
    if log is None or not size:
        return ""
    start = begin if size >= begin else 0  # shorter than it was: it was begun anew meanwhile
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(start, size - WORDS))
        return file.read().decode("utf-8", "replace")
    return ""


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    # Nothing leaves this computer: the libraries below the model must not look for anything on the network.
    return {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
