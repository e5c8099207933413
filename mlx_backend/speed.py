"""How fast a Mac may decode, before it was tried: a range, and where it comes from.

Knows: the memory bandwidth of chips, what was measured in public with models of the same architecture.
Does not know: this computer's own figures; those come with every answer (Stats.decode_rate).

Decoding reads the active weights and all keys and values for each token. The share of the bandwidth that was
reached is a range by kind of chip; everything that follows from it is modelled and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .sizes import GB, Shape, Weights
from .sums import kv_bytes_per_token

# Bytes read per token are those behind so long a conversation.
USUAL_CONTEXT = 4096


@dataclass(frozen=True)
class Chip:
    """bandwidth: GB per second, specified; low, high: the share of it that decoding reaches."""

    bandwidth: int
    low: float
    high: float


OLDER, NEWER, ULTRA = (0.35, 0.45), (0.45, 0.6), (0.3, 0.4)
CHIPS: Mapping[str, Chip] = {
    "M1 Max": Chip(400, *OLDER),
    "M2 Max": Chip(400, *OLDER),
    "M3 Max": Chip(400, *OLDER),
    "M4 Pro": Chip(273, *NEWER),
    "M5 Pro": Chip(307, *NEWER),
    "M4 Max": Chip(546, *NEWER),
    "M5 Max": Chip(614, *NEWER),
    "M1 Ultra": Chip(800, *ULTRA),
    "M2 Ultra": Chip(800, *ULTRA),
    "M3 Ultra": Chip(819, *ULTRA),
}
# Chips that were sold with so many GiB, slowest and fastest.
SOLD: Mapping[int, tuple[str, str]] = {
    64: ("M4 Pro", "M5 Max"),
    96: ("M2 Max", "M3 Ultra"),
    128: ("M3 Max", "M5 Max"),
    192: ("M2 Ultra", "M2 Ultra"),
    256: ("M3 Ultra", "M3 Ultra"),
    512: ("M3 Ultra", "M3 Ultra"),
}


@dataclass(frozen=True)
class Speed:
    """Tokens per second. measured: somebody saw it; otherwise it is modelled. source: in words."""

    low: float
    high: float
    measured: bool
    source: str


# (chip, weights) -> what was seen. None of it on GLM-4.5V itself.
SEEN: Mapping[tuple[str, str], Speed] = {
    ("M5 Max", "nvfp4"): Speed(43, 51, True, "GLM-4.6V of the same architecture, 0.4K to 6.4K tokens"),
    ("M2 Max", "3-bit"): Speed(25, 26, True, "GLM-4.5-Air, the same language model, 2K tokens"),
}


def decode_speed(chip: str, shape: Shape, weights: Weights, kv_bits: int | None = None) -> Speed | None:
    """What to expect of a chip by its name ("Apple M4 Max"), or None where nothing is known of it."""
    name = next((known for known in CHIPS if chip.endswith(known)), None)
    if name is None:
        return None
    return SEEN.get((name, weights.name)) or _modelled(CHIPS[name], name, shape, weights, kv_bits)


def decode_speed_of(gib: int, shape: Shape, weights: Weights, kv_bits: int | None = None) -> Speed | None:
    """What to expect of Macs with so much memory, from the slowest chip's low to the fastest one's high."""
    if gib not in SOLD:
        return None
    slow, fast = SOLD[gib]
    low = _modelled(CHIPS[slow], slow, shape, weights, kv_bits)
    high = _modelled(CHIPS[fast], fast, shape, weights, kv_bits)
    chips = slow if slow == fast else f"{slow} to {fast}"
    return Speed(min(low.low, high.low), max(low.high, high.high), False, chips)


def _modelled(chip: Chip, name: str, shape: Shape, weights: Weights, kv_bits: int | None) -> Speed:
    read = weights.active + USUAL_CONTEXT * kv_bytes_per_token(shape, kv_bits)
    most = chip.bandwidth * GB / read
    source = f"{chip.low:.0%} to {chip.high:.0%} of what {chip.bandwidth} GB/s of a {name} allow"
    return Speed(chip.low * most, chip.high * most, False, source)
