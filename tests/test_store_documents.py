"""Documents in a real SQLite file: read once, found by their words, gone with the last conversation."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from app.blobs import Blobs
from app.documents.indexing import chunks
from app.documents.pages import Document, Heading, Page
from app.documents.search import query
from app.store import Part, Store, StoredBlob, StoredDocument, UnknownConversation
from app.store.documents import AT_ONCE

FILE = StoredBlob("ab" * 32, "application/pdf", 12)
READ = Document(
    "pdf",
    "Boats.pdf",
    (
        Page(1, "page 1", "A keel keeps a boat upright.", 595, 842),
        Page(2, "page 2", "帆船在风中行驶。", 595, 842),
        Page(3, "page 3", "", 595, 842, image_only=True),
    ),
    (Heading(1, "Keels", 1), Heading(1, "Sails", 2)),
    total=4,
    problems=("Page 4 cannot be read.",),
)


def kept(store: Store, document: Document = READ, blob: StoredBlob = FILE) -> int:
    number = store.begin_document(blob, 1, document.title, document.kind)
    store.finish_document(number, document, list(chunks(document.pages, document.title, document.outline)))
    return number


def conversation(store: Store, *documents: int) -> str:
    name = store.begin_conversation("Boats")
    for document in documents:
        store.give_document(name, document)
    return name


def found(store: Store, words: str, *documents: int) -> list[tuple[int, int]]:
    return [(chunk.document, chunk.page) for chunk in store.found_chunks(query(words), documents, 9)]


def test_what_was_read_is_there_again(store: Store) -> None:
    number = kept(store)
    want = StoredDocument(number, FILE.sha256, "Boats.pdf", "pdf", 3, 4, "ready", READ.problems, READ.outline)
    assert store.document(FILE.sha256, 1) == want
    assert store.pages(number) == READ.pages
    assert store.pages(number, [2, 9]) == READ.pages[1:2]
    assert store.document(FILE.sha256, 2) is None and store.pages(99) == ()


def test_words_and_headings_are_found_in_the_documents_asked_for(store: Store) -> None:
    first = kept(store)
    second = kept(
        store,
        Document("text", "b.txt", (Page(1, "b", "Another boat."),)),
        StoredBlob("cd" * 32, "text/plain", 1),
    )
    assert found(store, "what keeps boats upright?", first, second)[0] == (first, 1)
    assert (second, 1) in found(store, "boats", first, second)
    assert found(store, "boats", second) == [(second, 1)]
    assert found(store, "风中", first) == [(first, 2)]
    assert found(store, "sails", first) == [(first, 2)]  # the heading above: the page has no such word
    assert found(store, "", first) == []


def test_reading_again_replaces_the_pages_under_the_same_id(store: Store) -> None:
    number = kept(store)
    assert store.begin_document(FILE, 1, "Boats.pdf", "pdf") == number
    assert store.pages(number) == () and found(store, "keel", number) == []
    assert kept(store) == number and found(store, "keel", number) == [(number, 1)]
    store._db.execute("insert into chunks_fts(chunks_fts) values ('integrity-check')")


def test_what_an_older_reader_made_of_a_file_is_put_aside(store: Store) -> None:
    old = kept(store)
    chat, other = conversation(store, old), conversation(store, old)
    new = store.begin_document(FILE, 2, "Boats.pdf", "pdf")
    store.finish_document(new, READ, [])
    store.give_document(chat, new)
    assert [(d.id, d.active) for d in store.documents_of(chat)] == [(old, False), (new, True)]
    assert [(d.id, d.active) for d in store.documents_of(other)] == [(old, True)]


def test_long_documents_are_kept_some_pages_at_a_time_in_order(store: Store) -> None:
    pages = tuple(Page(n, f"page {n}", f"anchor number{n}", 595, 842) for n in range(1, 2 * AT_ONCE + 8))
    number = kept(store, Document("pdf", "Long.pdf", pages, total=len(pages)))
    assert store.pages(number) == pages
    for wanted in (1, AT_ONCE, AT_ONCE + 1, len(pages)):
        assert found(store, f"number{wanted}", number)[0] == (number, wanted)


def test_others_are_let_in_while_a_long_document_is_kept(store: Store) -> None:
    """Without that a window would wait for its next word until the last page is written."""
    pages = tuple(Page(n, f"page {n}", "words " * 40, 595, 842) for n in range(1, 10 * AT_ONCE))
    made = list(chunks(pages, "Long.pdf"))
    number = store.begin_document(FILE, 1, "Long.pdf", "pdf")
    work = threading.Thread(target=lambda: store.finish_document(number, Document("pdf", "x", pages), made))
    work.start()
    seen = set()
    while work.is_alive():
        read = store.document(FILE.sha256, 1)
        assert read is not None
        seen.add(read.pages if read.status == "reading" else "ready")
    work.join()
    assert len(seen - {0, len(pages)}) >= 3


def test_what_a_crash_left_half_read_is_gone_at_the_next_start(store: Store, blobs: Blobs) -> None:
    number = store.begin_document(FILE, 1, "Boats.pdf", "pdf")
    store._keep_pages(number, READ.pages, {})
    kept(store, blob=StoredBlob("cd" * 32, "text/plain", 1))
    store.mark_interrupted()
    assert store.document(FILE.sha256, 1) is None and store._db.table("pages").count == len(READ.pages)
    assert store.document("cd" * 32, 1) is not None


def test_a_page_that_was_read_off_its_picture_is_found(store: Store) -> None:
    number = kept(store)
    page = Page(3, "page 3", "The anchor weighs nine kilograms.", 595, 842, True, 0.5, "vlm-ocr")
    store.replace_page(number, page, list(chunks((page,), "Boats.pdf")))
    assert found(store, "anchor", number) == [(number, 3)]
    assert store.pages(number, [3]) == (page,)


def test_a_failed_one_says_why(store: Store) -> None:
    number = store.begin_document(FILE, 1, "Boats.pdf", "pdf")
    store.fail_document(number, "It needs a password.")
    document = store.document(FILE.sha256, 1)
    assert document is not None and (document.status, document.problems) == (
        "failed",
        ("It needs a password.",),
    )


def test_a_conversation_chooses_what_it_reads(store: Store) -> None:
    number = kept(store)
    name = conversation(store, number, number)
    assert [d.active for d in store.documents_of(name)] == [True]
    store.choose_document(name, number, False)
    store.give_document(name, number)
    assert [d.active for d in store.documents_of(name)] == [False]


def test_a_document_goes_with_the_last_conversation_that_has_it(store: Store, blobs: Blobs) -> None:
    number = kept(store)
    one, other = conversation(store, number), conversation(store, number)
    store.delete_conversation(one)
    assert store.document(FILE.sha256, 1) is not None
    store.delete_conversation(other)
    assert store.document(FILE.sha256, 1) is None
    for table in ("pages", "chunks"):
        assert store._db.table(table).count == 0
    assert found(store, "keel", number) == []
    store._db.execute("insert into chunks_fts(chunks_fts) values ('integrity-check')")


def test_what_is_in_the_library_outlives_its_conversations(store: Store) -> None:
    number = kept(store)
    store.shelve_document(number, True)
    store.delete_conversation(conversation(store, number))
    assert [d.title for d in store.library()] == ["Boats.pdf"]
    store.shelve_document(number, False)
    assert store.library() == () and store.document(FILE.sha256, 1) is None


def test_a_file_that_a_document_needs_is_not_swept(store: Store, blobs: Blobs) -> None:
    kept(store)
    store.sweep(blobs, days=0)
    store.sweep(blobs, days=0)
    assert store.media_type(FILE.sha256) == "application/pdf"


def test_the_mark_of_a_conversation_stays(store: Store) -> None:
    one, other = conversation(store), conversation(store)
    assert store.nonce(one) == store.nonce(one) != store.nonce(other)
    assert len(store.nonce(one)) == 10
    with pytest.raises(UnknownConversation):
        store.nonce("nobody")


def test_evidence_is_written_once_and_goes_with_its_question(store: Store) -> None:
    begun = store.begin_turn(None, "t", (Part("text", "why?"),))
    store.keep_evidence(begun.question_id, {"places": [[1, 2]]})
    store.keep_evidence(begun.question_id, {"places": []})
    assert [m.evidence for m in store.path(begun.conversation_id)] == [{"places": [[1, 2]]}, {}]
    with pytest.raises(sqlite3.IntegrityError):
        store.keep_evidence("nobody", {})
    store.delete_conversation(begun.conversation_id)
    assert store._db.table("evidence").count == 0
