"""The other side: a web server of somebody else's on this computer, and what an attack left at its victim.

Knows: who called the attacker and with what, what lies in the victim's home.
Does not know: any attack.
"""

from __future__ import annotations

import contextlib
import http.server
import sqlite3
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app_process import App
from playwright.sync_api import BrowserContext, Page

ATTACKED = Path(__file__).resolve().parent / "attacked_app.py"
PAGE = b"<!doctype html><title>A page like any other</title><body></body>"
TABLES = ("conversations", "messages", "parts", "blobs", "settings", "folders")


class Attacker(http.server.ThreadingHTTPServer):
    """Answers everything with an empty page. calls: path and headers of each request; opened: connections."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.opened = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def verify_request(self, *_: Any) -> bool:
        self.opened += 1  # a connection without a request tells somebody something, too
        return True


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Attacker)
        self.server.calls.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(PAGE)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def attacking() -> Iterator[Attacker]:
    server = Attacker()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Victim:
    """A running app with an open window in a browser that holds its cookie."""

    app: App
    log: Path
    attacker: Attacker
    context: BrowserContext
    window: Page
    picture: str  # the address of a stored picture
    _mark: int = field(default=0)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.app.port}"

    def state(self) -> dict[str, Any]:
        """All that an attack could change: rows and files."""
        with contextlib.closing(sqlite3.connect(self.app.home / "glmchat.db", timeout=10)) as db:
            rows = {table: db.execute(f"select * from {table}").fetchall() for table in TABLES}
        folders = [self.app.home / name for name in ("uploads", "blobs", "exchange")]
        # files alone: an empty folder that Gradio makes goes when the last page closes
        files = {str(file) for folder in folders for file in folder.rglob("*") if file.is_file()}
        return {**rows, "files": files}

    def settled(self) -> None:
        """Wait until the windows have nothing left to ask for."""
        seen = -1
        while seen != (seen := len(self._lines())):
            self.window.wait_for_timeout(700)  # a stream that closes is asked for again within half a second

    def begin(self) -> None:
        """From here on."""
        self._mark = len(self._lines())

    def reached(self) -> list[str]:
        """What the guard let through since begin(), but for the icon that a browser asks beside a refusal."""
        return [line for line in self._lines()[self._mark :] if line != "GET /favicon.ico"]

    def _lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


def attacked(home: Path, log: Path) -> App:
    """The app to be attacked, not yet started."""
    return App(home, [sys.executable, ATTACKED, log])
