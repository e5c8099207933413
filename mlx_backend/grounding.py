"""Places in a picture, out of the words that spell them.

Knows: the bracket styles GLM-4.5V writes coordinates in, 0 to 1000 of the picture's width and height.
Does not know: tokens, markers, pictures themselves.
"""

from __future__ import annotations

import re

SCALE = 1000
SLACK = 100  # so far outside, a number belongs to a box over the edge; further out it is not in this scale

_NUMBER = r"-?\d+(?:\.\d*)?"
_GROUP = re.compile(rf"\[\s*({_NUMBER}(?:\s*,\s*{_NUMBER})*)\s*\]")
_BRACKETS = re.compile(r"[\s,;\[\]]*")
_PICTURE = re.compile(r"\b(?:image|picture|photo)[\s_#-]*(\d{1,4})\b", re.IGNORECASE)
_EMPHASIS = re.compile(r"\*+|`+")
_ORNAMENT = " \t\r,;:.-–—=>_\"'•#"

Place = tuple[int, ...]  # (x1, y1, x2, y2) or (x, y)


def places(text: str) -> tuple[Place, ...]:
    """The boxes and points that `text` spells, or () when it is anything else.

    Innermost brackets of two numbers are points, of four or a multiple of four boxes; what stands around
    them may only be brackets and commas. Fractions of one are brought to the scale, numbers a little outside
    it are clamped, corners are put in order. One number far outside makes the whole text something else.
    """
    groups = [group.split(",") for group in _GROUP.findall(text)]
    if not groups or not _BRACKETS.fullmatch(_GROUP.sub("", text)):
        return ()
    if any(len(group) != 2 and len(group) % 4 for group in groups):
        return ()
    numbers = [[float(number) for number in group] for group in groups]
    flat = [number for group in numbers for number in group]
    if any("." in number for group in groups for number in group) and all(0 <= n <= 1 for n in flat):
        numbers = [[number * SCALE for number in group] for group in numbers]
    elif not all(-SLACK <= number <= SCALE + SLACK for number in flat):
        return ()
    return tuple(place for group in numbers for place in _places(group))


def _places(numbers: list[float]) -> list[Place]:
    whole = [round(min(max(number, 0), SCALE)) for number in numbers]
    if len(whole) == 2:
        return [tuple(whole)]
    return [_ordered(*whole[i : i + 4]) for i in range(0, len(whole), 4)]


def _ordered(x1: int, y1: int, x2: int, y2: int) -> Place:
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def label(words: str) -> str:
    """What a place is called: the words before it without list marks, emphasis and punctuation around."""
    return _EMPHASIS.sub("", words).strip(_ORNAMENT)


def picture(line: str, count: int) -> int:
    """Index of the picture that a line is about: the one it names last ("image 2"), or the last of all."""
    named = [int(number) - 1 for number in _PICTURE.findall(line)]
    return next((index for index in reversed(named) if 0 <= index < count), count - 1)
