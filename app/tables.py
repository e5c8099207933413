"""Tables out of files in the window: their addresses, and the one that is being filled.

Knows: what may be ordered, who runs, that files come in one by one.
Does not know: how a table is filled (app/extract), how it looks (ui/extraction.py), who may ask (the guard
stands before), SQL.

GET /tables, /tables/ID?after=N and /tables/ID/save/csv, xlsx or json; POST /tables with an order, and
/tables/ID/files with a file as the body. Everything in them was chosen by the client.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from app import disk
from app.arrival import Refusals, arrived, named
from app.extract import columns
from app.extract.running import Now, run
from app.extract.saving import SAVED
from app.extract.table import table
from app.library import Engine
from app.orders import embedded, fresh, ordered
from app.shelves import Shelf
from app.store import DiskTrouble, StoredBlob
from app.ui import extraction

LARGEST = 150_000  # bytes of an order: a schema
FILE_LIMIT = 2_000_000_000  # bytes
MOST_FILES = 2_000  # of a table
QUESTION, TITLE = 2_000, 60  # characters
CLOSE_SECONDS = 5.0  # the end of the app waits so long for a run to end
GONE = "This table is no longer here. Open the list again."
FULL = f"A table has at most {MOST_FILES:,} files. Begin another one for the rest."
BUSY = "Another table is being filled. Wait until it is done, or stop it first."
STILL = "This table is being filled. Stop it first."
TOO_LARGE = "It is larger than 2 GB, which is more than a file may have."


class Refused(Exception):
    """What was ordered was not done; the text is for the person."""


class Tables:
    """One per app. folder: for files on their way; what an earlier run left in it goes."""

    def __init__(self, shelf: Shelf, engine: Engine, folder: Path) -> None:
        self._store, self._blobs, self._engine, self._folder = shelf.store, shelf.blobs, engine, folder
        self._lock = threading.Lock()
        self._now: dict[int, Now] = {}  # of the table that is being filled
        self._ended: dict[int, str] = {}  # why the last run of a table ended before its end
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        shutil.rmtree(folder, ignore_errors=True)

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.get("/tables")(lambda: self._list())
        routes.get("/tables/{number}")(self._one)
        routes.get("/tables/{number}/save/{kind}")(self._save)
        routes.post("/tables")(ordered(self._order, LARGEST))
        routes.post("/tables/{number}/files")(self._add)
        return routes

    def close(self) -> None:
        """End the run; what is finished is kept, and what is missing waits."""
        with self._lock:
            self._closed, thread = True, self._thread
        self._cancel.set()
        if thread is not None:
            thread.join(CLOSE_SECONDS)

    # --- looking ---------------------------------------------------------------------------------------

    def _list(self, told: str = "", **more: Any) -> Response:
        return fresh({"tables": extraction.listed(self._store, self._now), "told": told, **more})

    def _one(self, number: str, after: str = "-1") -> Response:
        found = self._store.extraction(_number(number))
        if found is None:
            return fresh({"told": GONE}, 404)
        now, ended = self._now.get(found.id), self._ended.get(found.id, "")
        return fresh({"table": extraction.value(self._store, found, _number(after), now, ended)})

    def _save(self, request: Request, number: str, kind: str) -> Response:
        if embedded(request):  # a picture in an answer must not make it
            return PlainTextResponse("A table is a file to save.", 403)
        found = table(self._store, _number(number)) if kind in SAVED else None
        if found is None:
            return PlainTextResponse(GONE, 404)
        make, media_type = SAVED[kind]
        name = quote(f"{named(found.title)}.{kind}", safe="")
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}", "cache-control": "no-store"}
        return Response(make(found), media_type=media_type, headers=headers)

    # --- ordering --------------------------------------------------------------------------------------

    def _order(self, order: dict[str, Any]) -> Response:
        acts: dict[str, Callable[[int], None]] = {
            "start": self.start, "again": self._again, "stop": self._stop, "delete": self._delete
        }  # fmt: skip
        act, number = str(order.get("act")), _number(str(order.get("id")))
        try:
            if act == "new":
                return self._list(id=self._new(order))
            if act in acts:
                if self._store.extraction(number) is None:
                    raise Refused(GONE)
                acts[act](number)
        except (Refused, columns.BadColumns) as refused:
            return self._list(str(refused))
        except DiskTrouble as error:
            return self._list(f"It could not be written: {error}. Nothing was changed.")
        return self._list()

    def _new(self, order: dict[str, Any]) -> int:
        written, question = order.get("columns"), order.get("question")
        found = columns.parse(written if isinstance(written, str) else "")
        about = " ".join(question.split())[:QUESTION] if isinstance(question, str) else ""
        title = ", ".join(column.name for column in found)
        short = title if len(title) <= TITLE else title[:TITLE].rstrip(" ,") + "…"
        return self._store.begin_extraction(short, about, [asdict(column) for column in found])

    def start(self, number: int) -> None:
        """Begin to fill a table, or go on with it. Raises Refused."""
        with self._lock:
            if self._closed:
                return
            if self._now:
                if number in self._now:
                    return
                raise Refused(BUSY)
            self._cancel = threading.Event()
            self._ended.pop(number, None)
            self._now = {number: Now("", 1, 1)}
            work = (number, self._cancel)
            self._thread = threading.Thread(target=self._run, args=work, name="table", daemon=True)
            self._thread.start()

    def _run(self, number: int, cancel: threading.Event) -> None:
        def told(now: Now) -> None:
            self._now = {number: now}

        ended = run(self._store, self._blobs, self._engine, number, cancel, told)
        with self._lock:
            if ended:
                self._ended[number] = ended
            self._now = {}

    def _again(self, number: int) -> None:
        if number in self._now:
            raise Refused(STILL)
        self._store.ask_failed_again(number)
        self.start(number)

    def _stop(self, number: int) -> None:
        if number in self._now:
            self._cancel.set()

    def _delete(self, number: int) -> None:
        if number in self._now:
            raise Refused(STILL)
        self._store.delete_extraction(number)

    # --- files -----------------------------------------------------------------------------------------

    async def _add(self, request: Request, number: str) -> Response:
        def take(file: Path) -> Response:
            return self._keep(_number(number), file)

        return await arrived(request, self._folder, FILE_LIMIT, take, REFUSALS)

    def _keep(self, number: int, file: Path) -> Response:
        found = self._store.extraction(number)
        if found is None:
            return fresh({"told": GONE}, 404)
        if found.files >= MOST_FILES:
            return fresh({"told": FULL}, 409)
        if short := disk.shortage(self._blobs, [file]):
            return fresh({"told": short}, 507)
        blob = self._blobs.put(file)
        stored = StoredBlob(blob.sha256, "application/octet-stream", blob.bytes)
        try:
            position = self._store.add_extraction_file(number, stored, file.name)
        except DiskTrouble as error:
            return fresh({"told": f"It could not be written: {error}. Nothing was changed."}, 507)
        return fresh({"told": GONE}, 404) if position is None else JSONResponse({"position": position})


def _number(text: str) -> int:
    """Of a table as an address says it; -1 for what is none."""
    return int(text) if len(text) < 18 and text.isascii() and text.isdigit() else -1


def _unkept(error: OSError) -> str:
    return f"The file could not be kept: {error.strerror or 'it cannot be written'}. It was not added."


REFUSALS = Refusals("told", lambda name: TOO_LARGE, _unkept)
