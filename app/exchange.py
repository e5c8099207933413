"""Conversations in and out of the window: a zip to download, a file to read.

Knows: the addresses, how an upload reaches the disk, what is told about it.
Does not know: what an export looks like, who may ask (the guard stands before), SQL.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from app.blobs import Blobs
from app.store import Store
from app.transfer import BadExport, BadImport, Exported, export_archive, export_markdown, import_file

UPLOAD_LIMIT = 20_000_000_000  # bytes: an export with years of videos
SKIPPED_SHOWN = 20
KINDS: dict[str, Callable[..., Exported]] = {"markdown": export_markdown, "json": export_archive}


def router(store: Store, blobs: Blobs, folder: Path) -> APIRouter:
    """GET /export/markdown and /export/json, of one conversation with ?c=ID; POST /import.

    folder: for files on their way; what an earlier run left in it goes.
    """
    routes = APIRouter()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)

    @routes.get("/export/{kind}")
    def export(kind: str, c: str | None = None) -> Response:
        return _export(store, blobs, folder, kind, c)

    @routes.post("/import")
    async def import_(request: Request) -> Response:
        scratch = Path(tempfile.mkdtemp(dir=folder))
        try:
            if not await _received(request, scratch / "upload"):
                return JSONResponse({"words": "The file is larger than 20 GB. Nothing was imported."}, 413)
            return await run_in_threadpool(_import, store, blobs, scratch / "upload")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    return routes


def _export(store: Store, blobs: Blobs, folder: Path, kind: str, conversation: str | None) -> Response:
    found = store.conversation(conversation) if conversation is not None else None
    if kind not in KINDS or (conversation is not None and found is None):
        return PlainTextResponse("There is no such conversation.", 404)
    scratch = Path(tempfile.mkdtemp(dir=folder))
    done = BackgroundTask(shutil.rmtree, scratch, ignore_errors=True)
    try:
        KINDS[kind](store, blobs, scratch / "export.zip", [found.id] if found else None)
    except BadExport as error:
        return PlainTextResponse(str(error), 507, background=done)
    name = f"GLM Chat {time.strftime('%Y-%m-%d')} {kind}.zip"
    return FileResponse(scratch / "export.zip", filename=name, media_type="application/zip", background=done)


async def _received(request: Request, file: Path) -> bool:
    """Write the body to a file; False where it is longer than we take."""
    size = 0
    with file.open("wb") as out:
        async for piece in request.stream():
            size += len(piece)
            if size > UPLOAD_LIMIT:
                return False
            out.write(piece)
    return True


def _import(store: Store, blobs: Blobs, file: Path) -> Response:
    try:
        result = import_file(store, blobs, file)
    except BadImport as error:
        return JSONResponse({"words": str(error)}, 400)
    return JSONResponse({"words": str(result), "skipped": result.skipped[:SKIPPED_SHOWN]})
