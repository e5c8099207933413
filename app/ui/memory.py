"""The memory part of the models page: how a model may be run on this computer, and what that takes.

Knows: the value that memory.js draws, the switches' ways in words, the step that a refusal offers.
Does not know: Gradio, the arithmetic (savings.py), how a model is loaded (stock.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from app.chores import Chores
from app.savings import Way, Weighed, What, recommended, ways
from app.stock import Stock, Switch, key
from app.switches import Switches
from mlx_backend import Item, Machine, Plan, Remedy

LABELS: dict[What, str] = {
    "kv_bits": "Keys and values",
    "late": "Vision tower",
    "pictures": "Picture detail",
    "context": "Longest conversation",
    "share": "Experts in memory",
}
DETAILS = {"full": "Full", "medium": "Medium", "low": "Low"}
APART = "Slow mode reads experts from the disk and needs a copy of the model whose experts lie one by one."


def value(
    stock: Stock, chores: Chores, name: object, machine: Machine, switches: Switches | None, detail: str
) -> dict[str, Any]:
    """Of one model of the list. switches: as they stand on the page; None: as they were kept.

    {name, switches, detail, rows: [{what, label, cost, ways: [{value, words, takes, saves, fits, chosen}]}],
    items: [{name, bytes, size}], takes, limit, share, words, seeing, fits, verdict, best, runs, here, slow}.
    Bytes. Raises Refused and BackendError.
    """
    model, folder = stock.weighed(name, machine)
    kept = stock.switches(folder) if folder else Switches()
    switches = kept if switches is None else switches
    found, best = model.judge(switches, detail), recommended(model)
    takes, limit, items = _nearer(found)
    fits, verdict = _verdict(model, found, switches, detail)
    answers = stock.is_answering(name, folder)
    return {
        "name": name,
        "switches": asdict(switches),
        "detail": detail,
        "rows": list(_rows(model, switches, detail)),
        "items": [{"name": i.name, "bytes": i.bytes, "size": gb(i.bytes)} for i in items],
        "takes": takes,
        "limit": limit,
        "share": takes / max(1, limit),
        "words": f"{gb(takes)} of {gb(limit)}",
        "seeing": _seeing(model, switches, detail),
        "fits": fits,
        "verdict": verdict,
        "best": {"switches": asdict(best[0]), "detail": best[1]} if best else None,
        "is_best": best == (switches, detail),
        "runs": answers and switches == stock.running,
        "answers": answers,
        "here": folder is not None,
        "slow": _slow(chores, model, folder),
    }


def _nearer(found: Plan) -> tuple[int, int, Sequence[Item]]:
    """The sum under the nearer of both limits, and its lines: the last one is Python's, not MLX's."""
    if found.limit - found.metal_peak <= found.room - found.process:
        return found.metal_peak, found.limit, found.items[:-1]
    return found.process, found.room, found.items


def _rows(model: Weighed, switches: Switches, detail: str) -> Iterator[dict[str, Any]]:
    every = list(ways(model, switches, detail))
    for what, label in LABELS.items():
        of_it = [way for way in every if way.what == what]
        if of_it:
            chosen = next((way for way in of_it if way.chosen), of_it[0])
            shown = [_way(way, model) for way in of_it]
            yield {"what": what, "label": label, "cost": _sentence(chosen.cost), "ways": shown}


def _way(way: Way, model: Weighed) -> dict[str, Any]:
    return {
        "value": way.value,
        "words": _name(way, model),
        "takes": way.takes,
        "saves": way.saves,
        "saved": f"saves {gb(way.saves)}" if way.saves > 0 else "",
        "fits": way.fits,
        "chosen": way.chosen,
    }


def _name(way: Way, model: Weighed) -> str:
    if way.what == "kv_bits":
        return f"{way.value} bits" if way.value else "Plain"
    if way.what == "late":
        return "On the disk until a picture comes" if way.value else "In memory"
    if way.what == "pictures":
        return DETAILS[str(way.value)]
    if way.what == "context":
        return f"{way.value or model.shape.max_context:,} tokens"
    return f"{float(str(way.value)):.0%}" if way.value != 1 else "All"


def _verdict(model: Weighed, found: Plan, switches: Switches, detail: str) -> tuple[str, str]:
    """yes, some or no, and the sentence."""
    if found.fits and switches.late and not model.judge(replace(switches, late=False), detail).fits:
        return "some", "It fits while no picture is looked at; a large one may be refused."
    if found.fits and found.setup.chunk < model.setup(switches, detail).chunk:
        return "yes", "It fits, with smaller caches; long prompts are read in smaller pieces."
    if found.fits:
        return "yes", "It fits, with the longest conversation and the largest picture."
    if longest := model.longest(switches, detail):
        return "some", f"It fits conversations of up to {longest:,} tokens."
    return "no", "It does not fit so."


def _seeing(model: Weighed, switches: Switches, detail: str) -> str:
    """Of a tower that is read late: the sum while there is one."""
    if not switches.late:
        return ""
    return (
        f"While a picture is looked at: {gb(model.judge(replace(switches, late=False), detail).metal_peak)}."
    )


def _slow(chores: Chores, model: Weighed, folder: Path | None) -> dict[str, Any] | None:
    """What of slow mode is to be told; None where it is possible already, or nothing can be done."""
    if model.apart or folder is None:
        return None
    now, copy = chores.copying(folder), chores.copy_of(folder)
    return {
        "words": APART,
        "state": now.state,
        "share": now.done / now.total if now.total else 0,
        "size": gb(model.weights.total),
        "error": now.error,
        "there": copy.is_dir(),
    }


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + "." if words else ""


# --- what a refusal offers -----------------------------------------------------------------------------


def step(stock: Stock, switch: Switch) -> dict[str, Any] | None:
    """The first change that makes a refused load fit, as something a button does.

    {label, act, name, switches}, or {label, command, risk} for what only the person can do; None: nothing is.
    """
    change = switch.change
    if switch.state != "refused" or change is None:
        return None
    if change.what == "memory":
        return {"label": "Type this in Terminal, then load it again:", "command": change.command}
    if change.what == "quantization":
        return _smaller(stock, change)
    if change.what == "slow":
        return {"label": "Prepare a copy for slow mode", "act": "prepare", "name": switch.name}
    switches = _changed(switch.switches, change)
    if switches == switch.switches:
        return None
    label = STEPS.get(change.what, "Load it with these changes").format(change.setup.kv_bits)
    return {"label": label, "act": "choose", "name": switch.name, "switches": asdict(switches)}


STEPS = {
    "kv": "Load it with keys and values in {} bits",
    "vision": "Load it with the vision tower on the disk",
    "context": "Load it for shorter conversations",
}


def _changed(switches: Switches, change: Remedy) -> Switches:
    setup = change.setup
    if change.what == "kv":
        return replace(switches, kv_bits=setup.kv_bits)
    if change.what == "vision":
        return replace(switches, late=True)
    if change.what == "context":
        return replace(switches, context=setup.context)
    return replace(switches, kv_bits=setup.kv_bits, context=setup.context)


def _smaller(stock: Stock, change: Remedy) -> dict[str, Any] | None:
    """The published model with fewer bits: chosen where it is here, else downloaded."""
    for row in stock.rows():
        if row.published and not row.unsupported and f"{row.published.bits}-bit" == change.weights.name:
            here = row.found is not None and row.found.state == "whole"
            verb, act = ("Use", "choose") if here else ("Download", "download")
            return {"label": f"{verb} {row.title} instead", "act": act, "name": key(row)}
    return None


def gb(size: int) -> str:
    return f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
