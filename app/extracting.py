"""The command `extract`: a table out of files, in the terminal and as a file.

Knows: how a table and its progress look in a terminal, where a run is kept until it is whole, what Ctrl-C
    means.
Does not know: how a table is filled (app/extract), argparse, the window's tables.

A run is kept in a folder of its own, named by its columns and the places of its files, with a store like the
app's: so the chat may be open meanwhile. It goes when every file is done.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from app.ask import cancelled_by_ctrl_c
from app.blobs import Blobs
from app.extract import columns
from app.extract.cells import Cell, Mark
from app.extract.running import Now, run
from app.extract.saving import SAVED, UNSURE, Table
from app.extract.table import table
from app.models import duration
from app.store import Store, StoredBlob
from app.terminal import harmless
from mlx_backend import BackendError, EngineLike

WIDEST = 34  # of a column in the terminal
SIGNS: dict[Mark, str] = {"missing": " ?", "unlike": " !", "seen": " *"}
TOLD = {
    " ?": "? words not found in the file",
    " !": "! words found, the value is not in them",
    " *": "* read off a picture, not to be compared with anything",
}
STAGES = {"queue": "waiting", "load": "loading the model", "images": "looking", "prefill": "reading"}


@dataclass(frozen=True)
class Order:
    """What is asked for. columns: as a person or a schema file says them. row: what a row is."""

    files: tuple[Path, ...]
    columns: str
    row: str = ""
    output: Path | None = None
    resume: bool = False


def extract(engine: EngineLike, order: Order, home: Path) -> int:
    """Returns the exit code: 0, 1 where files failed or are missing, 130 after Ctrl-C.

    Raises BackendError where nothing can be asked.
    """
    wanted = _columns(order.columns)
    _savable(order.output)
    folder = home / "extract" / _named(order, wanted)
    with _alone(folder), contextlib.closing(Store(folder / "table.db")) as store:
        blobs = Blobs(folder / "blobs")
        number = _begun(store, blobs, order, wanted)
        screen = Screen(sys.stderr)
        with cancelled_by_ctrl_c() as cancel:
            ended = run(store, blobs, engine, number, cancel, screen.show)
        screen.clear()
        found = table(store, number)
        assert found is not None
        if order.output is not None:
            _save(found, order.output)
        print("\n".join(shown(found)), flush=True)
        left = sum(file.state != "done" for file in found.files)
        print(_summary(found, order.output, ended), file=sys.stderr)
        if not left:
            shutil.rmtree(folder, ignore_errors=True)
    return 130 if cancel.is_set() else int(bool(left))


# --- before anything is asked ------------------------------------------------------------------------------


def _columns(written: str) -> tuple[columns.Column, ...]:
    try:
        return columns.parse(written)
    except columns.BadColumns as error:
        raise BackendError(f"{error} Nothing was asked.") from error


def _savable(output: Path | None) -> None:
    if output is None:
        return
    if output.suffix.lower().removeprefix(".") not in SAVED:
        raise BackendError(f"{output}: a table is saved as .csv, .xlsx or .json. Nothing was asked.")
    if not output.absolute().parent.is_dir() or output.is_dir():
        raise BackendError(f"{output}: there is no such folder to save in. Nothing was asked.")


def _named(order: Order, wanted: Sequence[columns.Column]) -> str:
    """A name for this run: the same for the same columns and the same files."""
    told = [[asdict(column) for column in wanted], order.row, [str(file) for file in order.files]]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:20]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the run while inside. The system frees it if we die. Raises BackendError where somebody has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BackendError("The same table is being filled by another run. Wait until it is done.") from None
    finally:
        os.close(handle)


def _begun(store: Store, blobs: Blobs, order: Order, wanted: Sequence[columns.Column]) -> int:
    """The table to fill: the one that did not end, or a new one."""
    before = next(iter(store.extractions()), None)
    if before is not None and order.resume and before.files == len(order.files):
        _renew(store, blobs, order.files, before.id)
        return before.id
    if before is not None:
        if not order.resume:
            print(
                "An unfinished run of the same table was thrown away; --resume goes on with it.",
                file=sys.stderr,
            )
        store.delete_extraction(before.id)
    elif order.resume:
        print("There is no unfinished run of this table, so it is begun.", file=sys.stderr)
    number = store.begin_extraction("Table", order.row, [asdict(column) for column in wanted])
    for file in order.files:
        store.add_extraction_file(number, _kept(blobs, file), file.name)
    return number


def _renew(store: Store, blobs: Blobs, files: Sequence[Path], number: int) -> None:
    """What failed is asked again, and what has changed."""
    store.ask_failed_again(number)
    for file, known in zip(files, store.extraction_files(number), strict=True):
        if (blob := _kept(blobs, file)).sha256 != known.sha256:
            store.renew_extraction_file(number, known.position, blob)


def _kept(blobs: Blobs, file: Path) -> StoredBlob:
    blob = blobs.put(file)
    return StoredBlob(blob.sha256, "application/octet-stream", blob.bytes)


# --- in the terminal ---------------------------------------------------------------------------------------


class Screen:
    """One line of progress where `err` is a terminal, else a line for each file."""

    def __init__(self, err: TextIO) -> None:
        self._err, self._number = err, 0

    def show(self, now: Now) -> None:
        if self._err.isatty():
            self._err.write(f"\r\x1b[K\x1b[2m{_progress(now)}\x1b[0m")
            self._err.flush()
        elif now.number != self._number:
            print(_progress(now), file=self._err, flush=True)
        self._number = now.number

    def clear(self) -> None:
        if self._err.isatty() and self._number:
            self._err.write("\r\x1b[K")
            self._err.flush()


def _progress(now: Now) -> str:
    share = f" {100 * now.done // now.total} %" if now.total and now.stage != "queue" else ""
    left = f" · {duration(now.left)} left" if now.left is not None else ""
    stage = STAGES.get(now.stage, now.stage)
    return f"file {now.number} of {now.files} · {_plain(now.name)[:50]} · {stage}{share}{left}"


def shown(found: Table) -> Iterator[str]:
    """The table in columns of the terminal's letters, and what its signs mean."""
    head = ["File", *(column.name for column in found.columns)]
    rows = [head]
    notes, signs = [], dict[str, None]()
    for file in found.files:
        if file.problem or not file.rows:
            notes.append(f"{_plain(file.name)}: {_plain(file.problem) or 'not asked yet'}")
        for row in file.rows:
            rows.append([file.name, *(_written(cell) for cell in row)])
            signs |= dict.fromkeys(SIGNS[cell.mark] for cell in row if cell.mark in SIGNS)
    widths = [max(_wide(_cut(row[at])) for row in rows) for at in range(len(head))]
    for line in rows if len(rows) > 1 else ():
        words = (_padded(_cut(word), width) for word, width in zip(line, widths, strict=True))
        yield "  ".join(words).rstrip()
    if notes or signs:
        yield ""
    yield from (TOLD[sign] for sign in signs)
    yield from notes


def _written(cell: Cell) -> str:
    value = cell.value
    words = ("yes" if value else "no") if isinstance(value, bool) else "" if value is None else str(value)
    return words + SIGNS.get(cell.mark, "")


def _plain(words: str) -> str:
    """What a document says must not steer the terminal."""
    return " ".join(harmless(words, " ").split())


def _cut(words: str) -> str:
    words = _plain(words)
    if _wide(words) <= WIDEST:
        return words
    sign = words[-2:] if words[-2:] in TOLD else ""
    while _wide(words) > WIDEST - 1 - len(sign):
        words = words[:-1]
    return f"{words}…{sign}"


def _wide(words: str) -> int:
    """Columns of a terminal: two for a Chinese, Japanese or Korean letter, none for a mark above one."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in words
    )


def _padded(words: str, width: int) -> str:
    return words + " " * (width - _wide(words))


# --- afterwards --------------------------------------------------------------------------------------------


def _save(found: Table, output: Path) -> None:
    make, _ = SAVED[output.suffix.lower().removeprefix(".")]
    on_its_way = output.with_name(f".{output.name}.part")  # never half a table
    try:
        on_its_way.write_bytes(make(found))
        on_its_way.replace(output)
    except OSError as error:
        with contextlib.suppress(OSError):
            on_its_way.unlink()
        raise BackendError(
            f"{output} could not be written: {error.strerror or error}. The table is kept: make room, or "
            "choose another --output, and run the same command with --resume."
        ) from error


def _summary(found: Table, output: Path | None, ended: str) -> str:
    cells = [cell for file in found.files for row in file.rows for cell in row if cell.mark != "empty"]
    unsure = sum(cell.mark in UNSURE for cell in cells)
    proven = sum(cell.mark == "verified" for cell in cells)
    done = sum(file.state == "done" for file in found.files)
    said = [f"{done} of {len(found.files)} files done, {proven} of {len(cells)} values verified"]
    said[0] += f", {unsure} to look at." if unsure else "."
    if output is not None:
        said.append(f"Saved as {output}.")
    if ended:
        said.append(ended)
    if done < len(found.files):
        said.append("The same command with --resume goes on with the others.")
    return " ".join(said)
