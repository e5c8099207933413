"""The settings window: how answers are asked for, named system prompts, where the data lies.

Knows: the value that settings.js draws, what it may send back.
Does not know: Gradio's components, how a backup is made.

Everything that comes back was chosen by the client: it is checked before it is used.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from app import titles
from app.choices import DETAIL, FOR_DEMO, LONGEST, OWN, PRESETS, Choices, read
from app.store import BackupFailed, Store, back_up, backups

log = logging.getLogger(__name__)

MOST_PROMPTS, LONGEST_NAME = 100, 80
BACKUPS_SHOWN = 5


class Settings:
    """One per app. A value: {choices, presets, details, prompts, titles, home, bytes, backups,
    told}."""

    def __init__(self, store: Store, home: Path, is_demo: Callable[[], bool]) -> None:
        """is_demo: whether the demo model answers now; other choices hold for it until a person chooses."""
        self._store, self._home, self._is_demo = store, home, is_demo
        self._bytes = 0
        self._changing = threading.Lock()

    def choices(self, thinking: bool) -> Choices:
        """What the next answer is asked with. thinking: as the page's switch stands."""
        return replace(self._chosen(), thinking=thinking, demo=self._is_demo())

    def change(self, some: Mapping[str, Any]) -> None:
        """Keep some of the choices; one that is None stays, one that does not fit is the default."""
        given = {name: value for name, value in some.items() if value is not None}
        with self._changing:
            kept = asdict(self._chosen())
            self._store.set_setting("choices", read({**kept, **given}).options())

    def _chosen(self) -> Choices:
        kept = self._store.setting("choices")
        return read(kept) if kept else FOR_DEMO if self._is_demo() else Choices()

    def value(self, told: str = "") -> dict[str, Any]:
        """told: how the last action went, in words."""
        return {
            "choices": asdict(self._chosen()),
            "presets": {name: list(figures) for name, figures in PRESETS.items()} | {OWN: None},
            "details": DETAIL,
            "prompts": self._prompts(self._store.setting("prompts")),
            "titles": titles.wanted(self._store, self._is_demo()),
            "home": str(self._home),
            "bytes": self._bytes,
            "backups": [
                {"name": one.file.name, "when": time.strftime("%d %B %Y, %H:%M", time.localtime(one.when))}
                for one in backups(self._store.file)[:BACKUPS_SHOWN]
            ],
            "told": told,
        }

    def act(self, event: Any) -> dict[str, Any]:
        """Do what the window says; the value afterwards."""
        action = getattr(event, "action", None)
        if action == "look":  # the window opens; thousands of files are not counted with every change in it
            self._bytes = sum(file.stat().st_size for file in self._home.rglob("*") if file.is_file())
        if action == "choices" and isinstance(kept := getattr(event, "choices", None), Mapping):
            self._store.set_setting("choices", read(kept).options())
            return self.value("Kept. It holds from the next answer on.")
        if action == "prompts":
            self._store.set_setting("prompts", self._prompts(getattr(event, "prompts", None)))
            return self.value("Kept.")
        if action == "titles" and isinstance(wanted := getattr(event, "wanted", None), bool):
            self._store.set_setting(titles.SETTING, wanted)
            return self.value("Kept.")
        if action == "back_up":
            return self.value(self._back_up())
        if action == "imported" and isinstance(words := getattr(event, "words", None), str):
            return self.value(words)
        return self.value()

    def _back_up(self) -> str:
        try:
            made = back_up(self._store.file)
        except (BackupFailed, OSError) as error:
            log.warning("no backup was made", exc_info=True)
            return str(error)
        return f"Backed up as {made.file.name}."

    def _prompts(self, kept: object) -> list[dict[str, str]]:
        prompts = []
        for one in kept if isinstance(kept, list) else ():
            name, text = (one.get(key) if isinstance(one, Mapping) else None for key in ("name", "text"))
            if isinstance(name, str) and isinstance(text, str) and (name := " ".join(name.split())):
                prompts.append({"name": name[:LONGEST_NAME], "text": text.strip()[:LONGEST]})
        return prompts[:MOST_PROMPTS]
