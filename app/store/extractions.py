"""Tables that are filled from files: what is asked, which files, and what came of each of them.

Knows: tables, their files in order, and that a file is either whole in the table or still to be asked.
Does not know: how a cell is filled or proven (app/extract), where files lie.

A file's rows are written once, all together, when it is finished: whatever ends the app in between, what is
still waiting is exactly what is missing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.store.database import Database
from app.store.documents import ORPHANS
from app.store.values import StoredBlob

FileState = Literal["waiting", "done", "failed"]


@dataclass(frozen=True)
class StoredExtraction:
    """A table without its rows. question: what a row is, in the person's words; columns: as JSON values.

    files, done, failed: how many there are, and how many of them are finished so or so. created_at: seconds
    since 1970.
    """

    id: int
    title: str
    question: str
    columns: tuple[Mapping[str, Any], ...]
    created_at: float
    files: int = 0
    done: int = 0
    failed: int = 0


@dataclass(frozen=True)
class ExtractionFile:
    """A file of a table and what it gave. problem: for the person, why it failed or what is missing of it.

    document: its id where it was read as one. rows: JSON values, one per row of the table. finished: the
    how many-th of the table's files it was, counted at every finish; 0: it waits. seconds: that it took.
    """

    position: int
    name: str
    sha256: str
    state: FileState = "waiting"
    problem: str = ""
    rows: tuple[Any, ...] = ()
    document: int | None = None
    finished: int = 0
    seconds: float = 0.0


class Extractions(Database):
    """Reading and writing tables. What is unknown is empty, or changes nothing."""

    # --- reading -------------------------------------------------------------------------------------

    def extractions(self) -> tuple[StoredExtraction, ...]:
        """All of them, the newest first."""
        return self._extractions("order by e.created_at desc, e.id desc")

    def extraction(self, extraction_id: int) -> StoredExtraction | None:
        found = self._extractions("where e.id = :id", id=extraction_id)
        return found[0] if found else None

    def extraction_files(self, extraction_id: int, after: int = -1) -> tuple[ExtractionFile, ...]:
        """Its files in order. after: only those that were finished after so many."""
        sql = """select position, name, sha256, state, problem, rows, document_id as document, finished,
            seconds from extraction_files where extraction_id = ? and finished > ? order by position"""
        with self._lock:
            rows = list(self._db.query(sql, [extraction_id, after]))
        return tuple(ExtractionFile(**{**row, "rows": tuple(json.loads(row["rows"]))}) for row in rows)

    def waiting_file(self, extraction_id: int) -> ExtractionFile | None:
        """The next one that is to be asked; None: none is missing."""
        sql = """select position, name, sha256, document_id as document from extraction_files
            where extraction_id = ? and state = 'waiting' order by position limit 1"""
        with self._lock:
            row = next(iter(self._db.query(sql, [extraction_id])), None)
        return ExtractionFile(**row) if row else None

    def _extractions(self, rest: str, **values: Any) -> tuple[StoredExtraction, ...]:
        sql = f"""select e.id, title, question, columns, created_at,
            (select count(*) from extraction_files f where f.extraction_id = e.id) as files,
            (select count(*) from extraction_files f where f.extraction_id = e.id and state = 'done') as done,
            (select count(*) from extraction_files f where f.extraction_id = e.id and state = 'failed')
                as failed
            from extractions e {rest}"""
        with self._lock:
            rows = list(self._db.query(sql, values))
        return tuple(
            StoredExtraction(**{**row, "columns": tuple(json.loads(row["columns"]))}) for row in rows
        )

    # --- writing -------------------------------------------------------------------------------------

    def begin_extraction(self, title: str, question: str, columns: Sequence[Mapping[str, Any]]) -> int:
        """A table without files yet; its id."""
        row = {"title": title, "question": question, "columns": json.dumps(list(columns))}
        with self._lock, self._db.atomic():
            table = self._db.table("extractions").insert({**row, "created_at": time.time()})
            return int(str(table.last_pk))

    def add_extraction_file(self, extraction_id: int, blob: StoredBlob, name: str) -> int | None:
        """One more file at the end; its position. None: there is no such table."""
        file = {"sha256": blob.sha256, "media_type": blob.media_type, "bytes": blob.bytes}
        with self._lock, self._db.atomic():
            if not self._db.execute("select 1 from extractions where id = ?", [extraction_id]).fetchone():
                return None
            self._db.table("blobs").insert({**file, "created_at": time.time()}, ignore=True)
            sql = "select coalesce(max(position) + 1, 0) from extraction_files where extraction_id = ?"
            position = int(self._db.execute(sql, [extraction_id]).fetchone()[0])
            row = {"extraction_id": extraction_id, "position": position, "name": name, "sha256": blob.sha256}
            self._db.table("extraction_files").insert({**row, "state": "waiting"})
        return position

    def finish_extraction_file(self, extraction_id: int, file: ExtractionFile) -> None:
        """What came of a file: all of it or nothing. `finished` is counted here."""
        sql = """update extraction_files set state = ?, problem = ?, rows = ?, document_id = ?, seconds = ?,
            finished = (select max(finished) + 1 from extraction_files where extraction_id = ?)
            where extraction_id = ? and position = ?"""
        rows = json.dumps(list(file.rows), ensure_ascii=False)
        values = [file.state, file.problem, rows, file.document, file.seconds]
        with self._lock, self._db.atomic():
            self._db.execute(sql, [*values, extraction_id, extraction_id, file.position])

    def ask_failed_again(self, extraction_id: int) -> None:
        """The files that failed wait again."""
        sql = """update extraction_files set state = 'waiting', problem = '', rows = '[]', finished = 0
            where extraction_id = ? and state = 'failed'"""
        with self._lock, self._db.atomic():
            self._db.execute(sql, [extraction_id])

    def renew_extraction_file(self, extraction_id: int, position: int, blob: StoredBlob) -> None:
        """Another content for a file: it waits again."""
        file = {"sha256": blob.sha256, "media_type": blob.media_type, "bytes": blob.bytes}
        sql = """update extraction_files set state = 'waiting', problem = '', rows = '[]', finished = 0,
            document_id = null, sha256 = ? where extraction_id = ? and position = ?"""
        with self._lock, self._db.atomic():
            self._db.table("blobs").insert({**file, "created_at": time.time()}, ignore=True)
            self._db.execute(sql, [blob.sha256, extraction_id, position])

    def delete_extraction(self, extraction_id: int) -> None:
        """It and all its rows; its files go where nothing else needs them."""
        with self._lock, self._db.atomic():
            self._db.execute("delete from extractions where id = ?", [extraction_id])
            self._db.execute(ORPHANS)
