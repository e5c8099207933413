"""The documents in the pictures: a lease of two pages and six invoices, one of them a photo.

Knows: what stands in them, and how a browser prints it. People, firms and addresses are made up.
Does not know: what is asked of them (scripted.py), where they are shown.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

CLAUSES = (
    (
        "The flat",
        "The landlord lets to the tenant the flat on the second floor, left, of 14 Harbour Street, "
        "Westhaven: three rooms, kitchen and bathroom, 78 square metres, with cellar room no. 6. The tenant "
        "receives three keys to the flat and two to the cellar.",
    ),
    (
        "Term",
        "The lease begins on 1 September 2025 and is made for a fixed term of three years. It ends on "
        "31 August 2028 without notice being needed. If both sides wish to go on, they agree on it in "
        "writing before 31 May 2028.",
    ),
    (
        "Rent",
        "The rent is 1,180 EUR a month, and 165 EUR are paid with it in advance for heating and water. Both "
        "are due by the third working day of each month. The advance is settled once a year against the "
        "meters, and the bill is shown to the tenant on request.",
    ),
    (
        "Deposit",
        "The tenant pays a deposit of 2,360 EUR before moving in. The landlord keeps it apart from his own "
        "money and returns it within two months of the keys being handed back, less what is then owed.",
    ),
    (
        "Use",
        "The flat is let for living. It may be sublet in part with the landlord's consent, which is given "
        "where the tenant has a good reason. Between ten at night and seven in the morning, music and "
        "machines are kept so quiet that they are not heard next door.",
    ),
    (
        "Leaving early",
        "The tenant may end the lease before its term, at the earliest with effect from 31 August 2026. "
        "Notice must reach the landlord in writing three months before the end of a calendar month; an "
        "e-mail is not enough. The landlord may do so only for the reasons that the law gives.",
    ),
    (
        "Repairs",
        "The landlord keeps the house and the flat in repair. Small repairs of taps, switches, locks and "
        "blinds are borne by the tenant up to 90 EUR each and 270 EUR in any one year. Damage is reported "
        "within a week of being noticed.",
    ),
    (
        "Animals",
        "Cats and small animals may be kept. A dog needs the landlord's consent in writing, which may be "
        "refused only for a good reason, such as a neighbour's allergy.",
    ),
    (
        "Handing back",
        "At the end of the lease the flat is handed back swept and with all keys. Walls that were painted in "
        "strong colours are to be white again. Both sides walk through the rooms and sign what they found.",
    ),
    (
        "In general",
        "Changes to this agreement are made in writing. Should one clause not hold, the others do.",
    ),
)
LEASE = """<style>
@page {{ size: A4; margin: 24mm 26mm 22mm; }} * {{ print-color-adjust: exact; }}
body {{ font: 12pt/1.5 'Times New Roman', 'Liberation Serif', serif; color: #222; }}
h1 {{ font-size: 22pt; margin: 0 0 2mm; letter-spacing: .01em; }}
h2 {{ font-size: 12.4pt; margin: 5.6mm 0 1mm; }}
p {{ margin: 0; }}
section {{ break-inside: avoid; }} section:nth-of-type(6) {{ break-before: page; }}
.no {{ color: #777; margin: 0 0 6mm; }}
table {{ border-top: .4mm solid #222; border-bottom: .2mm solid #999; width: 100%; padding: 2.5mm 0; }}
td {{ vertical-align: top; padding: .6mm 0; }} td:first-child {{ width: 30mm; color: #777; }}
.signed {{ display: flex; gap: 14mm; margin-top: 17mm; break-inside: avoid; }}
.signed div {{ flex: 1; border-top: .2mm solid #222; padding-top: 1mm; font-size: 9.6pt; color: #777; }}
</style>
<h1>Residential lease</h1><p class=no>Agreement no. WH-2025-0147</p>
<table><tr><td>Landlord<td>Alder Row Homes, 3 Quay Lane, Westhaven<tr><td>Tenant<td>Ines Maurer and Tom Okafor
<tr><td>Flat<td>14 Harbour Street, second floor, left, Westhaven</table>
{clauses}
<div class=signed><div>Westhaven, date, landlord</div><div>Westhaven, date, tenants</div></div>"""


@dataclass(frozen=True)
class Bill:
    """An invoice. date, due, total: as they are written on it. lines: what was bought, and its price."""

    file: str
    supplier: str
    number: str
    date: str
    due: str
    total: str
    lines: tuple[tuple[str, str], ...]
    colour: str = "#1f4e79"


BILLS = (
    Bill(
        "northwind.pdf", "Northwind Cables Ltd", "INV-1041", "31 January 2026", "Payable by 2 March 2026",
        "1,204.50", (("Copper wire 2.5 mm, 4 reels", "980.00"), ("Cable ties, 12 boxes", "224.50")),
    ),
    Bill(
        "mueller.pdf", "Müller & Söhne GmbH", "R-2026-0288", "3 February 2026", "Payable by 17 February 2026",
        "88.00", (("Service call, one hour", "64.00"), ("Travel", "24.00")), "#6b3f1d",
    ),
    Bill(
        "fjord.pdf", "Fjord Paper AS", "77310", "11 February 2026", "Payable by 13 March 2026",
        "310.75", (("Paper A4, 50 reams", "275.00"), ("Freight", "35.75")), "#1d6b57",
    ),
    Bill(
        "crane hire.pdf", "Harbour Crane Hire", "HC-5502", "28 February 2026", "Payable by 30 March 2026",
        "7,000.00", (("Mobile crane 40 t, two days", "6,400.00"), ("Crew", "600.00")), "#8a1c1c",
    ),
    Bill(
        "baker.pdf", "Baker & Daughters", "0419", "2 March 2026", "Payable within 14 days",
        "42.10", (("Sandwiches, 12", "36.00"), ("Coffee", "6.10")), "#5b3a86",
    ),
    Bill(
        "receipt.png", "Quay Hardware", "K-90117", "9 March 2026", "Paid in cash",
        "63.40", (("Padlocks, 4", "51.40"), ("Oil, 0.5 l", "12.00")), "#333333",
    ),
)  # fmt: skip
PHOTO = BILLS[-1]
INVOICE = """<style>
@page {{ size: A5; margin: 15mm; }} * {{ print-color-adjust: exact; }}
body {{ font: 10.5pt/1.5 Helvetica, Arial, 'Liberation Sans', sans-serif; color: #222; margin: 0; }}
h1 {{ color: {colour}; font-size: 17pt; margin: 0; }} .where {{ color: #777; margin: 0 0 9mm; }}
h2 {{ font-size: 13pt; margin: 0 0 1mm; }}
table {{ width: 100%; border-collapse: collapse; margin: 7mm 0; }}
td {{ padding: 1.8mm 0; border-bottom: .2mm solid #ccc; }} td + td {{ text-align: right; }}
tr:last-child td {{ border-bottom: 0; border-top: .5mm solid {colour}; font-weight: bold; font-size: 12pt; }}
</style>
<h1>{supplier}</h1><p class=where>Westhaven</p><h2>Invoice {number}</h2>
<p>Date of issue: {date}<br>For: Alder Row Homes, 3 Quay Lane</p>
<table>{rows}<tr><td>Total to be paid</td><td>{total} EUR</td></tr></table><p>{due}. Thank you.</p>"""


def lease(browser: Browser, folder: Path) -> Path:
    """The agreement as a PDF of two pages, Lease.pdf."""
    numbered = "".join(
        f"<section><h2>{n}. {title}</h2><p>{words}</p></section>"
        for n, (title, words) in enumerate(CLAUSES, 1)
    )
    return _print(browser, LEASE.format(clauses=numbered), folder / "Lease.pdf")


def invoices(browser: Browser, folder: Path) -> list[Path]:
    """All of BILLS, in their order."""
    return [
        (_photograph if bill is PHOTO else _print)(browser, _invoice(bill), folder / bill.file)
        for bill in BILLS
    ]


def _invoice(bill: Bill) -> str:
    rows = "".join(f"<tr><td>{what}</td><td>{price} EUR</td></tr>" for what, price in bill.lines)
    words = {
        name: html.escape(getattr(bill, name)) for name in ("supplier", "number", "date", "due", "total")
    }
    return INVOICE.format(rows=rows, colour=bill.colour, **words)


def _print(browser: Browser, words: str, file: Path) -> Path:
    sheet = browser.new_page()
    sheet.set_content(f"<!doctype html><meta charset=utf-8><title>{file.stem}</title>{words}")
    sheet.pdf(path=file, prefer_css_page_size=True)
    sheet.close()
    return file


def _photograph(browser: Browser, words: str, file: Path) -> Path:
    """As if it lay a little askew on a table."""
    sheet = browser.new_page(viewport={"width": 560, "height": 560}, device_scale_factor=1.5)
    sheet.set_content(f"<!doctype html><meta charset=utf-8><body style='padding:48px'>{words}")
    paper = Image.open(BytesIO(sheet.screenshot())).convert("RGBA")
    sheet.close()
    table = Image.new("RGB", (1000, 1000), "#8d7862")
    askew = paper.rotate(2.5, Image.Resampling.BICUBIC, expand=True)
    table.paste(askew, ((1000 - askew.width) // 2, (1000 - askew.height) // 2), askew)
    table.save(file)
    return file
