"""The documents of a draft before Send: how far each is read, what the question will read, their chips.

Knows: that a draft's documents stand beside those that the conversation has, and share its budget.
Does not know: how files are read (ahead.py), the words of a chip (sizes.py), Gradio.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from app import intake, library, turn
from app.ahead import State
from app.documents import route
from app.documents.coming import Coming
from app.documents.coming import coming as foretold
from app.jobs import Jobs
from app.ui import sizes
from mlx_backend import Measured


def states(
    jobs: Jobs, session: str, conversation: str | None, files: Sequence[Path], bad: Container[int]
) -> dict[int, State]:
    """How far each document among the files is read, by position; what is not read yet begins to be.

    bad: positions of files that cannot be sent.
    """
    found = {
        n: file for n, file in enumerate(files) if n not in bad and turn.media_type(file) == intake.DOCUMENT
    }
    jobs.ahead.want(session, found.values(), jobs.shelves.of(conversation).store)
    return {n: jobs.ahead.state(file) for n, file in found.items()}


def coming(
    jobs: Jobs, conversation: str | None, drafted: Mapping[int, State], measured: Measured
) -> dict[int | str, Coming]:
    """What the question reads: of the draft's documents by their position, of others by "of document ID".

    One that the conversation reads already stands in both places.
    """
    store = jobs.shelves.of(conversation).store
    books = library.read_now(store, conversation) if conversation else []
    known = {d.sha256: d.id for d in store.documents_of(conversation) if d.active} if conversation else {}
    same = {n: known[state.sha256] for n, state in drafted.items() if state.sha256 in known}
    new = [_book(n, state) for n, state in drafted.items() if state.read is not None and n not in same]
    if not books and not new:
        return {}
    shown = library.numbers(turn.kept(store.path(conversation))) if conversation else []
    places = [numbered.place for numbered in shown]
    told = foretold([*books, *new], places, library.budget(measured.tokens, measured.limit))
    found: dict[int | str, Coming] = {
        -1 - one.document if one.document < 0 else f"of document {one.document}": one for one in told
    }
    return found | {n: found[f"of document {id}"] for n, id in same.items()}


def _book(n: int, state: State) -> route.Book:
    """A document of the draft, which has no id yet: its place below zero is one."""
    assert state.read is not None
    read = state.read.document
    return route.Book(-1 - n, read.title, read.kind, read.pages, read.total, read.outline)


def chip(file: Path, state: State, reads: Coming | None) -> dict[str, Any]:
    return sizes.paper(intake.kind(file), _bytes(file), state, reads)


def bad(file: Path, problem: str) -> dict[str, Any]:
    """A file that cannot be used, drawn as what it is."""
    kind = intake.kind(file)
    return {"problem": problem} | ({"kind": kind} if kind not in ("", "picture") else {})


def _bytes(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
