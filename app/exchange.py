"""Conversations in and out of the window: a zip to download, a file to read; and how much may come in.

Knows: the addresses, what an upload of the composer may leave on the disk, what is told of an import.
Does not know: what an export looks like, how a file arrives (arrival.py), who may ask (the guard stands
before), SQL.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.arrival import Refusals, arrived, length
from app.blobs import Blobs
from app.orders import embedded, fresh, ordered
from app.store import Store
from app.transfer import BadExport, BadImport, Exported, export_archive, export_markdown, import_file

UPLOAD_LIMIT = 20_000_000_000  # bytes: an export with years of videos
TOO_LARGE = "The file is larger than 20 GB. Nothing was imported."
SKIPPED_SHOWN = 20
ATTACHED_LIMIT = 2_000_000_000  # bytes of one upload to the composer, all its files together
KINDS: dict[str, Callable[..., Exported]] = {"markdown": export_markdown, "json": export_archive}


def router(store: Store, blobs: Blobs, folder: Path) -> APIRouter:
    """GET /export/markdown and /export/json, of one conversation with ?c=ID; POST /import, the file as its
    body, GET /import?n=NAME to see how far it is, POST /import/stop with {n: NAME}.

    folder: for files on their way; what an earlier run left in it goes.
    """
    routes = APIRouter()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)

    @routes.get("/export/{kind}")
    def export(request: Request, kind: str, c: str | None = None) -> Response:
        if embedded(request):
            return PlainTextResponse("An export is a file to save.", 403)
        return _export(store, blobs, folder, kind, c)

    importing = _Importing(store, blobs, folder)
    routes.post("/import")(importing.take)
    routes.get("/import")(importing.look)
    routes.post("/import/stop")(ordered(importing.stop))
    return routes


@dataclass
class _Arriving:
    """An import under way. share: of it that is done, 0 to 1. document: that is read now; of its pages `page`
    are done, of `pages`, 0 while nobody knows."""

    share: float = 0.0
    document: str = ""
    page: int = 0
    pages: int = 0
    cancel: threading.Event = field(default_factory=threading.Event)

    def to(self, share: float) -> None:
        self.share, self.document = share, ""

    def opening(self, name: str, done: int, total: int) -> None:
        self.document, self.page, self.pages = name, done, total

    def __str__(self) -> str:
        share = int(100 * self.share)
        if not self.document:
            return f"Importing… {share} %"
        if not self.pages:
            return f"Importing… {share} % · {self.document}"
        return f"Importing… {share} % · {self.document}, page {self.page:,} of {self.pages:,}"


def _unkept(error: OSError) -> str:
    return f"The file could not be kept: {error.strerror or 'it cannot be written'}. Nothing was imported."


REFUSALS = Refusals("words", lambda name: TOO_LARGE, _unkept)


class _Importing:
    """Imports under way, by the name that the page gives to each: it asks how far it is, or stops it."""

    def __init__(self, store: Store, blobs: Blobs, folder: Path) -> None:
        self._store, self._blobs, self._folder = store, blobs, folder
        self._under_way: dict[str, _Arriving] = {}

    async def take(self, request: Request) -> Response:
        name = request.headers.get("x-import", "")
        arriving = self._under_way.setdefault(name, _Arriving())

        def take(file: Path) -> Response:
            return _import(self._store, self._blobs, file, arriving)

        try:
            return await arrived(request, self._folder, UPLOAD_LIMIT, take, REFUSALS)
        finally:
            self._under_way.pop(name, None)

    async def look(self, n: str = "") -> Response:
        arriving = self._under_way.get(n)
        return fresh({"words": str(arriving) if arriving else ""})

    def stop(self, order: dict[str, Any]) -> Response:
        if arriving := self._under_way.get(str(order.get("n"))):
            arriving.cancel.set()
        return fresh({})


def _export(store: Store, blobs: Blobs, folder: Path, kind: str, conversation: str | None) -> Response:
    found = store.conversation(conversation) if conversation is not None else None
    if kind not in KINDS or (conversation is not None and found is None):
        return PlainTextResponse("There is no such conversation.", 404)
    try:
        scratch = Path(tempfile.mkdtemp(dir=folder))
    except OSError as error:
        return PlainTextResponse(f"Nothing was exported: {error.strerror or 'the disk is full'}.", 507)
    done = BackgroundTask(shutil.rmtree, scratch, ignore_errors=True)
    try:
        KINDS[kind](store, blobs, scratch / "export.zip", [found.id] if found else None)
    except BadExport as error:
        return PlainTextResponse(str(error), 507, background=done)
    name = f"GLM Chat {time.strftime('%Y-%m-%d')} {kind}.zip"
    return FileResponse(scratch / "export.zip", filename=name, media_type="application/zip", background=done)


def _import(store: Store, blobs: Blobs, file: Path, arriving: _Arriving) -> Response:
    told, opening, cancel = arriving.to, arriving.opening, arriving.cancel
    try:
        result = import_file(store, blobs, file, progress=told, opening=opening, cancel=cancel)
    except BadImport as error:
        return JSONResponse({"words": str(error)}, 400)
    return JSONResponse({"words": str(result), "skipped": result.skipped[:SKIPPED_SHOWN]})


# --- attachments -----------------------------------------------------------------------------------------


class BoundedUploads:
    """ASGI middleware: an upload to the composer has a size, and one that fails leaves nothing.

    Gradio limits each file of an upload but not their number, and keeps the beginning of what breaks off.
    folder: where it puts files; those on their way lie in it by themselves, what has arrived in folders.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self.app = app
        self._folder = folder
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].rstrip("/").endswith("/upload"):
            await self.app(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._bounded(scope, receive, send)
        finally:
            self._under_way -= 1
            if not self._under_way:
                await run_in_threadpool(self._clear)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = length(dict(scope["headers"]).get(b"content-length", b"").decode("latin-1"))
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            return message if size <= ATTACHED_LIMIT else {"type": "http.disconnect"}

        async def unless_refused(message: Message) -> None:
            if size <= ATTACHED_LIMIT:
                await send(message)

        if told <= ATTACHED_LIMIT:
            with contextlib.suppress(ClientDisconnect):
                await self.app(scope, counted, unless_refused)
        if max(told, size) > ATTACHED_LIMIT:
            refusal = PlainTextResponse("Together the files are larger than 2 GB. Attach fewer.", 413)
            await refusal(scope, receive, send)

    def _clear(self) -> None:
        for file in self._folder.iterdir() if self._folder.exists() else ():
            if file.is_file() and not file.is_symlink():
                file.unlink(missing_ok=True)
