"""What fits this computer, or another: the `plan` command.

Knows: how a plan is told, as lines, as JSON and as the table of every Mac.
Does not know: the arithmetic; it asks the planner. Changes nothing, downloads nothing, needs no network.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mlx_backend import (
    GB,
    GIB,
    BackendError,
    Calibration,
    Machine,
    Plan,
    Setup,
    Shape,
    Speed,
    Weights,
    best,
    both,
    imagined,
    is_repacked,
    ladder,
    largest_context,
    largest_picture,
    measure_here,
    named,
    plan,
    published_shape,
    shape_of_folder,
    stored_calibration,
    this_machine,
    weigh_folder,
)

from .config import data_folder, find_model
from .macs import expected_speed, rows, table
from .savings import COSTS, Weighed, What, ways
from .switches import Switches
from .switches_line import share

ABOUT = """\
Say what fits: every byte of GLM-4.5V on this computer or on any Mac, before anything is downloaded.

  ./scripts/run plan                               this computer: the best choice, and its sum line by line
  ./scripts/run plan --memory 128                  a Mac with 128 GB of memory and nothing else running
  ./scripts/run plan --model 4-bit                 that quantization: 3-bit to 8-bit, bf16, mxfp4 …
  ./scripts/run plan --model ~/models/GLM-4.5V     a folder: counted from the headers of its files
  ./scripts/run plan --context 16384 --kv-bits 8   a shorter conversation, keys and values in 8 bits
  ./scripts/run plan --table                       every Mac from 32 to 512 GB
  ./scripts/run plan --measure                     measure on this Mac what is otherwise modelled, once

Weights and keys and values are exact; what a computation holds for a moment is modelled until it is measured.
GB are 1,000,000,000 bytes, GiB 1,073,741,824: the two differ by 7 %.
Exit code 1 says that it does not fit.
"""
SHOWN_REMEDIES = 4


def add_plan(commands: Any, form: dict[str, Any]) -> None:
    """The command's options."""
    command = commands.add_parser("plan", help="what fits this Mac, or another", description=ABOUT, **form)
    add = command.add_argument
    add("--memory", type=_gigabytes, metavar="GB", help="of a Mac that is not here: 32, 64, 128 …")
    add(
        "--model",
        metavar="NAME",
        help="a quantization, folder or downloaded repository; default: the best",
    )
    add(
        "--context",
        type=_tokens,
        metavar="TOKENS",
        help="of prompt and answer; default: as many as fit",
    )
    add("--kv-bits", type=int, choices=(4, 8), help="keep keys and values in so many bits; default: 16")
    add("--vision", choices=("at-once", "late"), help="late: its tower is in memory only for pictures")
    add("--slow", type=share, metavar="SHARE", help="25%%: of the experts in memory, the others on the disk")
    add("--chunk", type=_tokens, metavar="TOKENS", help="of a prompt read at once; default: 1024")
    what = command.add_mutually_exclusive_group()
    what.add_argument("--measure", action="store_true", help="measure here what is otherwise modelled")
    what.add_argument("--table", action="store_true", help="every Mac from 32 to 512 GB")
    add("--json", action="store_true", help="print one JSON object")
    command.set_defaults(command=run)


def _gigabytes(text: str) -> int:
    if not 1 <= (value := int(text)) <= 4096:
        raise argparse.ArgumentTypeError(f"must be from 1 to 4096, not {text}")
    return value


def _tokens(text: str) -> int:
    if not 1 <= (value := int(text)) <= 2**20:
        raise argparse.ArgumentTypeError(f"must be from 1 to {2**20}, not {text}")
    return value


def run(options: argparse.Namespace) -> int:
    if options.table:
        print(json.dumps(rows()) if options.json else table())
        return 0
    machine = imagined(options.memory) if options.memory else this_machine()
    shape, chosen, alternatives = _model(options.model, machine)
    if options.measure:
        return _measure(machine, shape, options)
    calibration = None if options.memory else stored_calibration(data_folder(), machine, shape)
    patches = largest_picture(find_model(options.model)) if alternatives == () else Setup.patches
    asked = Setup(
        kv_bits=options.kv_bits,
        chunk=options.chunk or Setup.chunk,
        patches=patches,
        vision=options.vision != "late",
        experts_share=options.slow or 1.0,
    )
    found = _plan(shape, chosen, alternatives, machine, calibration, asked, options)
    recommended = best(published_shape(), ladder(), machine)
    if options.json:
        print(json.dumps(plan_object(found, shape, recommended)))
    else:
        apart = alternatives == () and is_repacked(find_model(options.model))
        model = Weighed(shape, found.weights, machine, calibration, patches, apart)
        switches = list(switch_lines(model, found.setup))
        print("\n".join([*plan_lines(found, shape), "", *switches, "", best_line(recommended, machine)]))
    return 0 if found.fits else 1


def _measure(machine: Machine, shape: Shape, options: argparse.Namespace) -> int:
    folder = find_model(options.model) if options.model and not named(options.model) else None
    if options.memory or (folder is None and not machine.gpu):
        raise BackendError(
            "Only the computer at hand can be measured, and GLM-4.5V only on a Mac. Nothing was measured. "
            "Name a small checkpoint to try it elsewhere: --model FOLDER."
        )
    print("Measuring; this takes from seconds to some minutes.", file=sys.stderr)
    found = measure_here(data_folder(), machine, shape, folder / "config.json" if folder else None)
    print(
        f"Of what was modelled, reading a prompt takes {found.prefill:.0%} and looking at a picture "
        f"{found.vision:.0%} here. Kept for the next plan."
    )
    return 0


def _model(name: str | None, machine: Machine) -> tuple[Shape, Weights | None, tuple[Weights, ...]]:
    """Shape, weights (None: the best) and the other quantizations there are."""
    if name is None:
        return published_shape(), None, ladder()
    if weights := named(name):
        return published_shape(), weights, ladder()
    if not (name == "demo" or "/" in name or Path(name).is_dir()):
        raise BackendError(
            f"{name}: no quantization of this name, and no folder. Nothing was planned. Try 4-bit, or see "
            "./scripts/run plan --help."
        )
    folder = find_model(name)
    # A processor computes in float32 and holds what is not quantized as such.
    item = 2 if machine.gpu else 4
    return shape_of_folder(folder, item), weigh_folder(folder, None if machine.gpu else item), ()


def _plan(
    shape: Shape,
    weights: Weights | None,
    alternatives: tuple[Weights, ...],
    machine: Machine,
    calibration: Calibration | None,
    asked: Setup,
    options: argparse.Namespace,
) -> Plan:
    """Of the model and settings that were named; what was not named is chosen."""
    if options.context is not None:
        asked = replace(asked, context=min(options.context, shape.max_context))
    if weights is not None:
        if options.context is None:
            most = largest_context(shape, weights, machine, asked, calibration)
            asked = replace(asked, context=most or shape.max_context)
        return plan(shape, weights, machine, asked, calibration, alternatives)
    chosen = best(shape, alternatives, machine, calibration, asked)
    smallest = min(alternatives, key=lambda w: w.total)
    if chosen is None:
        return plan(shape, smallest, machine, asked, calibration, alternatives)
    setup = chosen.setup
    if options.context is not None:
        setup = replace(setup, context=asked.context)
    if options.kv_bits is not None:
        setup = replace(setup, kv_bits=options.kv_bits)
    return plan(shape, chosen.weights, machine, setup, calibration, alternatives)


# --- for people ------------------------------------------------------------------------------------------


def plan_lines(found: Plan, shape: Shape) -> Iterator[str]:
    machine, setup = found.machine, found.setup
    yield f"{machine.name}: {_size(machine.physical)} of memory"
    yield from _limits(found)
    yield ""
    yield f"{_title(found)}, {setup_words(setup)}"
    yield ""
    for item in found.items:
        guessed = found.moments if item.name.startswith("while") else "modelled"
        yield _line(item.name, item.bytes, "exact" if item.exact else guessed)
    if machine.gpu:
        yield _line("of it on the GPU", found.metal_peak, f"of {both(found.limit)}")
    yield _line("together", found.process, f"of {both(found.room)}")
    yield ""
    verdict = "It fits, but barely. " if found.tight else "It fits. " if found.fits else "It does not fit. "
    yield verdict + found.why
    for remedy in found.remedies[:SHOWN_REMEDIES]:
        yield f"  - {remedy.text}" + (f": {remedy.command}" if remedy.command else "")
        yield f"    ({remedy.risk})"
    if not found.fits and not found.remedies:
        yield "  No setting and no smaller quantization makes it fit. It needs a Mac with more memory."
    most = largest_context(shape, found.weights, machine, setup)
    if found.fits:
        yield f"Largest context with these settings: {most:,} tokens of the model's {shape.max_context:,}."
    if found.fits and (speed := expected_speed(found, shape)):
        yield f"Expected speed: {speed_words(speed)}"


def _limits(found: Plan) -> Iterator[str]:
    """The two limits there are, and where each comes from."""
    machine = found.machine
    holder, whose = ("the GPU", "the GPU may hold") if machine.gpu else ("it", "there are")
    yield f"  {whose} {_size(machine.working_set)}, {machine.source}"
    if machine.others:
        yield f"  other programs use {_size(machine.others)} now"
    yield f"Two limits: {_size(found.limit)} for what MLX holds, 97 % of what {holder} may hold; and"
    yield f"{_size(found.room)} for all of it with Python: the memory less what other programs use and less"
    yield f"{_size(machine.reserve)} for the system."


def switch_lines(model: Weighed, setup: Setup) -> Iterator[str]:
    """What each switch would save from here, and cost."""
    switches = Switches(setup.kv_bits, not setup.vision, setup.experts_share, setup.context)
    now = model.judge(switches).metal_peak
    yield "What each switch would save, all else as it is, and what it costs:"
    for way in ways(model, switches):
        if way.takes < now:
            yield f"  {OPTIONS[way.what](way.value):<30}  {_sized(now - way.takes)}"
            yield f"    ({way.cost})"
    if not model.apart:
        yield "  --slow 25%                        experts: only with a copy that `models prepare` makes"
        yield f"    ({COSTS['share', True]})"


OPTIONS: dict[What, Callable[[Any], str]] = {
    "kv_bits": lambda bits: f"--kv-bits {bits or 16}",
    "late": lambda late: f"--vision {'late' if late else 'at-once'}",
    "pictures": lambda detail: f"picture detail {detail}",
    "context": lambda tokens: f"--context {tokens}",
    "share": lambda share: f"--slow {share:.0%}",
}


def _title(found: Plan) -> str:
    return f"{found.weights.name} weights"


def setup_words(setup: Setup) -> str:
    """context 65,536 tokens, keys and values in 8 bits, …"""
    kept = f"in {setup.kv_bits} bits" if setup.kv_bits else "plain"
    pixels = setup.patches * 196 / 1e6
    return (
        f"context {setup.context:,} tokens, keys and values {kept}, read in pieces of {setup.chunk}, "
        f"pictures up to {pixels:.1f} million pixels"
    )


def speed_words(speed: Speed) -> str:
    how = "measured elsewhere" if speed.measured else "modelled"
    return f"{speed.low:.0f} to {speed.high:.0f} tokens a second ({how}: {speed.source})."


def best_line(found: Plan | None, machine: Machine) -> str:
    if found is None:
        why = "GLM-4.5V needs a Mac with 64 GB; its 3-bit weights alone take 48.5 GB"
        return f"Best choice for {machine.name}: none. {why}."
    return f"Best choice for {machine.name}: {found.weights.name}, {setup_words(found.setup)}."


def _line(name: str, size: int, note: str) -> str:
    return f"  {name:<32}{_sized(size)}  {note}".rstrip()


def _sized(size: int) -> str:
    return f"{size / GB:>9.2f} GB{size / GIB:>9.2f} GiB"


def _size(size: int) -> str:
    return f"{size / GB:.1f} GB ({size / GIB:.1f} GiB)"


# --- for programs ----------------------------------------------------------------------------------------


def plan_object(found: Plan, shape: Shape, recommended: Plan | None) -> dict[str, Any]:
    """Bytes everywhere."""
    speed = expected_speed(found, shape)
    return {
        "machine": asdict(found.machine),
        "weights": asdict(found.weights) | {"total": found.weights.total},
        "setup": asdict(found.setup),
        "items": [asdict(item) for item in found.items],
        "peak": found.peak,
        "metal_peak": found.metal_peak,
        "process": found.process,
        "limit": found.limit,
        "room": found.room,
        "fits": found.fits,
        "tight": found.tight,
        "why": found.why,
        "moments": found.moments,
        "remedies": [
            {"what": r.what, "text": r.text, "risk": r.risk, "command": r.command, "setup": asdict(r.setup)}
            | {"weights": r.weights.name}
            for r in found.remedies
        ],
        "largest_context": largest_context(shape, found.weights, found.machine, found.setup),
        "speed": asdict(speed) if speed else None,
        "best": {"weights": recommended.weights.name, "setup": asdict(recommended.setup)}
        if recommended
        else None,
    }
