"""The page of tables: what its list says, what the grid of one table shows.

Knows: the values that extraction.js draws, how long things take in words.
Does not know: Gradio, how a table is filled (app/extract), who runs it (app/tables.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.extract.running import Now
from app.models import duration
from app.store import ExtractionFile, Store, StoredExtraction

STAGES = {
    "opening": "Opening",
    "queue": "Waiting for the model",
    "load": "Loading the model",
    "images": "Looking",
    "prefill": "Reading",
    "writing": "Writing",
}


def listed(store: Store, running: Mapping[int, Now]) -> list[dict[str, Any]]:
    """Every table, the newest first: {id, title, files, done, failed, when, running}."""
    return [
        {
            **_counted(table),
            "when": time.strftime("%d %B %Y, %H:%M", time.localtime(table.created_at)),
            "running": table.id in running,
        }
        for table in store.extractions()
    ]


def value(
    store: Store, table: StoredExtraction, after: int, now: Now | None, ended: str = ""
) -> dict[str, Any]:
    """One table. after: only files that were finished after so many, -1 for all of them.

    ended: why its last run ended before its end.
    """
    files = store.extraction_files(table.id, after)
    return {
        **_counted(table),
        "question": table.question,
        "columns": [dict(column) for column in table.columns],
        "list": [_file(file) for file in files],
        "now": _now(now) if now else None,
        "ended": ended,
    }


def _counted(table: StoredExtraction) -> dict[str, Any]:
    counts = {"files": table.files, "done": table.done, "failed": table.failed}
    return {"id": table.id, "title": table.title, **counts}


def _file(file: ExtractionFile) -> dict[str, Any]:
    """document: what the viewer calls it, empty where it was not read as one."""
    return {
        "position": file.position,
        "name": file.name,
        "state": file.state,
        "problem": file.problem,
        "finished": file.finished,
        "document": f"{file.sha256}-{file.document}" if file.document else "",
        "rows": list(file.rows),
    }


def _now(now: Now) -> dict[str, Any]:
    return {
        **asdict(now),
        "stage": STAGES.get(now.stage, "Working"),
        "share": f"{100 * now.done // now.total} %" if now.total and now.stage != "queue" else "",
        "left": f"{duration(now.left)} left" if now.left is not None else "",
    }
