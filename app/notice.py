"""A page by itself that says one thing, where the window is not to be had: before it opens, after its end.

Knows: the sheet that such a page is, the files of its words. Does not know: who sends it, and when.
"""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"
CLOSED, ENDED = ASSETS / "closed.html", ASSETS / "ended.html"


def notice(words: Path) -> str:
    """The whole page. words: CLOSED or ENDED, ours like the sheet: nothing a person wrote comes in here."""
    sheet = (ASSETS / "notice.html").read_text(encoding="utf-8")
    return sheet.replace("<!-- words -->", words.read_text(encoding="utf-8").strip())
