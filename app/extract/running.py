"""A table is filled, file by file: each is kept the moment it is finished, so that any end loses nothing.

Knows: which file is next, which failures are the file's own and which end the run, how long it will take.
Does not know: how a file becomes rows (filling.py), threads, the window, the terminal, SQL.

What waits in the store is what is missing: to go on after a stop, a crash or a power cut is to run again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import mlx_backend as backend
from app.blobs import Blobs
from app.documents.pages import Unreadable
from app.extract import cells
from app.extract.columns import stored
from app.extract.filling import Filling, Stopped
from app.library import Engine
from app.store import DiskTrouble, ExtractionFile, Store

log = logging.getLogger(__name__)

DEATHS = 2  # of the model's process, one file after the other: then it is not the file
# A file's own fault: the next one may be asked.
OF_THE_FILE = (Unreadable, backend.BadMedia, backend.ContextTooLong, backend.OutOfMemory)
FULL = (
    "The disk is full or cannot be written, so the run was stopped. What was finished is kept. Make room, "
    "then go on."
)
UNEXPECTED = "Something went wrong inside GLM Chat with this file. The details are in the log. Try again."


@dataclass(frozen=True)
class Now:
    """What is being done. number: of the file, from 1. stage: opening, one of Progress, or writing.

    done, total: of the stage; total 0 where nobody knows. left: seconds until the last file is finished, by
    those of this run; None while there is none.
    """

    name: str
    number: int
    files: int
    stage: str = "opening"
    done: int = 0
    total: int = 0
    left: float | None = None


Told = Callable[[Now], None]


def run(
    store: Store, blobs: Blobs, engine: Engine, extraction_id: int, cancel: threading.Event, told: Told
) -> str:
    """Fill what is missing of a table. Returns why it ended before its end, or "". Never raises.

    cancel: set it to stop; the file under way is asked again the next time. told: called from this thread.
    """
    try:
        return _Run(store, blobs, engine, extraction_id, cancel, told).fill()
    except DiskTrouble:
        return FULL
    except Exception:
        log.exception("a table could not be filled")
        return UNEXPECTED


class _Run:
    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        engine: Engine,
        extraction_id: int,
        cancel: threading.Event,
        told: Told,
    ) -> None:
        self._store, self._id, self._cancel, self._told = store, extraction_id, cancel, told
        table = store.extraction(extraction_id)
        columns, question = (stored(table.columns), table.question) if table else ((), "")
        self._filling = Filling(store, blobs, engine, columns, question, cancel)
        self._spent: list[float] = []  # seconds of each file of this run
        self._deaths = 0

    def fill(self) -> str:
        while not self._cancel.is_set() and (file := self._store.waiting_file(self._id)) is not None:
            began = time.monotonic()
            try:
                finished = self._finished(file)
            except Stopped:
                break
            except backend.BackendError as error:
                return str(error)
            self._spent.append(time.monotonic() - began)
            self._store.finish_extraction_file(self._id, replace(finished, seconds=self._spent[-1]))
        return ""

    def _finished(self, file: ExtractionFile) -> ExtractionFile:
        """What came of a file. Raises Stopped, and BackendError where the file is not to blame."""
        now = self._now(file)
        self._told(now)
        try:
            filled = self._filling.filled(
                file, lambda stage, done, total: self._told(replace(now, stage=stage, done=done, total=total))
            )
        except OF_THE_FILE as error:
            return replace(file, state="failed", problem=str(error))
        except backend.EngineStopped as error:
            self._deaths += 1
            if self._deaths >= DEATHS:
                raise
            return replace(file, state="failed", problem=str(error))
        except (backend.BackendError, Stopped, DiskTrouble):
            raise
        except Exception:
            log.exception("a file of a table failed")
            return replace(file, state="failed", problem=UNEXPECTED)
        self._deaths = 0
        rows = tuple(cells.kept(row) for row in filled.rows)
        return replace(file, state="done", problem=filled.problem, document=filled.document, rows=rows)

    def _now(self, file: ExtractionFile) -> Now:
        table = self._store.extraction(self._id)
        if table is None:
            raise Stopped
        over = table.done + table.failed
        left = (table.files - over) * sum(self._spent) / len(self._spent) if self._spent else None
        return Now(file.name, over + 1, table.files, left=left)
