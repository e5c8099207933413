"""Models from the hub: download, check and delete them, as jobs that a window or a terminal can follow.

Knows: the process that does the work, its reports, speeds, what may be deleted.
Does not know: how bytes are fetched (fetch.py, remote.py), where the app keeps its models, who is watching.

    job = Download("mlx-community/GLM-4.5V-4bit", into=Path("models"))   also Verification(folder)
    job.start()                 a process of its own begins; nothing here waits for the network
    job.progress                a Transfer, any time: state, done, total, speed, seconds_left, file, error
    job.pause(), job.resume()   what was fetched is kept and is gone on with
    job.cancel()                ends it and throws away what was fetched
    job.wait(timeout)           the last Transfer, once it is over or paused
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

from mlx_backend import manifest as notes
from mlx_backend.catalogue import HUB
from mlx_backend.deleting import forget
from mlx_backend.errors import DownloadFailed
from mlx_backend.finding import home_of
from mlx_backend.remote import SILENCE

Phase = Literal[
    "new",
    "starting",
    "waiting",
    "listing",
    "fetching",
    "checking",
    "retrying",
    "paused",
    "done",
    "cancelled",
    "failed",
]
RUNNING = ("starting", "waiting", "listing", "fetching", "checking", "retrying")
WINDOW = 10.0  # seconds that a speed is taken over
PATIENCE = 40  # attempts in a row that bring nothing, some 20 minutes: a lost network comes back
RESERVE = 2_000_000_000  # bytes that stay free: the system, the conversations and a browser need room too
# Signals by which a person, or a system short of memory, ends a program that has no fault.
OUTSIDE = (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
HEARING = 1.0  # seconds to wait for the last words of a process that has ended
WORDS = 300  # characters of them that are told
# Nothing is told or asked but what was wanted. The second protocol (Xet) keeps a cache of its own beside
# the model.
QUIET = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}


@dataclass(frozen=True)
class Transfer:
    """How far a job is.

    state: starting, waiting (another process works on the same model), listing (asking the hub), fetching,
    checking (reading files to compare checksums), retrying (the connection broke; it goes on by itself),
    paused, and the three ends. done, total: bytes, those of earlier attempts included. speed: bytes per
    second over the last seconds, 0 where unknown; seconds_left: None where unknown. file: the one in work.
    kind, error: why it failed, as DownloadFailed has it. note: what else a person should know at its end.
    """

    state: Phase = "new"
    done: int = 0
    total: int = 0
    speed: float = 0.0
    seconds_left: float | None = None
    file: str = ""
    kind: str = ""
    error: str = ""
    folder: str = ""
    note: str = ""

    @property
    def over(self) -> bool:
        return self.state in ("done", "cancelled", "failed")

    @property
    def running(self) -> bool:
        return self.state in RUNNING


class Job:
    """A process that does one task and reports; the names below may be called from any thread."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self._lock = threading.RLock()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._now = Transfer()
        self._marks: deque[tuple[float, int]] = deque()
        self._ended = threading.Event()

    @property
    def progress(self) -> Transfer:
        return self._now

    @property
    def pid(self) -> int | None:
        """The process that works on it now."""
        process = self._process
        return process.pid if process else None

    def start(self) -> None:
        """Begin, or go on after a pause or a failure. Does nothing while it runs."""
        with self._lock:
            if self._process is not None:
                return
            self._ended.clear()
            self._marks.clear()
            self._now = replace(self._now, state="starting", kind="", error="", speed=0.0, seconds_left=None)
            try:
                self._process = _spawn(self.task)
            except OSError as error:
                said = f"Its process could not be started ({error.strerror or error}). Nothing was lost."
                self._now = replace(self._now, state="failed", kind="stopped", error=said)
                self._ended.set()
                return
            self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
            self._reader.start()

    resume = start

    def pause(self) -> None:
        """End the process; all that was fetched is kept. Returns when it is gone."""
        self._end("paused")

    def cancel(self) -> None:
        self._end("cancelled")

    def wait(self, timeout: float | None = None) -> Transfer:
        """Until it is over or paused, or the seconds are."""
        self._ended.wait(timeout)
        return self._now

    def _end(self, state: Phase) -> None:
        with self._lock:
            process, self._process = self._process, None
            if not self._now.over or (state == "cancelled" and self._now.state == "failed"):
                self._now = replace(self._now, state=state, speed=0.0, seconds_left=None)
        if process is not None:
            process.kill()  # it has nothing to tidy: every instant of it can be gone on from
            process.wait()
        self._ended.set()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        words = _Words(process)
        for line in process.stdout:
            with self._lock, suppress(ValueError, TypeError):
                if self._process is process:
                    self._take(json.loads(line))
        code, last_words = process.wait(), words.last()
        for pipe in (process.stdout, process.stdin):
            if pipe is not None:
                pipe.close()
        with self._lock:
            if self._process is not process:
                return
            self._process = None
            if not self._now.over:
                self._now = replace(self._now, state="failed", kind="stopped", error=_ended(code, last_words))
            self._ended.set()

    def _take(self, said: dict[str, Any]) -> None:
        now = replace(self._now, **said)
        if now.state != self._now.state:
            self._marks.clear()
        if now.state not in ("fetching", "checking"):
            end = now.total if now.state == "done" else now.done
            self._now = replace(now, done=end, speed=0.0, seconds_left=None)
            return
        self._marks.append((time.monotonic(), now.done))
        while self._marks[-1][0] - self._marks[0][0] > WINDOW:
            self._marks.popleft()
        (then, before), (last, done) = self._marks[0], self._marks[-1]
        speed = (done - before) / (last - then) if last > then else 0.0
        left = (now.total - done) / speed if speed > 0 else None
        self._now = replace(now, speed=speed, seconds_left=left)


class Download(Job):
    """One model into one place (a folder that holds models as OWNER/NAME).

    endpoint: a mirror of the hub; default: HF_ENDPOINT, else the hub itself. offline: a folder that holds the
    model already (a disk that came by hand), which is copied and checked instead. reserve: bytes of disk that
    stay free. silence: seconds without a byte after which a connection is given up. pause: seconds of the
    first wait between attempts. patience: attempts in a row that bring nothing.
    """

    def __init__(
        self,
        repo: str,
        into: Path,
        *,
        endpoint: str = "",
        offline: Path | None = None,
        reserve: int = RESERVE,
        silence: float = SILENCE,
        pause: float = 1.0,
        patience: int = PATIENCE,
    ) -> None:
        if not notes.is_repo(repo):
            raise DownloadFailed("missing", f"{repo} is no name of a repository: it must be OWNER/NAME.")
        self.repo, self.into = repo, into.expanduser().absolute()
        task = {"do": "download", "repo": repo, "place": str(self.into), "reserve": reserve}
        where = endpoint or os.environ.get("HF_ENDPOINT") or HUB
        source = {"endpoint": where, "from": str(offline.expanduser().absolute()) if offline else ""}
        super().__init__({**task, **source, "silence": silence, "pause": pause, "patience": patience})

    @property
    def folder(self) -> Path:
        """Where the model is once it is whole."""
        return home_of(self.into, self.repo)

    def cancel(self) -> None:
        """End it and throw away what was fetched. A model that is whole already stays."""
        super().cancel()
        if self.progress.state == "cancelled":
            forget(self.repo, self.into)


class Verification(Job):
    """Read every file of a model and compare it with its checksum. Fails with the name of a damaged one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        super().__init__({"do": "verify", "folder": str(self.folder)})


def _spawn(task: dict[str, Any]) -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mlx_backend.fetch", json.dumps(task)],
        stdin=subprocess.PIPE,  # never written to: its end tells the process that we are gone
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, **QUIET, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C in a terminal is for whoever started the job
    )


class _Words:
    """What a process says on standard error: read beside its reports, else a full pipe would hold it up."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self._lines: deque[str] = deque(maxlen=20)
        self._thread = threading.Thread(target=self._hear, args=(process.stderr,), daemon=True)
        self._thread.start()

    def _hear(self, stderr: IO[str]) -> None:
        with stderr:
            self._lines.extend(stderr)

    def last(self) -> str:
        """Its last line that is not blank, once it has ended; "" where it said nothing."""
        self._thread.join(HEARING)
        said = [line.strip() for line in self._lines if line.strip()]
        return said[-1][:WORDS] if said else ""


def _ended(code: int, last_words: str) -> str:
    """Of a process that ended without telling how: code as Popen has it."""
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    kept = "What was fetched is kept; go on any time."
    if -code in OUTSIDE:
        return f"It was stopped from outside ({how}). {kept}"
    if last_words:
        return f"Its process failed ({how}): {last_words} {kept}"
    return f"Its process failed ({how}). {kept}"


# --- at once ---------------------------------------------------------------------------------------------


def headers(repo: str, endpoint: str = "") -> list[dict[str, Any]]:
    """The safetensors header of each weight file of a repository, before anything is downloaded.

    Asks the network, for a few hundred kB, in a process of its own; takes seconds. Raises DownloadFailed.
    """
    where = endpoint or os.environ.get("HF_ENDPOINT") or HUB
    with _spawn({"do": "headers", "repo": repo, "endpoint": where, "silence": SILENCE}) as process:
        assert process.stdout is not None
        words = _Words(process)
        said = [json.loads(line) for line in process.stdout]
        ended = _ended(process.wait(), words.last())
    if not said or said[-1]["state"] != "done":
        last = said[-1] if said else {"kind": "stopped", "error": ended}
        raise DownloadFailed(last["kind"], last["error"])
    return list(said[-1]["headers"])
