"""Two small handbooks and questions whose page is known, for tests and benchmarks of the search.

Knows: tests/reference/questions.json. Of the questions "shared" ones have words of their page, "other" ones
    say the same in words that are, as far as that goes, not on it.
Does not know: how anything is found.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from app.documents.pages import Page

FILE = Path(__file__).resolve().parent / "reference" / "questions.json"


@dataclass(frozen=True)
class Asked:
    """document: "en" or "zh". page: the number of the page with the answer. kind: "shared" or "other"."""

    document: str
    page: int
    kind: str
    question: str


_DATA = json.loads(FILE.read_text(encoding="utf-8"))
TITLES: dict[str, str] = {name: _DATA[name]["title"] for name in ("en", "zh")}
BOOKS: dict[str, tuple[Page, ...]] = {
    name: tuple(Page(n, f"page {n}", text, 595, 842) for n, text in enumerate(_DATA[name]["pages"], 1))
    for name in ("en", "zh")
}
QUESTIONS = [Asked(**question) for question in _DATA["questions"]]
