"""What the page asks of the app beside conversations: memory, models, rest, the end. Plain addresses, JSON.

Knows: the addresses, what may be asked, how a refusal is told. Does not know: Gradio, how any of it is done.

GET /now, GET /models; POST /models, /rest, /quit, each a JSON object. A form of another page cannot send one:
the guard refuses foreign origins, and here a body that is not application/json is refused too. Everything in
a body was chosen by the client: names are looked up by the stock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from app.jobs import Jobs
from app.stock import Refused, Stock
from app.ui import models
from app.ui.gauge import Gauge
from mlx_backend import BackendError, EngineLike

ENDED = Path(__file__).resolve().parent.parent / "assets" / "ended.html"
LARGEST = 10_000  # bytes of a body
LAST_PAGE_SECONDS = 5.0  # the last page has so long to be asked for
IDLE = "idle_minutes"  # the setting: minutes without a question after which the memory is given back
STORE_SECONDS = 30.0  # answers under way are stored in so long, far more than that takes
NOT_OURS = "This is not a message of GLM Chat's page. Nothing was done."
IDLE_MINUTES = (0, 5, 15, 30, 60, 240)


class Ending:
    """How the app is told to end by its window. then: set by who runs the server."""

    def __init__(self) -> None:
        self.then: Callable[[], None] = lambda: None
        self._timer: threading.Timer | None = None

    def soon(self) -> None:
        """End when the last page was shown, or soon even if nobody asks for it."""
        if self._timer is None:
            self._timer = threading.Timer(LAST_PAGE_SECONDS, self.then)
            self._timer.daemon = True
            self._timer.start()

    @property
    def is_near(self) -> bool:
        return self._timer is not None

    def now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self.then()


class Controls:
    """One per app. engine: whose time of rest is set. jobs: the answers under way."""

    def __init__(self, stock: Stock, engine: EngineLike, jobs: Jobs) -> None:
        self.stock, self._engine, self._jobs = stock, engine, jobs
        self._store, self._gauge = jobs.shelves.kept.store, Gauge(stock)
        self.ending = Ending()
        self._rest_after(self._store.setting(IDLE))

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.get("/now")(self._now)
        routes.get("/models")(lambda: _fresh(models.value(self.stock, self._gauge.machine())))
        routes.get("/ended")(self._ended)
        for address, act in (("/models", self._act), ("/rest", self._rest), ("/quit", self._quit)):
            routes.post(address)(_asked(act))
        return routes

    def _now(self) -> Response:
        return _fresh({**self._gauge.value(), "idle": self._store.setting(IDLE) or 0})

    def _act(self, asked: dict[str, Any]) -> Response:
        told = _told(self.stock, asked)
        return _fresh(models.value(self.stock, self._gauge.machine(), told))

    def _rest(self, asked: dict[str, Any]) -> Response:
        if "minutes" not in asked:
            self.stock.rest()
        elif type(asked["minutes"]) is int and asked["minutes"] in IDLE_MINUTES:
            self._store.set_setting(IDLE, asked["minutes"])
            self._rest_after(asked["minutes"])
        return _fresh({})

    def _rest_after(self, minutes: object) -> None:
        if isinstance(minutes, int) and hasattr(self._engine, "rest"):
            self._engine.rest = minutes * 60.0

    def _quit(self, _: dict[str, Any]) -> Response:
        """Store all answers first: what the last page says is true when it is seen."""
        self._jobs.close(STORE_SECONDS)
        self.stock.close()
        self.ending.soon()
        return _fresh({})

    def _ended(self) -> Response:
        if not self.ending.is_near:  # a picture in an answer must not end the app
            return Response("The app has not been told to end.", 404)
        page, done = ENDED.read_text(encoding="utf-8"), BackgroundTask(self.ending.now)
        return HTMLResponse(page, headers={"cache-control": "no-store"}, background=done)


def _told(stock: Stock, asked: dict[str, Any]) -> str:
    """Do it; what is told afterwards."""
    name, act = asked.get("name"), asked.get("act")
    try:
        if act in ("download", "resume"):
            stock.download(name)
        elif act == "pause":
            stock.pause(name)
        elif act == "cancel":
            stock.cancel(name)
        elif act == "verify":
            stock.verify(name)
        elif act == "delete":
            return f"Deleted: {stock.delete(name) / 1e9:,.1f} GB are free again."
        elif act == "choose":
            stock.choose(name, force=asked.get("force") is True)
        elif act == "add":
            return f"Found {stock.add(name)}."
    except (Refused, BackendError) as error:
        return str(error)
    return ""


def _fresh(value: dict[str, Any]) -> JSONResponse:
    return JSONResponse(value, headers={"cache-control": "no-store"})


def _asked(act: Callable[[dict[str, Any]], Response]) -> Callable[[Request], Awaitable[Response]]:
    """An address that takes a JSON object and does `act` in a thread; anything else is refused."""

    async def route(request: Request) -> Response:
        asked = await _object(request)
        if asked is None:
            return JSONResponse({"told": NOT_OURS}, 400)
        return await run_in_threadpool(act, asked)

    return route


async def _object(request: Request) -> dict[str, Any] | None:
    """The object in the body; None for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return None
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            return None
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return asked if isinstance(asked, dict) else None
