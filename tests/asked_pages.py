"""Three small handbooks and questions whose page is known, for tests and benchmarks of the search.

Knows: tests/reference/questions.json, and manual_questions.json, whose manuals are in packages of Debian. Of
    the questions "shared" ones have words of their page, "other" ones ask in words that are, as far as that
    goes, not on it. "terms" are three lines of search terms for these, as the model is asked for them:
    written by hand from the question and the title, by somebody who had seen the page.
Does not know: how anything is found.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.documents.pages import Page

FOLDER = Path(__file__).resolve().parent / "reference"


@dataclass(frozen=True)
class Asked:
    """document: "en", "zh", "ja" or a manual's file. page: the number of the page with the answer."""

    document: str
    page: int
    kind: str  # "shared" or "other"
    question: str
    terms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manual:
    """A PDF of a package of Debian. pages: that it has in the version the questions were written from."""

    package: str
    title: str
    pages: int


def _asked(questions: list[dict[str, Any]]) -> list[Asked]:
    return [Asked(**{**question, "terms": tuple(question.get("terms", ()))}) for question in questions]


_DATA = json.loads((FOLDER / "questions.json").read_text(encoding="utf-8"))
_MORE = json.loads((FOLDER / "manual_questions.json").read_text(encoding="utf-8"))
LANGUAGES = ("en", "zh", "ja")
TITLES: dict[str, str] = {name: _DATA[name]["title"] for name in LANGUAGES}
BOOKS: dict[str, tuple[Page, ...]] = {
    name: tuple(Page(n, f"page {n}", text, 595, 842) for n, text in enumerate(_DATA[name]["pages"], 1))
    for name in LANGUAGES
}
QUESTIONS = _asked(_DATA["questions"])
MANUALS = {file: Manual(**manual) for file, manual in _MORE["manuals"].items()}
OF_MANUALS = _asked(_MORE["questions"])
