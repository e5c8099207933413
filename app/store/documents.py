"""Documents: what was read of a file, which conversation has it, what was laid before the model of it.

Knows: documents, pages and chunks, the full-text index over them, the evidence of each question.
Does not know: how files are read, how a query is made (app/documents), where files lie.

A file is read once: a document is its content and the version of the reader, whatever conversations have it.
It goes with the last conversation that has it, unless it is in the library.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from app.documents.indexing import Chunk
from app.documents.pages import Document, Heading, Kind, Page
from app.store.database import Database
from app.store.values import StoredBlob, UnknownConversation

Reading = Literal["reading", "ready", "failed"]
AT_ONCE = 50  # pages: about 20 ms of the store's lock
YIELD_SECONDS = 0.002  # a lock that is taken again at once is never seen free by who waits for it
NONCE_BYTES = 5  # 40 bits: whoever writes a document cannot guess it, and it costs few tokens


@dataclass(frozen=True)
class StoredDocument:
    """A document without its pages.

    pages: how many were read; total: how many the file has, as far as is known. problems: sentences for the
    person; of a failed one, why. active: whether the conversation it was listed for reads it.
    """

    id: int
    sha256: str
    title: str
    kind: Kind
    pages: int
    total: int
    status: Reading
    problems: tuple[str, ...] = ()
    outline: tuple[Heading, ...] = ()
    in_library: bool = False
    active: bool = True


@dataclass(frozen=True)
class FoundChunk:
    """A chunk that a query found. rank: BM25, the smaller the better. The rest is as in Chunk."""

    document: int
    page: int
    start: int
    end: int
    rank: float


class Documents(Database):
    """Reading and writing documents. What is unknown is empty, or changes nothing."""

    # --- reading -------------------------------------------------------------------------------------

    def document(self, sha256: str, parser: int) -> StoredDocument | None:
        """What that version of the reader made of that content."""
        found = self._documents("where sha256 = :sha256 and parser = :parser", sha256=sha256, parser=parser)
        return found[0] if found else None

    def document_numbered(self, document_id: int) -> StoredDocument | None:
        """The document with this id."""
        found = self._documents("where documents.id = :id", id=document_id)
        return found[0] if found else None

    def documents_of(self, conversation_id: str) -> tuple[StoredDocument, ...]:
        """What a conversation has, in the order in which it came."""
        where = """join conversation_documents on document_id = documents.id
            where conversation_id = :id order by added_at, documents.id"""
        return self._documents(where, "active", id=conversation_id)

    def library(self) -> tuple[StoredDocument, ...]:
        """What every conversation may use, by title."""
        return self._documents("where in_library = 1 order by title collate nocase, id")

    def pages(self, document_id: int, numbers: Sequence[int] | None = None) -> tuple[Page, ...]:
        """Pages in order. numbers: only these."""
        sql = """select number, label, text, width, height, image_only, pictured, source from pages
            where document_id = :id and (:some is null or number in (select value from json_each(:some)))
            order by number"""
        values = {"id": document_id, "some": None if numbers is None else json.dumps(list(numbers))}
        with self._lock:
            rows = list(self._db.query(sql, values))
        return tuple(Page(**{**row, "image_only": bool(row["image_only"])}) for row in rows)

    def scanned(self, document_id: int) -> tuple[int, ...]:
        """The numbers of its pages that are pictures whose text nobody has written down."""
        sql = """select number from pages where document_id = ? and image_only = 1 and source = 'file'
            order by number"""
        with self._lock:
            return tuple(int(number) for (number,) in self._db.execute(sql, [document_id]))

    def document_title(self, document_id: int) -> str:
        """Its title; empty for one that is unknown."""
        with self._lock:
            row = self._db.execute("select title from documents where id = ?", [document_id]).fetchone()
        return str(row[0]) if row else ""

    def found_chunks(self, query: str, documents: Sequence[int], limit: int) -> tuple[FoundChunk, ...]:
        """The best chunks of these documents. query: FTS5's syntax, from app/documents/search.py."""
        values = {"wanted": query, "documents": json.dumps(list(documents)), "most": limit}
        with self._lock:
            rows = list(self._db.query(_FOUND, values)) if query else []
        return tuple(FoundChunk(**row) for row in rows)

    def _documents(self, where: str, active: str = "1", **values: Any) -> tuple[StoredDocument, ...]:
        # a count and not a column: after a crash the pages that are there are what was read
        sql = f"""select documents.id, sha256, title, kind, pages as total, status, problems, outline,
            in_library, {active} as active,
            (select count(*) from pages p where p.document_id = documents.id) as pages
            from documents {where}"""
        with self._lock:
            rows = list(self._db.query(sql, values))
        return tuple(_document(row) for row in rows)

    # --- what was read is kept -------------------------------------------------------------------------

    def begin_document(self, blob: StoredBlob, parser: int, title: str, kind: Kind) -> int:
        """A document that is to be read; its id. One that was read already is read anew under the same id."""
        now = time.time()
        file = {"sha256": blob.sha256, "media_type": blob.media_type, "bytes": blob.bytes, "created_at": now}
        row = {"sha256": blob.sha256, "parser": parser, "title": title, "kind": kind, "status": "reading"}
        with self._lock, self._db.atomic():
            self._db.table("blobs").insert(file, ignore=True)
            self._db.table("documents").insert({**row, "created_at": now}, ignore=True)
            sql = "select id from documents where sha256 = ? and parser = ?"
            document_id = int(self._db.execute(sql, [blob.sha256, parser]).fetchone()[0])
            self._db.execute("delete from pages where document_id = ?", [document_id])
            self._db.table("documents").update(document_id, {"status": "reading", "problems": "[]"})
        return document_id

    def finish_document(self, document_id: int, document: Document, chunks: Sequence[Chunk]) -> None:
        """Keep all that was read, and make it findable.

        Some pages at a time, so that nobody waits long for the store; until the last are there the document
        is "reading", which nobody searches and begin_document begins anew.
        """
        found: dict[int, list[Chunk]] = {}
        for chunk in chunks:
            found.setdefault(chunk.page, []).append(chunk)
        for at in range(0, len(document.pages), AT_ONCE):
            self._keep_pages(document_id, document.pages[at : at + AT_ONCE], found)
            time.sleep(YIELD_SECONDS)
        values = {
            "status": "ready",
            "title": document.title,
            "kind": document.kind,
            "pages": max(document.total, len(document.pages)),
            "problems": json.dumps(document.problems),
            "outline": json.dumps([asdict(heading) for heading in document.outline]),
        }
        with self._lock, self._db.atomic():
            self._db.table("documents").update(document_id, values)

    def _keep_pages(self, document_id: int, pages: Sequence[Page], found: Mapping[int, list[Chunk]]) -> None:
        with self._lock, self._db.atomic():
            keys = {
                page.number: self._db.table("pages").insert(_page(document_id, page)).last_pk
                for page in pages
            }
            self._db.table("chunks").insert_all(
                {"page_id": key, "start": c.start, "stop": c.end, "terms": c.terms}
                for number, key in keys.items()
                for c in found.get(number, ())
            )

    def fail_document(self, document_id: int, why: str) -> None:
        """Nothing of the file can be used. why: for the person."""
        values = {"status": "failed", "problems": json.dumps([why])}
        with self._lock, self._db.atomic():
            self._db.table("documents").update(document_id, values)

    def replace_page(self, document_id: int, page: Page, chunks: Sequence[Chunk]) -> None:
        """Another text for a page that was a picture only: read off it by the model."""
        with self._lock, self._db.atomic():
            sql = "select id from pages where document_id = ? and number = ?"
            if (row := self._db.execute(sql, [document_id, page.number]).fetchone()) is None:
                return
            self._db.execute("delete from chunks where page_id = ?", [row[0]])
            self._db.table("pages").update(row[0], _page(document_id, page))
            self._db.table("chunks").insert_all(
                {"page_id": row[0], "start": c.start, "stop": c.end, "terms": c.terms} for c in chunks
            )

    # --- which conversation has it ---------------------------------------------------------------------

    def give_document(self, conversation_id: str, document_id: int) -> None:
        """Let a conversation have a document; one that it has stays as it is.

        What an older reader made of the same file is put aside: its pages are cited, and read no more.
        """
        row = {"conversation_id": conversation_id, "document_id": document_id, "added_at": time.time()}
        with self._lock, self._db.atomic():
            self._db.table("conversation_documents").insert(row, ignore=True)
            self._db.execute(_PUT_ASIDE, {"conversation": conversation_id, "new": document_id})

    def choose_document(self, conversation_id: str, document_id: int, active: bool) -> None:
        """Whether the conversation's next questions read the document."""
        sql = "update conversation_documents set active = ? where conversation_id = ? and document_id = ?"
        with self._lock, self._db.atomic():
            self._db.execute(sql, [int(active), conversation_id, document_id])

    def release_document(self, conversation_id: str, document_id: int) -> None:
        """Take a document out of a conversation; one that nothing else has goes."""
        sql = "delete from conversation_documents where conversation_id = ? and document_id = ?"
        with self._lock, self._db.atomic():
            self._db.execute(sql, [conversation_id, document_id])
            self._db.execute(ORPHANS)

    def readers_of(self, document_id: int) -> tuple[str, ...]:
        """The titles of the conversations that have a document, the newest first; none of the trash."""
        sql = """select title from conversations join conversation_documents on conversation_id = id
            where document_id = ? and trashed_at is null order by updated_at desc"""
        with self._lock:
            return tuple(str(title) for (title,) in self._db.execute(sql, [document_id]))

    def shelve_document(self, document_id: int, in_library: bool) -> None:
        """Into the library, or out of it; out of it, a document that no conversation has goes."""
        with self._lock, self._db.atomic():
            sql = "update documents set in_library = ? where id = ?"
            self._db.execute(sql, [int(in_library), document_id])
            self._db.execute(ORPHANS)

    # --- what was laid before the model ----------------------------------------------------------------

    def nonce(self, conversation_id: str) -> str:
        """The mark of a conversation's evidence, the same for ever. Raises UnknownConversation."""
        with self._lock, self._db.atomic():
            sql = "update conversations set nonce = ? where id = ? and nonce is null"
            self._db.execute(sql, [secrets.token_hex(NONCE_BYTES), conversation_id])
            sql = "select nonce from conversations where id = ?"
            if (row := self._db.execute(sql, [conversation_id]).fetchone()) is None:
                raise UnknownConversation
            return str(row[0])

    def keep_evidence(self, question_id: str, data: Mapping[str, Any]) -> None:
        """What a question was asked with. Written once: what is there already stays."""
        row = {"message_id": question_id, "data": json.dumps(dict(data))}
        with self._lock, self._db.atomic():
            self._db.table("evidence").insert(row, ignore=True)


# What neither a conversation nor the library has, and no table was filled from, or may just be.
ORPHANS = """delete from documents where in_library = 0 and status != 'reading'
    and id not in (select document_id from conversation_documents)
    and id not in (select document_id from extraction_files where document_id is not null)
    and sha256 not in (select sha256 from extraction_files where state = 'waiting')"""

_PUT_ASIDE = """update conversation_documents set active = 0 where conversation_id = :conversation
    and document_id in (select old.id from documents old join documents new using (sha256)
        where new.id = :new and old.parser < new.parser)"""

_FOUND = """
select p.document_id as document, p.number as page, c.start, c.stop as "end", bm25(chunks_fts) as rank
    from chunks_fts join chunks c on c.id = chunks_fts.rowid join pages p on p.id = c.page_id
    where chunks_fts match :wanted and p.document_id in (select value from json_each(:documents))
    order by rank, p.document_id, p.number, c.start limit :most
"""


def _page(document_id: int, page: Page) -> dict[str, Any]:
    return {**asdict(page), "document_id": document_id, "image_only": int(page.image_only)}


def _document(row: Mapping[str, Any]) -> StoredDocument:
    return StoredDocument(
        **{
            **row,
            "problems": tuple(json.loads(row["problems"])),
            "outline": tuple(Heading(**heading) for heading in json.loads(row["outline"])),
            "in_library": bool(row["in_library"]),
            "active": bool(row["active"]),
        }
    )
