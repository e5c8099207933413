"""The conversations whose logits are compared with the reference: token ids, patch rows and grids.

Shared by the script that makes the golden files and the tests that read them; patch rows are random, drawn
again from the same seed rather than stored.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

Grid = tuple[int, int, int]
Tokenize = Callable[[str], Sequence[int]]


@dataclass(frozen=True)
class Picture:
    """A picture of gh x gw patches."""

    grid: Grid


@dataclass(frozen=True)
class Clip:
    """A video: `pairs` pairs of frames of one grid, a second apart."""

    pairs: int
    grid: Grid


Piece = str | Picture | Clip
START, ASK = "[gMASK]<sop><|user|>\n", "<|assistant|>\n"


def _picture(height: int, width: int) -> Picture:
    return Picture((1, height, width))


CASES: dict[str, tuple[Piece, ...]] = {
    "text": (START, "hello world, what is in this image? the quick brown fox", ASK),
    "image 24x24": (START, _picture(24, 24), "what is this?", ASK),
    "image 12x16": (START, _picture(12, 16), "what is this?", ASK),
    "image 16x28": (START, "look: ", _picture(16, 28), "what is this?", ASK),
    "image 48x48": (START, _picture(48, 48), "what is this?", ASK),
    "image 80x60": (START, _picture(80, 60), "what is this?", ASK),
    "two images": (START, _picture(12, 16), "and", _picture(20, 8), "what is this?", ASK),
    "three images": (START, _picture(8, 12), _picture(16, 10), " then ", _picture(12, 12), "compare.", ASK),
    "video 3 pairs": (START, Clip(3, (1, 12, 8)), "describe the video", ASK),
    "video 8 pairs": (START, Clip(8, (1, 8, 10)), "describe the video", ASK),
    "image then video": (START, _picture(12, 16), "then", Clip(3, (1, 12, 8)), "describe", ASK),
    "video then image": (START, Clip(3, (1, 12, 8)), "then", _picture(12, 16), "describe", ASK),
}


@dataclass(frozen=True)
class Input:
    """A case as the model takes it. grids: one per picture and pair, in prompt order."""

    ids: list[int]
    patches: npt.NDArray[np.float32] | None
    grids: list[Grid]


def build(name: str, tokenize: Tokenize) -> Input:
    """The input of a case; `tokenize` maps text with control tokens spelled out to ids."""
    text, grids = [], []
    for piece in CASES[name]:
        if isinstance(piece, str):
            text.append(piece)
        elif isinstance(piece, Picture):
            text.append(_block(piece.grid))
            grids.append(piece.grid)
        else:
            seconds = "".join(_block(piece.grid) + str(second) for second in range(piece.pairs))
            text.append(f"<|begin_of_video|>{seconds}<|end_of_video|>")
            grids += [piece.grid] * piece.pairs
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    rows = sum(prod(grid) for grid in grids)
    patches = rng.standard_normal((rows, 1176), dtype=np.float32) if rows else None
    return Input(list(tokenize("".join(text))), patches, grids)


def _block(grid: Grid) -> str:
    return "<|begin_of_image|>" + "<|image|>" * (prod(grid) // 4) + "<|end_of_image|>"


def rows_kept(length: int) -> npt.NDArray[np.int64]:
    """Positions whose logits are stored: spread over the prompt, and the last four."""
    return np.unique(np.r_[np.linspace(0, length - 1, 12).astype(np.int64), np.arange(length - 4, length)])
