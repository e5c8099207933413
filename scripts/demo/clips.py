"""Short clips: a ball that moves, a shape that appears.

Knows: what stands where at which moment, how a moment is drawn and a clip written to a file.
Does not know: questions, tokens, which frames a model looks at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from demo.world import COLOURS, SHAPES, Scene, Thing, another_thing, draw, random_scene

WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
FPS = 10


@dataclass(frozen=True)
class Clip:
    """seconds: how long. scene: what stands still.

    ball, way: what moves and where to, from one end of its way to the other; start: share of the way, 0 to 1,
    at which it begins. late, since: what appears and when, in seconds. Either pair is None.
    """

    scene: Scene
    seconds: int
    ball: Thing | None = None
    way: str = ""
    travel: tuple[int, int] = (0, 0)  # first and last left or top edge of the ball, in pixels
    late: Thing | None = None
    since: float = 0.0

    def at(self, second: float) -> Scene:
        """What is to be seen at a moment."""
        things = list(self.scene.things)
        if self.ball is not None:
            things.append(self._rolled(self.ball, second / self.seconds))
        if self.late is not None and second >= self.since:
            things.append(self.late)
        return replace(self.scene, things=tuple(things))

    def _rolled(self, ball: Thing, share: float) -> Thing:
        first, last = self.travel
        edge = round(first + (last - first) * share)
        left, top, right, bottom = ball.box
        side = right - left
        if WAYS[self.way][0]:
            return replace(ball, box=(edge, top, edge + side, bottom))
        return replace(ball, box=(left, edge, right, edge + side))


def moving(rng: Random, width: int, height: int) -> Clip:
    """A ball that rolls at least 40 % of its axis, alone."""
    empty = random_scene(rng, width, height, 0)
    side = round(min(width, height) * rng.uniform(0.2, 0.32))
    way = rng.choice(list(WAYS))
    along, across = (width, height) if WAYS[way][0] else (height, width)
    room = along - side - 2
    far = rng.randint(round(room * 0.45), room)
    low = 1 + rng.randint(0, room - far)
    travel = (low, low + far) if way in ("right", "down") else (low + far, low)
    fixed = 1 + rng.randint(0, across - side - 2)
    left, top = (travel[0], fixed) if WAYS[way][0] else (fixed, travel[0])
    ball = Thing("circle", rng.choice(list(COLOURS)), True, (left, top, left + side, top + side), 4)
    return Clip(empty, rng.randint(3, 6), ball=ball, way=way, travel=travel)


def appearing(rng: Random, width: int, height: int) -> Clip:
    """One or two shapes, and another kind of shape that appears between second 1 and the last."""
    scene = random_scene(rng, width, height, rng.randint(0, 2))
    late = None
    while late is None:
        late = another_thing(rng, scene)
    kinds = [shape for shape in SHAPES if shape not in {thing.shape for thing in scene.things}]
    late = replace(late, shape=rng.choice(kinds))
    seconds = rng.randint(3, 6)
    return Clip(scene, seconds, late=late, since=rng.randint(2, 2 * seconds - 1) / 2)


def frame(clip: Clip, second: float) -> Image.Image:
    return draw(clip.at(second))


def write_clip(clip: Clip, path: Path) -> Path:
    """An MPEG-4 file of the clip, with the losses such files have."""
    import cv2

    size = (clip.scene.width, clip.scene.height)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, size)
    for index in range(clip.seconds * FPS):
        writer.write(np.asarray(frame(clip, index / FPS))[:, :, ::-1])
    writer.release()
    return path
