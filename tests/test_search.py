"""Queries that any input is safe in, and the right page for questions in English, Chinese and Japanese.

Measured on 30 English, 16 Chinese and 12 Japanese pages in one index; see MEASURED. Where a question has no
word of its page BM25 finds half of them at best, and hardly any in a long manual (./scripts/bench retrieval):
that is what the model is asked for search terms for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import pytest
from asked_pages import BOOKS, MANUALS, OF_MANUALS, QUESTIONS, TITLES, Asked
from hypothesis import given, settings
from hypothesis import strategies as st

from app.documents.indexing import LONGEST, OVERLAP, chunks, estimated, spans
from app.documents.pages import Document, Heading, Page
from app.documents.search import Hit, Index, characters, query, search, terms
from app.fold import fold
from app.store import Store, StoredBlob


def index_of(store: Store) -> Index:
    def find(wanted: str, documents: Sequence[int], most: int) -> list[Hit]:
        return [Hit(c.document, c.page, c.rank) for c in store.found_chunks(wanted, documents, most)]

    return find


@pytest.fixture
def books(store: Store) -> dict[str, int]:
    kept = {}
    for n, (name, pages) in enumerate(BOOKS.items()):
        kept[name] = store.begin_document(StoredBlob(f"{n:064}", "text/plain", 1), 1, TITLES[name], "text")
        read = Document("text", TITLES[name], pages, total=len(pages))
        store.finish_document(kept[name], read, list(chunks(pages, TITLES[name])))
    return kept


def recall(store: Store, books: dict[str, int], asked: list[Asked], at: int, more: bool = False) -> float:
    """Share of the questions whose page is among the first `at`, all documents searched."""
    right = 0
    for a in asked:
        hits = search(index_of(store), a.question, list(books.values()), at, a.terms if more else ())
        right += (books[a.document], a.page) in [(hit.document, hit.page) for hit in hits]
    return right / len(asked)


# (document, kind): what was measured at 1 and at 5; the model's search terms come on top of it
MEASURED = {
    ("en", "shared"): (0.96, 1.0),
    ("zh", "shared"): (1.0, 1.0),
    ("ja", "shared"): (1.0, 1.0),
    ("en", "other"): (0.31, 0.5),
    ("zh", "other"): (0.71, 0.78),
    ("ja", "other"): (0.08, 0.33),
}


@pytest.mark.parametrize(("document", "kind"), MEASURED)
def test_the_page_with_the_answer_is_found(
    store: Store, books: dict[str, int], document: str, kind: str
) -> None:
    asked = [a for a in QUESTIONS if (a.document, a.kind) == (document, kind)]
    first, fifth = MEASURED[document, kind]
    got = recall(store, books, asked, 1), recall(store, books, asked, 5)
    print(f"{document}, {kind}: {len(asked)} questions, recall {got[0]:.3f} at 1, {got[1]:.3f} at 5")
    assert got[0] >= first and got[1] >= fifth


@pytest.mark.parametrize("document", BOOKS)
def test_search_terms_find_the_page_that_other_words_do_not(
    store: Store, books: dict[str, int], document: str
) -> None:
    asked = [a for a in QUESTIONS if (a.document, a.kind) == (document, "other")]
    assert recall(store, books, asked, 5, more=True) == 1.0
    assert recall(store, books, asked, 1, more=True) >= 0.95


def test_the_questions_are_many_and_a_third_is_in_other_words() -> None:
    every = [*QUESTIONS, *OF_MANUALS]
    assert len({a.question for a in every}) == len(every) >= 150
    assert 3 * sum(a.kind == "other" for a in every) >= len(every)
    assert all(1 <= a.page <= MANUALS[a.document].pages for a in OF_MANUALS)
    assert all(len(a.terms) == (3 if a.kind == "other" else 0) for a in every)


def test_other_words_are_other_words() -> None:
    shares = []
    for a in (a for a in QUESTIONS if a.kind == "other"):
        own = fold(BOOKS[a.document][a.page - 1].text).split()
        wanted = terms(a.question)
        shares.append(sum(term in own for term in wanted) / len(wanted))
    assert max(shares) <= 0.5 and sum(shares) / len(shares) < 0.1
    assert shares.count(0.0) >= len(shares) / 2


def test_the_models_terms_find_what_the_question_does_not_say(store: Store, books: dict[str, int]) -> None:
    asked = "What must my beast wear?"
    best = [h.page for h in search(index_of(store), asked, [books["en"]], 1, ("dogs leash", "animals pier"))]
    assert best == [13]
    crossed = search(
        index_of(store), "When do the doors close?", list(books.values()), 1, ("宿舍 大门 关闭",)
    )
    assert [(hit.document, hit.page) for hit in crossed] == [(books["zh"], 3)]


# --- queries -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute("create virtual table f using fts5(t, tokenize='porter unicode61 remove_diacritics 2')")
    db.execute("insert into f values ('a word')")
    return db


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(st.text(max_size=20), st.sampled_from(['"', "*", "NEAR(", " AND ", "t:", "^", "-", "战"])),
        max_size=6,
    ).map("".join)
)
def test_nothing_typed_is_the_indexs_syntax(table: sqlite3.Connection, text: str) -> None:
    wanted = query(text)
    if wanted:
        table.execute("select * from f where f match ?", [wanted]).fetchall()
    assert (wanted == "") == (terms(text) == [])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What are the mooring fees?", ["mooring", "fees"]),
        ("What is it?", ["what", "is", "it"]),  # stop words alone are better than nothing
        ("宿舍大门几点关闭？", ["宿舍", "舍大", "大门", "门几", "几点", "点关", "关闭"]),
        ("价格是多少？", ["价格", "格是"]),
        ("战", ["战*"]),
        ("Größe GRÖSSE ﬁx", ["grosse", "fix"]),
        ("", []),
        ("?!", []),
    ],
)
def test_terms(text: str, found: list[str]) -> None:
    assert terms(text) == found


def test_single_characters_are_looked_for_beside_their_pairs() -> None:
    assert characters("晚归, or 晚上?", ("OR 门",)) == '"晚"* OR "归"* OR "上"*'
    assert characters("no such word") == "" == characters("")


def test_a_page_that_shares_no_pair_is_found_by_a_character(store: Store) -> None:
    texts = ("学校准备年夜饭。", "晚归者须签名。", "洗一次三元。")
    pages = tuple(Page(n, f"page {n}", text, 595, 842) for n, text in enumerate(texts, 1))
    number = store.begin_document(StoredBlob("0" * 64, "text/plain", 1), 1, "x", "text")
    store.finish_document(number, Document("text", "x", pages), list(chunks(pages, "x")))
    assert [hit.page for hit in search(index_of(store), "归来太迟", [number], 5)] == [2]


# --- chunks ------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400), st.integers(1, 40))
def test_the_pieces_of_a_page_are_the_page(text: str, longest: int) -> None:
    found = spans(text, longest)
    assert "".join(text[start:end] for start, end in found) == (text if text.strip() else "")
    assert all(estimated(text[start:end]) <= longest or end - start == 1 for start, end in found)


def test_a_long_page_is_cut_at_paragraphs() -> None:
    paragraph = "A sentence of some words that is repeated. " * 40
    text = "\n\n".join([paragraph.strip()] * 6)
    found = spans(text)
    assert len(found) > 1 and all(text[:end].endswith("\n\n") for _, end in found[:-1])
    assert all(estimated(text[start:end]) <= LONGEST for start, end in found)


def test_a_chunk_is_found_by_its_headings_and_the_end_of_the_one_before() -> None:
    pages = (Page(1, "page 1", "x" * 95 + " lastword"), Page(2, "page 2", "second"), Page(3, "page 3", " \n"))
    made = list(chunks(pages, "Handbook.pdf", (Heading(1, "Fees", 1), Heading(2, "Nightly", 2))))
    assert [(c.page, c.start, c.end) for c in made] == [(1, 0, 104), (2, 0, 6)]
    assert made[1].terms.split() == [
        "handbook",
        "pdf",
        "fees",
        "nightly",
        "page",
        "2",
        "xxxxxx",
        "lastword",
        "second",
    ]
    assert int(104 * OVERLAP) == len("xxxxxx lastword")
