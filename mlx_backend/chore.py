"""Work of minutes in a process of its own, which can be watched and stopped.

Knows: how a module of ours is run, its lines of progress, its end. Does not know: what any of them does.

The module prints JSON objects, a line each, on standard output; what it says of `done` and `total` is how far
it is. Its standard input ends when the app does, and tethered() ends it then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from .errors import BackendError

TETHER = "GLM_CHAT_TETHER"
WORDS = 2000  # characters kept of what a process said before it failed


@dataclass(frozen=True)
class Pace:
    """How far it is. done, total: in steps of its own. error: why it failed, for the person."""

    state: Literal["new", "running", "done", "stopped", "failed"] = "new"
    done: int = 0
    total: int = 0
    error: str = ""

    @property
    def over(self) -> bool:
        return self.state in ("done", "stopped", "failed")


class Chore:
    """One run of a module. The names below may be called from any thread."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._now = Pace()
        self._last: dict[str, Any] = {}
        self._ended = threading.Event()

    @property
    def progress(self) -> Pace:
        return self._now

    def start(self) -> None:
        """Begin. Raises BackendError where it cannot be started."""
        path = os.pathsep.join(filter(None, [_root(), os.environ.get("PYTHONPATH")]))
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": path, TETHER: "1"},
                start_new_session=True,  # Ctrl-C in a terminal is for whoever started it
            )
        except OSError as error:
            raise BackendError(f"It could not be started ({error.strerror or error}).") from error
        self._now = Pace("running")
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def stop(self) -> None:
        """End it; returns when it is gone."""
        with self._lock:
            if not self._now.over:
                self._now = replace(self._now, state="stopped")
        if self._process is not None:
            self._process.kill()
            self._ended.wait()

    def wait(self, seconds: float | None = None) -> Pace:
        """Until it is over, or the seconds are."""
        self._ended.wait(seconds)
        return self._now

    def finish(self, last: dict[str, Any]) -> None:
        """What is done with the last line of one that went well. Raises BackendError."""

    def tidy(self) -> None:
        """What is done after one that was stopped or failed."""

    def failed(self, code: int, words: str) -> str:
        """The sentence for a process that failed. words: the end of what it said."""
        return words or f"It stopped with exit code {code}."

    def _read(self, process: subprocess.Popen[str]) -> None:
        errors: list[str] = []
        assert process.stdout is not None and process.stderr is not None
        stderr = process.stderr
        hearing = threading.Thread(target=lambda: errors.extend(stderr), daemon=True)
        hearing.start()
        for line in process.stdout:
            with suppress(ValueError):
                self._take(json.loads(line))
        code = process.wait()
        hearing.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        self._end(code, "".join(errors)[-WORDS:].strip())
        self._ended.set()

    def _take(self, said: Any) -> None:
        if not isinstance(said, dict):
            return
        self._last = said
        with self._lock:
            if not self._now.over and "total" in said:
                self._now = replace(self._now, done=int(said["done"]), total=int(said["total"]))

    def _end(self, code: int, words: str) -> None:
        error = self.failed(code, words) if code else ""
        if not self._now.over and not error:
            try:
                self.finish(self._last)
            except BackendError as problem:
                error = str(problem)
        with self._lock:
            if not self._now.over:
                self._now = replace(self._now, state="failed" if error else "done", error=error)
        if self._now.state != "done":
            self.tidy()


def _root() -> str:
    return str(Path(__file__).resolve().parent.parent)


def tethered() -> None:
    """Called by the module first: from then on it ends when the Chore that started it does, if one did."""
    if TETHER not in os.environ:
        return

    def watch() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=watch, name="tether", daemon=True).start()


def tell(**said: Any) -> None:
    """One line of progress."""
    print(json.dumps(said), flush=True)
