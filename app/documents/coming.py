"""What the next question will read of each document, as far as it can be told before it is asked.

Knows: the rules of route.py that do not depend on what is asked, how much a search brings, about.
Does not know: the question, how pages are found, storage. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.documents import route


@dataclass(frozen=True)
class Coming:
    """read: pages that will be before the model, with what earlier questions brought; about, unless whole.

    tokens: of the pages that come now, as estimated.
    """

    document: int
    title: str
    read: int
    total: int
    whole: bool
    tokens: int

    def __str__(self) -> str:
        if self.whole or self.read >= self.total:
            return str(route.Reading(self.document, self.title, self.read, self.total))
        return f"about {route.Reading(self.document, self.title, self.read, self.total)}"


def coming(
    books: Sequence[route.Book], shown: Sequence[route.Place], budget: route.Budget
) -> tuple[Coming, ...]:
    """For each of the documents that are read now. Of several that are searched, all get the same share."""
    complete = route.whole(books, shown, budget)
    before = {(place.document, place.page) for place in shown}
    searched = sum(book.id not in complete for book in books)
    return tuple(
        _whole(book, before) if book.id in complete else _found(book, before, budget, searched)
        for book in books
    )


def _whole(book: route.Book, before: set[tuple[int, int]]) -> Coming:
    total = max(book.total, len(book.pages))
    return Coming(book.id, book.title, len(book.pages), total, True, route.missing(book, before))


def _found(book: route.Book, before: set[tuple[int, int]], budget: route.Budget, searched: int) -> Coming:
    total = max(book.total, len(book.pages))
    shown = sum((book.id, page.number) in before for page in book.pages)
    left = len(book.pages) - shown
    each = max(1, route.missing(book, before) // max(1, left))  # tokens of one of its pages
    pages = min(
        left, (budget.pages + route.NEIGHBOURS) // searched or 1, max(1, budget.found // searched // each)
    )
    return Coming(book.id, book.title, shown + pages, total, False, pages * each)
