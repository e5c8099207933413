"""What of Gradio a page can reach, and what a message to it may be; everything else is closed.

Knows: the addresses that our page asks for, the form of an event, where Gradio reports what failed.
Does not know: what events mean (handlers.py checks what they carry), who may ask (the guard stands before).

Gradio offers much that this page never needs: a stream for developers that has no end, calls by name, servers
of components, recordings. And what it cannot read it prints as a traceback. Here both end: an address that is
not on the list does not exist, a message that no page of ours sends is refused in a word, and a failure is
one line in the log; with its traceback only where the fault is ours.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

_API = "/gradio_api"
JOIN, LISTEN, UPLOAD = f"{_API}/queue/join", f"{_API}/queue/data", f"{_API}/upload"
# Seen in Chromium while every test of the window ran, and what Gradio's page asks for when a line breaks off.
PAGES = frozenset({"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", LISTEN})
PAGES |= {f"{_API}/upload_progress"}
FOLDERS = ("/assets/", "/static/", f"{_API}/file=", f"{_API}/heartbeat/")
POSTS = frozenset({JOIN, UPLOAD, f"{_API}/cancel", f"{_API}/reset"})
LARGEST = 16_000_000  # bytes of a message: a question of a million characters and its conversation's chips
DEEPEST = 64  # levels of a message; the page's own has six
MOST_DIGITS = 18  # of a whole number; what 64 bits hold
LONGEST_NAME = 100  # characters of a session's name
NOT_OURS = "This is not a message of GLM Chat's page. Nothing was done. Reload the page."


class NotOurs(Exception):
    """A message that no page of ours sends."""


class Doors:
    """ASGI middleware right around the mounted Gradio app. demo: its gr.Blocks."""

    def __init__(self, app: ASGIApp, demo: Any) -> None:
        self.app = app
        self._demo = demo

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif not _open(scope["method"], scope["path"]):
            await PlainTextResponse("Not found.", 404)(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"].rstrip("/") != UPLOAD:
            await self._message(scope, receive, send)
        elif scope["path"].rstrip("/") == LISTEN and not self._known(scope):
            await PlainTextResponse("Nobody by this name is waited for.", 404)(scope, receive, send)
        else:
            await self._quietly(scope, receive, send)

    async def _message(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            await PlainTextResponse("This message is too long. Nothing was done.", 413)(scope, receive, send)
            return
        try:
            told = read(body)
            if scope["path"].rstrip("/") == JOIN:
                told = event(told, self._demo)
        except NotOurs:
            await PlainTextResponse(NOT_OURS, 400)(scope, receive, send)
            return
        clean = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        headers.append((b"content-length", str(len(clean)).encode()))
        await self._quietly({**scope, "headers": headers}, _again(clean, receive), send)

    def _known(self, scope: Scope) -> bool:
        """Whether the queue has something to say to this session; Gradio's stream breaks where it has not."""
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])
        return asked[0] in self._demo._queue.pending_messages_per_session

    async def _quietly(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception as error:
            report(error)
            if not begun:
                await PlainTextResponse(NOT_OURS, 400)(scope, receive, send)
            else:
                await send({"type": "http.response.body", "body": b""})


def _open(method: str, path: str) -> bool:
    path = path.rstrip("/") or "/"
    if method == "POST":
        return path in POSTS
    return method in ("GET", "HEAD") and (path in PAGES or path.startswith(FOLDERS))


async def _body(receive: Receive) -> bytes | None:
    """The body of a request; None where it is longer than any message."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """The same body once more, then whatever comes."""
    told = False

    async def once() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


# --- messages --------------------------------------------------------------------------------------------


def read(body: bytes) -> dict[str, Any]:
    """A message. Raises NotOurs for what is no JSON object, is nested too deep, or holds odd numbers."""
    try:
        told = json.loads(body, parse_constant=_refuse, parse_int=_whole_number, parse_float=_fraction)
    except (ValueError, RecursionError):
        raise NotOurs from None
    if not isinstance(told, dict) or _depth(told) > DEEPEST:
        raise NotOurs
    return told


def _refuse(name: str) -> None:
    raise ValueError(name)


def _whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(digits[:MOST_DIGITS])  # nothing that answers could write it down
    return int(digits)


def _fraction(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(digits)
    return number


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        inside = [one.values() if isinstance(one, dict) else one for one in level]
        level = [one for each in inside for one in each if isinstance(one, dict | list)]
    return depth


def event(told: dict[str, Any], demo: Any) -> dict[str, Any]:
    """An event as the page sends it, without anything else. Raises NotOurs.

    demo: its gr.Blocks: which events there are, what each component takes.
    """
    number, session, trigger = told.get("fn_index"), told.get("session_hash"), told.get("trigger_id")
    data, about = told.get("data"), told.get("event_data")
    known = _plain(number) and number in demo.fns
    named = isinstance(session, str) and 0 < len(session) <= LONGEST_NAME and session.isalnum()
    if not known or not named or not (about is None or isinstance(about, dict)):
        raise NotOurs
    # the page itself loads and leaves: it is no block of its own
    if not (trigger is None or (_plain(trigger) and trigger in {demo._id, *demo.blocks})):
        raise NotOurs
    inputs = demo.fns[number].inputs
    if not isinstance(data, list) or len(data) != len(inputs):
        raise NotOurs
    for value, component in zip(data, inputs, strict=True):
        _check(value, component)
    return {
        "fn_index": number,
        "session_hash": session,
        "trigger_id": trigger,
        "data": data,
        "event_data": about or {},  # what is asked of nothing would fail
    }


def _plain(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(value: Any, component: Any) -> None:
    """Whether a component can read the value. Raises NotOurs."""
    model = getattr(component, "data_model", None)
    if model is None or value is None:
        return
    try:
        model.model_validate(value)
    except ValueError:
        raise NotOurs from None


# --- what fails ------------------------------------------------------------------------------------------

_OURS = Path(__file__).resolve().parent.parent


def report(error: BaseException | None) -> None:
    """One line for what a message made Gradio stumble over; a fault of ours with its traceback."""
    places = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__ if error else None)]
    if any(_OURS in place.parents and place != Path(__file__).resolve() for place in places):
        log.error("an event of the page failed", exc_info=error)
    elif error is not None:
        log.info("a message could not be read: %s", type(error).__name__)


class _Quiet:
    """Stands where Gradio finds the module `traceback`, of which it uses this one function."""

    @staticmethod
    def print_exc() -> None:
        report(sys.exc_info()[1])


def close(app: Any, demo: Any) -> None:
    """Call once, after mounting: app is the FastAPI app that demo, a gr.Blocks, was mounted on last."""
    from gradio import queueing, route_utils, routes

    for module in (queueing, routes, route_utils):
        module.traceback = _Quiet  # type: ignore[attr-defined]
    mounted = app.routes[-1]
    mounted.app = Doors(mounted.app, demo)
