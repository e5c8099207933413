"""The list in the sidebar: its lines, what is found, what its menus do.

Knows: the value that conversations.js draws, the actions it may send.
Does not know: Gradio's components, SQL, what conversations say.

Everything an action carries was chosen by the client: it is checked before it is used.
"""

from __future__ import annotations

import time
from typing import Any

from app.store import Conversation, Store

DAY = 86400.0
SEARCH_LIMIT = 200  # characters of what is looked for


class Sidebar:
    """One per app. A value: {items, active, folders, trash, asked, found, undo}; see conversations.js."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def value(self, active: str | None, **more: Any) -> dict[str, Any]:
        """All lines. active: the conversation on the page."""
        now = time.time()
        lines = sorted(self._store.conversations(), key=lambda one: (not one.pinned, _shelf(one)))
        return {
            "items": [_line(one, group(one, now)) for one in lines],
            "active": active,
            "folders": list(self._store.folders()),
            "trash": [{"id": one.id, "title": one.title} for one in self._store.trash()],
            **more,
        }

    def search(self, asked: object, active: str | None) -> dict[str, Any]:
        """The lines with those that were found."""
        words = asked[:SEARCH_LIMIT] if isinstance(asked, str) else ""
        found = [{**_line(one.conversation, ""), "words": one.words} for one in self._store.search(words)]
        return self.value(active, asked=asked, found=found)

    def act(self, event: Any) -> dict[str, Any]:
        """Do what a menu says; what to add to the next value. Unknown actions and ids do nothing."""
        action, target = getattr(event, "action", None), getattr(event, "id", None)
        if not isinstance(target, str) or (found := self._store.conversation(target)) is None:
            return {}
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
        elif action == "trash":
            self._store.throw_away(found.id)
            return {"undo": {"id": found.id, "title": found.title, "at": time.time()}}
        return {}


def _line(one: Conversation, heading: str) -> dict[str, Any]:
    return {
        "id": one.id, "title": one.title, "group": heading, "pinned": one.pinned, "folder": one.folder,
    }  # fmt: skip


def _shelf(one: Conversation) -> tuple[bool, str]:
    """Folders by name, then what is in none; the order of use stays within each."""
    return one.folder is None or one.pinned, "" if one.pinned else (one.folder or "").casefold()


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
