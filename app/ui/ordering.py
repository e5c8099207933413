"""Keeps two messages to the page in the order they were meant: "stream closed" before "event joined".

Knows: the two addresses of Gradio's queue that matter. Does not know: what the events are.

Gradio ends a page's event stream when none of its events is pending. If the page joins a new event then,
it may hear of the join first, believe that the open stream will serve it, and then close the stream: the
event is never heard of again and the page waits for ever. (Seen in 2 of 12 runs that send a message right
after loading.) So the answer to a join that comes within a moment after a stream's end waits until the page
has certainly read that end. The event itself is not delayed.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOMENT = 0.5  # seconds after a stream's end in which a join may race with it
SETTLE = 0.12  # seconds a page gets to read the end of its stream; 0.034 was seen on a busy machine


class JoinAfterClose:
    """ASGI middleware around the mounted Gradio app."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._closed = float("-inf")  # of any page: one person, so one clock will do

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.endswith("/queue/data"):
            await self.app(scope, receive, self._noting_end(send))
        elif path.endswith("/queue/join"):
            await self.app(scope, receive, self._after_end(send))
        else:
            await self.app(scope, receive, send)

    def _noting_end(self, send: Send) -> Send:
        async def sender(message: Message) -> None:
            if b'"close_stream"' in message.get("body", b""):
                self._closed = asyncio.get_running_loop().time()
            await send(message)

        return sender

    def _after_end(self, send: Send) -> Send:
        async def sender(message: Message) -> None:
            since = asyncio.get_running_loop().time() - self._closed
            if message["type"] == "http.response.start" and since < MOMENT:
                await asyncio.sleep(SETTLE)
            await send(message)

        return sender
