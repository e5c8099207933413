"""The memory gauge: what holds this computer's memory now, in parts of a bar and in words.

Knows: the value that gauge.js draws. Does not know: Gradio, how memory is measured or planned.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from app.stock import Stock
from mlx_backend import Machine, Setup, Status, known, this_machine

OVERHEAD = 700_000_000  # bytes that a model's process holds beside MLX's account
LOOK_EVERY = 4.0  # seconds between two looks at the computer: on a Mac that starts programs


class Gauge:
    """One per app."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._machine: Machine | None = None
        self._looked = 0.0

    def machine(self) -> Machine:
        """This computer; what our own model holds does not count as other programs'."""
        now = time.monotonic()
        if self._machine is None or now > self._looked + LOOK_EVERY:
            held = self._stock.status()
            ours = held.active_bytes + held.cache_bytes + OVERHEAD if held.active_bytes else 0
            self._machine, self._looked = this_machine(ours=ours), now
        return self._machine

    def value(self) -> dict[str, Any]:
        """{model, state, words, parts: [{name, share, size}], limit: share or 0, demo, loading}."""
        stock, machine = self._stock, self.machine()
        status = stock.status()
        total = max(1, machine.physical)
        limit = status.limit_bytes or machine.working_set
        used = sum(size for _, size in _parts(status, machine))
        return {
            "model": title(stock.answering),
            "theirs": stock.answering != "demo" and known(stock.answering) is None,
            "state": status.state,
            "words": f"{used / 1e9:.1f} of {total / 1e9:.1f} GB",
            "parts": [
                {"name": name, "share": size / total, "size": f"{size / 1e9:.1f} GB"}
                for name, size in _parts(status, machine)
            ],
            "limit": min(1.0, (machine.others + limit) / total) if limit else 0,
            "limit_words": f"{limit / 1e9:.1f} GB",
            "demo": stock.is_demo,
            "loading": stock.switch is not None and stock.switch.under_way,
            "run": _run(status),
        }


def _parts(status: Status, machine: Machine) -> list[tuple[str, int]]:
    weights, kv = status.weight_bytes, status.kv_bytes
    working = max(0, status.active_bytes - weights - kv)
    held = [("Weights", weights), ("Conversation", kv), ("Working", working), ("Cache", status.cache_bytes)]
    return [*held, ("Other programs", status.other_bytes or machine.others)]


def _run(status: Status) -> list[str]:
    """How the loaded model is really run, as its process tells; nothing where nothing is traded."""
    setup = status.setup
    if setup is None:
        return []
    told = [f"Keys and values in {setup.kv_bits} bits"] if setup.kv_bits else []
    told += [] if setup.vision else ["Vision tower on the disk"]
    told += [f"{setup.experts_share:.0%} of the experts"] if setup.experts_share < 1 else []
    return told + ([f"At most {setup.context:,} tokens"] if setup.context < Setup.context else [])


def title(name: str) -> str:
    """What a model is called on the page."""
    if name == "demo":
        return "Demo model"
    published = known(name)
    return published.title if published else Path(name).name
