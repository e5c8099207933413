"""Pictures and videos that nobody needs any more: found, and removed a week later.

Knows: what counts as needing a file, how long one stays that nobody needs.
Does not know: where a file lies, how it is removed (blobs.py).

Mark and sweep. A row is marked when no message holds its file and goes when it has been marked for a week. A
file goes when it has no row, no backup needs it, and it came more than a week ago. So a file that has just
come, with its row still to be written, is safe, and so is one that comes again while it is being swept: to
come again makes it young (see Blobs.put), and its row is written anew.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from app.blobs import Blobs, Swept
from app.store.backups import DAMAGED, backups, damaged, opened
from app.store.database import Database

UNUSED_DAYS = 7
SETTLING_SECONDS = 3600  # between a file's coming and its row's; far more than copying the largest one takes


class Garbage(Database):
    """Removing what is not needed any more."""

    def sweep(self, blobs: Blobs, days: float = UNUSED_DAYS) -> Swept:
        """Remove files that neither a message nor a backup has needed for so many days. Safe at any time.

        While a damaged database is kept nothing is removed: nobody knows what it refers to.
        """
        before = time.time() - days * 86400
        self._forget_unused(before)
        return self._remove(blobs, before)

    def sweep_now(self, blobs: Blobs) -> Swept:
        """The same without the days of waiting, for one who deletes for good. What a backup needs stays.

        So does a file that came within the last hour: its row may still have to be written.
        """
        self._forget_unused(time.time())  # marks
        self._forget_unused(time.time())  # and removes what is marked
        return self._remove(blobs, time.time() - SETTLING_SECONDS)

    def _remove(self, blobs: Blobs, before: float) -> Swept:
        if damaged(self.file):
            return Swept(0, 0)
        needed = _needed_by_backups(self.file)
        with self._lock:
            needed |= {sha256 for (sha256,) in self._db.execute("select sha256 from blobs")}
        return blobs.sweep(needed, before)

    def _forget_unused(self, before: float) -> None:
        with self._lock, self._db.atomic():
            used = _used(self._db.conn)
            self._db.execute(
                f"update blobs set unused_since = null where unused_since is not null and sha256 in ({used})"
            )
            self._db.execute("delete from blobs where unused_since <= ?", [before])
            self._db.execute(
                f"update blobs set unused_since = ? where unused_since is null and sha256 not in ({used})",
                [time.time()],
            )


def _used(connection: sqlite3.Connection) -> str:
    """SQL that selects the content names which any table refers to, whichever tables there are."""
    sql = """select m.name, f."from" from sqlite_master m, pragma_foreign_key_list(m.name) f
        where m.type = 'table' and f."table" = 'blobs'"""
    each = [
        f'select "{column}" from "{table}" where "{column}" is not null'
        for table, column in connection.execute(sql).fetchall()
    ]
    return " union ".join(each)


def _needed_by_backups(database: Path) -> set[str]:
    needed: set[str] = set()
    for backup in backups(database):
        try:
            # immutable: nobody writes to a backup, and no -shm file shall appear beside it
            with contextlib.closing(opened(backup.file, "mode=ro&immutable=1")) as connection:
                needed |= {sha256 for (sha256,) in connection.execute(_used(connection))}
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in DAMAGED:
                raise  # nothing is removed while it is not known what this one needs
            # a damaged one is never brought back
    return needed
