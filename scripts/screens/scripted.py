"""The real app with a scripted engine in the model's place, for pictures of what the demo model cannot do.

usage: python scripted.py [--mac GIB] PORT   (the data folder is GLM_CHAT_HOME)

Knows: the answers to the questions of documents.py, as a good model would give them; of the invoices it reads
    one total wrongly and works out one date by itself, so that the app has something to mark.
    --mac: models are weighed for a Mac with so much memory in place of this computer.
Does not know: how a quotation is checked or a cell marked: the app does that, as with any model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app import titles
from app.config import Config
from app.server import serve
from app.ui import gauge
from mlx_backend import Answer, FakeEngine, Image, Reasoning, Request, Text, imagined
from mlx_backend.fake import Step
from screens.printed import BILLS, PHOTO, Bill

NAME = "Scripted model"
TITLE = "End of lease"
THOUGHTS = (
    "Clause 2 says when the lease ends. ",
    "Leaving before that is in clause 6: a first date, and how notice is given.",
)
NOTICE = (
    "Notice must reach the landlord in writing three months before the end of a calendar month; "
    "an e-mail is not enough"
)
ENDS = f"""The lease is for a fixed term and **ends on 31 August 2028** by itself \
[[1|"It ends on 31 August 2028 without notice being needed"]].

You can leave earlier:

- not before **31 August 2026** [[2|"at the earliest with effect from 31 August 2026"]]
- with **three months' notice** by letter [[2|"{NOTICE}"]]

To move out at the end of March 2027, say, your letter has to be there by the end of December 2026."""


def script(request: Request) -> Sequence[Step]:
    last = request.messages[-1].content
    words = "".join(part.text for part in last if isinstance(part, Text))
    if titles.QUESTION in words:
        return [Answer(TITLE)]
    if request.schema is not None:
        photo = any(isinstance(part, Image) for part in last)
        bill = PHOTO if photo else next(bill for bill in BILLS if bill.number in words)
        return [0.3, Answer(json.dumps({"rows": [_row(bill)]}, ensure_ascii=False))]
    thoughts: list[Step] = [step for piece in THOUGHTS for step in (Reasoning(piece), 0.6)]
    return [*(thoughts if request.thinking else ()), Answer(ENDS)]


def _row(bill: Bill) -> dict[str, Any]:
    total = "301.75" if bill.number == "77310" else bill.total  # misread: the words are nowhere on the page
    within = bill.due.endswith("14 days")  # a date that no page holds
    due = (
        "2026-03-16" if within else _date(bill.due.removeprefix("Payable by ")) if bill is not PHOTO else None
    )
    cells = {
        "date": (f"Date of issue: {bill.date}", _date(bill.date), [110, 360, 480, 400]),
        "supplier": (bill.supplier, bill.supplier, [110, 130, 520, 200]),
        "total": (f"Total to be paid {total} EUR", float(total.replace(",", "")), [110, 610, 890, 670]),
        "due": (bill.due, due, [110, 700, 600, 740]),
    }
    pictured = bill is PHOTO
    return {
        name: {"quote": quote, "page": 1, "value": value, **({"box": box} if pictured else {})}
        for name, (quote, value, box) in cells.items()
    }


def _date(written: str) -> str:
    return datetime.strptime(written, "%d %B %Y").date().isoformat()


if __name__ == "__main__":
    line = argparse.ArgumentParser()
    line.add_argument("--mac", type=int, metavar="GIB")
    line.add_argument("port", type=int)
    asked = line.parse_args()
    if asked.mac:
        gauge.this_machine = lambda ours=0: imagined(asked.mac)
    with FakeEngine(script) as engine:
        sys.exit(serve(Config(model=NAME), engine, port=asked.port, open_browser=False))
