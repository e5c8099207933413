"""The process that fetches, checks or copies one model. Told what to do in JSON, it reports in lines of JSON.

Knows: partial files, the lock, how often to try again, the order in which a model becomes whole.
Does not know: who is watching, speeds, the app.

A process of its own: it can be ended at any instant and loses nothing. While files are missing they lie in
PLACE/.unfinished/OWNER--NAME; a file gets its name when its checksum was right, until then it ends in
.part; the folder gets its name when all files have theirs and the manifest is written. So a half model is
never found whole.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, TypeVar

from mlx_backend import manifest as notes
from mlx_backend.errors import BackendError, DownloadFailed
from mlx_backend.finding import aside_of, home_of
from mlx_backend.locks import locked
from mlx_backend.manifest import MANIFEST, UNFINISHED, File, Manifest
from mlx_backend.offline import Offline
from mlx_backend.remote import Again, Remote
from mlx_backend.verify import verify

LISTING = 6  # attempts to get the list: a person waits to hear whether the hub can be reached
NOTHING = "Nothing was fetched. Check the network, then try again."
LONGEST_WAIT = 60.0  # seconds, whatever the hub asks for
EVERY = 0.2  # seconds between reports

T = TypeVar("T")
Tell = Callable[..., None]


# --- one model -------------------------------------------------------------------------------------------


class Fetching:
    """One download into one place; `run` ends with a whole model or an error.

    source: the hub. The others as in hub.Download.
    """

    def __init__(
        self,
        repo: str,
        place: Path,
        source: Remote | Offline,
        tell: Tell,
        *,
        reserve: int,
        pause: float,
        patience: int,
    ) -> None:
        self.repo, self.source, self.tell = repo, source, tell
        self.folder, self.aside = home_of(place, repo), aside_of(place, repo)
        self.reserve, self.pause, self.patience = reserve, pause, patience
        self.have: dict[str, int] = {}
        self.total = 0

    def run(self) -> Path:
        self.aside.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.aside.with_name(f"{self.aside.name}.lock"), lambda: self.tell("waiting")):
            if not (self.folder.is_dir() and not notes.lacking(self.folder)):
                self._all()
        return self.folder

    def _all(self) -> None:
        noted = self._noted()
        try:
            self._complete(noted or self._listed())
        except DownloadFailed as error:
            if error.kind != "missing" or noted is None:
                raise
            # The hub no longer has the commit that was begun with: what is here is checked anew.
            self._complete(self._listed())

    def _noted(self) -> Manifest | None:
        """The files as an earlier attempt listed them, of its commit."""
        plan = notes.read(self.aside, UNFINISHED) or notes.read(self.folder, UNFINISHED)
        return plan if plan and plan.repo == self.repo else None

    def _listed(self) -> Manifest:
        """The files as the hub lists them now. Nothing that lies aside counts as checked any more."""
        self.tell("listing")
        plan = self._patiently(lambda: self.source.manifest(self.repo), LISTING)
        for file in plan.files:
            if (checked := self.aside / file.name).is_file():
                checked.replace(self._part(file))
        return plan

    def _complete(self, plan: Manifest) -> None:
        self.aside.mkdir(exist_ok=True)
        notes.write(self.aside, plan, UNFINISHED)
        self._adopt(plan)
        self.total = plan.size
        self.have = {file.name: self._present(file) for file in plan.files}
        self._room(plan)
        for file in plan.files:
            if not (self.aside / file.name).exists():
                self._fetch(plan, file)
        self._tidy(plan)
        if missing := notes.lacking_by_itself(self.aside):
            raise DownloadFailed(
                "missing",
                f"{self.repo} is not whole where it comes from: {', '.join(missing[:3])}. It is not used.",
            )
        notes.write(self.aside, replace(plan, damaged=()))
        self._publish(plan)

    def _adopt(self, plan: Manifest) -> None:
        """Files of a half or damaged model that lies where the whole one shall lie are checked and used."""
        if not self.folder.is_dir():
            return
        notes.write(self.folder, plan, UNFINISHED)
        (self.folder / MANIFEST).unlink(missing_ok=True)
        for file in plan.files:
            found, part = self.folder / file.name, self._part(file)
            # A link may lead into another program's cache, and a part is written to.
            if file.name in plan.damaged:
                found.unlink(missing_ok=True)
            elif found.is_file() and not found.is_symlink() and not part.exists():
                found.replace(part)

    def _present(self, file: File) -> int:
        for path in (self.aside / file.name, self._part(file)):
            if path.is_file():
                return min(path.stat().st_size, file.size)
        return 0

    def _room(self, plan: Manifest) -> None:
        """Refuse before the first byte what cannot end well."""
        needed, free = self.total - sum(self.have.values()), shutil.disk_usage(self.aside).free
        if needed and free < needed + self.reserve:
            raise DownloadFailed(
                "disk",
                f"{self.repo} needs {size(needed)} more on this disk and {size(self.reserve)} to stay free; "
                f"{size(free)} are free. Nothing was fetched. Make room, or choose another disk.",
            )

    def _tidy(self, plan: Manifest) -> None:
        """What is left of another commit, or of a note that was cut short, is no part of the model."""
        belongs = {MANIFEST, UNFINISHED, *(file.name for file in plan.files)}
        for path in self.aside.iterdir():
            if path.name not in belongs and not path.is_dir():
                path.unlink(missing_ok=True)

    def _publish(self, plan: Manifest) -> None:
        """Give the whole model its name: by one rename, or file by file where its folder is there already."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if self.folder.is_dir():
            for name in [*(file.name for file in plan.files), MANIFEST]:
                (self.aside / name).replace(self.folder / name)
            (self.folder / UNFINISHED).unlink(missing_ok=True)
            shutil.rmtree(self.aside)
        else:
            (self.aside / UNFINISHED).unlink(missing_ok=True)
            self.aside.replace(self.folder)
        notes.sync(self.folder)
        notes.sync(self.folder.parent)

    # --- one file ----------------------------------------------------------------------------------------

    def _part(self, file: File) -> Path:
        return self.aside / f"{file.name}.part"

    def _fetch(self, plan: Manifest, file: File) -> None:
        part = self._part(file)
        for _ in range(2):
            self._receive(plan, file, part)
            if notes.intact(part, file, lambda _: self._report("checking", file)):
                part.replace(self.aside / file.name)
                return
            part.unlink()
            self.have[file.name] = 0
        raise DownloadFailed(
            "damaged",
            f"{file.name} came twice with a wrong checksum from {self.source.endpoint}. It was thrown away, "
            "and the model is not used. The rest is kept; try again later or from another mirror.",
        )

    def _receive(self, plan: Manifest, file: File, part: Path) -> None:
        """Until the part has the size of the file: ask for what is missing, while that brings something."""
        with part.open("ab") as out:
            if out.tell() > file.size:
                out.truncate(0)
            while out.seek(0, os.SEEK_END) < file.size:
                self._patiently(
                    lambda: self._ask(plan, file, out), self.patience, lambda: out.seek(0, os.SEEK_END)
                )
            out.flush()
            os.fsync(out.fileno())

    def _ask(self, plan: Manifest, file: File, out: IO[bytes]) -> None:
        start = have = out.seek(0, os.SEEK_END)
        with self.source.stream(self.repo, plan.commit, file.name, start) as (at, pieces):
            for piece in pieces:
                # A hub that ignores ranges begins anew: what is here already is passed over.
                fresh = piece[max(have - at, 0) : file.size - at]
                at += len(piece)
                out.write(fresh)
                have += len(fresh)
                self.have[file.name] = have
                self._report("fetching", file)
                if have == file.size:
                    return  # whatever else comes is not part of the file
        if have == start:
            raise Again("network", f"{self.source.endpoint} ended the connection without sending anything.")

    def _patiently(self, ask: Callable[[], T], times: int, mark: Callable[[], int] = lambda: 0) -> T:
        """Ask again, after growing waits, until it works or brought nothing `times` times.

        mark: a number that grows with what it brings.
        """
        quiet, before = 0, mark()
        while True:
            try:
                return ask()
            except Again as error:
                quiet, before = (0, mark()) if mark() > before else (quiet + 1, before)
                if quiet >= times:
                    kept = "What was fetched is kept; try again to go on." if self.total else NOTHING
                    raise DownloadFailed(error.kind, f"{error} It was tried {times} times. {kept}") from None
                self._wait(max(min(error.after, LONGEST_WAIT), self.pause * 2.0 ** min(quiet, 5)))

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.tell("retrying", done=sum(self.have.values()), total=self.total)
            time.sleep(min(left, 0.5))

    def _report(self, state: str, file: File) -> None:
        self.tell(state, done=sum(self.have.values()), total=self.total, file=file.name)


def size(count: int) -> str:
    """Bytes as a person reads them. GB = 1e9 bytes."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"


# --- the process -----------------------------------------------------------------------------------------


class Reporter:
    """Lines of JSON on standard output: at once where the state changes, else a few times a second."""

    def __init__(self, out: IO[str]) -> None:
        self._out, self._state, self._next = out, "", 0.0

    def __call__(self, state: str, **more: Any) -> None:
        if state == self._state and time.monotonic() < self._next:
            return
        self._state, self._next = state, time.monotonic() + EVERY
        try:
            print(json.dumps({"state": state, **more}), file=self._out, flush=True)
        except BrokenPipeError:
            os._exit(0)  # nobody is watching any more: what was fetched is kept


def _download(task: dict[str, Any], tell: Tell) -> dict[str, Any]:
    source = Offline(Path(task["from"]), tell) if task["from"] else _hub(task)
    settings = {name: task[name] for name in ("reserve", "pause", "patience")}
    return {"folder": str(Fetching(task["repo"], Path(task["place"]), source, tell, **settings).run())}


def _hub(task: dict[str, Any]) -> Remote:
    return Remote(task["endpoint"], task["silence"])


def _verify(task: dict[str, Any], tell: Tell) -> dict[str, Any]:
    return {"folder": task["folder"], "note": verify(Path(task["folder"]), tell)}


def _headers(task: dict[str, Any], tell: Tell) -> dict[str, Any]:
    return {"headers": _hub(task).headers(task["repo"])}


ACTS = {"download": _download, "verify": _verify, "headers": _headers}


def work(task: dict[str, Any], tell: Tell) -> None:
    """Do the task and tell how it ended; never raises."""
    try:
        tell("done", **ACTS[task["do"]](task, tell))
    except DownloadFailed as error:
        tell("failed", kind=error.kind, error=str(error))
    except BackendError as error:
        tell("failed", kind="damaged", error=str(error))
    except OSError as error:
        tell("failed", kind="disk", error=_disk(error))
    except Exception as error:
        tell(
            "failed",
            kind="stopped",
            error=f"Something unexpected stopped it: {error!r}. What was fetched is kept.",
        )


def _disk(error: OSError) -> str:
    where = error.filename or "the disk"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full. What was fetched is kept; make room, then go on."
    if error.errno == errno.EFBIG:
        return (
            "This disk takes no files of this size (FAT32 ends at 4 GB). What was fetched is kept. "
            "Choose another "
            "disk, or format it as APFS or exFAT."
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{where} may not be written to. Choose another folder or disk."
    if error.errno in (errno.ENOENT, errno.EIO, errno.ENXIO):
        return f"The disk went away or has a fault ({where}). Connect it again, then go on."
    return f"{where}: {error.strerror or error}. What was fetched is kept."


def _end_with_parent() -> None:
    """The parent holds the other end of standard input and never writes: its end is the parent's."""
    sys.stdin.buffer.read()
    os._exit(0)


def _stay_awake() -> None:
    """A Mac that nobody touches falls asleep, and a large model takes hours. Ends with this process."""
    if sys.platform == "darwin":
        nothing = subprocess.DEVNULL
        with suppress(OSError):  # without it the Mac may fall asleep, and the download goes on afterwards
            subprocess.Popen(
                ["caffeinate", "-i", "-w", str(os.getpid())], stdin=nothing, stdout=nothing, stderr=nothing
            )


def main() -> None:
    _stay_awake()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(json.loads(sys.argv[1]), Reporter(sys.stdout))


if __name__ == "__main__":
    main()
