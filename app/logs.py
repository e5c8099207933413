"""What the app writes into its log: what happened and where in the code, never what was said.

Knows: the log file, how large it gets, which part of a record is ours.
Does not know: what is logged, the worker's own log (mlx_backend/process.py).

A record of ours is written without what its sentence is filled with, one of a library without its sentence,
an error without its words: a temporary chat leaves nothing on the disk, here neither. The terminal, which
keeps nothing, gets all of it.
"""

from __future__ import annotations

import logging
import sys
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


class LogFile(RotatingFileHandler):
    """A disk that is full or gone is told of once: the terminal has every record anyway."""

    def __init__(self, path: Path) -> None:
        self._told = False
        super().__init__(path, maxBytes=BYTES, backupCount=1, encoding="utf-8")
        self.setFormatter(Discreet())

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(error := sys.exception(), OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            _say(Path(self.baseFilename), error)


def begin(folder: Path) -> None:
    """Send warnings and errors to the terminal and to app.log; where that cannot be written, only there."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    path = folder / "app.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handlers.append(LogFile(path))
    except OSError as error:
        _say(path, error)
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)


def _say(path: Path, error: OSError) -> None:
    why = error.strerror or error
    print(
        f"{path} cannot be written ({why}). The app goes on; warnings are shown here only.", file=sys.stderr
    )
