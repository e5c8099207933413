"""The one connection to the database file, and its one lock.

Knows: how the file is opened, made private and brought up to date, with a backup before.
Does not know: what the tables hold.

One connection under one lock because a deferred transaction that starts by reading cannot wait for the write
lock: with several connections it fails at once with "database is locked", whatever busy_timeout says.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from pathlib import Path

import sqlite_utils

from app.migrations import KNOWN, bring_up_to_date
from app.store.backups import back_up

IN_MEMORY = Path(":memory:")  # what SQLite calls a database without a file


class Database:
    """The file, or IN_MEMORY. Every public method of what builds on it is a transaction, from any thread."""

    def __init__(self, file: Path) -> None:
        """Open, creating and migrating as needed.

        Raises DatabaseTooNew (see migrations), or BackupFailed where a file is to be migrated and cannot be
        backed up before; the file is unchanged then.
        """
        self.file = file
        if file != IN_MEMORY:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))  # -wal and -shm take the main file's mode
        self._lock = threading.Lock()
        connection = sqlite3.connect(file, check_same_thread=False)
        self._db = sqlite_utils.Database(connection)
        if file == IN_MEMORY:
            connection.execute("pragma temp_store = memory")  # or long sorts would go through a file
            weakref.finalize(self, connection.close)  # it has no end but that nobody holds it any more
        try:
            if 0 < connection.execute("pragma user_version").fetchone()[0] < KNOWN:
                back_up(file, "version")
            bring_up_to_date(self._db, file)
            for pragma in ("journal_mode=wal", "synchronous=normal", "foreign_keys=on"):
                connection.execute(f"pragma {pragma}")
            # deleted words are overwritten in the file, except in free pages that a query may still read
            connection.execute("pragma secure_delete=fast")
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._db.close()
