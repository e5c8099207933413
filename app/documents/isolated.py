"""A child process that may fail in every way: watched by the clock and its memory, ended at the first excess.

Knows: how the child is started, what is read of it and when it is killed.
Does not know: what its lines mean.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CHILD = Path(__file__).resolve().parent / "child.py"
LINE = 8 << 20  # bytes: a page's line is a twentieth of it
PIECE = 1 << 16
_PROC = Path("/proc/self/statm").exists()

Ended = Literal["done", "failed", "crashed", "memory", "too-slow", "stopped"]


@dataclass(frozen=True)
class Guard:
    """What a child may use. seconds: of wall time, and per_line more for every line it has given.

    resident: bytes of memory; macOS does not hold to limits on addresses, so this is watched. tick: seconds
    between two looks.
    """

    seconds: float = 60.0
    per_line: float = 0.1
    resident: int = 512 << 20
    tick: float = 0.05


GUARD = Guard()


def never() -> bool:
    return False


class Child:
    """One run of the child. Iterate over lines(); afterwards `ended` says how it went."""

    def __init__(
        self, arguments: Sequence[str], guard: Guard = GUARD, stopped: Callable[[], bool] = never
    ) -> None:
        self.ended: Ended = "done"
        self.peak = 0  # bytes that were seen resident
        self.pid = 0  # once it runs
        self._arguments = [sys.executable, "-I", str(CHILD), *arguments]
        self._guard, self._stopped = guard, stopped
        self._lines = 0

    def lines(self) -> Generator[bytes, None, None]:
        """Lines as they come, without their ends. The process is gone when this ends or is closed."""
        rest = b""
        with contextlib.closing(self._pieces()) as pieces:
            for piece in pieces:
                *whole, rest = (rest + piece).split(b"\n")
                self._lines += len(whole)
                yield from whole
                if len(rest) > LINE:
                    self.ended = "memory"
                    return

    def output(self, most: int) -> bytes:
        """All that it writes, at most so many bytes."""
        data = bytearray()
        with contextlib.closing(self._pieces()) as pieces:
            for piece in pieces:
                data += piece
                if len(data) > most:
                    self.ended = "memory"
                    break
        return bytes(data)

    def _pieces(self) -> Generator[bytes, None, None]:
        process = subprocess.Popen(
            self._arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},  # nothing to leak or be led by
        )
        assert process.stdout is not None
        self.pid, code = process.pid, None
        try:
            yield from self._watched(process.stdout.fileno())
            if self.ended == "done":
                code = process.wait(timeout=5)  # its output is closed: it has ended, or is up to no good
        except subprocess.TimeoutExpired:
            self.ended = "too-slow"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if code:
            self.ended = "failed" if code > 0 else "too-slow" if code == -signal.SIGXCPU else "crashed"

    def _watched(self, pipe: int) -> Iterator[bytes]:
        began = time.monotonic()
        look = began
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                if self._stopped():
                    self.ended = "stopped"
                elif now - began > self._guard.seconds + self._guard.per_line * self._lines:
                    self.ended = "too-slow"
                elif now >= look:
                    look = now + self._guard.tick
                    self.peak = max(self.peak, size := resident(self.pid))
                    self.ended = "memory" if size > self._guard.resident else "done"
                if self.ended != "done":
                    return
                if selector.select(self._guard.tick):
                    if not (piece := os.read(pipe, PIECE)):
                        return
                    yield piece


def resident(pid: int) -> int:
    """Bytes of a process that are in memory, 0 when it is gone."""
    try:
        if _PROC:
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return by_ps(pid)
    except (OSError, ValueError, IndexError):
        return 0


def by_ps(pid: int) -> int:
    """The same where there is no /proc: on a Mac."""
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True)
    return int(shown.stdout.strip() or 0) * 1024
