"""Tables in a real SQLite file: a file is whole in its table or still waiting, and what needs it keeps it."""

from __future__ import annotations

from pathlib import Path

from app.blobs import Blobs
from app.documents.pages import Document, Page
from app.store import ExtractionFile, Store, StoredBlob

COLUMNS = ({"name": "number", "kind": "text"},)


def table(store: Store, blobs: Blobs, folder: Path, *names: str) -> int:
    number = store.begin_extraction("Invoices", "one row per invoice", COLUMNS)
    for name in names:
        (folder / name).write_text(f"Invoice {name}")
        blob = blobs.put(folder / name)
        assert store.add_extraction_file(number, StoredBlob(blob.sha256, "text/plain", blob.bytes), name) == (
            names.index(name)
        )
    return number


def test_a_file_is_finished_once_and_the_others_wait(store: Store, blobs: Blobs, tmp_path: Path) -> None:
    number = table(store, blobs, tmp_path, "a.txt", "b.txt", "c.txt")
    waiting = store.waiting_file(number)
    assert waiting is not None and waiting.name == "a.txt"
    rows = ({"cells": [1]},)
    store.finish_extraction_file(number, ExtractionFile(0, "", "", "done", rows=rows, seconds=2.0))
    store.finish_extraction_file(number, ExtractionFile(2, "", "", "failed", "It is damaged."))
    after = store.extraction_files(number, after=1)
    assert [(file.name, file.state, file.problem) for file in after] == [
        ("c.txt", "failed", "It is damaged.")
    ]
    assert store.extraction_files(number)[0].rows == rows
    waiting = store.waiting_file(number)
    assert waiting is not None and waiting.name == "b.txt"
    (listed,) = store.extractions()
    assert (listed.files, listed.done, listed.failed, listed.columns) == (3, 1, 1, COLUMNS)


def test_what_failed_waits_again_and_what_changed_too(store: Store, blobs: Blobs, tmp_path: Path) -> None:
    number = table(store, blobs, tmp_path, "a.txt", "b.txt")
    for position, state in enumerate(("failed", "done")):
        store.finish_extraction_file(number, ExtractionFile(position, "", "", state))  # type: ignore[arg-type]
    assert store.waiting_file(number) is None
    store.ask_failed_again(number)
    assert [file.state for file in store.extraction_files(number)] == ["waiting", "done"]
    store.renew_extraction_file(number, 1, StoredBlob("cd" * 32, "text/plain", 3))
    assert [file.state for file in store.extraction_files(number)] == ["waiting", "waiting"]


def test_an_unknown_table_takes_nothing(store: Store) -> None:
    assert store.add_extraction_file(7, StoredBlob("ab" * 32, "text/plain", 3), "a.txt") is None
    assert store.extraction(7) is None and store.extraction_files(7) == ()


def read(store: Store, file: ExtractionFile) -> int:
    """The document that this file of a table is read as."""
    document = store.begin_document(StoredBlob(file.sha256, "", 1), 1, "a.txt", "text")
    store.finish_document(document, Document("text", "a.txt", (Page(1, "page 1", "Invoice"),)), [])
    return document


def test_a_document_that_is_just_asked_about_stays_whatever_else_goes(
    store: Store, blobs: Blobs, tmp_path: Path
) -> None:
    number = table(store, blobs, tmp_path, "a.txt")
    (file,) = store.extraction_files(number)
    document = read(store, file)
    store.delete_extraction(table(store, blobs, tmp_path, "b.txt"))  # throws away what nothing has
    store.finish_extraction_file(number, ExtractionFile(0, "", "", "done", document=document))
    assert store.extraction_files(number)[0].document == document
    store.delete_extraction(number)
    assert store.document_title(document) == ""


def test_a_tables_files_and_pages_stay_as_long_as_the_table(
    store: Store, blobs: Blobs, tmp_path: Path
) -> None:
    number = table(store, blobs, tmp_path, "a.txt")
    (file,) = store.extraction_files(number)
    document = read(store, file)
    store.finish_extraction_file(number, ExtractionFile(0, "", "", "done", document=document))
    store.shelve_document(document, False)  # throws away what nothing has
    store.sweep_now(blobs)
    assert store.document_title(document) == "a.txt" and store.media_type(file.sha256) is not None
    store.delete_extraction(number)
    store.sweep_now(blobs)
    assert store.document_title(document) == "" and store.media_type(file.sha256) is None
    assert store.extraction_files(number) == ()
