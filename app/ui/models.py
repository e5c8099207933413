"""The models page: what each line says, and what of it can be done.

Knows: the value that models.js draws, sizes and times in words, which model suits this computer.
Does not know: Gradio, how a model is fetched or loaded (stock.py), how memory is planned.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.models import duration
from app.offers import Row
from app.stock import DEMO, Stock
from mlx_backend import (
    BackendError,
    Machine,
    Setup,
    Shape,
    Transfer,
    Weights,
    best,
    judge,
    ladder,
    largest_context,
    named,
    published_shape,
    shape_of_folder,
    small,
    weigh_folder,
)

LEAST = 2048  # tokens: a shorter conversation is of no use
DOING = {
    "waiting": "Waiting for another download of it",
    "listing": "Asking the hub what belongs to it",
    "fetching": "Downloading",
    "checking": "Checking",
    "retrying": "The connection broke; trying again",
    "paused": "Paused",
    "failed": "Stopped",
    "done": "Verified: every file is as it was published.",
}


def value(stock: Stock, machine: Machine, told: str = "") -> dict[str, Any]:
    """{lines, switch, room, folder, told}. told: how the last action went.

    A line: {name, title, size, licence, page, why, fits, words, best, state, answers, folder, share, doing,
    can: [what may be asked for]}.
    """
    choice = best(published_shape(), ladder(), machine)
    suits = choice.weights.name if choice else ""
    switch = stock.switch
    return {
        "lines": [_demo(stock), *(_line(stock, row, machine, suits) for row in stock.rows())],
        "switch": None
        if switch is None
        else {
            "name": switch.name,
            "state": switch.state,
            "share": switch.done / switch.total if switch.total else 0,
            "words": switch.words,
        },
        "room": f"{_gb(_free(stock.home))} are free on the disk that models go to.",
        "told": told,
    }


def _demo(stock: Stock) -> dict[str, Any]:
    return {
        "name": DEMO,
        "title": "Demo model",
        "size": "9.0 MB",
        "licence": "MIT",
        "fits": "yes",
        "words": "Knows coloured shapes, short words and short clips. It comes with the app.",
        "state": "whole",
        "answers": stock.is_demo,
        "can": [] if stock.is_demo else ["choose"],
    }


def _line(stock: Stock, row: Row, machine: Machine, suits: str) -> dict[str, Any]:
    transfer = stock.transfer(row.name)
    state = row.found.state if row.found else "absent"
    fits, words = _fits(row, machine) if not row.unsupported else ("no", row.unsupported)
    answers = stock.answering in (row.name, str(row.found.folder) if row.found else row.name)
    bits = row.published.bits if row.published else 0
    return {
        "name": row.name,
        "title": row.title,
        "theirs": row.published is None,
        "size": _gb(row.size) if row.size else "",
        "licence": row.published.licence if row.published else row.found.licence if row.found else "",
        "page": row.published.page if row.published else "",
        "unsupported": bool(row.unsupported),
        "fits": fits,
        "words": words,
        "best": bool(bits) and suits == f"{bits}-bit" and not row.unsupported,
        "state": state,
        "answers": answers,
        "folder": str(row.found.folder) if row.found and state == "whole" else "",
        "doing": _doing(transfer, stock.is_checked(row.name)) if transfer else _left_over(row),
        "share": _share(transfer, row),
        "error": transfer.error if transfer and transfer.state == "failed" else "",
        "can": _can(row, state, answers, transfer),
    }


def _can(row: Row, state: str, answers: bool, transfer: Transfer | None) -> list[str]:
    if row.unsupported:
        return ["delete"] if row.found else []
    if transfer and transfer.running:
        return ["pause", "cancel"]
    if transfer and transfer.state == "paused":
        return ["resume", "cancel"]
    if state == "whole":
        return ["verify"] if answers else ["choose", "verify", "delete"]
    ours = row.found is not None and row.found.ours
    fetch = ["resume" if ours else "download"] if row.published or ours else []
    return fetch + (["delete"] if row.found else [])


# --- words -----------------------------------------------------------------------------------------------


def _doing(now: Transfer, checked: bool) -> str:
    if now.state in ("new", "cancelled") or (now.state == "done" and not checked):
        return ""
    words = DOING.get(now.state, now.state)
    if now.state in ("done", "failed"):
        return words
    if now.total:
        words += f" · {_gb(now.done)} of {_gb(now.total)}"
    if now.speed and now.state == "fetching":
        words += f" · {_gb(int(now.speed))} a second"
    if now.seconds_left is not None and now.state == "fetching":
        words += f" · {duration(now.seconds_left)} left"
    return words


def _left_over(row: Row) -> str:
    found = row.found
    if found is None or found.state == "whole":
        return ""
    if found.state == "damaged":
        return f"Damaged: {', '.join(found.missing[:3])}. Resume fetches it again."
    if found.total:
        return f"Paused · {_gb(found.size)} of {_gb(found.total)}"
    return f"Not whole: {', '.join(found.missing[:3])} is missing."


def _share(now: Transfer | None, row: Row) -> float:
    if now and now.total and now.state not in ("done", "cancelled"):
        return now.done / now.total
    found = row.found
    return found.size / found.total if found and found.total and found.state == "unfinished" else 0.0


def _fits(row: Row, machine: Machine) -> tuple[str, str]:
    """yes, some or no, and the sentence."""
    sizes = _sizes(row)
    if sizes is None:
        return "", ""
    shape, weights = sizes
    whole = judge(shape, weights, machine, replace(Setup(), context=shape.max_context))
    if whole.fits:
        return "yes", f"Fits, with the longest conversation of {shape.max_context:,} tokens."
    setup = small(Setup())
    most = largest_context(shape, weights, machine, setup)
    if most >= min(LEAST, shape.max_context):
        return "some", f"Fits conversations of up to {most:,} tokens."
    least = judge(shape, weights, machine, replace(setup, context=LEAST))
    return "no", f"Does not fit: it needs {_gb(least.metal_peak)}, and {_gb(least.limit)} may be used."


def _sizes(row: Row) -> tuple[Shape, Weights] | None:
    if row.published:
        weights = named(f"{row.published.bits}-bit")
        return (published_shape(), weights) if weights else None
    return _measured(row.found.folder) if row.found and row.found.state == "whole" else None


@lru_cache(maxsize=64)
def _measured(folder: Path) -> tuple[Shape, Weights] | None:
    try:
        return shape_of_folder(folder), weigh_folder(folder)
    except (BackendError, OSError):
        return None


def _free(home: Path) -> int:
    return shutil.disk_usage(next(one for one in (home, *home.parents) if one.exists())).free


def _gb(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
