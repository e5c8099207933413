"""What the app writes into its log: what happened and where in the code, never what was said.

Knows: the log file, how large it gets, which part of a record is ours.
Does not know: what is logged, the worker's own log (mlx_backend/process.py).

A record of ours is written without what its sentence is filled with, one of a library without its sentence,
an error without its words: a temporary chat leaves nothing on the disk, here neither. The terminal, which
keeps nothing, gets all of it.
"""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from app.report import harmless

BYTES = 1_000_000  # of app.log; one older file is kept
OURS = ("app", "mlx_backend")


class Discreet(logging.Formatter):
    """When, how bad, who, and of the rest what is known to be harmless."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{self.formatTime(record)} {record.levelname} {record.name}"
        ours = record.name.partition(".")[0] in OURS
        lines = [f"{head}: {record.msg if ours else ' '.join(harmless(record.getMessage()))}"]
        if record.exc_info:
            lines += harmless(self.formatException(record.exc_info))
        return "\n".join(lines)


def begin(folder: Path) -> None:
    """Send warnings and errors to the terminal and to app.log; where that cannot be written, only there."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = RotatingFileHandler(folder / "app.log", maxBytes=BYTES, backupCount=1, encoding="utf-8")
        file.setFormatter(Discreet())
        handlers.append(file)
    except OSError:
        pass
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
