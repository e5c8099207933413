"""What happens when the database does not open: set it aside, bring back what there is, say so in words.

Knows: when a file counts as damaged, what may take its place and in which order it is tried.
Does not know: what the tables hold, who shows the words.

First the damaged file itself: what SQLite can still read of it in full is newer than any backup. Then the
backups, the newest first. The damaged file is kept in every case.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import sqlite_utils

from app.migrations import KNOWN, DatabaseTooNew, bring_up_to_date
from app.store.backups import (
    Backup,
    at,
    backups,
    damage,
    duplicate,
    folder_of,
    foreign,
    on_its_way,
    opened,
    set_aside,
    settle,
    sync,
    version,
)


@dataclass(frozen=True)
class Rescued:
    """What was done. words: for the person at the screen.

    damaged: where the damaged file lies now, None: there was no file any more. backup: what was brought back,
    None where the file could be repaired, or where nothing was left to bring back.
    """

    words: str
    damaged: Path | None = None
    backup: Backup | None = None


def rescue(database: Path) -> Rescued | None:
    """Make sure that the database opens. Nobody may have it open. None: all was well.

    Raises DatabaseTooNew, and sqlite3.Error or OSError where the file cannot be read for a reason that lies
    outside of it, such as its permissions; then nothing was changed.
    """
    if not database.exists() or database.stat().st_size == 0:
        # a crash while one file took another's place leaves none; without copies it is the first start
        if not backups(database):
            return None
        return _replace(database, "it was gone" if not database.exists() else "it was empty")
    trouble = damage(database, "quick_check") or _mend_search(database)
    return _replace(database, trouble) if trouble else None


def _replace(database: Path, trouble: str) -> Rescued:
    with on_its_way(database.parent) as copy:
        source = database if _salvaged(database, copy) else _newest_whole(database, copy)
        sync(copy)  # before anything is moved: what can fail shall fail now
        aside = set_aside(database, "damaged")
        if source is not None:
            settle(copy, database)
    backup = source if isinstance(source, Backup) else None
    return Rescued(_told(database, trouble, source, aside), aside, backup)


def _salvaged(database: Path, copy: Path) -> bool:
    """Whether every row could be read and written into a new database, as where an index alone is damaged."""
    if not database.exists() or database.stat().st_size == 0:
        return False
    try:
        if version(database) != KNOWN:
            return False
        with contextlib.closing(opened(copy)) as connection:
            bring_up_to_date(sqlite_utils.Database(connection), copy)
            _copy_rows(connection, database)
            torn = connection.execute("pragma foreign_key_check").fetchone()
        return torn is None and damage(copy) is None
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
            raise  # with room on the disk it may well be possible: nothing may be decided now
        return False


def _copy_rows(connection: sqlite3.Connection, source: Path) -> None:
    connection.execute("attach ? as hurt", [str(source)])
    tables = """select name from pragma_table_list
        where schema = 'main' and type = 'table' and name not like 'sqlite%'"""
    connection.execute("begin")
    for (name,) in connection.execute(tables).fetchall():
        # ordered, because otherwise SQLite would copy the indexes as well instead of making them anew;
        # triggers make the search index anew
        rows = f'select * from hurt."{name}" not indexed order by rowid'
        connection.execute(f'insert or replace into "{name}" {rows}')
    connection.execute("commit")
    connection.execute("detach hurt")


def _newest_whole(database: Path, copy: Path) -> Backup | None:
    """Copy the newest backup that is whole."""
    for backup in backups(database):
        duplicate(backup.file, copy)
        with contextlib.suppress(DatabaseTooNew):  # of a later version of the app: an older one will do
            if damage(copy) is None and foreign(copy) is None:
                return backup
    return None


def _told(database: Path, trouble: str, source: Path | Backup | None, aside: Path | None) -> str:
    happened = f"The file of your conversations, {database}, could not be read: {trouble}."
    if isinstance(source, Backup):
        done = (
            f"The backup of {at(source.when)} was brought back. What was said after that is missing here; "
            "pictures and videos are all kept."
        )
    elif source is not None:
        done = "It could be repaired, and all that was said is here."
    else:
        done = f"There is no good backup in {folder_of(database)}, so the chat begins empty."
    kept = f"The damaged file was kept as {aside}. Until you delete it no picture or video is removed."
    fresh = f"To begin afresh, move {folder_of(database)} away as well."
    return " ".join((happened, done, kept if aside is not None else fresh))


def _mend_search(database: Path) -> str | None:
    """Make a search index anew that is damaged: nothing else looks into it, and no message could be written.

    Returns what is wrong with one that could not be made anew.
    """
    tables = "select name from sqlite_master where sql like 'create virtual table % using fts5%'"
    with contextlib.closing(opened(database)) as connection:
        for (name,) in connection.execute(tables).fetchall():
            # 1: compared with the rows that it was made of
            check = f"insert into {name}({name}, rank) values ('integrity-check', 1)"
            try:
                connection.execute(check)
            except sqlite3.DatabaseError:
                try:
                    connection.execute(f"insert into {name}({name}) values ('rebuild')")
                    connection.execute(check)
                except sqlite3.DatabaseError as error:
                    return str(error)
    return None
