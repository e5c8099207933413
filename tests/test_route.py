"""What is laid before the model: whole where it fits, else the pages that answer, and never twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.documents.pages import Heading, Page
from app.documents.route import (
    PICTURE_TOKENS,
    Book,
    Budget,
    Choice,
    named_pages,
    needs_search,
    route,
    size,
)
from app.documents.search import Hit

WORDS = "Some words of a page that says little. " * 40  # about 400 tokens


def book(number: int = 1, pages: int = 3, title: str = "", **page: object) -> Book:
    made = tuple(Page(n, f"page {n}", f"{n} {WORDS}", 595, 842, **page) for n in range(1, pages + 1))
    return Book(number, title or f"book {number}.pdf", "pdf", made, pages)


def finding(*hits: tuple[int, int]) -> object:
    def find(documents: Sequence[int], most: int) -> list[Hit]:
        return [Hit(*hit, rank) for rank, hit in enumerate(hits) if hit[0] in documents][:most]

    return find


def laid(choice: Choice) -> list[tuple[int, int, bool]]:
    return [(place.document, place.page, place.picture) for place in choice.added]


def test_what_fits_is_read_whole_and_once() -> None:
    books = [book(1, 3), book(2, 2)]
    first = route("why?", books, (), finding())
    assert laid(first) == [(1, 1, False), (1, 2, False), (1, 3, False), (2, 1, False), (2, 2, False)]
    assert [str(reading) for reading in first.reading] == [
        "whole document, 3 of 3 pages",
        "whole document, 2 of 2 pages",
    ]
    again = route("and why?", books, first.added, finding((1, 1)))
    assert (again.added, again.reading, again.found) == ((), first.reading, True)


def test_one_token_more_and_it_is_searched() -> None:
    long = book(1, 30)
    exactly = sum(map(size, long.pages))
    assert not needs_search([long], (), Budget(whole=exactly))
    assert needs_search([long], (), Budget(whole=exactly - 1))
    whole = route("why?", [long], (), finding(), Budget(whole=exactly))
    assert str(whole.reading[0]) == "whole document, 30 of 30 pages"
    part = route("why?", [long], (), finding((1, 9)), Budget(whole=exactly - 1))
    assert laid(part) == [(1, 8, False), (1, 9, False), (1, 10, False)]  # with the pages beside it
    assert str(part.reading[0]) == "3 of 30 pages"


def test_pages_are_added_over_three_turns_and_never_move() -> None:
    long, shown = book(1, 310), ()
    for hits, new in (
        (((1, 40), (1, 7)), [6, 7, 8, 39, 40, 41]),
        (((1, 41), (1, 99)), [42, 98, 99, 100]),
        (((1, 7), (1, 40)), []),
    ):
        choice = route("why?", [long], shown, finding(*hits))
        assert [place.page for place in choice.added] == new
        shown += choice.added
        assert str(choice.reading[0]) == f"{len(shown)} of 310 pages" and choice.found


def test_a_short_document_beside_a_long_one_is_read_whole() -> None:
    choice = route("compare", [book(1, 310), book(2, 3)], (), finding((1, 5), (2, 1)))
    assert [(d, p) for d, p, _ in laid(choice)] == [(1, 4), (1, 5), (1, 6), (2, 1), (2, 2), (2, 3)]
    assert [str(r) for r in choice.reading] == ["3 of 310 pages", "whole document, 3 of 3 pages"]


def test_nothing_found_is_said_and_the_beginning_read_once() -> None:
    choice = route("why?", [book(1, 310)], (), finding())
    assert [place.page for place in choice.added] == [1, 2, 3] and not choice.found
    again = route("why?", [book(1, 310)], choice.added, finding())
    assert again.added == () and not again.found


@pytest.mark.parametrize(
    ("question", "pages"),
    [
        ("What does page 7 say?", [(7, 7)]),
        ("Compare pages 3-5 and p. 9", [(3, 5), (9, 9)]),
        ("see slides 2 to 4", [(2, 4)]),
        ("第7页写了什么？", [(7, 7)]),
        ("第3到5页", [(3, 5)]),
        ("12ページの図", [(12, 12)]),
        ("Seite 8 bitte", [(8, 8)]),
        ("a homepage 7 days old, 7 pages long", []),
        ("page", []),
    ],
)
def test_pages_that_a_question_names(question: str, pages: list[tuple[int, int]]) -> None:
    assert list(named_pages(question)) == pages


def test_a_named_page_comes_with_its_picture_even_if_its_text_is_there() -> None:
    short = book(1, 8)
    first = route("why?", [short], (), finding())
    second = route("What is on page 7?", [short], first.added, finding())
    assert laid(second) == [(1, 7, True)]
    assert str(second.reading[0]) == "whole document, 8 of 8 pages"
    assert route("page 7 again", [short], (*first.added, *second.added), finding()).added == ()
    assert route("page 99", [short], first.added, finding()).added == ()


def test_a_named_page_is_of_the_document_that_is_named() -> None:
    books = [book(1, 300, "Lease.pdf"), book(2, 300, "Invoice.pdf")]
    assert laid(route("page 9 of the invoice", books, (), finding((2, 9)), Budget(pages=1)))[0][0] == 2
    assert {d for d, _, picture in laid(route("page 9", books, (), finding())) if picture} == {1, 2}


@pytest.mark.parametrize(
    "question", ["What does the chart show?", "Is there a stamp?", "图里有什么？", "誰の署名？", "盖章了吗？"]
)
def test_a_question_about_a_drawing_gets_pictures_of_the_best_pages(question: str) -> None:
    choice = route(question, [book(1, 310)], (), finding((1, 5), (1, 90), (1, 200)))
    assert [p for _, p, picture in laid(choice) if picture] == [5, 90]


@pytest.mark.parametrize("question", ["第三章讲什么？", "本章的内容", "图书馆几点开门？"])
def test_a_chapter_is_no_stamp_and_a_book_no_picture(question: str) -> None:
    choice = route(question, [book(1, 310)], (), finding((1, 5), (1, 90), (1, 200)))
    assert [p for _, p, picture in laid(choice) if picture] == []


def test_a_figure_with_a_number_is_the_page_that_names_it() -> None:
    long = book(1, 310)
    named = replace(long.pages[123], text="Figure 12: a keel. " + WORDS)
    near = replace(long.pages[124], text="Figure 122: another. " + WORDS)
    long = replace(long, pages=(*long.pages[:123], named, near, *long.pages[125:]))
    choice = route("What is in figure 12?", [long], (), finding((1, 5)))
    assert [p for _, p, picture in laid(choice) if picture] == [124]


def test_headings_come_once_with_what_is_not_read_whole() -> None:
    outline = tuple(Heading(1, f"{n} Part {n}", 10 * n) for n in range(1, 31))
    long, short = replace(book(1, 310), outline=outline), replace(book(2, 3), outline=outline[:1])
    first = route("why?", [long, short], (), finding((1, 5)))
    assert first.outlined == (1,)
    second = route("why?", [long, short], first.added, finding((1, 5)), None, first.outlined)
    assert second.outlined == () and second.added == ()
    assert route("why?", [long], (), finding((1, 5)), Budget(whole=0, found=500)).outlined == ()


def test_a_section_that_is_named_is_read() -> None:
    outline = (Heading(1, "3 Dues", 40), Heading(2, "3.1 Ships", 42), Heading(1, "4 Budget", 45))
    long = replace(book(1, 310), outline=outline)
    assert laid(route("What does section 3 say?", [long], (), finding())) == [
        (1, n, False) for n in range(40, 45)
    ]
    choice = route("Sum up the chapter on the budget", [long], (), finding((1, 7)))
    assert {(1, n, False) for n in range(45, 51)} <= set(laid(choice)) and choice.found


def test_scanned_pages_are_read_as_pictures_as_far_as_the_budget_goes() -> None:
    scanned = book(1, 3, image_only=True)
    assert laid(route("why?", [scanned], (), finding())) == [(1, 1, True), (1, 2, True), (1, 3, True)]
    long = book(1, 40, image_only=True)
    assert len(route("why?", [long], (), finding()).added) <= Budget().pictures
    assert [str(r) for r in route("page 30", [long], (), finding()).reading] == ["1 of 40 pages"]
    read = book(1, 40, image_only=True, source="vlm-ocr")
    assert not any(picture for *_, picture in laid(route("why?", [read], (), finding())))


def test_pages_that_could_not_be_read_are_not_counted_as_read() -> None:
    choice = route("why?", [replace(book(1, 3), total=5)], (), finding())
    assert str(choice.reading[0]) == "3 of 5 pages"


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 60)), max_size=12),
    st.sampled_from(["why?", "page 3", "the table on page 9", "figure 2"]),
    st.integers(0, 6),
)
def test_every_choice_holds_to_the_budget(
    sizes: list[int], hits: list[tuple[int, int]], question: str, turns: int
) -> None:
    books = [book(n, count) for n, count in enumerate(sizes, 1)]
    budget, shown = Budget(), ()
    for _ in range(turns):
        choice = route(question, books, shown, finding(*hits), budget)
        assert choice == route(question, books, shown, finding(*hits), budget)
        assert len(set(choice.added)) == len(choice.added) and not set(choice.added) & set(shown)
        texts = [p for p in choice.added if (p.document, p.page) not in {(s.document, s.page) for s in shown}]
        tokens = sum(size(books[p.document - 1].pages[p.page - 1]) for p in texts)
        most = budget.whole + budget.found + PICTURE_TOKENS * budget.pictures
        assert tokens + PICTURE_TOKENS * sum(p.picture for p in choice.added) <= most
        assert all(0 <= reading.read <= reading.total for reading in choice.reading)
        shown += choice.added
