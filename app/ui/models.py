"""The models page: what each line says, and what of it can be done.

Knows: the value that models.js draws, sizes and times in words, which model suits this computer.
Does not know: Gradio, how a model is fetched or loaded (stock.py), how memory is planned.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.models import duration
from app.offers import Row
from app.places import place_of, to_download
from app.stock import DEMO, Stock, key
from app.ui import memory
from mlx_backend import Machine, Transfer

DOING = {
    "starting": "Beginning",
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
    switch = stock.switch
    return {
        "lines": [_demo(stock), *(_line(stock, row, machine) for row in stock.rows(machine))],
        "switch": None
        if switch is None
        else {
            "name": switch.name,
            "state": switch.state,
            "share": switch.done / switch.total if switch.total else 0,
            "words": switch.words,
            "switches": asdict(switch.switches),
            "step": memory.step(stock, switch),
        },
        "places": [str(place) for place in to_download(stock.home)],
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
        "can": ["memory"] if stock.is_demo else ["choose", "memory"],
    }


def _line(stock: Stock, row: Row, machine: Machine) -> dict[str, Any]:
    name = key(row)
    transfer = stock.transfer(name)
    state = row.found.state if row.found else "absent"
    fits, words = _fits(row, machine)
    answers = stock.answers(row)
    return {
        "name": name,
        "title": row.title,
        "theirs": row.published is None,
        "size": _gb(row.size) if row.size else "",
        "licence": row.published.licence if row.published else row.found.licence if row.found else "",
        "page": row.published.page if row.published else "",
        "unsupported": bool(row.unsupported),
        "fits": fits,
        "words": words,
        "best": row.fit is not None and row.fit.recommended,
        "state": state,
        "answers": answers,
        "folder": str(row.found.folder) if row.found and state == "whole" else "",
        "doing": _doing(transfer, stock.is_checked(name)) if transfer else _left_over(row),
        "share": _share(transfer, row),
        "error": transfer.error if transfer and transfer.state == "failed" else "",
        "can": [*_can(row, state, answers, transfer), *_more(stock, row, state, answers)],
    }


def _can(row: Row, state: str, answers: bool, transfer: Transfer | None) -> list[str]:
    if row.unsupported:
        return ["delete"] if row.found and (row.found.ours or row.found.cached) else []
    if transfer and transfer.running:
        return ["pause", "cancel"]
    if transfer and transfer.state == "paused":
        return ["resume", "cancel"]
    ours = row.found is not None and row.found.ours
    if state == "whole":
        theirs = not ours and not (
            row.found and row.found.cached
        )  # a folder of somebody's own stays as it is
        return ([] if answers else ["choose"]) + (
            [] if theirs else ["verify"] if answers else ["verify", "delete"]
        )
    fetch = ["resume" if ours else "download"] if row.published or ours else []
    return fetch + (["delete"] if ours else [])


def _more(stock: Stock, row: Row, state: str, answers: bool) -> list[str]:
    """What can be done with every model that can be weighed, and with a folder of somebody's own."""
    weighed = not row.unsupported and (state == "whole" or row.published is not None)
    listed = row.found is not None and place_of(stock.home, row.found.folder) is not None
    theirs = row.published is None and row.found is not None and not row.found.ours
    return [*(["memory"] if weighed else []), *(["remove"] if theirs and listed and not answers else [])]


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
    if row.unsupported:
        return "no", row.unsupported
    if row.fit is None:
        return "", ""
    if not row.fit.context:
        most = min(machine.working_set, machine.room)
        return "no", f"Does not fit: its weights take {_gb(row.size)}, and {_gb(most)} may be used."
    return "some" if row.fit.small else "yes", f"Fits conversations of up to {row.fit.context:,} tokens."


def _free(home: Path) -> int:
    return shutil.disk_usage(next(one for one in (home, *home.parents) if one.exists())).free


def _gb(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
