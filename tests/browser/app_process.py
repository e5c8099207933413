"""The app in a process of its own, started and stopped as a person would."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from asking import ROOT

from app.server import ask_link

START_SECONDS = 90  # a busy machine takes its time over importing Gradio


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class App:
    """One run of the app on a home folder. command: what starts it, the port comes last."""

    def __init__(self, home: Path, command: list[str | Path]) -> None:
        self.home = home
        self.port = free_port()
        self._command = command
        self.lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Start it; returns the one-time address it prints."""
        self.lines = []
        self._process = subprocess.Popen(
            [*self._command, str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**os.environ, "GLM_CHAT_HOME": str(self.home)},
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            for line in self.lines:
                if found := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line):
                    return found[0]
            time.sleep(0.05)
        raise AssertionError(f"the app did not start: {''.join(self.lines)}")

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.lines.extend(iter(process.stdout.readline, ""))

    def link(self) -> str:
        """A fresh one-time address, asked for as a second start of the app does."""
        running = json.loads((self.home / "run.json").read_text())
        return ask_link(running["port"], running["owner"])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; returns its exit code."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(how)
        code = process.wait(30)
        self._reader.join(10)
        assert process.stdout is not None
        process.stdout.close()
        return code
