"""The options of the command `models` and what its help teaches.

Knows: argparse. Does not know: what a model is, what the commands do beyond calling them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from app.config import data_folder
from app.switches_line import add_switches

MODELS = """\
Models: which there are, which of them are here; fetch one, check one, delete one.

  ./scripts/run models                                           every model, its size, whether it is here
  ./scripts/run models download mlx-community/GLM-4.5V-4bit      into the app's own folder
  ./scripts/run models download NAME --to "/Volumes/Big Disk"    onto another disk, remembered from then on
  ./scripts/run models download NAME --endpoint https://MIRROR   from a mirror of the model hub
  ./scripts/run models download NAME --from /Volumes/Stick/GLM   from a folder, without any network
  ./scripts/run models verify NAME                               read it all again and compare checksums
  ./scripts/run models delete NAME                               and say how much room that made
  ./scripts/run models use NAME --kv-bits 8 --vision late        let it answer from the next start on, run so
  ./scripts/run models prepare NAME FOLDER                       a copy for slow mode: see use --slow

A download can be stopped at any moment, by Ctrl-C, a crash or a closed lid: the same command goes on where
it ended. Every file is compared with its published checksum before the model counts as here, and room on the
disk is looked at before the first byte. NAME is OWNER/NAME as on huggingface.co, or a folder. Once a model is
here, nothing needs the network any more.
"""
ACTS = {
    "list": "show every model (default)",
    "download": "fetch one, go on with it, or repair one that is damaged",
    "verify": "compare every file with its checksum",
    "delete": "delete one",
    "use": "let one answer from the next start on, and say how it is run",
    "prepare": "write a copy of one whose experts can be read from the disk as they are needed",
}


def add_models(commands: Any, form: dict[str, Any]) -> None:
    """Add the command to the others. form: how each of them shows its help."""
    models = commands.add_parser(
        "models", help="which there are; download, verify, delete", description=MODELS, **form
    )
    models.set_defaults(command=run, act="list")
    models.add_argument("--json", action="store_true", help="print JSON instead")
    acts = models.add_subparsers(metavar="ACT")
    for act, told in ACTS.items():
        one = acts.add_parser(act, help=told, description=told.capitalize() + ".", **form)
        one.set_defaults(act=act)
        one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON instead")
        if act != "list":
            what = "OWNER/NAME as on huggingface.co" + ("" if act == "download" else ", or a folder")
            what += "; demo" if act == "use" else ""
            one.add_argument("name", metavar="NAME", help=what)
        if act == "download":
            _add_sources(one)
        if act == "use":
            add_switches(one)
        if act == "prepare":
            one.add_argument("folder", metavar="FOLDER", type=Path, help="a new one; as large as the model")


def _add_sources(download: argparse.ArgumentParser) -> None:
    download.add_argument("--to", metavar="FOLDER", type=Path, help="put it there; remembered from then on")
    source = download.add_mutually_exclusive_group()
    source.add_argument(
        "--endpoint",
        metavar="URL",
        default="",
        help="a mirror of the hub; default: HF_ENDPOINT, else the hub",
    )
    source.add_argument("--from", metavar="FOLDER", type=Path, dest="source", help="copy it from that folder")


def run(options: argparse.Namespace) -> int:
    from . import models, using

    home = data_folder()
    if options.act == "download":
        return models.download(home, options.name, options.json, options.to, options.endpoint, options.source)
    if options.act == "verify":
        return models.verify(home, options.name, options.json)
    if options.act == "use":
        return using.use(home, options.name, options.json, options)
    if options.act == "prepare":
        return using.prepare(home, options.name, options.folder, options.json)
    if options.act == "delete":
        return models.delete(home, options.name, options.json)
    return models.show(home, options.json)
