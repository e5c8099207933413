"""The scripted app that writes down every request its guard lets through, and takes only small uploads.

usage: python attacked_app.py LOG PORT   (the data folder is GLM_CHAT_HOME)
"""

from __future__ import annotations

import sys
from pathlib import Path

from scripted_app import script
from starlette.types import ASGIApp, Receive, Scope, Send

from app import exchange, server
from app.config import Config
from app.security import Guard, Keys
from mlx_backend import FakeEngine

LIMIT = 1_000_000  # bytes of an upload or an import, so that "too large" can be tried
LOG = Path(sys.argv[1])


class Noting:
    """Stands right behind the guard: what reaches it could have had an effect."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            with LOG.open("a", encoding="utf-8") as log:
                log.write(f"{scope.get('method', 'SOCKET')} {scope['path']}\n")
        await self.app(scope, receive, send)


class Watched(Guard):
    def __init__(self, app: ASGIApp, port: int, keys: Keys) -> None:
        super().__init__(Noting(app), port, keys)


if __name__ == "__main__":
    server.Guard = Watched  # type: ignore[misc]
    server.UPLOAD_LIMIT = f"{LIMIT}b"
    exchange.UPLOAD_LIMIT = LIMIT
    with FakeEngine(script) as engine:
        sys.exit(server.serve(Config(), engine, port=int(sys.argv[2]), open_browser=False))
