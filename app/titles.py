"""Titles by the model: asked for behind the first answers of a conversation, taken only when they are clean.

Knows: what is asked, which title may be replaced, what a clean one is.
Does not know: when the engine is free (jobs.py), how titles are shown.

What is asked is the conversation as it stands with one more question at its end. So all that was computed is
reused, and a person's next question finds it again: the engine cuts back to what both have in common, which
is everything up to and with the last answer. Asked of the first exchange alone it would cost a later one its
work.
"""

from __future__ import annotations

import logging
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app import library, turn
from app.choices import OWN, read
from app.shelves import Shelf
from app.store import Message, Store
from app.turn import Draft, Streaming
from mlx_backend import BackendError, Boxed, Reply

log = logging.getLogger(__name__)

SETTING = "titles"
QUESTION = (
    "Give this conversation a title of at most six words, in the language it is held in. "
    "Write the title alone: no quotes, no markup, nothing else."
)
MOST_TOKENS = 32  # six words of any language; a longer title is none
LONGEST = 60  # characters
EXCHANGES = 3  # after so many nobody needs a title any more, or the model has none to give
_MARKUP = set('*_`#<>[]{}|\\~^$"“”„«»‹›「」『』《》')


class Naming:
    """One title on its way, in a thread of its own. cancel: set it as soon as anything else waits."""

    def __init__(self, engine: Streaming, shelf: Shelf, conversation_id: str) -> None:
        self.conversation_id = conversation_id
        self.cancel = threading.Event()
        self.changed = False
        work = (engine, shelf)
        self._thread = threading.Thread(target=self._work, args=work, name="title", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether the conversation has another title now, after waiting at most so long."""
        self._thread.join(seconds)
        return self.changed

    def _work(self, engine: Streaming, shelf: Shelf) -> None:
        try:
            self.changed = self._named(engine, shelf)
        except BackendError as error:
            log.info("no title was given: %s", type(error).__name__)
        except Exception:
            log.exception("no title was given")

    def _named(self, engine: Streaming, shelf: Shelf) -> bool:
        found, path = shelf.store.conversation(self.conversation_id), shelf.store.path(self.conversation_id)
        if found is None or not due(path) or found.title != provisional(path):
            return False
        title = asked(engine, shelf, self.conversation_id, path, self.cancel)
        if title is None or self.cancel.is_set():
            return False
        return shelf.store.retitle(self.conversation_id, found.title, title)


def wanted(store: Store, demo_model: bool) -> bool:
    """Whether a person lets the model give titles. The demo model knows none, so there it is off at first."""
    return bool(store.setting(SETTING, not demo_model))


def due(path: Sequence[Message]) -> bool:
    """Whether what was said so far is worth a title: a few exchanges at most, the last one answered."""
    return 0 < len(path) <= 2 * EXCHANGES and path[-1].status == "complete"


def provisional(path: Sequence[Message]) -> str:
    """The title that a conversation got when its first question was sent."""
    parts = path[0].parts
    names = tuple(Path(str(part.data.get("name", ""))) for part in parts if part.sha256 is not None)
    return turn.title_of(Draft("".join(part.text for part in parts if part.type == "text"), names))


def asked(
    engine: Streaming, shelf: Shelf, conversation_id: str, path: Sequence[Message], cancel: threading.Event
) -> str | None:
    """The title that the model gives, None where it gives none that is clean. Raises BackendError."""
    choices = replace(
        read(path[-1].options),
        thinking=False,
        thinking_budget=0,
        preset=OWN,
        temperature=0.0,
        max_tokens=MOST_TOKENS,
    )
    reply = Reply()
    laid = library.lay(shelf.store, shelf.blobs, conversation_id, turn.kept(path))
    for event in engine.stream(
        turn.preview(path, shelf.blobs, Draft(QUESTION, choices=choices), laid), cancel
    ):
        reply.add(event)
    over = reply.done is not None and reply.done.reason == "stop"
    boxed = any(isinstance(segment, Boxed) for segment in reply.segments)
    return clean(reply.answer) if over and not boxed else None


def clean(words: str) -> str | None:
    """The words if they can be a title: one line of plain text, not too long. None: they cannot."""
    title = words.strip()
    if not title or len(title) > LONGEST or title[0] in "'‘’" or _MARKUP & set(title):
        return None
    # Cc, Cf, Zl and their like: control characters, line breaks, marks that turn the direction of writing
    odd = any(
        unicodedata.category(char)[0] == "C" or unicodedata.category(char) in ("Zl", "Zp") for char in title
    )
    return None if odd or not any(char.isalnum() for char in title) else title
