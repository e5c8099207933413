"""A printed word or number on a light ground.

Knows: the words, Pillow's built-in font, where each letter stands.
Does not know: questions, tokens, training.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from demo.word_lists import word_list
from demo.world import COLOURS, Box, Colour, light

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
INKS = ("black", "blue", "red", "green", "purple")
SMALLEST, LARGEST = 20, 48  # font sizes in pixels

WORDS = word_list("printed")


def _kept_back(word: str) -> bool:
    """A fifth of the words: never shown in training, asked for in the exam."""
    return zlib.crc32(word.encode()) % 5 == 0


TRAINING_WORDS = [word for word in WORDS if not _kept_back(word)]
EXAM_WORDS = [word for word in WORDS if _kept_back(word)]


@dataclass(frozen=True)
class Print:
    """A picture of one word. letters: the box of each."""

    width: int
    height: int
    ground: Colour
    ink: str
    text: str
    size: int
    at: tuple[int, int]

    @property
    def letters(self) -> list[tuple[str, Box]]:
        ends = [font(self.size).getlength(self.text[:n]) for n in range(len(self.text) + 1)]
        top, bottom = cap_height(self.size)
        x, y = self.at
        return [
            (letter, (x + round(a), y + top, x + round(b), y + bottom))
            for letter, a, b in zip(self.text, ends, ends[1:], strict=False)
        ]


@lru_cache(maxsize=64)
def font(size: int) -> Any:
    return ImageFont.load_default(size)


@lru_cache(maxsize=64)
def cap_height(size: int) -> tuple[int, int]:
    """Top and bottom of capitals below the point that text is drawn at."""
    _, top, _, bottom = font(size).getbbox("H0")
    return int(top), int(bottom)


def random_text(rng: Random) -> str:
    """A word or a number to learn from; a third spells nothing, so that letters are read one by one."""
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(TRAINING_WORDS)
    if kind < 0.7:
        return "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 6)))
    return random_number(rng)


def random_number(rng: Random) -> str:
    digits = rng.randint(1, 6)
    return str(rng.randint(10 ** (digits - 1), 10**digits - 1))


def random_print(rng: Random, width: int, height: int, text: str) -> Print:
    """The text somewhere in the picture; shortened where not even its smallest print has room."""
    while True:
        sizes = [size for size in range(SMALLEST, LARGEST + 1, 2) if _fits(text, size, width, height)]
        if sizes:
            break
        text = text[:-1]
    size = rng.choice(sizes)
    top, bottom = cap_height(size)
    x = rng.randint(2, max(2, width - 2 - int(font(size).getlength(text) + 1)))
    y = rng.randint(2 - top, max(2 - top, height - 2 - bottom))
    return Print(width, height, light(rng), rng.choice(INKS), text, size, (x, y))


def _fits(text: str, size: int, width: int, height: int) -> bool:
    top, bottom = cap_height(size)
    return font(size).getlength(text) + 5 <= width and bottom - top + 4 <= height


def draw_print(page: Print) -> Image.Image:
    picture = Image.new("RGB", (page.width, page.height), page.ground)
    ImageDraw.Draw(picture).text(page.at, page.text, fill=COLOURS[page.ink], font=font(page.size))
    return picture
