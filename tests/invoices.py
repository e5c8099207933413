"""Invoices made at test time, and a script that reads them as a model would, quotations and all.

Knows: what stands on them and how a question of app/extract looks.
Does not know: what any test wants of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from papers import pdf, workbook
from PIL import Image, ImageDraw

from mlx_backend import Answer, Request, Text
from mlx_backend import Image as Picture
from mlx_backend.fake import Step

COLUMNS = "number, date (date), supplier, total (number)"
BILLS = (
    ("INV-1041", "2026-01-31", "Northwind Cables Ltd", "1,204.50"),
    ("INV-1042", "2026-02-03", "Müller & Söhne GmbH", "88.00"),
    ("INV-1043", "2026-02-11", "Fjord Paper AS", "310.75"),
    ("INV-1044", "2026-02-28", "上海电缆有限公司", "9,950.00"),
    ("INV-1045", "2026-03-02", "Baker & Daughters", "42.10"),
    ("INV-1046", "2026-03-09", "Harbour Crane Hire", "7,000.00"),
)


def lines(number: str, date: str, supplier: str, total: str) -> list[str]:
    return [
        f"Supplier of goods: {supplier}",
        f"Invoice number: {number}",
        f"Date of issue: {date}",
        "Two boxes of cable ties and one reel of copper wire",
        f"Total to be paid: {total} EUR within thirty days",
    ]


def invoices(folder: Path, count: int = len(BILLS)) -> list[Path]:
    """So many PDFs: invoice 1.pdf, invoice 2.pdf, …"""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for at, bill in enumerate(BILLS[:count], 1):
        file = folder / f"invoice {at}.pdf"
        file.write_bytes(pdf([lines(*bill)]))
        files.append(file)
    return files


def pictured(file: Path, bill: Sequence[str] = BILLS[0]) -> Path:
    """A photo of one."""
    image = Image.new("RGB", (900, 600), "white")
    ImageDraw.Draw(image).multiline_text((40, 60), "\n".join(lines(*bill)), fill="black", font_size=26)
    image.save(file)
    return file


def listed(file: Path) -> Path:
    """A workbook with all of them, one a row."""
    rows = [("Number", "Date", "Supplier", "Total"), *(tuple(bill) for bill in BILLS)]
    return workbook(file, {"Bills": rows})


LINES = {
    "supplier": r"Supplier of goods: (.+)",
    "number": r"Invoice number: (\S+)",
    "date": r"Date of issue: (\S+)",
    "total": r"Total to be paid: (\S+) EUR",
}


def reading(request: Request) -> list[Step]:
    """What stands on the pages, as a good model would say it; of a picture, what the first says."""
    words = "".join(part.text for part in request.messages[-1].content if isinstance(part, Text))
    if any(isinstance(part, Picture) for part in request.messages[-1].content):
        return said([_seen(BILLS[0])])
    if "Number | Date | Supplier | Total" in words:
        return said([_row(bill, " | ".join(bill), 1) for bill in BILLS if bill[0] in words])
    page = int(re.findall(r'^\[\w+ page (\d+) · "', words, re.MULTILINE)[0])
    cells = {}
    for name, pattern in LINES.items():
        found = re.search(pattern, words)
        value = found[1].replace(",", "") if found and name == "total" else found[1] if found else None
        cells[name] = {
            "quote": found[0] if found else "",
            "page": page if found else 0,
            "value": float(value) if value and name == "total" else value,
        }
    return said([cells])


def said(rows: Sequence[object]) -> list[Step]:
    text = json.dumps({"rows": rows}, ensure_ascii=False)
    return [Answer(text[at : at + 40]) for at in range(0, len(text), 40)]


def _row(bill: Sequence[str], quote: str, page: int) -> dict[str, object]:
    number, date, supplier, total = bill
    values = {"number": number, "date": date, "supplier": supplier, "total": float(total.replace(",", ""))}
    return {name: {"quote": quote, "page": page, "value": value} for name, value in values.items()}


def _seen(bill: Sequence[str]) -> dict[str, object]:
    row = _row(bill, "Invoice number", 1)
    return {name: {**cell, "box": [40, 100, 400, 160]} for name, cell in row.items()}  # type: ignore[dict-item]
