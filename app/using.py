"""The commands `models use` and `models prepare`: which model answers and how; a copy for slow mode.

Knows: what is kept for the next start, the sum that is told. Does not know: argparse, how a copy is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from app import places
from app.chosen import choose
from app.config import find_model
from app.savings import Weighed
from app.switches import Switches, keep, switches_of
from app.switches_line import switched, words
from app.weighed import of_folder
from mlx_backend import BackendError, both, is_repacked, known, prepare_slow, this_machine


def use(home: Path, name: str, as_json: bool, options: argparse.Namespace) -> int:
    """Keep the choice for the next start. Exit code 1 where it is not expected to fit; kept all the same."""
    published = known(name)
    name = published.repo if published else name
    folder = find_model(name)
    switches = switched(switches_of(home, folder), options)
    if switches.share < 1 and not is_repacked(folder):
        raise BackendError(
            f"{name} is not prepared for slow mode. Nothing was changed. Write a copy that is with "
            f"`./scripts/run models prepare {name} FOLDER`, and use that one."
        )
    home.mkdir(parents=True, exist_ok=True)
    choose(home, name if name == "demo" or published else str(folder))
    keep(home, folder, switches)
    model = of_folder(home, folder, this_machine())
    longest = model.longest(switches)
    if as_json:
        told = {"name": name, "folder": str(folder), "switches": asdict(switches), "longest": longest}
        print(json.dumps(told | {"bytes": model.judge(switches).metal_peak}))
    else:
        _tell(name, model, switches, longest)
    return 0 if longest else 1


def _tell(name: str, model: Weighed, switches: Switches, longest: int) -> None:
    how = words(switches)
    print(f"{name} answers from the next start on{', with ' + how if how else ''}.")
    found = model.plan(switches)
    print(f"It takes {both(found.metal_peak)} at the most of {both(found.limit)} that may be used.")
    if found.fits:
        print("It fits.")
    elif longest:
        print(f"Conversations of up to {longest:,} tokens fit.")
    else:
        print(f"It does not fit, and will be refused when it is loaded. {found.why}")
        for remedy in found.remedies[:1]:
            print(f"What would help: {remedy.text}.")


def prepare(home: Path, name: str, folder: Path, as_json: bool) -> int:
    """Write the copy, and look for models in its folder from then on."""
    source, folder = find_model(name), folder.expanduser().absolute()
    if is_repacked(source):
        raise BackendError(f"{name} is prepared for slow mode already. Nothing was written.")
    print(f"Writing {folder}; this takes minutes for a large model. Ctrl-C ends it.", file=sys.stderr)
    prepare_slow(source, folder)
    places.remember(home, folder)
    if as_json:
        print(json.dumps({"folder": str(folder)}))
    else:
        print(f'{folder} is ready. Use it with `./scripts/run models use "{folder}" --slow 50%`.')
    return 0
