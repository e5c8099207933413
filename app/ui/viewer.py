"""The pages of documents beside a chat: their pictures and text, what is marked and what is found on them.

Knows: the addresses, how much may be asked of them, how a refusal is told.
Does not know: how a page is drawn or searched (documents/), who may ask (the guard stands before), Gradio,
    how a page looks (viewer.js).

A document is named by its content and its number, "SHA256-ID". Everything of an address was chosen by the
client. The file is hostile: the browser itself never shows a byte of it. It is drawn in a process of its own,
its text is JSON, and the original is a download.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from app.documents import drawing, finding
from app.documents.pages import PICTURED, Page, Rect, Unreadable
from app.orders import embedded, fresh
from app.shelves import Shelf, Shelves
from app.store import Store, StoredDocument

SIZES = (1000, 1600, 2600)  # pixels of a picture's long side, of which the page asks for one
AT_ONCE = 2  # pages that are drawn at the same time: each needs a process and a core
PATIENCE = 25.0  # seconds that a page waits for its turn
SCREEN, POINTS = 96, 72  # of an inch: what a browser calls a pixel, what a PDF is measured in
MOST_BOXES = 60  # places that are marked on one picture
FOREVER = "private, max-age=31536000, immutable"
NAME = re.compile(r"([0-9a-f]{64})-([0-9]{1,15})", re.ASCII)

GONE = "This document is no longer here: it went with the last chat that had it."
NO_PAGE = "The document has no such page."
NO_FILE = "The file of this document is missing on the disk. Its text is still here."
BUSY = "Too many pages are being drawn at once. Wait a moment, then try again."


class NotShown(Exception):
    """What is asked for cannot be had. str: why, for the person."""

    def __init__(self, words: str, status: int = 404) -> None:
        super().__init__(words)
        self.status = status


class Viewer:
    """One per app."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def router(self) -> APIRouter:
        """GET /pages/NAME, …/find?q=, …/original, …/N, …/N/marks and …/N/picture?long=."""
        routes = APIRouter()
        acts = {"": self._about, "/find": self._find, "/original": self._original}
        acts |= {"/{number}": self._page, "/{number}/marks": self._marks, "/{number}/picture": self._picture}
        for address, act in acts.items():
            routes.get(f"/pages/{{document}}{address}")(_told(act))
        return routes

    # --- the document ----------------------------------------------------------------------------------

    def _about(self, request: Request) -> Response:
        shelf, document = self._document(request)
        numbers = [page.number for page in shelf.store.pages(document.id)]
        pictured = document.kind in PICTURED
        if pictured and document.total:
            numbers = list(range(1, document.total + 1))  # one that could not be read can still be drawn
        return fresh(
            {
                "title": document.title,
                "total": max(document.total, len(numbers)),
                "numbers": numbers,
                "pictured": pictured,
                "scale": SCREEN / POINTS if document.kind == "pdf" else 1,
                "original": shelf.blobs.path(document.sha256).exists(),
            }
        )

    def _find(self, request: Request) -> Response:
        shelf, document = self._document(request)
        words = request.query_params.get("q", "")[: finding.LONGEST]
        hits = finding.found(shelf.store.pages(document.id), words)
        return fresh(
            {
                "hits": [asdict(hit) for hit in hits[: finding.MOST_HITS]],
                "pages": len(hits),
                "places": sum(hit.count for hit in hits),
            }
        )

    def _original(self, request: Request) -> Response:
        shelf, document = self._document(request)
        file = shelf.blobs.path(document.sha256)
        if not file.exists():
            raise NotShown(NO_FILE)
        name = "".join(char for char in document.title if char.isprintable() and char not in "/\\")
        headers = {"cache-control": "no-store"}
        # never as what it is: a browser runs what it finds in HTML or SVG of our own address
        kind = "application/octet-stream"
        return FileResponse(file, headers=headers, media_type=kind, filename=name or "document")

    # --- one page --------------------------------------------------------------------------------------

    def _page(self, request: Request) -> Response:
        """Its text and which characters of it are marked: those from `start` to `end`, or the words `q`."""
        shelf, document = self._document(request)
        page = _stored(shelf, document, request)
        return fresh(
            {
                "number": page.number,
                "label": page.label,
                "text": page.text,
                "read_off": page.source != "file",
                "ratio": page.width / page.height if page.width > 0 and page.height > 0 else 0,
                "points": [page.width, page.height],
                "marks": _spans(page, request),
            }
        )

    def _marks(self, request: Request) -> Response:
        """Where those characters stand on the picture, in parts of its width and height from the top left.

        outline: the whole page is marked, as nobody knows where on it the words are.
        """
        shelf, document = self._document(request)
        page = _stored(shelf, document, request)
        spans = _spans(page, request)[:MOST_BOXES]
        boxes: list[list[float]] = []
        if spans and document.kind == "pdf" and page.source == "file" and page.width * page.height > 0:
            with self._turn():
                found = drawing.places(_file(shelf, document), page, spans)
            boxes = [_share(rect, page) for place in found if place.exact for rect in place.rects]
        return fresh({"boxes": boxes, "outline": bool(spans) and not boxes})

    def _picture(self, request: Request) -> Response:
        shelf, document = self._document(request)
        number, longest = _number(request), request.query_params.get("long", "")
        if document.kind not in PICTURED or not longest.isascii() or longest not in map(str, SIZES):
            raise NotShown(NO_PAGE)
        headers = {"etag": f'"{document.sha256}-{number}-{longest}"'}
        headers["cache-control"] = FOREVER if shelf is self._shelves.kept else "no-store"
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        with self._turn():
            data = drawing.render(_file(shelf, document), number, longest=int(longest))
        return Response(data, media_type="image/png", headers=headers)

    def _document(self, request: Request) -> tuple[Shelf, StoredDocument]:
        named = NAME.fullmatch(request.path_params["document"])
        found = self._shelves.document(named[1], int(named[2])) if named else None
        if found is None:
            raise NotShown(GONE)
        return found

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=PATIENCE):
            raise NotShown(BUSY, 503)
        try:
            yield
        finally:
            self._turns.release()


def address(store: Store) -> Callable[[int], str]:
    """By which name the pages of a store's documents are asked for; empty for one that is gone."""

    @cache
    def named(document_id: int) -> str:
        found = store.document_numbered(document_id)
        return f"{found.sha256}-{document_id}" if found is not None else ""

    return named


# --- what is asked ---------------------------------------------------------------------------------------


def _told(act: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """The same, with a sentence where it cannot be done. Not async: FastAPI runs it beside its event loop."""

    def route(request: Request) -> Response:
        try:
            if embedded(request):
                raise NotShown(NO_PAGE, 403)
            return act(request)
        except NotShown as error:
            return fresh({"told": str(error)}, error.status)
        except Unreadable as error:
            return fresh({"told": f"This page cannot be drawn. {error}"}, 422)

    return route


def _number(request: Request) -> int:
    told = request.path_params["number"]
    if not re.fullmatch(r"[0-9]{1,7}", told, re.ASCII):
        raise NotShown(NO_PAGE)
    return int(told)


def _stored(shelf: Shelf, document: StoredDocument, request: Request) -> Page:
    """The page that is asked for; one without text, where it could not be read but may be drawn."""
    number = _number(request)
    for page in shelf.store.pages(document.id, [number]):
        return page
    if document.kind in PICTURED and 1 <= number <= document.total:
        return Page(number, f"page {number}", "")
    raise NotShown(NO_PAGE)


def _spans(page: Page, request: Request) -> list[finding.Span]:
    """The characters that are to be marked: the words `q`, else those from `start` to `end`."""
    asked = request.query_params
    if "q" in asked:
        return finding.marks(page.text, asked["q"])
    start, end = (asked.get(name, "") for name in ("start", "end"))
    if not all(re.fullmatch(r"[0-9]{1,9}", one, re.ASCII) for one in (start, end)):
        return []
    span = int(start), int(end)
    return [span] if span[0] < span[1] <= len(page.text) else []


def _share(rect: Rect, page: Page) -> list[float]:
    """[left, top, width, height] of a place, each a part of the page's."""
    sides = (
        rect.left / page.width,
        1 - rect.top / page.height,
        (rect.right - rect.left) / page.width,
        (rect.top - rect.bottom) / page.height,
    )
    return [round(side, 5) for side in sides]


def _file(shelf: Shelf, document: StoredDocument) -> Path:
    file = shelf.blobs.path(document.sha256)
    if not file.exists():
        raise NotShown(NO_FILE)
    return file
