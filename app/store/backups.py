"""Copies of the database file: made, checked, kept for a while, brought back.

Knows: where copies lie and what each is called, when a file is whole, how one takes another's place.
Does not know: what the tables hold, the pictures and videos (garbage.py keeps those that a copy needs).

A copy gets its name only after SQLite has read all of it and found it whole: what has a name can be trusted.
A database is never deleted: one that makes room for another is kept here too, as `replaced` or `damaged`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from app.blobs import sync_folder
from app.migrations import APPLICATION_ID, KNOWN, DatabaseTooNew

# version: made before a newer app changed the file's shape. The rest say it themselves.
Kind = Literal["daily", "by-hand", "version", "replaced", "damaged"]
KEEP: dict[Kind, int] = {"daily": 7, "version": 3}  # the newest so many; the others stay until a person acts
COMPANIONS = ("-wal", "-shm", "-journal")  # files that belong to a database in use, named after it
LEFT_OVER_SECONDS = 3600  # a copy not written to for so long was left by a crash: none is being made
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# A search index can be made anew, so what newer versions of SQLite say of one is no damage.
SEARCH_INDEX = re.compile("fts5: |.*inverted index for FTS5 table")
_NAME = re.compile(r"\d{4}-\d\d-\d\d(?:-\d{6}-(by-hand|version|replaced|damaged)(?:-\d+)?)?\.db")


class BackupFailed(Exception):
    """A copy could not be made or used. Nothing was changed; its text is for the person at the screen."""


@dataclass(frozen=True)
class Backup:
    """A copy of the database. when: seconds since 1970, of its last change. bytes: its size."""

    file: Path
    when: float
    bytes: int
    kind: Kind


def at(when: float) -> str:
    """A time for people, in this computer's time zone."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def folder_of(database: Path) -> Path:
    return database.parent / "backups"


def backups(database: Path) -> tuple[Backup, ...]:
    """All copies of which one can be brought back, the newest first."""
    return tuple(copy for copy in _copies(database) if copy.kind != "damaged")


def damaged(database: Path) -> tuple[Backup, ...]:
    """Files that were set aside because SQLite could not read them, the newest first."""
    return tuple(copy for copy in _copies(database) if copy.kind == "damaged")


def _copies(database: Path) -> list[Backup]:
    found = []
    for file in folder_of(database).glob("*.db"):
        if match := _NAME.fullmatch(file.name):
            kind: Kind = next((kind for kind in get_args(Kind) if kind == match[1]), "daily")
            with contextlib.suppress(FileNotFoundError):  # it made room for another meanwhile
                found.append(_backup(file, kind))
    return sorted(found, key=lambda copy: (copy.when, copy.file.name), reverse=True)


def _backup(file: Path, kind: Kind) -> Backup:
    stat = file.stat()
    return Backup(file, stat.st_mtime, stat.st_size, kind)


# --- making ----------------------------------------------------------------------------------------------


def back_up(database: Path, kind: Kind = "by-hand") -> Backup:
    """Copy the database as it is at this moment, whether or not it is in use; old copies make room.

    Raises BackupFailed where it cannot be read whole or the disk is full; then there is no new copy.
    """
    folder = folder_of(database)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with on_its_way(folder) as copy:
            with contextlib.closing(opened(database)) as connection:
                connection.execute("vacuum into ?", [str(copy)])
            if trouble := damage(copy):
                raise BackupFailed(f"The copy of {database} was not whole ({trouble}) and was not kept.")
            settle(copy, final := _place(folder, kind, database))
    except (OSError, sqlite3.Error) as error:
        why = _why(database, error)
        raise BackupFailed(
            f"{database} could not be backed up to {folder}: {why}. Nothing was changed."
        ) from error
    _make_room(database)
    return _backup(final, kind)


def daily(database: Path) -> Backup | None:
    """Today's copy; None: there is one already. Raises as back_up does."""
    today = folder_of(database) / f"{time.strftime('%Y-%m-%d')}.db"
    return None if today.exists() else back_up(database, "daily")


def _place(folder: Path, kind: Kind, database: Path) -> Path:
    """The file that a new copy becomes. Only a daily one may be there already."""
    if kind == "daily":
        return folder / f"{time.strftime('%Y-%m-%d')}.db"
    ending = f"-{version(database)}" if kind == "version" else ""
    for second in itertools.count(int(time.time())):
        stamp = time.strftime("%Y-%m-%d-%H%M%S", time.localtime(second))
        if not (file := folder / f"{stamp}-{kind}{ending}.db").exists():
            break
    return file


def _make_room(database: Path) -> None:
    for kind, count in KEEP.items():
        for copy in [copy for copy in backups(database) if copy.kind == kind][count:]:
            copy.file.unlink(missing_ok=True)


# --- looking ---------------------------------------------------------------------------------------------


def opened(file: Path, how: str = "mode=rw") -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, isolation_level=None)


def version(file: Path) -> int:
    """How many migrations made the file what it is."""
    with contextlib.closing(opened(file)) as connection:
        return int(connection.execute("pragma user_version").fetchone()[0])


def damage(file: Path, check: str = "integrity_check") -> str | None:
    """What is wrong with a database, in SQLite's words; None: nothing.

    Raises DatabaseTooNew before it looks, and sqlite3.Error where the file cannot be read for another reason.
    A search index alone is no damage (see rescue.py).
    """
    try:
        if (found := version(file)) > KNOWN:
            raise DatabaseTooNew(file, found, KNOWN)
        with contextlib.closing(opened(file)) as connection:
            lines = [line for (line,) in connection.execute(f"pragma {check}(20)")]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in DAMAGED:  # the upper bits say more about the same
            raise
        return str(error)
    wrong = [" ".join(line.split()) for line in lines if line != "ok" and not SEARCH_INDEX.match(line)]
    return "; ".join(wrong[:3]) or None


def peek(file: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Some settings of a database that is not to be opened or changed; those it has not are left out."""
    with contextlib.suppress(sqlite3.Error, ValueError), contextlib.closing(opened(file, "mode=ro")) as found:
        rows = found.execute("select key, value from settings").fetchall()
        return {key: json.loads(value) for key, value in rows if key in keys}
    return {}


# --- taking another's place ------------------------------------------------------------------------------


def restore(database: Path, chosen: Path) -> Path | None:
    """Let a copy take the database's place. Nobody may have the database open; the copy stays as it is.

    Returns where the replaced database lies now; None: there was none.
    Raises BackupFailed or DatabaseTooNew; then nothing was changed.
    """
    try:
        with on_its_way(database.parent) as copy:
            duplicate(chosen, copy)
            if trouble := damage(copy) or foreign(copy):
                raise BackupFailed(f"{chosen} was not brought back: {trouble}. Nothing was changed.")
            sync(copy)  # before anything is moved: what can fail shall fail now
            aside = set_aside(database, "replaced")
            settle(copy, database)
    except DatabaseTooNew as error:
        raise DatabaseTooNew(chosen, error.found, error.known) from None
    except (OSError, sqlite3.Error) as error:
        why = _words(error)
        raise BackupFailed(f"{chosen} could not be brought back: {why}. Nothing was changed.") from error
    return aside


def foreign(file: Path) -> str | None:
    """Why a whole database is none of ours; None: it is one."""
    with contextlib.closing(opened(file)) as connection:
        ours = connection.execute("pragma application_id").fetchone()[0] == APPLICATION_ID
    return None if ours else "it is not a database of GLM Chat"


def duplicate(source: Path, copy: Path) -> None:
    """Copy a database nobody writes to, with what its -wal file still holds, over the file `copy`."""
    for ending in COMPANIONS:
        _beside(copy, ending).unlink(missing_ok=True)
    shutil.copyfile(source, copy)
    if (wal := _beside(source, "-wal")).exists():
        shutil.copyfile(wal, _beside(copy, "-wal"))
    # one that is damaged keeps its -wal beside it: whoever asks for its damage is told
    with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(opened(copy)) as connection:
        connection.execute("pragma journal_mode = delete")  # the wal's content moves into the file


def set_aside(database: Path, kind: Kind) -> Path | None:
    """Move the database and what belongs to it among the copies. None: there was no database."""
    folder = folder_of(database)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (there := database.exists()) and kind == "replaced":
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(opened(database)) as connection:
            connection.execute("pragma journal_mode = delete")  # one file is easier to bring back than three
    aside = _place(folder, kind, database)
    # the file before its -wal: alone it would pass for whole, without its last words
    for ending in ("", *COMPANIONS):
        if (part := _beside(database, ending)).exists():
            part.rename(_beside(aside, ending))
    sync_folder(folder)
    return aside if there else None


@contextlib.contextmanager
def on_its_way(folder: Path) -> Iterator[Path]:
    """An empty private file that is gone afterwards, unless it was settled. So are a crash's leftovers."""
    for left in folder.glob("incoming-*.db*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > LEFT_OVER_SECONDS:
                left.unlink()
    handle, name = tempfile.mkstemp(dir=folder, prefix="incoming-", suffix=".db")  # mkstemp makes it 0600
    os.close(handle)
    try:
        yield Path(name)
    finally:
        for ending in ("", *COMPANIONS):
            _beside(Path(name), ending).unlink(missing_ok=True)


def settle(copy: Path, final: Path) -> None:
    """Give a copy its name; whole or not at all, even when the power fails."""
    sync(copy)
    copy.rename(final)
    sync_folder(final.parent)


def sync(file: Path) -> None:
    with file.open("rb") as out:
        os.fsync(out.fileno())


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)


def _why(database: Path, error: Exception) -> str:
    # what SQLite says of a copy that fails names the copy, even where the original is the reason
    with contextlib.suppress(sqlite3.Error):
        return damage(database, "quick_check") or _words(error)
    return _words(error)


def _words(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
