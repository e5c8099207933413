"""How a benchmark prints: a title, a line per figure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A figure and what it is."""

    label: str
    value: float


def show(title: str, rows: list[Row]) -> None:
    print(f"\n{title}")
    for row in rows:
        print(f"  {row.label:<68} {row.value:>12.3f}", flush=True)
