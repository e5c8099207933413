"""The options of the command `documents` and what its help teaches.

Knows: argparse. Does not know: what a library is, how a file is read.
"""

from __future__ import annotations

import argparse
from typing import Any

DOCUMENTS = """\
The library: documents that every chat can use, read once and kept until you take them out.

  ./scripts/run documents                            what the library holds, and which chats use it
  ./scripts/run documents add lease.pdf prices.xlsx  read files into it; the chat may be open
  ./scripts/run documents remove lease.pdf           take one out; chats that have it keep it
  ./scripts/run documents show lease.pdf             what a file, or one of the library, reads as: its pages,
                                                     headings, what is missing, how many tokens
  ./scripts/run documents show lease.pdf --text      the text itself, as the model gets it
  ./scripts/run ask "When does it end?" --document lease.pdf
                                                     a file, or a name from the library, answers

PDF, Word, PowerPoint, Excel, CSV, HTML, EPUB, Markdown, text, source code and scans, known by content and not
by name. Each is read in a process of its own; what cannot be read says why. Nothing leaves this computer.
"""
ACTS = {
    "list": "what the library holds (default)",
    "add": "read files into it",
    "remove": "take one out",
    "show": "what a file reads as",
}


def add_documents(commands: Any, form: dict[str, Any]) -> None:
    """Add the command to the others. form: how each of them shows its help."""
    documents = commands.add_parser(
        "documents",
        help="the library: list, add, remove; what a file reads as",
        description=DOCUMENTS,
        **form,
    )
    documents.set_defaults(command=run, act="list")
    documents.add_argument("--json", action="store_true", help="print JSON instead")
    acts = documents.add_subparsers(metavar="ACT")
    for act, told in ACTS.items():
        one = acts.add_parser(act, help=told, description=told.capitalize() + ".", **form)
        one.set_defaults(act=act)
        one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON instead")
        if act == "add":
            one.add_argument("files", metavar="FILE", nargs="+", help="what to read")
        if act in ("remove", "show"):
            one.add_argument(
                "name",
                metavar="NAME",
                help="as the list shows it" if act == "remove" else "a file, or a name from the list",
            )
        if act == "show":
            one.add_argument("--text", action="store_true", help="print the text of every page")


def run(options: argparse.Namespace) -> int:
    from . import shelving  # SQLite

    if options.act == "add":
        return shelving.add(options.files, options.json)
    if options.act == "remove":
        return shelving.remove(options.name, options.json)
    if options.act == "show":
        return shelving.show(options.name, options.text, options.json)
    return shelving.listed(options.json)
