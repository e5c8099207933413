"""The command `models`: what is published and what is here, download, verify, delete.

Knows: how progress and results look in a terminal and as JSON, what Ctrl-C means.
Does not know: how bytes are fetched or checked (mlx_backend/hub.py), argparse, Gradio.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from app import places
from app.offers import Row, rows
from mlx_backend import (
    BackendError,
    Download,
    DownloadFailed,
    Found,
    Job,
    Transfer,
    Verification,
    delete_model,
    known,
    unsupported,
)

EVERY = 10.0  # seconds between lines where the output is no terminal
STATES = {
    "whole": "here",
    "unfinished": "half here",
    "damaged": "damaged",
    "incomplete": "not whole",
}
DOING = {
    "starting": "starting",
    "waiting": "waiting for another download of it",
    "listing": "asking what belongs to it",
    "fetching": "downloading",
    "checking": "checking",
    "retrying": "the connection broke, trying again",
}


# --- the commands ----------------------------------------------------------------------------------------


def show(home: Path, as_json: bool) -> int:
    """The list."""
    listed = rows(home)
    if as_json:
        return _print([_as_object(row) for row in listed])
    print(f"  {'name':31}{'weights':>9}  {'licence':9}{'fits this computer':27}state")
    for row in listed:
        print(_line(row))
    if any(row.fit and row.fit.recommended for row in listed):
        print("\n* the best one for this computer; `./scripts/run plan` shows the sum")
    else:
        print("\nNone of the published ones fits this computer; `./scripts/run plan` shows the sum.")
    for row in listed:
        if row.unsupported:
            print(f"\n{row.name} is not supported: {row.unsupported}")
    for place in places.not_connected(home):
        print(f"  {place} is not connected now; models in it are not listed.")
    print("\nDownload one with: ./scripts/run models download NAME")
    return 0


def _line(row: Row) -> str:
    licence = row.published.licence if row.published else (row.found.licence if row.found else "") or "?"
    mark = "*" if row.fit and row.fit.recommended else " "
    size = _gb(row.size) if row.size else "?"
    return f"{mark} {row.name:31}{size:>9}  {licence:9}{_fits(row):27}{_state(row)}".rstrip()


def _fits(row: Row) -> str:
    if row.fit is None:
        return "" if row.unsupported else "?"
    if not row.fit.context:
        return "no"
    return f"up to {row.fit.context:,} tokens" + (", small" if row.fit.small else "")


def _state(row: Row) -> str:
    if row.unsupported:
        return "not supported"
    if row.found is None:
        return "not here"
    if row.found.state == "whole":
        return f"here: {row.found.folder}"
    part = f", {_gb(row.found.size)} of {_gb(row.found.total)}" if row.found.total else ""
    return f"{STATES[row.found.state]}{part}: {row.found.folder}"


def download(
    home: Path,
    repo: str,
    as_json: bool,
    to: Path | None = None,
    endpoint: str = "",
    source: Path | None = None,
) -> int:
    """Fetch a model, or go on with one; nothing is fetched that is here already."""
    if published := known(repo):
        repo = published.repo  # as it is spelled
    if reason := unsupported(repo):
        raise DownloadFailed("missing", f"{repo} was not downloaded: {reason}")
    model = places.found(home, repo) if "/" in repo else None
    place = to.expanduser().absolute() if to else None
    if model and model.state == "whole" and place in (None, model.folder.parents[1]):
        return _told(as_json, f"{repo} is here already, in {model.folder}. Nothing was downloaded.", model)
    if place is None:
        # A download that was begun elsewhere goes on there.
        place = model.folder.parents[1] if model and model.ours else places.own_place(home)
    _warn(home, repo)
    job = Download(repo, place, endpoint=endpoint, offline=source)
    if to:
        places.remember(home, place)
    ended = _follow(job, repo)
    if ended.state == "paused":
        print(f"Paused: {_gb(ended.done)} are kept in {place}. The same command goes on.", file=sys.stderr)
        return 130
    here = places.found(home, str(job.folder))
    return _told(as_json, f"{repo} is here and whole, in {job.folder}.", here)


def _warn(home: Path, repo: str) -> None:
    """A model that this computer cannot run may be meant for another one: said, not refused."""
    row = next((row for row in rows(home) if row.name == repo), None)
    if row and row.fit and not row.fit.context:
        print(f"{repo} does not fit this computer: {row.fit.why} It is downloaded anyway.", file=sys.stderr)


def verify(home: Path, name: str, as_json: bool) -> int:
    """Read all of a model again and compare checksums."""
    model = _existing(home, name)
    places.usable(model)
    ended = _follow(Verification(model.folder), model.name)
    if ended.state == "paused":
        print("Stopped. Nothing was changed.", file=sys.stderr)
        return 130
    said = ended.note or f"All files of {model.name} have the right checksum."
    return _told(as_json, said, model)


def delete(home: Path, name: str, as_json: bool) -> int:
    """Delete a model or what was fetched of one, and say what that freed."""
    model = _existing(home, name)
    freed = delete_model(model.folder)
    if as_json:
        return _print({"name": model.name, "folder": str(model.folder), "freed_bytes": freed})
    print(f"{model.name} was deleted from {model.folder}: {_gb(freed)} are free again.")
    return 0


def _existing(home: Path, name: str) -> Found:
    model = places.found(home, name)
    if model is None:
        raise BackendError(f"{name} is not on this computer. `./scripts/run models` lists what is.")
    return model


# --- what is shown ---------------------------------------------------------------------------------------


def _follow(job: Job, name: str) -> Transfer:
    """Show the job until it ends; Ctrl-C pauses it. Raises DownloadFailed with its own words."""
    screen = _Screen(sys.stderr, name)
    job.start()
    try:
        while not (now := job.wait(0.2)).over:
            screen.show(now)
    except KeyboardInterrupt:
        job.pause()
    screen.close(job.progress)
    now = job.progress
    if now.state == "failed":
        raise DownloadFailed(now.kind, now.error)
    return now


class _Screen:
    """One line that is written over in a terminal; elsewhere a line when something changes, and now and
    then.
    """

    def __init__(self, out: TextIO, name: str) -> None:
        self._out, self._name = out, name
        self._terminal = out.isatty()
        self._state, self._next, self._width = "", 0.0, 0

    def show(self, now: Transfer) -> None:
        line = f"{self._name}: {progress_line(now)}"
        if self._terminal:
            line = line[: shutil.get_terminal_size().columns - 1]
            print("\r" + line.ljust(self._width), end="", file=self._out, flush=True)
            self._width = len(line)
        elif now.state != self._state or time.monotonic() > self._next:
            print(line, file=self._out, flush=True)
            self._state, self._next = now.state, time.monotonic() + EVERY

    def close(self, last: Transfer) -> None:
        if self._terminal and self._width:
            print("\r" + " " * self._width + "\r", end="", file=self._out, flush=True)


def progress_line(now: Transfer) -> str:
    """What is being done, how far, how fast, how long still."""
    if not now.total:
        return DOING.get(now.state, now.state)
    share = f"{100 * now.done / now.total:.1f} %, {_gb(now.done)} of {_gb(now.total)}"
    speed = f", {now.speed / 1e6:.1f} MB/s" if now.speed else ""
    left = f", {duration(now.seconds_left)} left" if now.seconds_left is not None else ""
    return f"{DOING.get(now.state, now.state)}: {share}{speed}{left}"


def duration(seconds: float) -> str:
    """As a person says it: 40 s, 12 min, 3 h 5 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _gb(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"


def _told(as_json: bool, sentence: str, model: Found | None) -> int:
    if as_json:
        return _print({**(_found_object(model) if model else {}), "said": sentence})
    print(sentence)
    return 0


def _print(value: Any) -> int:
    print(json.dumps(value, ensure_ascii=False, indent=2), flush=True)
    return 0


def _as_object(row: Row) -> dict[str, Any]:
    entry = row.published
    return {
        "name": row.name,
        "bits": entry.bits if entry else None,
        "weight_bytes": entry.weight_bytes if entry and entry.weight_bytes else None,
        "licence": entry.licence if entry else row.found.licence if row.found else "",
        "page": entry.page if entry else None,
        "unsupported": row.unsupported or None,
        "fit": asdict(row.fit) if row.fit else None,
        "here": _found_object(row.found) if row.found else None,
    }


def _found_object(model: Found) -> dict[str, Any]:
    return {**asdict(model), "folder": str(model.folder), "missing": list(model.missing)}
