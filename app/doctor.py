"""The command `doctor`: what this computer is, what works, what does not, and what to do about it.

Knows: what to look at, what is good enough, the sentences for the person.
Does not know: what goes into a file for others (report.py), argparse.

Nothing is changed. A finding's `facts` are numbers, versions and fixed words only, since report.py passes
them on: what a person named (folders, files, models, conversations) stands in `words` alone.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import stat
import sys
import time
import tomllib
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from app.chosen import broken
from app.config import DEMO_MODEL, PROJECT, Config, find_model
from app.ports import healthy, is_free, running
from app.report import NoReport, write_report
from app.store import backups
from app.store.backups import at, damage
from mlx_backend import (
    BackendError,
    Done,
    Engine,
    Image,
    Message,
    Request,
    Sampling,
    Text,
    best,
    ladder,
    published_shape,
    this_machine,
)

State = Literal["ok", "warning", "problem"]
Facts = Mapping[str, str | int | float | bool]

PACKAGES = ("mlx", "mlx-vlm", "gradio", "huggingface-hub", "numpy", "pillow")
PICTURE = PROJECT / "assets" / "examples" / "circles.png"
ENOUGH, LITTLE = 2_000_000_000, 200_000_000  # bytes free on the disk: comfortable, and to work at all
OLDEST_MACOS = 14  # MLX's wheels are built for it
STALE_DAYS = 7


@dataclass(frozen=True)
class Finding:
    """One line. change: what to do, "" where nothing is to be done. facts: without anything personal."""

    name: str
    state: State
    words: str
    change: str = ""
    facts: Facts = field(default_factory=dict)


def doctor(config: Config, as_json: bool, report: Path | None) -> int:
    """Look at everything and say it, or write it into a file to pass on. 0: no problem was found.

    report: the file to write; then nothing else is printed on standard output but where it lies.
    """
    told: list[Finding] = []
    for look in LOOKS:
        found = looked(look, config)
        told.extend(found)
        for one in found if not as_json and report is None else ():
            print(_line(one), flush=True)
    if report is not None:
        return _passed_on(config, told, report)
    if as_json:
        print(json.dumps({"findings": [asdict(one) for one in told]}, indent=1))
    return int(any(one.state == "problem" for one in told))


def looked(look: Callable[[Config], Iterator[Finding]], config: Config) -> list[Finding]:
    """What a look found; one that fails itself is a finding too."""
    try:
        return list(look(config))
    except Exception as error:
        name = look.__name__.strip("_").replace("_", " ")
        words = f"could not be looked at ({type(error).__name__}: {error})"
        return [Finding(name, "problem", words, "", {"error": type(error).__name__})]


def _passed_on(config: Config, told: list[Finding], report: Path) -> int:
    try:
        inside = write_report(config, [_impersonal(one) for one in told], report)
    except NoReport as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{report} holds {', '.join(inside)}.")
    print(
        "No words of conversations, no names of files or folders of yours. Look inside before you pass it on."
    )
    return 0


def _impersonal(one: Finding) -> dict[str, object]:
    return {"name": one.name, "state": one.state, "facts": dict(one.facts)}


def _line(one: Finding) -> str:
    line = f"{one.state:8} {one.name:9} {one.words}"
    return f"{line}\n{'':18} -> {one.change}" if one.change else line


# --- what is looked at -----------------------------------------------------------------------------------


def _computer(config: Config) -> Iterator[Finding]:
    system, release, machine = (
        platform.system(),
        platform.mac_ver()[0] or platform.release(),
        platform.machine(),
    )
    words = f"{'macOS' if system == 'Darwin' else system} {release}, {machine}"
    facts: Facts = {"system": system, "release": release, "machine": machine}
    if system == "Darwin" and machine != "arm64":
        change = "The app needs a Mac with Apple silicon and a Python made for it, not one under Rosetta."
        yield Finding("computer", "problem", words, change, facts)
    elif system == "Darwin" and int(release.partition(".")[0] or 0) < OLDEST_MACOS:
        yield Finding("computer", "problem", words, f"Update to macOS {OLDEST_MACOS} or newer.", facts)
    elif system != "Darwin":
        yield Finding(
            "computer", "warning", f"{words}: no graphics processor is used here, so all is slow", "", facts
        )
    else:
        yield Finding("computer", "ok", words, "", facts)


def _python(config: Config) -> Iterator[Finding]:
    version = platform.python_version()
    good = (3, 11) <= sys.version_info < (3, 14)
    change = "" if good else "Python 3.11 to 3.13 is needed; ./scripts/run sets one up."
    yield Finding(
        "python", "ok" if good else "problem", f"{version} in {sys.prefix}", change, {"version": version}
    )


def _packages(config: Config) -> Iterator[Finding]:
    """Whether what is installed is what was tested together."""
    installed = {name: _version(name) for name in PACKAGES}
    tested = _tested()
    other = [name for name, version in installed.items() if version not in tested.get(name, {version})]
    missing = [name for name, version in installed.items() if not version]
    words = ", ".join(f"{name} {version or 'missing'}" for name, version in installed.items())
    change = (
        "Quit the app and start it with ./scripts/run: it installs what was tested."
        if other or missing
        else ""
    )
    yield Finding(
        "packages", "problem" if missing else "warning" if other else "ok", words, change, installed
    )


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _tested() -> dict[str, set[str]]:
    """Versions by name, of what was tested together; some packages have one for each system."""
    try:
        lock = tomllib.loads((PROJECT / "uv.lock").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}
    tested: dict[str, set[str]] = {}
    for package in lock.get("package", []):
        tested.setdefault(package["name"], set()).add(package.get("version", ""))
    return tested


def _answers(config: Config) -> Iterator[Finding]:
    """The whole way from a picture to words, with the demo model in a process of its own."""
    begun = time.monotonic()
    asked = Message("user", (Image(PICTURE), Text("How many circles are there?")))
    request = Request((asked,), thinking=False, sampling=Sampling(temperature=0), max_tokens=16)
    log = config.logs / "doctor.log" if config.logs.is_dir() else None
    try:
        with Engine(DEMO_MODEL, log=log) as engine:
            stats = next(event.stats for event in engine.stream(request) if isinstance(event, Done))
    except BackendError as error:
        kind = str(getattr(error, "kind", "")) or type(error).__name__
        change = f"The details are in {log}." if log else ""
        yield Finding("answers", "problem", str(error), change, {"kind": kind})
        return
    seconds = round(time.monotonic() - begun, 1)
    words = f"the demo model looked at a picture and answered, in {seconds} s from nothing"
    facts: Facts = {
        "seconds": seconds,
        "decode_rate": round(stats.decode_rate, 1),
        "peak_bytes": stats.peak_bytes,
    }
    yield Finding("answers", "ok", words, "", facts)


def _memory(config: Config) -> Iterator[Finding]:
    machine = this_machine()
    words = (
        f"{machine.physical / 1e9:.1f} GB, of which a model may take {machine.working_set / 1e9:.1f} GB "
        f"({machine.source}); other programs use {machine.others / 1e9:.1f} GB"
    )
    facts: Facts = {
        "chip": machine.name,
        "physical": machine.physical,
        "working_set": machine.working_set,
        "others": machine.others,
        "source": machine.source,
    }
    choice = best(published_shape(), ladder(), machine)
    if choice is None:
        change = "No GLM-4.5V fits as it is; ./scripts/run plan says what would make one fit."
        yield Finding("memory", "warning", words, change, {**facts, "best": ""})
    else:
        words += f"; the best GLM-4.5V here is {choice.weights.name}"
        yield Finding("memory", "ok", words, "", {**facts, "best": choice.weights.name})


def _disk(config: Config) -> Iterator[Finding]:
    free = shutil.disk_usage(_there(config.home)).free
    state: State = "ok" if free >= ENOUGH else "warning" if free >= LITTLE else "problem"
    change = (
        "" if state == "ok" else "Make room: below 0.2 GB nothing can be sent, since it could not be stored."
    )
    yield Finding("disk", state, f"{free / 1e9:.1f} GB are free", change, {"free": free})


def _data(config: Config) -> Iterator[Finding]:
    home = config.home
    if not home.exists():
        yield Finding(
            "data", "ok", f"{home} is not there yet; the first start makes it", "", {"exists": False}
        )
        return
    size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file() and not file.is_symlink())
    private = not stat.S_IMODE(home.stat().st_mode) & 0o077
    writable = os.access(home, os.W_OK)
    facts: Facts = {"bytes": size, "private": private, "writable": writable}
    words = f"{home}, {size / 1e6:,.1f} MB"
    if not writable:
        yield Finding(
            "data", "problem", f"{words}, cannot be written to", "Give yourself the right to.", facts
        )
    elif not private:
        change = (
            f"Others who use this computer can look into it. The next start ends that; or: chmod 700 '{home}'"
        )
        yield Finding("data", "warning", words, change, facts)
    else:
        yield Finding("data", "ok", words, "", facts)


def _database(config: Config) -> Iterator[Finding]:
    if not config.database.exists():
        yield Finding("database", "ok", "none yet", "", {"exists": False})
        return
    wrong = damage(config.database)
    copies = backups(config.database)
    newest = f"newest copy {at(copies[0].when)}" if copies else "no copy yet"
    facts: Facts = {"whole": wrong is None, "bytes": config.database.stat().st_size, "copies": len(copies)}
    if wrong is not None:
        change = "Start the app: it sets the file aside, saves what can be read and says what it did."
        yield Finding("database", "problem", f"damaged: {wrong}; {newest}", change, facts)
    elif copies and time.time() - copies[0].when > STALE_DAYS * 86400:
        yield Finding("database", "warning", f"whole; {newest}", "Make one: ./scripts/run backup", facts)
    else:
        yield Finding("database", "ok", f"whole; {newest}", "", facts)


def _model(config: Config) -> Iterator[Finding]:
    kind = "demo" if config.is_demo else "fake" if config.model == "fake" else "chosen"
    if kind == "fake":
        yield Finding("model", "warning", "a script answers, no model", "", {"kind": kind})
        return
    try:
        folder = find_model(config.model)
    except BackendError as error:
        yield Finding("model", "problem", str(error), "", {"kind": kind, "there": False})
        return
    if kind == "chosen" and (why := broken(config.home, folder)):
        change = "Choose another under Models, or download this one again; until then the demo model answers."
        yield Finding("model", "problem", f"{folder}: {why}", change, {"kind": kind, "there": True})
        return
    words = "the demo model" if kind == "demo" else f"{config.model} in {folder}"
    change = "Choose GLM-4.5V in the window, under Models." if kind == "demo" else ""
    yield Finding("model", "ok", words, change, {"kind": kind, "there": True})


def _port(config: Config) -> Iterator[Finding]:
    if (port := running(config.home)) is not None:
        answers = healthy(port)
        words = f"the app runs on port {port}" + ("" if answers else " and does not answer")
        change = "" if answers else "Quit it and start it again."
        yield Finding(
            "port", "ok" if answers else "problem", words, change, {"running": True, "answers": answers}
        )
        return
    free = is_free(config.port)
    words = (
        f"{config.port} is free"
        if free
        else f"{config.port} is taken by another program; the next one is used"
    )
    yield Finding("port", "ok", words, "", {"running": False, "free": free})


def _browser(config: Config) -> Iterator[Finding]:
    with contextlib.suppress(webbrowser.Error):
        webbrowser.get()
        yield Finding("browser", "ok", "one can be opened", "", {"found": True})
        return
    change = "Open the address that the app prints in a browser of your own."
    yield Finding("browser", "warning", "none that the app could open", change, {"found": False})


LOOKS = (
    *(_computer, _python, _packages, _memory, _disk, _data, _database, _model, _port, _browser),
    _answers,  # last: it takes seconds
)


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(one for one in (folder, *folder.parents) if one.exists())
