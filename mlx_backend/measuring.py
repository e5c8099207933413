"""What a request costs, asked of a process that reads files but never loads the model.

Knows: when that process is started and ended, what its death or silence means.
Does not know: how tokens are counted (measurer.py), MLX.

A process of its own, because counting opens files of strangers with OpenCV and Pillow: one that crashes a
decoder must take neither the app nor the model with it; and because the worker, which could count as well,
may be busy with an answer for minutes. A child with a pipe, as the worker is, and not a pool of
multiprocessing: that would import the app's own main module again, and would outlive an app that was killed.
Requests are measured one at a time; each waits for the one before it, never for an answer.
"""

from __future__ import annotations

import subprocess
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from .errors import BackendError, BadMedia, closing
from .process import start_child
from .types import Measured, Request

# A two-hour video is measured in seconds. What takes so long was built to, or lies on a disk that hangs.
PATIENCE = 120.0


class Measuring:
    """The measuring process, started by the first request and again after it died."""

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._asking = threading.Lock()
        self._changing = threading.Lock()  # around the start and the end of the process
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the process that will measure next; None while there is none."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def measure(self, folder: Path, request: Request) -> Measured:
        """Blocks. folder: the checkpoint. Raises BackendError as EngineLike.measure says."""
        with self._asking:
            told = self._asked(self._running(), folder, request)
        if isinstance(told, BackendError):
            raise told
        return told

    def close(self) -> None:
        """End it, also while it measures; that raises then."""
        with self._changing:
            self._closed = True
            self._kill()

    def _running(self) -> Connection:
        with self._changing:
            if self._closed:
                raise closing()
            if self._pipe is None or self._process is None or self._process.poll() is not None:
                self._forget()
                try:
                    self._process, self._pipe = start_child(self._log, "mlx_backend.measurer")
                except OSError as error:
                    raise BackendError(
                        f"The process that measures could not be started ({error.strerror or error}). "
                        "Nothing was lost; sending works without it."
                    ) from error
            return self._pipe

    def _asked(self, pipe: Connection, folder: Path, request: Request) -> Measured | BackendError:
        file = ""
        try:
            pipe.send((folder, request))
            while pipe.poll(PATIENCE):
                told: Measured | BackendError | str = pipe.recv()
                if not isinstance(told, str):
                    return told
                file = told
            self._kill()
            return _failed(file, f"that took longer than {PATIENCE:.0f} seconds")
        except (OSError, EOFError):  # it is gone
            return closing() if self._closed else _failed(file, self._mourned())
        except BaseException:
            self._kill()  # else its answer would pass for that to the next request
            raise

    def _mourned(self) -> str:
        self._kill()
        code = self._process.returncode if self._process else None
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"the process that does it stopped ({how})"

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _forget(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


def _failed(file: str, why: str) -> BackendError:
    """file: the one that was open then, "" where none was."""
    if file:
        return BadMedia(file, f"it could not be read: {why}. Try again; if it happens again, leave it out.")
    return BackendError(f"This message could not be measured: {why}. Nothing was lost. Try again.")
