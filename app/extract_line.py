"""The options of the command `extract` and what its help teaches.

Knows: argparse. Does not know: what a table is, how one is filled.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .ask_line import MODEL
from .config import default_model

EXTRACT = """\
Fill a table from files: one row for each thing in them, every value with the words it is taken from, which
the program looks for on their page. PDF, pictures, Word, Excel, slides, web pages, text.

  ./scripts/run extract --columns "number, date (date), supplier, total (number)" invoices/*.pdf
  ./scripts/run extract --columns "…" invoices/*.pdf --output invoices.csv      .csv, .xlsx or .json
  ./scripts/run extract --columns "…" invoices/*.pdf --output invoices.csv --resume
  ./scripts/run extract --columns "item, price (number)" --row "one row for each item" order.pdf
  ./scripts/run extract --schema invoice.json invoices/*.pdf --output invoices.json

A column is a name; in brackets behind it what belongs there: number, date, yes/no, words to choose from as
(open | paid), or a hint as (number, with tax). A JSON schema describes one row, or a list of them.

In the terminal a value is marked ? where its words were not found in the file, ! where they were found and
do not hold it, and * where it was read off a picture, which nothing can be compared with. Look at those
yourself.

Ctrl-C stops; what is finished is kept. The same command with --resume goes on with the files that are
missing, that failed or that have changed since. A file that cannot be read is a row with the reason.
"""


def add_extract(commands: Any, form: dict[str, Any], then: Callable[[argparse.Namespace], int]) -> None:
    """Add the command to the others. form: how each of them shows its help. then: what it does."""
    extract = commands.add_parser("extract", help="a table out of files", description=EXTRACT, **form)
    add = extract.add_argument
    add("files", metavar="FILE", nargs="+", help="what to read, in this order")
    what = extract.add_mutually_exclusive_group(required=True)
    what.add_argument("--columns", metavar="TEXT", help="the table's columns; see above")
    what.add_argument("--schema", metavar="FILE", type=Path, help="a JSON schema in their place")
    add("--row", metavar="TEXT", default="", help="what a row is, where that is not plain")
    add("--output", metavar="FILE", type=Path, help="save the table there: .csv, .xlsx or .json")
    add("--resume", action="store_true", help="go on with a run of the same files that did not end")
    add("--model", default=default_model(), help=MODEL)
    extract.set_defaults(command=then)
