"""What lies under each picture token: dense labels for the tower.

Knows: which class, letters and box a token's square of pixels shows. Does not know: the network, questions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from demo.clips import Clip
from demo.lessons import Medium
from demo.meanings import place
from demo.printed import LETTERS, Print
from demo.world import COLOURS, SHAPES, Box, Scene, Thing

# One column of class numbers per row here.
CHARACTERS = LETTERS + "0123456789"
CLASSES = {
    "thing": 1 + len(SHAPES) * len(COLOURS),
    "large": 3,
    "first": 1 + len(CHARACTERS),
    "second": 1 + len(CHARACTERS),
    "nth": 1 + 6,
}


def dense(medium: Medium, rows: int, columns: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Classes (rows * columns, 5) and boxes (rows * columns, 4) of each picture or pair."""
    if isinstance(medium, Clip):
        for second in range(medium.seconds):
            yield _scene_labels(medium.at(second + 0.5), rows, columns)
    elif isinstance(medium, Scene):
        yield _scene_labels(medium, rows, columns)
    else:
        yield _print_labels(medium, rows, columns)


def _scene_labels(scene: Scene, rows: int, columns: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    classes = np.zeros((rows, columns, 5), np.int64)
    boxes = np.zeros((rows, columns, 4), np.float32)
    covered = np.zeros((rows, columns))
    for thing in scene.things:
        shares = place(thing, scene)
        overlap = np.outer(_overlap(shares[1], shares[3], rows), _overlap(shares[0], shares[2], columns))
        mine = (overlap > 0.06) & (overlap > covered)
        covered = np.where(mine, overlap, covered)
        classes[mine, 0], classes[mine, 1] = _thing_class(thing), 1 + thing.large
        boxes[mine] = shares
    return classes.reshape(-1, 5), boxes.reshape(-1, 4)


def _overlap(low: float, high: float, cells: int) -> NDArray[np.float64]:
    """Share of each of `cells` equal cells that low..high covers."""
    edges = np.arange(cells + 1)
    return np.clip(np.minimum(edges[1:], high * cells) - np.maximum(edges[:-1], low * cells), 0, 1)


def _thing_class(thing: Thing) -> int:
    return 1 + SHAPES.index(thing.shape) * len(COLOURS) + list(COLOURS).index(thing.colour)


def _print_labels(page: Print, rows: int, columns: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    classes = np.zeros((rows, columns, 5), np.int64)
    for nth, (letter, box) in enumerate(page.letters):
        column = min(columns - 1, int((box[0] + box[2]) / 2 / page.width * columns))
        for row in _letter_rows(box, page.height, rows):
            slot = 2 if classes[row, column, 2] == 0 else 3
            classes[row, column, slot] = 1 + CHARACTERS.index(letter)
            if slot == 2:
                classes[row, column, 4] = 1 + nth
    return classes.reshape(-1, 5), np.zeros((rows * columns, 4), np.float32)


def _letter_rows(box: Box, height: int, rows: int) -> list[int]:
    share = _overlap(box[1] / height, box[3] / height, rows)
    return [
        row for row in range(rows) if share[row] > 0.3 * (box[3] - box[1]) / height * rows or share[row] > 0.5
    ]
