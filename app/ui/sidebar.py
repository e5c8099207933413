"""The list in the sidebar: its lines, what is found, what its menus do.

Knows: the value that conversations.js draws, the actions it may send.
Does not know: Gradio's components, SQL, what conversations say.

Everything an action carries was chosen by the client: it is checked before it is used.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from app.shelves import Shelves
from app.store import Conversation

DAY = 86400.0
NEWEST, MORE = 500, 1000  # lines that come by themselves, and with each asking
SEARCH_LIMIT = 200  # characters of what is looked for


class Sidebar:
    """One per app. A value: {items, older, count, active: of the marked line, here: of the conversation on
    the page, temporary ones too, temporary, folders, trash, trashed, rescued}, and what an action or a search
    adds: {undo}, {asked, found, found_at}; see conversations.js."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves, self._store = shelves, shelves.kept.store

    def value(
        self, active: str | None, older: Sequence[Conversation | None] = (), **more: Any
    ) -> dict[str, Any]:
        """The newest lines, the one of the conversation on the page, those that were asked for or changed."""
        temporary = self._shelves.is_temporary(active)
        here = self._store.conversation(active) if active else None
        trash = self._store.trash()
        return {
            "items": _lines(self._store.conversations(NEWEST)),
            "older": _lines([one for one in (*older, here) if one and one.trashed_at is None]),
            "count": self._store.count(),
            "active": None if temporary else active,
            "here": active,
            "temporary": temporary,
            "folders": list(self._store.folders()),
            "trash": [{"id": one.id, "title": one.title} for one in trash[:NEWEST]],
            "trashed": len(trash),
            "rescued": self._store.setting("rescued"),
            **more,
        }

    def search(self, asked: object, active: str | None) -> dict[str, Any]:
        """The lines with those that were found."""
        words = asked[:SEARCH_LIMIT] if isinstance(asked, str) else ""
        now = time.time()
        found = [{**_line(one.conversation, now), "words": one.words} for one in self._store.search(words)]
        # found_at: Gradio tells the page nothing of a value that equals the last one; who clears the field
        # and looks for the same again would wait for ever
        return self.value(active, asked=asked, found=found, found_at=now)

    def act(self, event: Any) -> dict[str, Any]:
        """Do what a menu says; what to add to the next value. Unknown actions and ids do nothing."""
        action, target = getattr(event, "action", None), getattr(event, "id", None)
        if action == "understood":
            self._store.set_setting("rescued", None)
        elif action == "empty":
            self._store.empty_trash(0)
            self._sweep()
        found = self._store.conversation(target) if isinstance(target, str) else None
        return self._act_on(found, action, event) if found else {}

    def _act_on(self, found: Conversation, action: object, event: Any) -> dict[str, Any]:
        if action == "older":
            return {"older": self._store.conversations(MORE, after=found)}
        if action == "trash":
            self._store.throw_away(found.id)
            return {"undo": {"id": found.id, "title": found.title, "at": time.time()}}
        if action == "rename" and isinstance(title := getattr(event, "title", None), str):
            self._store.rename(found.id, title)
        elif action == "pin":
            self._store.pin(found.id, getattr(event, "pinned", None) is True)
        elif action == "file" and isinstance(folder := getattr(event, "folder", None), str):
            self._store.file_under(found.id, folder or None)
        elif action == "restore":
            self._store.take_back(found.id)
        elif action == "erase" and found.trashed_at is not None:
            self._store.delete_conversation(found.id)
            self._sweep()
        return {"older": [self._store.conversation(found.id)]}

    def _sweep(self) -> None:
        """Files that nobody needs any more go, while the person goes on."""
        threading.Thread(target=self._shelves.sweep, name="sweep", daemon=True).start()


def _lines(conversations: Sequence[Conversation]) -> list[dict[str, Any]]:
    now = time.time()
    return [_line(one, now) for one in conversations]


def _line(one: Conversation, now: float) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "group": group(one, now),
        "pinned": one.pinned,
        "folder": one.folder,
        "at": one.updated_at,
    }


def group(one: Conversation, now: float) -> str:
    """The heading a conversation stands under: pinned, its folder, or when it was last used."""
    if one.pinned:
        return "Pinned"
    return one.folder or day(one.updated_at, now)


def day(then: float, now: float) -> str:
    """The heading for a moment, by calendar days in local time. Seconds since 1970."""
    midnight = time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))
    if then >= midnight:
        return "Today"
    if then >= midnight - DAY:
        return "Yesterday"
    return "Previous 7 days" if then >= midnight - 7 * DAY else "Older"
