"""The file that a person passes on when something does not work: logs, versions and settings, nothing said.

Knows: what of a log line may leave this computer, which settings say nothing about a person.
Does not know: how anything is checked (doctor.py), conversations: of the database only the settings named
    here are read.

What goes in is what is known to be harmless, not what is left when something is struck out: of a log line
only the shapes below, of a traceback places in code and the kind of an error, of an error's own words only
those that Python, MLX and Metal write by themselves. Everything else is counted, not copied.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib.metadata
import json
import os
import platform
import re
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from app.choices import Choices, read
from app.config import PROJECT, Config
from app.store.backups import peek

LOG_END = 200_000  # bytes of each log, its end
OURS = ("GLM_CHAT_HOME", "GLM_CHAT_MODEL", "HF_HOME", "HF_ENDPOINT", "HF_HUB_CACHE", "MLX_MAX_OPS_PER_BUFFER")
READ_ME = """\
What is in here
  findings.json   what `doctor` found: numbers and fixed words
  versions.json   the system, Python and every installed package
  settings.json   how answers are asked for, without prompts
  logs/           the ends of the logs, with only those lines that are known to hold nothing personal

What is not: questions, answers, titles, prompts, names of files and folders, addresses, your name.
"""

# --- what of a log may be copied: whole lines of these shapes -----------------------------------------------
LINES = re.compile(
    r"""
    Traceback\ \(most\ recent\ call\ last\):
    | The\ above\ exception\ was\ the\ direct\ cause\ of\ the\ following\ exception:
    | During\ handling\ of\ the\ above\ exception,\ another\ exception\ occurred:
    | Fatal\ Python\ error:\ (Aborted|Segmentation\ fault|Bus\ error|Illegal\ instruction)
    | (Current\ thread|Thread)\ 0x[0-9a-f]+(\ \[[\w -]{1,20}\])?\ \(most\ recent\ call\ first\):
    | Extension\ modules:\ [\w.,\ ]+\(total:\ \d+\)
    | \d{4}-\d\d-\d\d\ \d\d:\d\d:\d\d(,\d{3})?
    | (Resolved|Prepared|Installed|Uninstalled|Downloaded|Built)\ \d+\ packages?\ in\ [\d.]+m?s
    | \ [+~-]\ [\w.-]{1,60}==[\w.+]{1,30}
    | \s*\.\.\.
    | \s*<no\ Python\ frame>
    | \s*
    """,
    re.VERBOSE,
)
PLACE = re.compile(r'(?P<before>\s*File ")(?P<path>[^"]*)(?P<after>", line \d+,? in (?P<name>[\w.<>]{1,60}))')
RAISED = re.compile(r"(?P<kind>(?:(?P<package>[a-z_]\w*)\.(?:[a-z_]\w*\.)*)?(?P<name>[A-Z]\w{0,60}))(?::.*)?")
LOGGED = re.compile(
    r"(?P<head>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:,\d{3})? "
    r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) (?:app|mlx_backend|uvicorn|gradio|root)[\w.]{0,60})(?::? .*)?"
)
ENDED = re.compile(
    r"(?P<head>libc\+\+abi: terminating due to uncaught exception of type [\w:]{1,60}\w"
    r"|terminate called (?:after throwing an instance of '[\w:]{1,60}'|without an active exception)).*"
)
# --- and of a message, wherever it stands, these words ---------------------------------------------------
HARMLESS = re.compile(
    r"""
    \[METAL\]\ Command\ buffer\ execution\ failed
    | [A-Z][A-Za-z ()/]{0,50}\ \(0000[0-9a-f]{4}:\ ?kIOGPUCommandBufferCallbackError\w{1,40}\)
    | kIOGPUCommandBufferCallbackError\w{1,40}
    | \[(metal::)?malloc(_or_wait)?\]\ (Unable\ to\ allocate|Attempting\ to\ allocate)\ \d+\ bytes
    | \[metal::malloc\]\ Resource\ limit\ \(\d+\)\ exceeded
    | greater\ than\ the\ maximum\ allowed\ buffer\ size\ of\ \d+\ bytes
    | \[metal::\w+\]
    | Failed\ to\ load\ (the\ default\ metallib|device)
    | std::bad_alloc
    | \[Errno\ \d+\]
    """,
    re.VERBOSE,
)


class NoReport(Exception):
    """The file was not written; the text is for the person."""


def write_report(config: Config, findings: Sequence[dict[str, object]], target: Path) -> list[str]:
    """Write the zip; the names of what is in it. Raises NoReport; then nothing was written."""
    inside = {
        "READ ME.txt": READ_ME,
        "findings.json": _json(findings),
        "versions.json": _json(_versions()),
        "settings.json": _json(_settings(config)),
        **{f"logs/{name}": text for name, text in _logs(config.logs)},
    }
    try:
        with target.open("xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
            for name, text in inside.items():
                out.writestr(name, text)
    except FileExistsError:
        raise NoReport(f"{target} is there already, and was not changed. Choose another name.") from None
    except OSError as error:
        raise NoReport(f"{target} could not be written: {error.strerror or error}.") from error
    return list(inside)


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True)


def _versions() -> dict[str, Any]:
    packages = {one.metadata["Name"]: one.version for one in importlib.metadata.distributions()}
    return {
        "python": platform.python_version(),
        "system": [platform.system(), platform.release(), platform.mac_ver()[0], platform.machine()],
        "packages": packages,
        "set": [name for name in OURS if name in os.environ],  # not what they are set to
    }


def _settings(config: Config) -> dict[str, Any]:
    """Numbers and names of ours: no prompts, no conversations, no folders."""
    kept = peek(config.database, ("choices", "thinking", "titles"))
    choices = read(kept["choices"]) if kept.get("choices") else Choices()
    return {
        "choices": {name: value for name, value in choices.options().items() if name != "system"},
        "has_system_prompt": bool(choices.system),
        **{name: kept.get(name) for name in ("thinking", "titles") if isinstance(kept.get(name), bool)},
    }


# --- logs ------------------------------------------------------------------------------------------------


def _logs(folder: Path) -> Iterator[tuple[str, str]]:
    """Each log of ours with what of it may be passed on. Logs are ours by name: others are not looked at."""
    for name in ("app", "worker", "measure", "doctor", "launcher", "install", "console"):
        for ending in (".log", ".log.1"):
            with contextlib.suppress(OSError):  # most are not there
                text = _end(folder / f"{name}{ending}")
                yield f"{name}{ending}", "\n".join(harmless(text)) + "\n"


def _end(file: Path) -> str:
    with file.open("rb") as log:
        size = log.seek(0, 2)
        log.seek(max(0, size - LOG_END))
        text = log.read().decode("utf-8", "replace")
    changed = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(file.stat().st_mtime))
    return f"{changed}\n{text}"  # first: when it was last written to


def harmless(text: str) -> Iterator[str]:
    """What of a log may be passed on; what may not is counted."""
    left = 0
    for line in text.splitlines():
        kept = _kept(line)
        if kept is None:
            left += 1
            continue
        if left:
            yield f"({left} lines left out)"
        left = 0
        yield kept
    if left:
        yield f"({left} lines left out)"


def _kept(line: str) -> str | None:
    """The line, or what of it may be passed on; None: nothing."""
    if LINES.fullmatch(line):
        return line
    if place := PLACE.fullmatch(line):
        where = _in_code(Path(place["path"]))
        return f"{place['before']}{where}{place['after']}" if where else f'{place["before"]}…"'
    said = " … ".join(found[0] for found in HARMLESS.finditer(line))
    if (raised := RAISED.fullmatch(line)) and _is_kind(raised["package"], raised["name"]):
        return f"{raised['kind']}: {said or '…'}"
    for shape in (LOGGED, ENDED):
        if found := shape.fullmatch(line):
            return f"{found['head']}: {said or '…'}"
    return said or None


def _is_kind(package: str | None, name: str) -> bool:
    """Whether it is the name of an error: one of Python's, or one that lies in a package that is here."""
    if package is None:
        return isinstance(kind := getattr(builtins, name, None), type) and issubclass(kind, BaseException)
    return package in _packages()


@cache
def _packages() -> frozenset[str]:
    return frozenset(
        {"app", "mlx_backend", *sys.stdlib_module_names, *importlib.metadata.packages_distributions()}
    )


def _in_code(path: Path) -> str:
    """Where a file of code lies, without what is above it; "" where it is not ours or a library's."""
    roots = {"": PROJECT, "lib": Path(sysconfig.get_paths()["stdlib"]), "env": Path(sys.prefix)}
    inside = [(name, path.relative_to(root)) for name, root in roots.items() if path.is_relative_to(root)]
    # the deepest root: the environment lies inside the project
    name, short = min(inside, key=lambda one: len(one[1].parts), default=("", Path()))
    known = (
        short.parts
        and ".." not in short.parts
        and (name or short.parts[0] in ("app", "mlx_backend", "scripts"))
    )
    return f"{name}/{short.as_posix()}".lstrip("/") if known and path.suffix == ".py" else ""
