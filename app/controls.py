"""What the page asks of the app beside conversations: memory, models, rest, the end. Plain addresses, JSON.

Knows: the addresses, what may be asked, how a refusal is told. Does not know: Gradio, how any of it is done.

GET /now, GET /models; POST /models, /rest, /quit, each a JSON object (orders.py). Everything in a body was
chosen by the client: names are looked up by the stock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from starlette.background import BackgroundTask

from app.jobs import Jobs
from app.orders import fresh, ordered
from app.stock import Refused, Stock
from app.tables import Tables
from app.ui import models
from app.ui.gauge import Gauge
from mlx_backend import BackendError, EngineLike

ENDED = Path(__file__).resolve().parent.parent / "assets" / "ended.html"
LAST_PAGE_SECONDS = 5.0  # the last page has so long to be asked for
IDLE = "idle_minutes"  # the setting: minutes without a question after which the memory is given back
STORE_SECONDS = 30.0  # answers under way are stored in so long, far more than that takes
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
        self.tables = Tables(jobs.shelves.kept, engine, stock.home / "tables")
        self._rest_after(self._store.setting(IDLE))

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.get("/now")(self._now)
        routes.get("/models")(lambda: fresh(models.value(self.stock, self._gauge.machine())))
        routes.get("/ended")(self._ended)
        for address, act in (("/models", self._act), ("/rest", self._rest), ("/quit", self._quit)):
            routes.post(address)(ordered(act))
        routes.include_router(self.tables.router())
        return routes

    def _now(self) -> Response:
        return fresh({**self._gauge.value(), "idle": self._store.setting(IDLE) or 0})

    def _act(self, asked: dict[str, Any]) -> Response:
        told = _told(self.stock, asked)
        return fresh(models.value(self.stock, self._gauge.machine(), told))

    def _rest(self, asked: dict[str, Any]) -> Response:
        if "minutes" not in asked:
            self.stock.rest()
        elif type(asked["minutes"]) is int and asked["minutes"] in IDLE_MINUTES:
            self._store.set_setting(IDLE, asked["minutes"])
            self._rest_after(asked["minutes"])
        return fresh({})

    def _rest_after(self, minutes: object) -> None:
        if isinstance(minutes, int) and hasattr(self._engine, "rest"):
            self._engine.rest = minutes * 60.0

    def _quit(self, _: dict[str, Any]) -> Response:
        """Store all answers first: what the last page says is true when it is seen."""
        self._jobs.close(STORE_SECONDS)
        self.tables.close()
        self.stock.close()
        self.ending.soon()
        return fresh({})

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
