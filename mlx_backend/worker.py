"""The child process that owns MLX: one loop, one job at a time, on the main thread.

Knows: the pipe to the app, how jobs become replies, how an error becomes words.
Does not know: how an answer is computed (respond.py), who asks, when a process is started.

MLX belongs to one thread: the main one. The other thread only reads commands, so that a cancel is seen while
the model computes, and ends the process when the app is gone: nobody would ever use its memory again.

Run by process.py as `python -m mlx_backend.worker DESCRIPTOR MODULE:CLASS`.
"""

from __future__ import annotations

import importlib
import os
import signal
import stat
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Protocol

from .device import hear
from .errors import BackendError
from .explained import explain_message
from .process import LOG_BYTES, Command, Facts, Loaded, Order, Outcome
from .types import Done, Event, Request

FACTS_EVERY = 1.0  # seconds between two reports of memory while an answer is computed
IDLE_EVERY = 5.0  # and while nothing is asked, so that what other programs hold stays current


class Responder(Protocol):
    """What answers: loaded by its constructor, Responder(folder, progress, setup=Setup(), force=False)."""

    def respond(self, request: Request, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Progress, the answer, and Done last; looks at cancelled() each token and each prefill chunk."""

    def facts(self) -> Facts:
        """What the memory is used for now."""


class Commands:
    """What the app asks for: jobs in order, and up to which job it has lost interest."""

    def __init__(self, pipe: Connection) -> None:
        self.jobs: SimpleQueue[Command] = SimpleQueue()
        self._pipe = pipe
        self._cancelled = 0
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def cancelled(self, number: int) -> bool:
        """Jobs are numbered in order, and none is given before the earlier ones ended or were cancelled."""
        return number <= self._cancelled

    def _read(self) -> None:
        try:
            while True:
                command: Command = self._pipe.recv()
                if command[1] == "cancel":
                    self._cancelled = command[0]
                elif isinstance(command[2], int):
                    hear(command[2])
                else:
                    self.jobs.put(command)
        except (EOFError, OSError):  # the app is gone
            os._exit(0)  # from this thread, and at once: the main thread may be deep inside a computation
        except BaseException:
            _note_in_log()  # no command of ours: nothing that follows it can be understood either
            os._exit(1)


class Desk:
    """Does the jobs. It loads one checkpoint in its life."""

    def __init__(self, pipe: Connection, commands: Commands, make: Callable[..., Responder]) -> None:
        self._pipe = pipe
        self._commands = commands
        self._make = make
        self._responder: Responder | None = None
        self._told = 0.0

    def work(self) -> None:
        self._reply(0, Facts())
        while True:
            try:
                number, _, argument = self._commands.jobs.get(timeout=IDLE_EVERY)
            except Empty:
                self._tell_facts(at_once=True)
                continue
            try:
                self._do(number, argument)
            except BackendError as error:
                self._reply(number, error)
            except Exception as error:
                _note_in_log()
                self._reply(number, _plain(error))
            _keep_log_small()

    def _do(self, number: int, argument: Order | Request | int | None) -> None:
        if isinstance(argument, Order):
            self._load(number, argument)
        elif isinstance(argument, Request):
            self._respond(number, argument)

    def _load(self, number: int, order: Order) -> None:
        if self._responder is None:
            self._responder = self._make(
                order.folder,
                lambda progress: self._reply(number, progress),
                setup=order.setup,
                force=order.force,
            )
        self._tell_facts(at_once=True)
        self._reply(number, Loaded())

    def _respond(self, number: int, request: Request) -> None:
        if self._responder is None:
            raise BackendError("No model is loaded. Nothing was asked; load one and ask again.")
        for event in self._responder.respond(request, lambda: self._commands.cancelled(number)):
            self._tell_facts(
                at_once=isinstance(event, Done)
            )  # before Done: whoever sees it finds them current
            self._reply(number, event)
            if isinstance(event, Done):
                return
        raise RuntimeError("the answer ended without Done")

    def _tell_facts(self, at_once: bool) -> None:
        now = time.monotonic()
        if self._responder is not None and (at_once or now > self._told + FACTS_EVERY):
            self._told = now
            self._reply(0, self._responder.facts())

    def _reply(self, number: int, what: Outcome | Facts) -> None:
        self._pipe.send((number, what))


def _plain(error: Exception) -> BackendError:
    if known := explain_message(f"{type(error).__name__}: {error}"):
        return BackendError(f"{known.why} What was answered so far is kept. {known.change}")
    return BackendError(
        f"The model process met an error of its own ({type(error).__name__}: {error}). What was answered so "
        "far is kept. Ask again, perhaps with less in the question; the details are in worker.log."
    )


def _note_in_log() -> None:
    print(time.strftime("%Y-%m-%d %H:%M:%S"), file=sys.stderr)
    traceback.print_exc()


def _keep_log_small() -> None:
    """The log is this process's own output, so it can only be shortened in place."""
    log = os.fstat(sys.stderr.fileno())
    if stat.S_ISREG(log.st_mode) and log.st_size > LOG_BYTES:
        os.ftruncate(sys.stderr.fileno(), 0)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is the app's business
    descriptor, responder = sys.argv[1:]
    os.set_inheritable(int(descriptor), False)
    pipe = Connection(int(descriptor))
    commands = Commands(pipe)  # before the import, which takes seconds: the app may be gone before it ends
    module, _, name = responder.partition(":")
    Desk(pipe, commands, getattr(importlib.import_module(module), name)).work()


if __name__ == "__main__":
    main()
