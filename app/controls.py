"""What the page asks of the app beside conversations: memory, models, rest, the end. Plain addresses, JSON.

Knows: the addresses, what may be asked, how a refusal is told. Does not know: Gradio, how any of it is done.

GET /now, GET /models; POST /models, /rest, /quit, each a JSON object (orders.py). Everything in a body was
chosen by the client: names are looked up by the stock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from starlette.background import BackgroundTask

from app.choices import DETAIL
from app.chores import Chores
from app.jobs import Jobs
from app.notice import ENDED, notice
from app.orders import fresh, ordered
from app.stock import Refused, Stock
from app.switches import read
from app.tables import Tables
from app.ui import memory, models
from app.ui.gauge import Gauge
from app.ui.settings import Settings
from mlx_backend import BackendError, EngineLike

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
        self._settings = Settings(self._store, stock.home, lambda: stock.is_demo)
        self._chores = Chores(stock.home, engine)
        self.ending = Ending()
        self.tables = Tables(jobs.shelves.kept, engine, stock.home / "tables")
        self._rest_after(self._store.setting(IDLE))

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.get("/now")(self._now)
        routes.get("/models")(lambda: fresh(self._models()))
        routes.get("/ended")(self._ended)
        for address, act in (("/models", self._act), ("/rest", self._rest), ("/quit", self._quit)):
            routes.post(address)(ordered(act))
        routes.include_router(self.tables.router())
        return routes

    def _now(self) -> Response:
        idle = self._store.setting(IDLE) or 0
        return fresh({**self._gauge.value(), "idle": idle, "measuring": self._measuring()})

    def _act(self, asked: dict[str, Any]) -> Response:
        if asked.get("act") == "weigh":
            return self._weigh(asked)
        told = self._work(asked) or _told(self.stock, asked)
        return fresh(self._models(told))

    def _models(self, told: str = "") -> dict[str, Any]:
        value = models.value(self.stock, self._gauge.machine(), told)
        return {**value, "measuring": self._measuring()}

    def _weigh(self, asked: dict[str, Any]) -> Response:
        """What running a model so takes; nothing is changed."""
        detail = _detail(asked) or self._settings.choices(True).detail
        switches = read(asked["switches"]) if "switches" in asked else None
        name, machine = asked.get("name"), self._gauge.machine()
        try:
            weighed = memory.value(self.stock, self._chores, name, machine, switches, detail)
            return fresh({"memory": weighed})
        except (Refused, BackendError) as error:
            return fresh({"told": str(error)})

    def _work(self, asked: dict[str, Any]) -> str:
        """Measuring and copies for slow mode; what is to be told."""
        act, folder = asked.get("act"), self.stock.answering_folder()
        try:
            if act == "measure" and folder is not None:
                self._chores.measure(folder, self._gauge.machine())
            elif act == "stop_measuring":
                self._chores.stop_measuring()
            elif act == "prepare":
                source = self.stock.weighed(asked.get("name"), self._gauge.machine())[1]
                if source is None:
                    raise Refused("This model is not on this computer. Download it first.")
                self._chores.copy(source)
            elif act == "stop_preparing":
                self._chores.stop_copying()
            elif act == "choose" and (detail := _detail(asked)):
                self._settings.change({"detail": detail})
        except (Refused, BackendError) as error:
            return str(error)
        return ""

    def _measuring(self) -> dict[str, Any]:
        """{state: offer, or as a Pace; done, total, error}. offer: it is worth it now, and nothing runs."""
        now, folder = self._chores.measuring, self.stock.answering_folder()
        state: str = now.state
        if now.over or state == "new":
            worth = folder is not None and self._chores.worth_measuring(folder, self._gauge.machine())
            state = "offer" if worth and state != "failed" else state
        return {"state": state, "done": now.done, "total": now.total, "error": now.error}

    def close(self) -> None:
        """End what was begun here."""
        self.stock.close()
        self._chores.close()

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
        self.close()
        self.ending.soon()
        return fresh({})

    def _ended(self) -> Response:
        if not self.ending.is_near:  # a picture in an answer must not end the app
            return Response("The app has not been told to end.", 404)
        page, done = notice(ENDED), BackgroundTask(self.ending.now)
        return HTMLResponse(page, headers={"cache-control": "no-store"}, background=done)


def _detail(asked: dict[str, Any]) -> str:
    said = asked.get("detail")
    return said if isinstance(said, str) and said in DETAIL else ""


def _told(stock: Stock, asked: dict[str, Any]) -> str:
    """Do it; what is told afterwards."""
    try:
        return _done(stock, asked)
    except (Refused, BackendError) as error:
        return str(error)
    except OSError as error:
        return f"The list of folders could not be written: {error.strerror or error}. Nothing was changed."


def _done(stock: Stock, asked: dict[str, Any]) -> str:
    """The same, where nothing goes wrong. Raises Refused, BackendError and OSError."""
    name, act = asked.get("name"), asked.get("act")
    if act in ("download", "resume"):
        stock.download(name, asked.get("to"))
    elif act == "pause":
        stock.pause(name)
    elif act == "cancel":
        stock.cancel(name)
    elif act == "verify":
        stock.verify(name)
    elif act == "delete":
        return f"Deleted: {stock.delete(name) / 1e9:,.1f} GB are free again."
    elif act == "choose":
        switches = read(asked["switches"]) if "switches" in asked else None
        stock.choose(name, force=asked.get("force") is True, switches=switches)
    elif act == "remove":
        return f"{stock.remove(name)} is not looked at any more. Nothing in it was touched."
    elif act == "add":
        return f"Found {stock.add(name)}."
    return ""
