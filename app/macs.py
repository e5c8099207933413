"""GLM-4.5V on every Mac from 32 to 512 GB: the best choice for each, and what else would fit.

Knows: the table and its rows as objects. Does not know: the arithmetic, the computer at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from mlx_backend import (
    GB,
    GIB,
    MACS,
    Machine,
    Plan,
    Setup,
    Shape,
    Speed,
    best,
    decode_speed,
    decode_speed_of,
    imagined,
    ladder,
    largest_context,
    named,
    published_shape,
    small,
)

TABLE = """\
GLM-4.5V on every Mac, nothing else running. Weights and keys and values exact, the rest modelled; nothing
here was measured on a Mac by this project. Working sets as seen on such Macs; yours is asked when you run it.

"""
CHOICES = ("3-bit", "4-bit", "5-bit", "6-bit", "8-bit", "bf16")


def table() -> str:
    """The best choice for each, and the longest context of each quantization with small settings."""
    macs = [imagined(gib) for gib in MACS]
    heads = ["memory", "GPU may hold", "best", "context", "KV bits", "pieces", "together", "tokens/s"]
    rows = [[*heads], *(_row(mac) for mac in macs)]
    sources = [f"  {mac.physical // GIB} GB: {mac.source}" for mac in macs]
    most = [["memory", *CHOICES], *(_contexts(mac) for mac in macs)]
    return "\n".join(
        [
            TABLE + "The best choice",
            *_columns(rows),
            "",
            "Longest context with keys and values in 16 / 8 / 4 bits, pieces of 512, pictures of a megapixel",
            *_columns(most),
            "",
            "Where the working sets come from",
            *sources,
        ]
    )


def _row(mac: Machine) -> list[str]:
    shape = published_shape()
    found = best(shape, ladder(), mac)
    start = [f"{mac.physical // GIB} GB", f"{mac.working_set / GB:.1f} GB ({mac.working_set / GIB:.1f} GiB)"]
    if found is None:
        return [*start, "none", "-", "-", "-", "-", "-"]
    setup, speed = found.setup, expected_speed(found, shape)
    return [
        *start,
        found.weights.name,
        f"{setup.context:,}",
        str(setup.kv_bits or 16),
        str(setup.chunk),
        f"{found.metal_peak / GB:.2f} GB ({found.metal_peak / GIB:.2f} GiB)",
        f"{speed.low:.0f}-{speed.high:.0f} modelled" if speed else "-",
    ]


def _contexts(mac: Machine) -> list[str]:
    return [f"{mac.physical // GIB} GB", *(" / ".join(_most(mac, name)) for name in CHOICES)]


def _most(mac: Machine, name: str) -> Iterator[str]:
    weights = named(name)
    assert weights is not None  # CHOICES are names of recipes
    for bits in (None, 8, 4):
        most = largest_context(published_shape(), weights, mac, small(Setup(kv_bits=bits)))
        yield f"{most // 1024}K" if most >= 1024 else "-"


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def expected_speed(found: Plan, shape: Shape) -> Speed | None:
    machine, how = found.machine, (shape, found.weights, found.setup.kv_bits)
    gib = round(machine.physical / GIB)
    return decode_speed(machine.name, *how) or (decode_speed_of(gib, *how) if machine.gpu else None)


def rows() -> list[dict[str, Any]]:
    """The table for programs. Bytes and tokens."""
    return [_object(imagined(gib)) for gib in MACS]


def _object(mac: Machine) -> dict[str, Any]:
    shape = published_shape()
    found = best(shape, ladder(), mac)
    contexts = {name: list(_most(mac, name)) for name in CHOICES}
    speed = expected_speed(found, shape) if found else None
    return {
        "memory": mac.physical // GIB,
        "working_set": mac.working_set,
        "source": mac.source,
        "best": {"weights": found.weights.name, "setup": asdict(found.setup), "metal_peak": found.metal_peak}
        if found
        else None,
        "speed": asdict(speed) if speed else None,
        "contexts": contexts,
    }
