"""What words refer to: a line of evidence, a thing in the picture. Dense labels for the language model.

Knows: how names, boxes and numbered lines are spelled. Does not know: the network, token numbers.

From answers alone the language model is slow to learn which word goes with what: after half a million
questions it still guessed where a named thing stands. Told at the words themselves, it learns to look there.
Every function takes the text of each token, and gives (index of a token, what it refers to).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from demo.quoted import UNKNOWN
from demo.world import COLOURS, SHAPES, Scene, Thing

Place = tuple[float, ...]  # left, top, right, bottom as shares of the picture's sides
_NAME = re.compile(rf"(?:(small|large) )?(?:({'|'.join(COLOURS)}) )?({'|'.join(SHAPES)})\b")
_LINE = re.compile(r"\n\[(\d)\] ([^\n]*)")
_BOX = re.compile(r"\[(\d{3}),(\d{3}),(\d{3}),(\d{3})\]")
_CITED = re.compile(rf'{re.escape(UNKNOWN)}|\[\[(\d)\|"')
_CHANGED = re.compile(rf"(?:changed|different|difference)\?.*?({'|'.join(SHAPES)})", re.DOTALL)


def named(pieces: Sequence[str], scenes: Sequence[Scene]) -> list[tuple[int, Place]]:
    """The last token of each name that means one place of the scenes, which are of one size."""
    found = []
    for match in _NAME.finditer("".join(pieces)):
        meant = {place(t, scene) for scene in scenes for t in scene.things if _fits(t, *match.groups())}
        if len(meant) == 1:
            found += [(i, box) for box in meant for i in _span(pieces, match.end() - 1, match.end())]
    return found


def _fits(thing: Thing, size: str | None, colour: str | None, shape: str) -> bool:
    return (
        thing.shape == shape and (not colour or thing.colour == colour) and (not size or thing.size == size)
    )


def lines(pieces: Sequence[str]) -> list[tuple[int, int]]:
    """The tokens of numbered lines, with the numbers."""
    matches = _LINE.finditer("".join(pieces))
    return [(i, int(m[1])) for m in matches for i in _span(pieces, m.start(2), m.end(2))]


def boxes(pieces: Sequence[str]) -> list[tuple[int, Place]]:
    """The tokens of each written box, with what they spell."""
    found = []
    for match in _BOX.finditer("".join(pieces)):
        box = tuple(int(number) / 1000 for number in match.groups())
        found += [(i, box) for i in _span(pieces, match.start(), match.end())]
    return found


def cited(pieces: Sequence[str]) -> list[tuple[int, int]]:
    """From the end of a question about evidence up to the citation: the number cited, 0 where none is."""
    found, text = [], "".join(pieces)
    for match in _CITED.finditer(text):
        start = text.rfind("?", 0, match.start())
        end = match.start(1) if match[1] else match.end()
        found += [(i, int(match[1] or 0)) for i in _span(pieces, start, end)]
    return found


def changed(pieces: Sequence[str], scenes: Sequence[Scene]) -> list[tuple[int, Place]]:
    """From the end of a question for the difference up to the name of what differs: its place.

    The place before, where it was there before.
    """
    before, after = scenes[:2]
    different = [t for t in before.things if t not in after.things] or [
        t for t in after.things if t not in before.things
    ]
    box = place(different[0], before)
    matches = _CHANGED.finditer("".join(pieces))
    return [
        (i, box) for m in matches for i in _span(pieces, "".join(pieces).index("?", m.start()), m.start(1))
    ]


def place(thing: Thing, scene: Scene) -> Place:
    sides = (scene.width, scene.height, scene.width, scene.height)
    return tuple(edge / side for edge, side in zip(thing.box, sides, strict=True))


def _span(pieces: Sequence[str], start: int, end: int) -> Iterator[int]:
    """Tokens that hold one of the characters from start to end, end excluded."""
    at = 0
    for index, piece in enumerate(pieces):
        if at < end and at + len(piece) > start:
            yield index
        at += len(piece)
