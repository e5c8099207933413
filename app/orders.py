"""What the page orders at plain addresses: a JSON object in, JSON out, the work in a thread.

Knows: how such an order looks, how large it may be, how anything else is refused; what a page embeds.
Does not know: any order.

A form of another page cannot send one: the guard refuses foreign origins, and here a body that is not
application/json is refused too.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

LARGEST = 10_000  # bytes of a body
NOT_OURS = "This is not a message of GLM Chat's page. Nothing was done."
# What a page embeds, as opposed to what a person or a script of ours asks for.
EMBEDDED = frozenset({"image", "video", "audio", "track", "style", "script", "font"})
EMBEDDED |= {"frame", "iframe", "object", "embed"}


def embedded(request: Request) -> bool:
    """Whether a page embeds it: no picture in an answer makes this app work, no frame shows a document."""
    return request.headers.get("sec-fetch-dest") in EMBEDDED


def fresh(value: dict[str, Any], status: int = 200) -> JSONResponse:
    """An answer that no browser keeps."""
    return JSONResponse(value, status, headers={"cache-control": "no-store"})


def ordered(
    act: Callable[[dict[str, Any]], Response], largest: int = LARGEST
) -> Callable[[Request], Awaitable[Response]]:
    """An address that takes a JSON object and does `act` in a thread; anything else is refused.

    largest: bytes of the body.
    """

    async def route(request: Request) -> Response:
        order = await _object(request, largest)
        if order is None:
            return JSONResponse({"told": NOT_OURS}, 400)
        return await run_in_threadpool(act, order)

    return route


async def _object(request: Request, largest: int) -> dict[str, Any] | None:
    """The object in the body; None for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return None
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > largest:
                return None
        order = json.loads(body)
        json.dumps(order, ensure_ascii=False).encode()  # half a character is no text: no database takes it
    except (ValueError, RecursionError, ClientDisconnect):
        return None
    return order if isinstance(order, dict) else None
