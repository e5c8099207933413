"""The scripted app that writes down every request its guard lets through, and takes only small uploads.

Asked to "say NAME ADDRESS" it answers, and thinks, with those hostile words aimed at the address.

usage: python attacked_app.py LOG PORT   (the data folder is GLM_CHAT_HOME)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from hostile_words import ANSWERS, aimed
from scripted_app import script
from starlette.types import ASGIApp, Receive, Scope, Send

from app import exchange, lending, server, tables
from app.config import Config
from app.security import Guard, Keys
from mlx_backend import Answer, FakeEngine, Reasoning, Request, Text
from mlx_backend.fake import Step

LIMIT = 1_000_000  # bytes of an upload or an import, so that "too large" can be tried
LOG = Path(sys.argv[1] if len(sys.argv) > 1 else "unused")


def hostile(request: Request) -> Sequence[Step]:
    said = " ".join(part.text for part in request.messages[-1].content if isinstance(part, Text))
    if not (asked := re.match(r"say (\w+) (\S+)", said)):
        return script(request)
    words = aimed(ANSWERS[asked[1]], asked[2])
    pieces = [words[at : at + 40] for at in range(0, len(words), 40)]  # markup is cut anywhere
    answer: list[Step] = [step for piece in pieces for step in (Answer(piece), 0.03)]
    return [Reasoning(words), 0.2, *answer, Answer("\n\nThat was all.")]


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
    exchange.UPLOAD_LIMIT = exchange.ATTACHED_LIMIT = tables.FILE_LIMIT = lending.FILE_LIMIT = LIMIT
    with FakeEngine(hostile) as engine:
        sys.exit(server.serve(Config(), engine, port=int(sys.argv[2]), open_browser=False))
