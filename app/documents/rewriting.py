"""A question as search terms in the documents' languages, by the model: what is asked, and its reply read.

Knows: which languages a document is written in, how the model is asked, that its reply is not to be trusted.
Does not know: when it is worth asking (route.py), the engine's queue, how terms are searched for.

A search by words finds neither synonyms nor what is written in another language than the question; the model
knows both. It is asked at the end of the conversation as it stands, so that what was computed for it stays.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import mlx_backend as backend
from app.documents.evidence import one_line
from app.documents.pages import Page
from app.documents.search import terms

log = logging.getLogger(__name__)

LINES = 3  # queries that are asked for
MOST_TOKENS = 120
MOST_TERMS = 40  # more would find every page
SAMPLE = 4_000  # characters that tell a document's language
TITLES = 8
ASKED = (
    "Do not answer the following question. It will be looked up in documents by their words. "
    "Write {lines} lines of search terms for it: keywords, synonyms and names as they may stand in the "
    "documents, in the languages of the documents. Only the terms, nothing else.\n\n"
    "Documents: {documents}\n\nQuestion: {question}"
)

# letter ranges that tell a script; kana before Han, which Japanese has too
_SCRIPTS = {
    "Japanese": re.compile("[\u3040-\u30ff]"),
    "Korean": re.compile("[\uac00-\ud7af\u1100-\u11ff]"),
    "Chinese": re.compile("[\u4e00-\u9fff]"),
    "Russian": re.compile("[\u0400-\u04ff]"),
    "Greek": re.compile("[\u0370-\u03ff]"),
    "Arabic": re.compile("[\u0600-\u06ff]"),
    "Hebrew": re.compile("[\u0590-\u05ff]"),
    "Thai": re.compile("[\u0e00-\u0e7f]"),
    "Hindi": re.compile("[\u0900-\u097f]"),
}
# words that are frequent in one language and rare in the others
_COMMON = {
    "English": {"the", "and", "of", "with", "which", "from"},
    "German": {"der", "und", "nicht", "eine", "werden", "mit", "für"},
    "French": {"les", "des", "est", "dans", "une", "pour", "qui"},
    "Spanish": {"los", "las", "una", "para", "por", "con", "del"},
    "Italian": {"della", "gli", "che", "una", "sono", "per", "nel"},
    "Portuguese": {"uma", "não", "dos", "das", "para", "com", "são"},
}


class Streaming(Protocol):
    """All that is asked of an engine here."""

    def stream(
        self, request: backend.Request, cancel: threading.Event | None = None
    ) -> Iterator[backend.Event]: ...


def language(pages: Sequence[Page]) -> str:
    """The language of a document's beginning, by its letters and frequent words; English where none shows."""
    text = ""
    for page in pages:
        text += page.text
        if len(text) >= SAMPLE:
            break
    text = text[:SAMPLE].casefold()
    letters = sum(map(str.isalpha, text)) or 1
    for name, script in _SCRIPTS.items():
        if len(script.findall(text)) / letters > (0.05 if name == "Japanese" else 0.3):
            return name
    words = Counter(re.findall(r"\w+", text))
    score = {name: sum(words[word] for word in common) for name, common in _COMMON.items()}
    return max(score, key=lambda name: score[name])


def request(before: backend.Request, question: str, documents: Sequence[tuple[str, str]]) -> backend.Request:
    """What the model is asked. before: the conversation up to the question. documents: title and language."""
    listed = "; ".join(f'"{one_line(title)}" ({language})' for title, language in documents[:TITLES])
    words = ASKED.format(lines=LINES, documents=listed, question=question.strip())
    asked = backend.Message("user", (backend.Text(words),), thinking=False)
    return replace(
        before,
        messages=(*before.messages, asked),
        thinking=False,
        thinking_budget=None,
        sampling=backend.Sampling(temperature=0.0),
        max_tokens=MOST_TOKENS,
        go_on=False,
    )


def read(reply: str) -> tuple[str, ...]:
    """The search terms of a reply, each once; nothing but words and pairs of characters, whatever it says."""
    found: dict[str, None] = {}
    for line in reply.splitlines():
        line = re.sub(r"^\s*(?:[-*•]|\d{1,2}[.):])\s*", "", line)
        if line.strip():
            found |= dict.fromkeys(term.rstrip("*") for term in terms(line))
    return tuple(list(found)[:MOST_TERMS])


def rewritten(
    engine: Streaming, asked: backend.Request, cancel: threading.Event | None = None
) -> tuple[str, ...]:
    """The model's search terms; none where it fails: the question's own words are searched for anyway."""
    reply = backend.Reply()
    try:
        for event in engine.stream(asked, cancel):
            reply.add(event)
    except backend.BackendError as error:
        log.info("no search terms were given: %s", type(error).__name__)
        return ()
    return read(reply.answer)
