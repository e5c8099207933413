"""Room on the disk: what a turn needs, and what a person is told where there is none.

Knows: how much stays free. Does not know: what a turn is, SQLite.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.blobs import Blobs

RESERVE = 200_000_000  # bytes that stay free: room for the answer, for SQLite to work in, and for the system
UNSTORED = (
    "The disk is full: this answer is not stored yet. Make room; it is tried again every few seconds. "
    "Keep the app running until this note is gone."
)


def shortage(blobs: Blobs, files: Sequence[Path] = ()) -> str | None:
    """Why the files and an answer cannot be stored, None: there is room. Absent files count nothing."""
    size = sum(file.stat().st_size for file in files if file.exists())
    free, needed = blobs.free(), size + RESERVE
    if free >= needed:
        return None
    return (
        f"The disk is nearly full: {_mb(free)} are free, and {_mb(needed)} are needed, {_mb(size)} for the "
        f"files and {_mb(RESERVE)} to work in. Nothing was sent. Make room and send again."
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
