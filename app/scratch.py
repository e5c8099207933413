"""A private folder that is gone when this process is, however it ends.

Knows: where such a folder lies, who removes it. Does not know: what is put into it.

A killed process cleans nothing up, so a shell stands by: it waits for the end of a pipe that only this one
holds open, which comes with any death, kill -9 included, and then removes the folder. What a power cut leaves
goes at the next start. On Linux the folder lies in memory where there is room, otherwise in the system's
folder for temporary files, which macOS leaves out of its backups.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

IN_MEMORY = Path("/dev/shm")  # Linux: a disk that is memory
ROOM = 3_000_000_000  # bytes that must be free there: the largest video, and some
GOING_SECONDS = 10  # the end of the app waits so long for the folder to go
# Signals for the whole system's end come to everybody at once: the guard must outlive whom it guards.
_GUARD = 'trap "" INT TERM HUP; cat >/dev/null; rm -rf -- "$@"'


class Scratch:
    """The folder, made when it is first asked for. Only one process at a time may use a name.

    more: folders that go with it.
    """

    def __init__(self, name: str, more: Sequence[Path] = ()) -> None:
        self._prefix, self._more = f"{name}-", more
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        for root in {IN_MEMORY, Path(tempfile.gettempdir())}:
            for left in root.glob(f"{self._prefix}*"):
                shutil.rmtree(left, ignore_errors=True)

    def folder(self) -> Path:
        with self._lock:
            if self._folder is None:
                # mkdtemp makes it 0700
                self._folder = Path(tempfile.mkdtemp(prefix=self._prefix, dir=_root()))
                self._guard = _guarding([self._folder, *self._more])
            return self._folder

    def close(self) -> None:
        """Remove the folder and what goes with it. Nothing was made: nothing happens."""
        with self._lock:
            if self._guard is None or self._folder is None:
                return
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guard.wait(GOING_SECONDS)
            for left in (self._folder, *self._more):  # the guard itself may have been killed
                shutil.rmtree(left, ignore_errors=True)
            self._folder = self._guard = None


def _root() -> Path:
    with contextlib.suppress(OSError):  # no such folder: a Mac has none
        if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free >= ROOM:
            return IN_MEMORY
    return Path(tempfile.gettempdir())


def _guarding(folders: Sequence[Path]) -> subprocess.Popen[bytes]:
    """A process that removes the folders when its standard input ends. A session of its own: Ctrl-C in the
    terminal, or closing it, is not for it."""
    nowhere = subprocess.DEVNULL
    command = ["/bin/sh", "-c", _GUARD, "glm-chat-guard", *map(str, folders)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
    )
