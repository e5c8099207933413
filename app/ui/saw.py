"""What the model was shown for each answer, as the page tells it under the answer.

Knows: which stored file each thing that was shown is, which moments of a long video are worth a picture.
Does not know: how it is drawn (saw.js), how a time in an answer becomes a link (seek.js), Gradio.

What an answer says it saw may come from an imported file: it is shown as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from app.store import Message, Part
from app.turn import left_out
from app.ui.sizes import change

MOST = 60  # moments of one video that the page draws
LARGEST = 1 << 53  # whole numbers up to here are the same in the browser
LONGEST = 1_000_000  # seconds, and the most moments of one video


def given(path: Sequence[Message]) -> Iterator[tuple[Message, list[Part]]]:
    """Each answer with the pictures and videos the model was given for it, in the order it got them."""
    before: list[Part] = []
    for question, answer in zip(path[::2], path[1::2], strict=False):
        own = [*_drawn_pages(question), *(p for p in question.parts if p.type in ("image", "video"))]
        yield answer, [*before, *own]
        if not left_out(answer):
            before += own


def _drawn_pages(question: Message) -> list[Part]:
    """Pictures of documents' pages that came with a question; they are no files of their own."""
    return [Part("image") for *_, picture, _ in question.evidence.get("places", ()) if picture]


def seen(path: Sequence[Message]) -> dict[str, dict[str, Any]]:
    """By answer, what saw.js tells: {media: [...], tokens: of them all, text: tokens of the rest or None}.

    Each of media: {name, video, src: its address or "", original: [w, h], size: [w, h], change: "shrunk",
    "enlarged" or "", tokens, moments: seconds, at most MOST, pairs: how many there were, length: seconds}.
    Answers that say nothing usable, or saw nothing, are not in it.
    """
    found: dict[str, dict[str, Any]] = {}
    for answer, files in given(path):
        shown = answer.stats.get("saw")
        if isinstance(shown, list) and shown and all(_usable(one) for one in shown):
            found[answer.id] = _told(shown, files, answer.stats.get("prompt_tokens"))
    return found


def _told(shown: Sequence[Mapping[str, Any]], files: Sequence[Part], prompt: Any) -> dict[str, Any]:
    kinds = [part.type == "video" for part in files]
    same = kinds == [one["video"] for one in shown]  # else nobody knows which is which
    sources = (
        [f"/media/{part.sha256}" if part.sha256 else "" for part in files] if same else [""] * len(shown)
    )
    tokens = sum(one["tokens"] for one in shown)
    return {
        "media": [_one(one, source) for one, source in zip(shown, sources, strict=True)],
        "tokens": tokens,
        "text": int(prompt) - tokens if _number(prompt, LARGEST) and prompt >= tokens else None,
    }


def _one(shown: Mapping[str, Any], source: str) -> dict[str, Any]:
    return {
        "name": shown["name"][:200],
        "video": shown["video"],
        "src": source,
        "original": list(shown["original"]),
        "size": [shown["width"], shown["height"]],
        "change": change(shown["original"], (shown["width"], shown["height"])),
        "tokens": shown["tokens"],
        "moments": [round(second, 3) for second in evenly(shown["moments"], MOST)],
        "pairs": len(shown["moments"]),
        "length": shown["length"],
    }


def evenly(moments: Sequence[float], most: int) -> list[float]:
    """At most so many of the moments, the first and the last among them."""
    if len(moments) <= most:
        return list(moments)
    return [moments[round(n * (len(moments) - 1) / (most - 1))] for n in range(most)]


# --- what cannot be trusted ------------------------------------------------------------------------------


def _usable(one: Any) -> bool:
    """Whether it is a Shown of mlx_backend as JSON gives it back."""
    if not isinstance(one, dict) or not isinstance(one.get("name"), str):
        return False
    original, moments = one.get("original"), one.get("moments")
    return (
        isinstance(one.get("video"), bool)
        and isinstance(original, list | tuple)
        and len(original) == 2
        and all(_whole(side) for side in (*original, one.get("width"), one.get("height"), one.get("tokens")))
        and isinstance(moments, list | tuple)
        and len(moments) <= LONGEST
        and all(_number(second, LONGEST) for second in (*moments, one.get("length")))
    )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and _number(value, LARGEST)


def _number(value: Any, most: int) -> TypeGuard[float]:
    """A number from 0 to most; no truth value, nothing infinite."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value <= most  # also false of what is not a number
