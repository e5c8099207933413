"""A program that was let in: it holds the window's cookie and sends what it likes, bytes and all.

Knows: how a request and an event of the page look on the wire, what lies in the home of the app.
Does not know: any attack.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app_process import App
from attacker import attacked
from PIL import Image


@dataclass
class Rig:
    """A running app and a client that was let in."""

    app: App
    cookie: str
    secret: Path

    @property
    def home(self) -> Path:
        return self.app.home

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """Send a request with its path as it is; a body in pieces is sent without its length."""
        named = {"cookie": self.cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.app.port, timeout=30)) as sent:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent
                sent.request(method, path, body, named)
            answer = sent.getresponse()
            return answer.status, answer.read()

    def config(self) -> dict[str, Any]:
        return dict(json.loads(self.ask("GET", "/config")[1]))

    def join(self, event: dict[str, Any]) -> tuple[int, bytes]:
        body = json.dumps(event).encode()
        return self.ask("POST", "/gradio_api/queue/join", body, content_type="application/json")

    def told(self, session: str, events: int = 1) -> str:
        """How so many events of a session ended, as the queue tells it."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.app.port, timeout=30)) as line:
            path = f"/gradio_api/queue/data?session_hash={session}"
            line.request("GET", path, headers={"cookie": self.cookie})
            ends = (one.decode() for one in iter(line.getresponse().readline, b"") if b"_completed" in one)
            return "".join(next(ends) for _ in range(events))

    def left(self) -> list[str]:
        """Files that are neither the database's nor stored."""
        folders = [self.home / name for name in ("uploads", "exchange", "tables")]
        return [str(file) for folder in folders for file in folder.rglob("*") if _left(file)]

    def messages(self) -> int:
        with contextlib.closing(sqlite3.connect(self.home / "glmchat.db", timeout=10)) as db:
            return int(db.execute("select count(*) from messages").fetchone()[0])


def _left(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()


@contextlib.contextmanager
def let_in(folder: Path) -> Iterator[Rig]:
    """A running app and its client; a picture of nobody's business lies beside its home."""
    app = attacked(folder / "home", folder / "reached.txt")
    secret = folder / "secret.png"
    Image.new("RGB", (16, 16)).save(secret)
    link = app.start()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", app.port, timeout=30)) as client:
        client.request("GET", "/" + link.split("/", 3)[3])
        cookie = str(client.getresponse().headers["set-cookie"]).split(";")[0]
    yield Rig(app, cookie, secret)
    assert app.stop() == 0
