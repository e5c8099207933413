"""What of the documents is laid before the model with a question: all of them, or the pages that answer it.

Knows: the budget, which pages a question names, when a picture of a page says more than its text, that what
    was laid before the model once stays where it is.
Does not know: how pages are found (search.py), how they become words of a prompt (evidence.py), storage.

Pure: the same question, documents and earlier evidence give the same choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from app.documents import headings
from app.documents.indexing import estimated
from app.documents.pages import PICTURED, Heading, Kind, Page
from app.documents.search import Hit

PICTURE_TOKENS = 2_000  # of a page's picture with the long side at 1,568 px, about
OVERHEAD = 25  # tokens of a page's border lines, about
FIRST_PAGES = 3  # of a document in which nothing was found: what it is about stands there
NEIGHBOURS = 2  # so many of the best pages bring the pages beside them, if there is room

# "page 7", "pages 3-5", "p. 7", "Seite 7", "slide 2", "第7页", "7ページ", "7쪽"
_PAGE = re.compile(
    r"\b(?:pages?|pp?\.|slides?|sheets?|seiten?|página|pagina)\s*(\d{1,6})(?:\s*(?:-|–|to|bis|and|und|,)\s*(\d{1,6}))?"
    r"|第?\s*(\d{1,6})(?:\s*(?:-|–|到|至)\s*第?(\d{1,6}))?\s*(?:页|頁|ページ|쪽|페이지|张幻灯片)",
    re.IGNORECASE,
)
_DRAWN = re.compile(
    r"\b(?:figures?|fig\.|diagrams?|charts?|graphs?|plots?|pictures?|photos?|images?|drawings?|illustrations?|stamps?|"
    r"seals?|signatures?|signed|handwrit\w*|logos?|tables?|layout|colou?rs?|abbildung(?:en)?|tabellen?|stempel|unterschrift)\b"
    # a stamp, which is a chapter too: 第三章, 本章
    r"|(?<![\d一二三四五六七八九十百本这该各每文])章(?![节節程])"
    r"|图(?!书)|圖(?!書)|表格|表\s*\d|签名|签字|照片|手写|颜色|図|写真|印鑑|署名|그림|도표|서명|도장",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Budget:
    """In tokens, as estimated; pages and pictures: how many one question may add."""

    whole: int = 24_000
    found: int = 8_000
    pages: int = 6
    pictures: int = 4
    longest: int = 6  # pages that a question may name


@dataclass(frozen=True)
class Book:
    """A document that the conversation reads. total: pages of the file; some may not have been read."""

    id: int
    title: str
    kind: Kind
    pages: tuple[Page, ...]
    total: int = 0
    outline: tuple[Heading, ...] = ()


@dataclass(frozen=True)
class Place:
    """A page laid before the model: with words its text, with picture what it looks like."""

    document: int
    page: int
    picture: bool = False
    words: bool = True


@dataclass(frozen=True)
class Reading:
    """How much of a document the model has before it."""

    document: int
    title: str
    read: int
    total: int

    def __str__(self) -> str:
        if 0 < self.total == self.read:
            return f"whole document, {self.read:,} of {self.total:,} {_pages(self.total)}"
        return f"{self.read:,} of {self.total:,} {_pages(self.total)}"


@dataclass(frozen=True)
class Choice:
    """added: what this question brings, in the order in which it is laid down. reading: with all before it.

    found: False where documents were searched for the question and nothing was found. outlined: documents
    whose headings this question brings, because not all of their pages are read.
    """

    added: tuple[Place, ...] = ()
    reading: tuple[Reading, ...] = ()
    found: bool = True
    outlined: tuple[int, ...] = ()


Finder = Callable[[Sequence[int], int], Sequence[Hit]]  # (documents, most) -> the best pages, the best first


@dataclass
class _Laying:
    """Places as they are chosen: none twice, none over the budget."""

    shown: frozenset[tuple[int, int]]
    seen: frozenset[tuple[int, int]]  # with their picture
    tokens: int
    pictures: int
    places: dict[tuple[int, int], Place] = field(default_factory=dict)

    def lay(self, book: Book, page: Page, picture: bool = False) -> bool:
        """Whether the page is before the model now."""
        key = book.id, page.number
        picture = (picture or blank(page)) and book.kind in PICTURED and self.pictures > 0
        old = self.places.get(key)
        if (key in self.shown or old) and not (
            picture and key not in self.seen and not (old and old.picture)
        ):
            return True
        cost = PICTURE_TOKENS * picture + (0 if old or key in self.shown else size(page))
        if cost > self.tokens or (blank(page) and not picture):
            return False
        self.tokens -= cost
        self.pictures -= picture
        words = key not in self.shown and not blank(page)
        self.places[key] = Place(book.id, page.number, picture, words)
        return True


def needs_search(books: Sequence[Book], shown: Sequence[Place], budget: Budget) -> bool:
    """Whether some document is too long to be read whole, so that search terms are worth asking for."""
    return any(book.id not in whole(books, shown, budget) for book in books)


def route(
    question: str,
    books: Sequence[Book],
    shown: Sequence[Place],
    find: Finder,
    budget: Budget | None = None,
    outlined: Collection[int] = (),
) -> Choice:
    """What is laid before the model for a question.

    books: those that are read now, in the conversation's order. shown: all that earlier questions brought.
    outlined: documents whose headings are before the model already.
    """
    budget = budget or Budget()
    laying = _Laying(
        frozenset((place.document, place.page) for place in shown),
        frozenset((place.document, place.page) for place in shown if place.picture),
        budget.whole,
        budget.whole // PICTURE_TOKENS,
    )
    complete = whole(books, shown, budget)
    for book in books:
        for page in book.pages if book.id in complete else ():
            laying.lay(book, page)
    laying.tokens, laying.pictures = budget.found + PICTURE_TOKENS * budget.pictures, budget.pictures
    searched = [book for book in books if book.id not in complete]
    outlines = tuple(_outlined(searched, outlined, laying, budget.found // 4))
    named = _lay_named(question, books, laying, budget) | _lay_headed(question, searched, laying, budget)
    hits = (
        list(find([book.id for book in books], budget.pages)) if searched or _DRAWN.search(question) else []
    )
    if _DRAWN.search(question):
        _lay_drawn(question, books, hits, laying)
    found = _lay_found(searched, hits, laying, budget)
    if not (found or named):
        _lay_beginnings(searched, laying)
    order = {book.id: at for at, book in enumerate(books)}
    added = sorted(laying.places.values(), key=lambda place: (order[place.document], place.page))
    return Choice(tuple(added), readings(books, (*shown, *added)), named or found or not searched, outlines)


def whole(books: Sequence[Book], shown: Sequence[Place], budget: Budget) -> set[int]:
    """The documents that are read whole: shortest first, as many as the budget holds beside what is shown."""
    before = {(place.document, place.page) for place in shown}
    spent = sum(size(page) for book in books for page in book.pages if (book.id, page.number) in before)
    found: set[int] = set()
    for book in sorted(books, key=lambda book: (missing(book, before), book.id)):
        if (cost := missing(book, before)) == 0 or spent + cost <= budget.whole:
            spent += cost
            found.add(book.id)
    return found


def missing(book: Book, before: set[tuple[int, int]]) -> int:
    """Tokens of the pages that are not before the model yet."""
    return sum(size(page) for page in book.pages if (book.id, page.number) not in before)


def size(page: Page) -> int:
    """Tokens of a page's evidence, about; of one that is a picture only, those of the picture."""
    return PICTURE_TOKENS if blank(page) else estimated(page.text) + OVERHEAD


def blank(page: Page) -> bool:
    """Whether only its picture says what is on a page."""
    return page.image_only and (page.source == "file" or not page.text.strip())


def readings(books: Sequence[Book], places: Iterable[Place]) -> tuple[Reading, ...]:
    """How much of each document is before the model."""
    have = {(place.document, place.page) for place in places}
    return tuple(
        Reading(
            book.id,
            book.title,
            sum((book.id, page.number) in have for page in book.pages),
            max(book.total, len(book.pages)),
        )
        for book in books
    )


def named_pages(question: str) -> Iterator[tuple[int, int]]:
    """The pages that a question names, as (first, last)."""
    for match in _PAGE.finditer(question):
        first = int(match[1] or match[3])
        yield first, max(first, int(match[2] or match[4] or first))


def _lay_named(question: str, books: Sequence[Book], laying: _Laying, budget: Budget) -> bool:
    """Pages by their number, with their picture: of the documents that are named, else of all."""
    wanted = [
        number for first, last in named_pages(question) for number in range(first, min(last, first + 99) + 1)
    ]
    titled = [book for book in books if _stem(book.title) in question.casefold()] or list(books)
    laid = False
    for number in wanted[: budget.longest]:
        for book in titled[:3]:
            laid |= _lay_page(laying, book, number, picture=True)
    return laid


def _lay_headed(question: str, books: Sequence[Book], laying: _Laying, budget: Budget) -> bool:
    """The sections that the question names: of the documents that it names, else of all."""
    titled = [book for book in books if _stem(book.title) in question.casefold()] or list(books)
    laid = False
    for book in titled:
        for number in headings.named(question, book.outline, book.pages)[: budget.longest]:
            laid |= _lay_page(laying, book, number)
    return laid


def _outlined(books: Sequence[Book], before: Collection[int], laying: _Laying, room: int) -> Iterator[int]:
    """Documents whose headings there is room for, in tokens, beside the pages."""
    for book in books:
        if book.id not in before and 0 < (cost := headings.cost(book.outline)) <= room:
            room, laying.tokens = room - cost, laying.tokens - cost
            yield book.id


def _stem(title: str) -> str:
    return title.rsplit(".", 1)[0].casefold().strip() or "\0"


def _lay_drawn(question: str, books: Sequence[Book], hits: Sequence[Hit], laying: _Laying) -> None:
    """Pictures of the pages that a question about a figure means: those that name it, else the best two."""
    by_id = {book.id: book for book in books}
    name = re.search(r"(?:figure|fig\.|table|图|圖|表|図)\s*\d+(?:[.-]\d+)*", question, re.IGNORECASE)
    if name is not None:
        exact = re.compile(re.escape(name[0]).replace(r"\ ", r"\s*") + r"(?![\d])", re.IGNORECASE)
        for book in books:
            for page in [page for page in book.pages if exact.search(page.text)][:2]:
                laying.lay(book, page, picture=True)
        return
    for hit in hits[:2]:
        if hit.document in by_id:
            _lay_page(laying, by_id[hit.document], hit.page, picture=True)


def _lay_found(books: Sequence[Book], hits: Sequence[Hit], laying: _Laying, budget: Budget) -> bool:
    """The best pages, then those beside the very best. Whether there are any."""
    by_id = {book.id: book for book in books}
    own = [hit for hit in hits if hit.document in by_id][: budget.pages]
    for hit in own:
        _lay_page(laying, by_id[hit.document], hit.page)
    for hit in own[:NEIGHBOURS]:
        for number in (hit.page - 1, hit.page + 1):
            _lay_page(laying, by_id[hit.document], number)
    return bool(own)


def _lay_beginnings(books: Sequence[Book], laying: _Laying) -> None:
    """How documents begin of which nothing is laid down yet."""
    for book in books:
        if not any(document == book.id for document, _ in laying.shown):
            for page in book.pages[:FIRST_PAGES]:
                laying.lay(book, page)


def _lay_page(laying: _Laying, book: Book, number: int, picture: bool = False) -> bool:
    page = _page(book, number)
    return page is not None and laying.lay(book, page, picture)


def _page(book: Book, number: int) -> Page | None:
    return next((page for page in book.pages if page.number == number), None)


def _pages(count: int) -> str:
    return "page" if count == 1 else "pages"
