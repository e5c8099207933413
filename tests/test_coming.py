"""What the next question will read is foretold as it then is read."""

from __future__ import annotations

from app.documents.coming import coming
from app.documents.pages import Page
from app.documents.route import Book, Budget, Place, route

SHORT = Book(1, "short.pdf", "pdf", tuple(Page(n, f"page {n}", "word " * 200) for n in range(1, 4)))
LONG = Book(2, "long.pdf", "pdf", tuple(Page(n, f"page {n}", "word " * 400) for n in range(1, 311)))
OTHER = Book(3, "other.pdf", "pdf", LONG.pages)
DAMAGED = Book(4, "damaged.pdf", "pdf", SHORT.pages, 42)


def told(*books: Book, shown: tuple[Place, ...] = (), **budget: int) -> list[str]:
    return [str(one) for one in coming(books, shown, Budget(**budget))]


def test_a_short_document_is_read_whole_and_a_long_one_in_part() -> None:
    assert told(SHORT, LONG) == ["whole document, 3 of 3 pages", "about 8 of 310 pages"]
    assert told(LONG, OTHER) == ["about 4 of 310 pages", "about 4 of 310 pages"]
    assert told(DAMAGED) == ["3 of 42 pages"]


def test_what_was_read_before_counts_and_costs_nothing() -> None:
    shown = tuple(Place(2, n) for n in range(1, 6))
    (long,) = coming([LONG], shown, Budget())
    assert str(long) == "about 13 of 310 pages" and 3000 < long.tokens < 5000
    (short,) = coming([SHORT], tuple(Place(1, n) for n in (1, 2, 3)), Budget())
    assert (short.tokens, short.whole) == (0, True)


def test_a_small_budget_finds_fewer_pages() -> None:
    assert told(LONG, found=1200) == ["about 2 of 310 pages"]
    assert told(LONG, found=0) == ["about 1 of 310 pages"]
    assert told(Book(5, "empty", "pdf", (), 0)) == ["0 of 0 pages"]


def test_what_is_foretold_of_a_whole_document_is_what_is_read() -> None:
    choice = route("What?", [SHORT, LONG], (), lambda documents, most: [], Budget())
    (reading, _) = choice.reading
    assert str(reading) == str(coming([SHORT, LONG], (), Budget())[0])
