"""A stored table as values: columns, and of each file its rows.

Knows: what the store keeps of a table. Does not know: SQL, formats.
"""

from __future__ import annotations

from app.extract import cells, columns
from app.extract.saving import Filled, Table
from app.store import ExtractionFile, Store


def table(store: Store, extraction_id: int) -> Table | None:
    """The table as far as it is filled; None: there is none."""
    found = store.extraction(extraction_id)
    if found is None:
        return None
    files = tuple(filled(file) for file in store.extraction_files(extraction_id))
    return Table(found.title, columns.stored(found.columns), files, found.question)


def filled(file: ExtractionFile) -> Filled:
    rows = tuple(cells.stored(row) for row in file.rows)
    return Filled(file.name, file.state, rows, file.problem)
