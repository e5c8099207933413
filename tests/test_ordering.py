"""The answer to a join waits for the end of the stream before it, and only then."""

from __future__ import annotations

import asyncio
from typing import Any

from app.ui.ordering import JoinAfterClose


async def ask(app: JoinAfterClose, path: str, sent: list[str]) -> None:
    async def send(message: Any) -> None:
        sent.append(f"{path} {message['type'].split('.')[-1]}")

    await app({"type": "http", "path": path}, None, send)  # type: ignore[arg-type]


async def gradio(scope: Any, receive: Any, send: Any) -> None:
    """Answers at once, as Gradio's queue does; a stream says that it is closed."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    body = b'data: {"msg":"close_stream"}\n\n' if scope["path"].endswith("/queue/data") else b"{}"
    await send({"type": "http.response.body", "body": body})


def test_a_join_right_after_an_end_lets_others_go_first() -> None:
    async def together() -> list[str]:
        app, sent = JoinAfterClose(gradio), list[str]()
        await ask(app, "/gradio_api/queue/data", sent)
        await asyncio.gather(ask(app, "/gradio_api/queue/join", sent), ask(app, "/config", sent))
        return sent[2:]

    end = ["/gradio_api/queue/join start", "/gradio_api/queue/join body"]
    assert asyncio.run(together()) == ["/config start", "/config body", *end]


def test_a_join_at_any_other_time_is_not_held_up() -> None:
    async def together() -> list[str]:
        app, sent = JoinAfterClose(gradio), list[str]()
        await asyncio.gather(ask(app, "/gradio_api/queue/join", sent), ask(app, "/config", sent))
        return sent

    assert asyncio.run(together())[0] == "/gradio_api/queue/join start"
