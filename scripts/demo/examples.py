"""The pictures and the clip of the window's five example questions.

Knows: what they show. Does not know: the questions, which app/ui/examples.py asks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from demo.clips import Clip, frame
from demo.printed import Print, draw_print
from demo.world import Box, Colour, Scene, Thing, draw, place_of

FPS = 8
WHITE: Colour = (255, 255, 255)


def thing(scene: Scene, colour: str, shape: str, large: bool, box: Box) -> Scene:
    place = place_of(box, scene.width, scene.height)
    return scene.with_things([*scene.things, Thing(shape, colour, large, box, place)])


def scene() -> Scene:
    empty = Scene(224, 168, WHITE, ())
    red = thing(empty, "red", "circle", True, (20, 14, 86, 80))
    blue = thing(red, "blue", "square", False, (168, 26, 204, 62))
    return thing(blue, "yellow", "star", True, (132, 94, 198, 160))


def circles() -> Scene:
    scene = thing(Scene(168, 168, WHITE, ()), "green", "circle", True, (14, 12, 80, 78))
    scene = thing(scene, "purple", "square", False, (120, 20, 154, 54))
    return thing(scene, "red", "circle", True, (88, 96, 154, 162))


def change() -> tuple[Scene, Scene]:
    before = thing(Scene(168, 168, WHITE, ()), "blue", "square", True, (12, 52, 78, 118))
    before = thing(before, "red", "star", False, (126, 16, 160, 50))
    blue, star = sorted(before.things, key=lambda one: one.shape)
    return before, before.with_things([star, replace(blue, colour="green")])


def ball() -> Clip:
    rolling = Thing("circle", "red", True, (4, 40, 36, 72), 4)
    return Clip(Scene(168, 112, WHITE, ()), 3, ball=rolling, way="right", travel=(4, 130))


def write(folder: Path) -> None:
    """All files of the window's examples; the clip as VP8, which browsers play."""
    before, after = change()
    word = Print(196, 112, WHITE, "blue", "HELLO", 44, (24, 30))
    scenes = {"scene": scene(), "circles": circles(), "before": before, "after": after}
    pictures = {name: draw(scene) for name, scene in scenes.items()}
    for name, image in (pictures | {"word": draw_print(word), "ball": frame(ball(), 0)}).items():
        image.save(folder / f"{name}.png", optimize=True)
    clip = ball()
    size = (clip.scene.width, clip.scene.height)
    writer = cv2.VideoWriter(str(folder / "ball.webm"), cv2.VideoWriter.fourcc(*"VP80"), FPS, size)
    for index in range(clip.seconds * FPS):
        writer.write(np.asarray(frame(clip, index / FPS))[:, :, ::-1])
    writer.release()
