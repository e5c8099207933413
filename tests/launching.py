"""A Mac to click on: a home folder with a hard name, the commands of macOS that Linux lacks, a package index.

Knows: how the launcher is run as a double-click runs it, what it opened and said, how a download is slowed
or cut. Does not know: what any scenario expects. Nothing inside the launcher is replaced.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from asking import ROOT
from bundle.build import build

from app.server import ask_link

MEGABYTE = 1_000_000
PIECES = [f"piece-{number}" for number in range(8)]
HOME = 'Zoë O\'Hara "at" 家'
# Written down with a tab between the words; osascript fails where no window server is, as it may on a Mac.
# A script for osascript may come through standard input.
RECORDER = """\
#!/bin/sh
[ $# -gt 0 ] || set -- "$(cat)"
{ printf '%s\\t' "${0##*/}" "$@"; echo; } >>"$RECORD"
"""
COMMANDS = {"open": RECORDER, "osascript": RECORDER, "uname": "#!/bin/sh\necho Darwin arm64\n"}
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[\d+\] ")
PATIENCE = 90  # seconds; a busy machine takes its time over importing Gradio


def make_bundle(folder: Path) -> Path:
    """GLM Chat.app of this project with the stand-in for uv, whose first start brings eight megabytes."""
    if lacking := [name for name in ("curl", "ps", "awk") if shutil.which(name) is None]:
        pytest.skip(f"every Mac has {' and '.join(lacking)}, this computer has not")
    stand_in = folder / "uv"
    script = [
        sys.executable,
        str(ROOT / "tests" / "stand_in_uv.py"),
    ]  # no first line may hold a space in a path
    stand_in.write_text(f'#!/bin/sh\nexec {shlex.join(script)} "$@"\n')
    app = build(stand_in, folder)
    (app / "Contents" / "Resources" / "setup-mb").write_text(str(len(PIECES)))
    return app


class Index:
    """A package index on loopback. Everything may be changed while it serves.

    left: how many pieces it still hands out before it cuts every connection; None for no end.
    gate: cleared, requests wait. full: what it sends fits on no disk.
    """

    def __init__(self) -> None:
        self.left: int | None = None
        self.full = False
        self.gate = threading.Event()
        self.gate.set()
        self.served: list[str] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.answer(self)

            def log_message(self, *_: Any) -> None: ...

        return Handler

    def answer(self, asked: http.server.BaseHTTPRequestHandler) -> None:
        name = asked.path.strip("/")
        if name == "pieces":
            return self.send(asked, json.dumps(PIECES).encode())
        self.gate.wait(PATIENCE)
        body = b"FULL" if self.full else bytes(MEGABYTE)
        if self.left == 0:  # in the middle of a piece
            asked.send_response(200)
            asked.send_header("content-length", str(len(body)))
            asked.end_headers()
            asked.wfile.write(body[: len(body) // 2])
            asked.close_connection = True
            return None
        self.left = None if self.left is None else self.left - 1
        self.served.append(name)
        return self.send(asked, body)

    def send(self, asked: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        asked.send_response(200)
        asked.send_header("content-length", str(len(body)))
        asked.end_headers()
        with contextlib.suppress(ConnectionError):  # the stand-in was killed meanwhile
            asked.wfile.write(body)

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Mac:
    """One person's Mac. app: the bundle that is clicked on. shell: what reads the launcher if not sh."""

    def __init__(self, folder: Path, app: Path, index: Index) -> None:
        self.app, self.index = app, index
        self.home = folder / HOME
        self.support = self.home / "Library" / "Application Support" / "GLM Chat"
        self.logs = self.home / "Library" / "Logs" / "GLM Chat"
        self.caches = self.home / "Library" / "Caches" / "GLM Chat"
        self.commands = folder / "bin"
        self.record, self._calls = folder / "record", folder / "calls"
        for made in (self.home, self.commands):
            made.mkdir()
        for name, text in COMMANDS.items():
            self.command(name, text)
        self.shell: list[str] = []
        self.clicks: list[subprocess.Popen[str]] = []

    def command(self, name: str, text: str) -> None:
        """Put a program first in the launcher's PATH."""
        (self.commands / name).write_text(text)
        (self.commands / name).chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """As bare as the one a double-click gives."""
        path = f"{self.commands}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        index = {"STAND_IN_INDEX": self.index.url, "STAND_IN_CALLS": str(self._calls)}
        return {"HOME": str(self.home), "PATH": path, "RECORD": str(self.record), **index}

    def click(self, **more: str) -> subprocess.Popen[str]:
        """Start the launcher as macOS does; returns at once."""
        launcher = self.app / "Contents" / "MacOS" / "GLM Chat"
        quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        environment = {**self.environment, **more}
        click = subprocess.Popen(
            [*self.shell, launcher], cwd="/", env=environment, text=True, stderr=subprocess.PIPE, **quiet
        )
        self.clicks.append(click)
        return click

    def opened(self, **more: str) -> int:
        """Click and wait until the launcher ended; returns its exit code. Nothing it called complained."""
        return self.ended(self.click(**more))

    def ended(self, click: subprocess.Popen[str]) -> int:
        _, said = click.communicate(timeout=PATIENCE)
        self.clicks.remove(click)
        assert said == ""
        log = self.logs / "launcher.log"
        lines = log.read_text().splitlines() if log.exists() else []
        assert [line for line in lines if not LINE.match(line)] == []
        return click.returncode

    def calls(self, name: str) -> list[list[str]]:
        """The words of every call of `open` or `osascript` so far."""
        text = self.record.read_text() if self.record.exists() else ""
        called = [line.rstrip("\t").split("\t") for line in text.splitlines()]
        return [words[1:] for words in called if words[0] == name]

    def alert(self) -> str:
        """What the last alert said."""
        return next(
            words[-2]
            for words in reversed(self.calls("osascript"))
            if "on run {what_happened, log_file}" in words
        )

    def set_ups(self) -> list[dict[str, str]]:
        """What the stand-in for uv was called with, once per call."""
        return (
            [json.loads(line) for line in self._calls.read_text().splitlines()]
            if self._calls.exists()
            else []
        )

    def status(self) -> dict[str, str]:
        """The splash page's state; values as they stand in the script."""
        text = (self.support / "status.js").read_text()
        return dict(re.findall(r'(\w+): ("(?:[^"\\]|\\.)*"|\d+)', text))

    def environments(self) -> list[str]:
        return sorted(folder.name for folder in self.support.glob("env-*"))

    def running(self) -> dict[str, Any]:
        return dict(json.loads((self.support / "run.json").read_text()))

    def link(self) -> str:
        running = self.running()
        return ask_link(running["port"], running["owner"])

    def healthy(self) -> bool:
        with contextlib.suppress(OSError):
            port = self.running()["port"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
                return bool(json.load(answer)["ok"])
        return False

    def server(self) -> int:
        """Process number of the server, as the launcher's log tells it."""
        return int(re.findall(r"running as process (\d+)", (self.logs / "launcher.log").read_text())[-1])

    def quit(self) -> None:
        """End the server as Quit and a logout do, and wait until it has gone."""
        number = self.server()
        os.kill(number, signal.SIGTERM)
        until(lambda: not alive(number))

    def close(self) -> None:
        for click in self.clicks:
            click.kill()
            click.communicate()
        if self.healthy():
            self.quit()


def alive(number: int) -> bool:
    """Whether a process runs; one that ended and was not fetched by its parent does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")


def until(true: Any) -> None:
    """Wait for something that will come. Fails loudly where it does not."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
