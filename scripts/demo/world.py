"""Coloured shapes on a light ground: the demo model's world, as values and as pixels.

Knows: which shapes, colours, sizes and places there are, their words, how a scene is drawn.
Does not know: questions, tokens, training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are just outside

SHAPES = ("circle", "square", "triangle", "star")
COLOURS: dict[str, Colour] = {
    "red": (220, 38, 38),
    "orange": (245, 140, 25),
    "yellow": (240, 210, 40),
    "green": (40, 160, 70),
    "blue": (45, 85, 225),
    "purple": (140, 60, 180),
    "pink": (245, 140, 190),
    "black": (25, 25, 25),
}
PLACES = (
    "at the top left", "at the top", "at the top right",
    "on the left", "in the middle", "on the right",
    "at the bottom left", "at the bottom", "at the bottom right",
)  # fmt: skip

# Diameters as shares of the picture's shorter side: nothing lies between small and large.
SMALL, LARGE = (0.18, 0.24), (0.34, 0.44)
SMALLEST = 16  # pixels: below, a star and a triangle are the same blot
SIDES = (84, 448)  # of a picture, in pixels
# How near the border between two places a centre may come, in ninths of the side: never ambiguous.
CLEAR = 0.045


@dataclass(frozen=True)
class Thing:
    """One coloured shape. place: index into PLACES."""

    shape: str
    colour: str
    large: bool
    box: Box
    place: int

    @property
    def size(self) -> str:
        return "large" if self.large else "small"

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"

    @property
    def full_name(self) -> str:
        return f"{self.size} {self.name}"

    @property
    def centre(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True)
class Scene:
    """A picture of the world. things: in reading order of their places."""

    width: int
    height: int
    ground: Colour
    things: tuple[Thing, ...]

    def with_things(self, things: Sequence[Thing]) -> Scene:
        return replace(self, things=tuple(sorted(things, key=lambda thing: thing.place)))


# --- making ----------------------------------------------------------------------------------------------


def size_near(rng: Random, rows: int, columns: int) -> tuple[int, int]:
    """Width and height in pixels of a picture that becomes rows x columns tokens of 28 pixels.

    Half of them fit exactly, the others have to be resized.
    """
    if rng.random() < 0.5:
        return columns * 28, rows * 28
    return _near(rng, columns), _near(rng, rows)


def _near(rng: Random, tokens: int) -> int:
    low, high = SIDES
    return min(max(tokens * 28 + rng.randint(-13, 13), low), high)


def any_size(rng: Random) -> tuple[int, int]:
    """Width and height: mostly small, some large, some oblong."""
    kind = rng.random()
    if kind < 0.6:
        return rng.randint(84, 180), rng.randint(84, 180)
    if kind < 0.8:
        return rng.randint(180, 448), rng.randint(180, 448)
    long, short = rng.randint(224, 448), rng.randint(84, 140)
    return (long, short) if rng.random() < 0.5 else (short, long)


def light(rng: Random) -> Colour:
    """A ground that every colour stands out from."""
    if rng.random() < 0.5:
        return 255, 255, 255
    return rng.randint(228, 255), rng.randint(228, 255), rng.randint(228, 255)


def random_scene(rng: Random, width: int, height: int, count: int) -> Scene:
    """count: 1 to 4 things, each in a place of its own, none touching another."""
    scene = Scene(width, height, light(rng), ())
    for _ in range(count):
        thing = another_thing(rng, scene)
        if thing is not None:
            scene = scene.with_things((*scene.things, thing))
    return scene


def another_thing(rng: Random, scene: Scene) -> Thing | None:
    """A thing that finds room in the scene, or None where forty tries found none."""
    taken = {thing.place for thing in scene.things}
    free = [place for place in range(9) if place not in taken]
    for _ in range(40):
        box = _box_in(rng, scene.width, scene.height, rng.choice(free), large := rng.random() < 0.5)
        if box is not None and not any(_touch(box, thing.box) for thing in scene.things):
            place = place_of(box, scene.width, scene.height)
            return Thing(rng.choice(SHAPES), rng.choice(list(COLOURS)), large, box, place)
    return None


def moved(rng: Random, scene: Scene, thing: Thing) -> Thing | None:
    """The same thing at another place of the scene."""
    others = [other for other in scene.things if other is not thing]
    free = [place for place in range(9) if place not in {t.place for t in scene.things}]
    side = thing.box[2] - thing.box[0]
    for _ in range(40):
        box = _box_in(rng, scene.width, scene.height, rng.choice(free), thing.large, side)
        if box is not None and not any(_touch(box, other.box) for other in others):
            return replace(thing, box=box, place=place_of(box, scene.width, scene.height))
    return None


def _box_in(rng: Random, width: int, height: int, place: int, large: bool, side: int = 0) -> Box | None:
    short = min(width, height)
    low, high = LARGE if large else SMALL
    side = side or max(SMALLEST, round(short * rng.uniform(low, high)))
    row, column = divmod(place, 3)
    x, y = _along(rng, width, column, side), _along(rng, height, row, side)
    return None if x is None or y is None else (x, y, x + side, y + side)


def _along(rng: Random, length: int, third: int, side: int) -> int | None:
    """Where a thing begins on an axis so that its centre lies clearly inside a third and all of it inside."""
    low = max(length * (third / 3 + CLEAR * (third > 0)), side / 2 + 1)
    high = min(length * ((third + 1) / 3 - CLEAR * (third < 2)), length - side / 2 - 1)
    first, last = math.ceil(low - side / 2), math.floor(high - side / 2)
    return rng.randint(first, last) if first <= last else None


def place_of(box: Box, width: int, height: int) -> int:
    column = min(2, int((box[0] + box[2]) / 2 / width * 3))
    return min(2, int((box[1] + box[3]) / 2 / height * 3)) * 3 + column


def _touch(a: Box, b: Box, gap: int = 3) -> bool:
    return a[0] < b[2] + gap and b[0] < a[2] + gap and a[1] < b[3] + gap and b[1] < a[3] + gap


# --- drawing ---------------------------------------------------------------------------------------------


def draw(scene: Scene) -> Image.Image:
    picture = Image.new("RGB", (scene.width, scene.height), scene.ground)
    pencil = ImageDraw.Draw(picture)
    for thing in scene.things:
        draw_thing(pencil, thing.shape, COLOURS[thing.colour], thing.box)
    return picture


def draw_thing(pencil: ImageDraw.ImageDraw, shape: str, colour: Colour, box: Box) -> None:
    left, top, right, bottom = box[0], box[1], box[2] - 1, box[3] - 1
    if shape == "circle":
        pencil.ellipse((left, top, right, bottom), fill=colour)
    elif shape == "square":
        pencil.rectangle((left, top, right, bottom), fill=colour)
    elif shape == "triangle":
        pencil.polygon([((left + right) / 2, top), (left, bottom), (right, bottom)], fill=colour)
    else:
        pencil.polygon(_star(left, top, right, bottom), fill=colour)


def _star(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    """Five points that touch all four sides of the box."""
    angles = [math.pi * (i / 5 - 0.5) for i in range(10)]
    radii = [1.0 if i % 2 == 0 else 0.42 for i in range(10)]
    points = [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    return [
        (left + (x - min(xs)) / wide * (right - left), top + (y - min(ys)) / high * (bottom - top))
        for x, y in points
    ]
