"""Where a conversation lies: kept on the disk, or on a shelf of its own that goes with it.

Knows: which conversation is temporary, and that nothing of such a one is ever written to the home folder.
Does not know: SQL, what conversations say, the window.

A temporary conversation has a database in memory and a private folder for its pictures and videos, see
scratch.py. Whoever works on it holds its shelf, so it may be forgotten at any time: the database is gone when
the last one lets go.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.blobs import Blobs
from app.scratch import Scratch
from app.store import IN_MEMORY, Store, StoredDocument

log = logging.getLogger(__name__)

TEMPORARY = "Temporary chat"  # its title, whatever is said in it


@dataclass(frozen=True)
class Shelf:
    """What one conversation is written to and read from."""

    store: Store
    blobs: Blobs


@dataclass(frozen=True)
class Stored:
    """A stored picture or video. kept: it lies among what is kept."""

    file: Path
    media_type: str
    kept: bool


class Shelves:
    """kept: of every conversation but the temporary ones."""

    def __init__(self, store: Store, blobs: Blobs, uploads: Sequence[Path] = ()) -> None:
        """uploads: folders that files come through; they are emptied with the last temporary conversation of
        this run, when the app ends or dies."""
        self.kept = Shelf(store, blobs)
        home = hashlib.sha256(str(store.file.absolute()).encode()).hexdigest()[:12]
        self._scratch = Scratch(f"glm-chat-{home}", uploads)
        self._temporary: dict[str, Shelf] = {}

    def of(self, conversation_id: str | None) -> Shelf:
        """Of an unknown conversation the kept one, which does not know it either."""
        return self._temporary.get(conversation_id or "", self.kept)

    def is_temporary(self, conversation_id: str | None) -> bool:
        return conversation_id in self._temporary

    def begin_temporary(self) -> str:
        """A new conversation that is never kept; its id. Raises OSError where it can have no folder."""
        store = Store(IN_MEMORY)
        conversation_id = store.begin_conversation(TEMPORARY)
        blobs = Blobs(self._scratch.folder() / conversation_id)
        self._temporary[conversation_id] = Shelf(store, blobs)
        return conversation_id

    def forget(self, conversation_id: str | None) -> None:
        """Let a temporary conversation go. Any other stays as it is."""
        if shelf := self._temporary.pop(conversation_id or "", None):
            shutil.rmtree(shelf.blobs.root, ignore_errors=True)

    def media(self, sha256: str) -> Stored | None:
        """A picture or video that some message holds. None: no message does, or its file is gone."""
        for shelf in (self.kept, *list(self._temporary.values())):
            kind = shelf.store.media_type(sha256)
            if kind is not None and (file := shelf.blobs.path(sha256)).exists():
                return Stored(file, kind, shelf is self.kept)
        return None

    def document(self, sha256: str, document_id: int) -> tuple[Shelf, StoredDocument] | None:
        """What was read of a file, and where. None: it is gone; ids are numbers of one shelf, hence both."""
        for shelf in (self.kept, *list(self._temporary.values())):
            found = shelf.store.document_numbered(document_id)
            if found is not None and found.sha256 == sha256:
                return shelf, found
        return None

    def sweep(self) -> None:
        """Remove kept files that nobody needs any more; what fails is tried again at the next start."""
        try:
            self.kept.store.sweep_now(self.kept.blobs)
        except Exception:
            log.exception("unneeded files could not be removed")

    def close(self) -> None:
        """Forget every temporary conversation, and remove what files came through."""
        self._temporary.clear()
        self._scratch.close()
