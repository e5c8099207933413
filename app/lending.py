"""The documents of a chat and of the library, as the window asks for them and changes them.

Knows: the addresses, what may be ordered, which files are on their way into the library.
Does not know: how a file is read (intake.py), the words of the panel (ui/shelf.py), who may ask (the guard
stands before), SQL.

GET /documents?c=ID; POST /documents with {act, c, id}; POST /library with a file as the body. Everything in
them was chosen by the client: ids are looked up in what that chat, or the library, has.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app import disk, intake
from app.arrival import Refusals, arrived
from app.jobs import Jobs
from app.orders import fresh, ordered
from app.shelves import Shelf
from app.store import DiskTrouble
from app.ui import shelf
from app.ui.shelf import Adding
from mlx_backend import BadMedia

FILE_LIMIT = 2_000_000_000  # bytes
TOO_LARGE = "It is larger than 2 GB, which is more than a file may have. Nothing was added."
STOPPED = "Reading was stopped. Nothing was kept."
UNWRITTEN = "It could not be written: {}. Nothing was changed."


def _unkept(error: OSError) -> str:
    return UNWRITTEN.format(error.strerror or "the disk does not take it")


REFUSALS = Refusals("told", lambda name: f"{name}: {TOO_LARGE}", _unkept)


class Lending:
    """One per app. folder: for files on their way; it exists."""

    def __init__(self, jobs: Jobs, folder: Path) -> None:
        self._jobs, self._folder = jobs, folder
        self._adding: dict[int, Adding] = {}
        self._numbers = itertools.count(1)

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.get("/documents")(lambda c=None: self._value(c))
        routes.post("/documents")(ordered(self._order))
        routes.post("/library")(self._receive)
        return routes

    def _value(self, conversation: str | None, told: str = "", status: int = 200) -> Response:
        return fresh(shelf.value(self._jobs, conversation, self._adding, told), status)

    # --- orders ----------------------------------------------------------------------------------------

    def _order(self, order: dict[str, Any]) -> Response:
        act, conversation, number = order.get("act"), order.get("c"), order.get("id")
        if not isinstance(conversation, str):
            conversation = None
        told = ""
        if isinstance(act, str) and isinstance(number, int) and not isinstance(number, bool):
            try:
                told = self._done(act, conversation, number)
            except DiskTrouble as error:
                told = UNWRITTEN.format(error)
        return self._value(conversation, told)

    def _done(self, act: str, conversation: str | None, number: int) -> str:
        """Do it, if the chat or the library has that document; what is told of it."""
        shelf = self._jobs.shelves.of(conversation)
        own = {one.id for one in shelf.store.documents_of(conversation)} if conversation else set()
        acts: dict[str, Callable[[str], object]] = {
            "read": lambda c: shelf.store.choose_document(c, number, True),
            "rest": lambda c: shelf.store.choose_document(c, number, False),
            "remove": lambda c: shelf.store.release_document(c, number),
            "transcribe": lambda c: self._jobs.transcribing.start(shelf.store, shelf.blobs, number),
            "leave": lambda c: self._jobs.transcribing.stop(shelf.store, number),
        }
        if act in acts and conversation is not None and number in own:
            acts[act](conversation)
        elif act == "keep" and number in own and shelf is self._jobs.shelves.kept:
            shelf.store.shelve_document(number, True)
            return "It is in the library now: every chat can use it."
        elif act == "delete" and number in {one.id for one in self._kept.store.library()}:
            self._kept.store.shelve_document(number, False)
            return "It is out of the library. Chats that have it keep it."
        elif act == "stop" and (adding := self._adding.get(number)):
            adding.stop.set()
        return ""

    @property
    def _kept(self) -> Shelf:
        return self._jobs.shelves.kept

    # --- a file right into the library -----------------------------------------------------------------

    async def _receive(self, request: Request) -> Response:
        return await arrived(request, self._folder, FILE_LIMIT, self._add, REFUSALS)

    def _add(self, file: Path) -> Response:
        if short := disk.shortage(self._kept.blobs, [file]):
            return fresh({"told": short}, 507)
        number, adding = next(self._numbers), Adding(file.name)
        self._adding[number] = adding

        def told(name: str, done: int, total: int) -> None:
            adding.done, adding.total = done, total

        try:
            store, blobs = self._kept.store, self._kept.blobs
            document = intake.shelve(store, blobs, file, told, adding.stop.is_set)
        except BadMedia as error:
            return fresh({"told": f"{error.name}: {error.problem}"}, 400)
        except DiskTrouble as error:
            return fresh({"told": UNWRITTEN.format(error)}, 507)
        finally:
            del self._adding[number]
        if document is None:
            return fresh({"told": f"{file.name}: {STOPPED}"}, 409)
        return fresh({"told": f"{file.name} is in the library now: every chat can use it."})
