"""The switches on the command line, and how they are told in words.

Knows: argparse, the options' names. Does not know: what a switch saves, where they are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from app.switches import LONGEST, SHORTEST, Switches

HELP = """\
What is traded for memory is kept for each model by `models use` and by the window; an option given here holds
for this run. `plan` says what each of them saves and costs.
"""


def add_switches(command: Any) -> None:
    """The options, in a group of their own."""
    add = command.add_argument_group("memory", HELP).add_argument
    add("--kv-bits", type=int, choices=(4, 8, 16), help="bits of a conversation's keys and values; plain: 16")
    add(
        "--vision",
        choices=("at-once", "late"),
        help="late: the vision tower is read when a picture comes, and given back afterwards",
    )
    add(
        "--slow",
        type=share,
        metavar="SHARE",
        help="slow mode: 25%% of the experts in memory, the others read from the disk; off: all",
    )
    add("--context", type=length, metavar="TOKENS", help="of a conversation at the most; 0: the model's own")


def switched(kept: Switches, options: argparse.Namespace) -> Switches:
    """With what was given in place of what was kept."""
    given: dict[str, Any] = {}
    if options.kv_bits is not None:
        given["kv_bits"] = None if options.kv_bits == 16 else options.kv_bits
    if options.vision is not None:
        given["late"] = options.vision == "late"
    if options.slow is not None:
        given["share"] = options.slow
    if options.context is not None:
        given["context"] = options.context
    return replace(kept, **given)


def share(text: str) -> float:
    """0.25 out of 25% or 0.25; 1 out of off."""
    said = text.strip()
    try:
        value = 1.0 if said == "off" else float(said.rstrip("%")) / (100 if said.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share as 25%, from 1% to 100%, or off, not {text}")
    return value


def length(text: str) -> int:
    if (value := int(text)) and not SHORTEST <= value <= LONGEST:
        raise argparse.ArgumentTypeError(f"must be 0 or from {SHORTEST:,} to {LONGEST:,}, not {text}")
    return value


def words(switches: Switches) -> str:
    """8-bit keys and values, the vision tower on the disk …; "" where nothing is traded."""
    return ", ".join(_words(switches))


def _words(switches: Switches) -> Iterator[str]:
    if switches.kv_bits:
        yield f"keys and values in {switches.kv_bits} bits"
    if switches.late:
        yield "the vision tower on the disk until a picture comes"
    if switches.share < 1:
        yield f"{switches.share:.0%} of the experts in memory"
    if switches.context:
        yield f"at most {switches.context:,} tokens in a conversation"
