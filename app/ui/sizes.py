"""The words and figures of the composer: sizes, tokens, times. Pure: values in, words out.

Knows: how what is measured is told in one line, what a person may type as a moment of a video.
Does not know: how anything is measured, the page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from app.ahead import State
from app.documents.coming import Coming
from app.look import FASTEST, SLOWEST
from mlx_backend import Shown, Status

WHOLE: Mapping[str, float] = MappingProxyType({})  # the look at a clip about which nothing was chosen
GRID = 28  # pixels: every size is brought onto this grid, which alone is not called shrinking
_MOMENT = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,6}(?:[.,]\d{1,3})?)")
NEITHER = "This is neither a picture, a video nor a document that can be read. Remove it and send again."
UNREAD = "Its pages are read when you send it"
KINDS = {
    "pdf": "PDF", "docx": "Word document", "pptx": "Slides", "xlsx": "Workbook", "csv": "Table",
    "html": "Web page", "epub": "Book", "markdown": "Markdown", "text": "Text", "source": "Source code",
}  # fmt: skip
FROM_NO_TIME = "The range begins at a time like 0:05 or 65."
TO_NO_TIME = "The range ends at a time like 0:05 or 65."


# --- what a person chooses for a video -------------------------------------------------------------------


def moment(words: str) -> float:
    """Seconds: 65, 65.5, 1:05 or 1:02:03. Raises ValueError for anything else."""
    found = _MOMENT.fullmatch(words.strip())
    if not found:
        raise ValueError(words)
    hours, minutes, last = found[1], found[2], float(found[3].replace(",", "."))
    if (minutes is not None and last >= 60) or (hours is not None and int(minutes) >= 60):
        raise ValueError(words)
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + last


def look(raw: object) -> dict[str, float]:
    """{fps, from, to}, words as a page sends them -> {fps, start, end}, those that were chosen.

    Raises ValueError, in words for the person, for a range that cannot be meant.
    """
    given = raw if isinstance(raw, Mapping) else {}
    found: dict[str, float] = {}
    if (rate := _number(given.get("fps"))) is not None:
        found["fps"] = min(max(rate, SLOWEST), FASTEST)
    start = _given(given.get("from"), FROM_NO_TIME)
    end = _given(given.get("to"), TO_NO_TIME)
    if end is not None and end <= (start or 0.0):
        raise ValueError(f"The range ends at {clock(end)}, which is not after {clock(start or 0.0)}.")
    return found | ({"start": start} if start else {}) | ({"end": end} if end is not None else {})


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _given(words: object, otherwise: str) -> float | None:
    if not isinstance(words, str) or not words.strip():
        return None
    try:
        return moment(words)
    except ValueError:
        raise ValueError(otherwise) from None


def clock(seconds: float) -> str:
    """0:05, 12:00, 1:02:03; a part of a second only where there is one: 0:02.5."""
    whole, part = divmod(round(seconds * 10), 10)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    front = f"{hours}:{minutes:02d}" if hours else str(minutes)
    return f"{front}:{rest:02d}" + (f".{part}" if part else "")


# --- a file ----------------------------------------------------------------------------------------------


def chip(shown: Shown, look: Mapping[str, float] = WHOLE) -> dict[str, Any]:
    """What stands on a file's chip: {size, cost, change: shrunk, enlarged or nothing}. look: of `look`."""
    cost = f"{shown.tokens:,} {'token' if shown.tokens == 1 else 'tokens'}"
    return {
        "size": size(shown),
        "change": change(shown.original, (shown.width, shown.height)),
        "cost": f"{cost} · {clip(shown, look)}" if shown.video else cost,
    }


def size(shown: Shown) -> str:
    """In the file, and as the model gets it where that differs."""
    before, after = pixels(*shown.original), pixels(shown.width, shown.height)
    return after if before == after else f"{before} → {after}"


def pixels(width: int, height: int) -> str:
    return f"{width}\u00a0×\u00a0{height}"  # never broken between two lines


def change(original: Sequence[int], final: Sequence[int]) -> str:
    """Shrunk or enlarged, where a side changes by more than the grid asks for. Width and height."""
    by = [after - before for before, after in zip(original, final, strict=True)]
    if min(by) < -GRID:
        return "shrunk"
    return "enlarged" if max(by) > GRID else ""


def clip(shown: Shown, look: Mapping[str, float]) -> str:
    """Length, the span that is looked at, its frames and, where there is more than one pair, their rate."""
    span = clock(shown.length)
    if "start" in look or "end" in look:
        end = min(look.get("end", shown.length), shown.length)
        span = f"{clock(look.get('start', 0.0))}–{clock(end)} / {span}"
    told = f"{span} · {2 * len(shown.moments):,} frames"
    if len(shown.moments) < 2:
        return told
    pairs = (len(shown.moments) - 1) / max(0.001, shown.moments[-1] - shown.moments[0])
    return f"{told} · {_rate(2 * pairs)} a second"


def _rate(per_second: float) -> str:
    return (
        f"{per_second:.2f}".rstrip("0").rstrip(".")
        if per_second < 1
        else f"{per_second:.1f}".removesuffix(".0")
    )


# --- a document ------------------------------------------------------------------------------------------


def paper(kind: str, size: int, state: State, coming: Coming | None) -> dict[str, Any]:
    """Its chip: as of `chip`, and {kind, note: what of it is missing, reading: whether it is still read}.

    size: bytes. coming: what the question reads of it, once that is known.
    """
    told = [KINDS.get(kind, "Document"), stored(size)]
    if not state.over:
        cost = reading(state.done, state.total)
    elif coming is None or state.read is None:
        cost = UNREAD
    else:
        told.insert(1, pages(coming.total))
        cost = str(coming)
    return {
        "kind": kind or "document",
        "size": " · ".join(told),
        "change": "",
        "cost": cost,
        "note": " ".join(state.read.document.problems) if state.read else "",
        "reading": not state.over,
    }


def reading(done: int, total: int) -> str:
    """How far a document is read. total: 0 while nobody knows."""
    return f"Reading… page {done:,} of {total:,}" if total else "Reading…"


def pages(count: int) -> str:
    return f"{count:,} {'page' if count == 1 else 'pages'}"


def stored(size: int) -> str:
    """Bytes as a person says them."""
    if size < 1e6:
        return f"{max(1, round(size / 1e3)):,} kB"
    return f"{size / 1e6:,.1f} MB" if size < 1e8 else f"{size / 1e6:,.0f} MB"


# --- picture detail --------------------------------------------------------------------------------------


def bound(most: int | None) -> str:
    return f"at most {most:,} tokens a picture" if most else "as the model was made for"


def detail(shown: Sequence[Shown]) -> str:
    """Sizes and tokens of the attached files at one detail."""
    sizes = ", ".join(pixels(one.width, one.height) for one in shown)
    return f"{sizes} · {sum(one.tokens for one in shown):,} tokens"


# --- the whole message -----------------------------------------------------------------------------------


def fills(added: int, tokens: int, limit: int, documents: bool = False) -> str:
    """added: tokens of the message alone. documents: pages are among them, whose tokens are estimates."""
    share = 100 * tokens / max(1, limit)
    percent = "less than 1" if share < 1 else str(int(share))
    words = "token" if added == 1 else "tokens"
    filled = f"the conversation then fills {percent} % of {limit:,}"
    if documents:
        return f"This message and its documents: about {added:,} {words}; {filled}"
    return f"This message: {added:,} {words}; {filled}"


def unread(added: int, documents: int) -> str:
    """A document has no tokens before its pages are read."""
    words = "token" if added == 1 else "tokens"
    pages = "its document's pages" if documents == 1 else "its documents' pages"
    return f"This message: {added:,} {words} and {pages}, counted once they are read"


def first_word(seconds: float, status: Status) -> str:
    """How long until the first word: only what reading takes, and what else is waited for."""
    first = " · first word in about " + _about(seconds)
    if status.state == "busy" or status.waiting:
        return first + " once the answer under way is finished"
    return first if status.state == "idle" else first + " once the model is loaded"


def _about(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def helps(everything: Sequence[Shown], own: Sequence[Shown], detail: str, follows: bool) -> list[str]:
    """What would make the message fit. own: of its files; follows: there is a conversation before it."""
    offers = []
    if detail != "low" and everything:
        offers.append("lower picture detail")
    if any(one.video for one in own):
        offers.append("fewer frames of the video")
    if own:
        offers.append("fewer files")
    if follows:
        offers.append("a new chat")
    return offers or ["a shorter message"]


def too_long(tokens: int, limit: int, offers: Sequence[str]) -> str:
    """The prompt alone must leave room for one token of the answer."""
    listed = " or ".join([", ".join(offers[:-1]), offers[-1]] if len(offers) > 1 else offers)
    return (
        f"This does not fit: {tokens:,} tokens, {tokens - limit + 1:,} too many of {limit:,}. "
        f"What helps: {listed}."
    )
