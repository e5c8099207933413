"""The course of the training: which phases, how long, how fast, how often each kind of lesson comes.

Knows: numbers that were found by trying. Does not know: what a lesson or a loss is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from demo.batches import Stage

Kinds = dict[str, float]


@dataclass(frozen=True)
class Phase:
    """kinds: how often each kind of lesson comes, by weight. answers: whether they are learned."""

    name: str
    steps: int
    kinds: Kinds
    stage: Stage
    lr: float
    answers: bool = True
    together: int = 1  # batches per step of the optimiser
    vision: float = 1.0  # the tower's rate as a share of the others'
    final_lr: float = 0.0  # as a share of lr, reached along a cosine


WARM = Kinds(scene=0.6, print=0.3, clip=0.1)
LETTERS = Kinds(scene=0.35, print=0.55, clip=0.1)
EASY = Kinds(scene=0.45, print=0.18, clip=0.1, change=0.12, quote=0.12, outside=0.03)
HARD = Kinds(scene=0.42, print=0.14, clip=0.06, change=0.2, quote=0.16, outside=0.02)
PLACES = Kinds(scene=0.54, print=0.05, clip=0.03, change=0.12, quote=0.24, outside=0.02)
LARGE = Kinds(scene=0.46, print=0.1, clip=0.04, change=0.2, quote=0.18, outside=0.02)
FAR = Kinds(scene=0.72, print=0.2, clip=0.08)
SHARP = Kinds(scene=0.6, print=0.12, clip=0.04, change=0.13, quote=0.09, outside=0.02)
LISTS = Kinds(scene=0.66, print=0.11, clip=0.04, change=0.1, quote=0.08, outside=0.01)
BOXES = Kinds(scene=0.76, print=0.08, clip=0.03, change=0.07, quote=0.05, outside=0.01)


def plan(scale: float = 1.0) -> list[Phase]:
    """The phases; scale: of all step counts, for a quick trial."""
    pictures, words = Stage(turns=1, size=1.6), Stage(size=0.6)
    easy, whole, larger = Stage(most=2), Stage(), Stage(large=0.35)
    far, mixed = Stage(turns=1, large=0.8, size=1.6), Stage(large=0.5)
    lists, fine, pairs, boxes = (
        Stage(large=0.35, alike=0.6),
        Stage(large=0.5, alike=0.5),
        Stage(large=0.3, alike=0.8),
        Stage(large=0.45, alike=0.7),
    )
    phases = [
        Phase("look", 2400, WARM, pictures, 0.02, answers=False, final_lr=0.2),
        Phase("quote", 600, Kinds(quote=0.9, outside=0.1), words, 0.02, final_lr=0.5),
        Phase("easy", 1500, EASY, easy, 0.01, together=2, vision=0.5, final_lr=1.0),
        Phase("letters", 1600, LETTERS, pictures, 0.015, answers=False, together=2, final_lr=0.2),
        Phase("answer", 9500, HARD, whole, 0.004, together=2, vision=0.5, final_lr=0.2),
        Phase("polish", 1000, HARD, whole, 0.0012, together=2, vision=0.5),
        Phase("places", 1250, PLACES, whole, 0.002, together=2, vision=0.5),
        Phase("again", 5500, LARGE, larger, 0.004, together=2, vision=0.5),
        Phase("sharp", 2800, SHARP, larger, 0.003, together=2, vision=0.5),
        Phase("far", 2000, FAR, far, 0.0015, answers=False, final_lr=0.1),
        Phase("edges", 1800, SHARP, mixed, 0.003, together=2, vision=0.4),
        Phase("lists", 1500, LISTS, lists, 0.0025, together=2, vision=0.4),
        Phase("fine", 2200, LISTS, fine, 0.002, together=2, vision=0.5),
        Phase("pairs", 1600, LISTS, pairs, 0.002, together=2, vision=0.4),
        Phase("boxes", 3000, BOXES, boxes, 0.0025, together=2, vision=0.5),
    ]
    return [replace(phase, steps=max(1, round(phase.steps * scale))) for phase in phases]
