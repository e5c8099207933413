"""Whole conversations to learn from: media, questions and answers, as messages.

Knows: which kinds of lesson there are and how often, how hard they are at each stage.
Does not know: tokens, tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from demo import outside
from demo.clips import Clip, appearing, moving
from demo.printed import Print, random_print, random_text
from demo.questions import Ask, Change, about_clip, about_scene, changed, describe, quote, read, say
from demo.quoted import KINDS, evidence, facts
from demo.world import COLOURS, PLACES, SHAPES, Scene, another_thing, moved, random_scene, size_near

Medium = Scene | Print | Clip


@dataclass(frozen=True)
class Turn:
    """What a person sends: media before the question."""

    media: tuple[Medium, ...]
    ask: Ask


@dataclass(frozen=True)
class Lesson:
    """Turns of one conversation. think: the last turn is asked with thinking on."""

    turns: list[Turn] = field(default_factory=list)
    think: bool = False

    @property
    def media(self) -> list[Medium]:
        return [medium for turn in self.turns for medium in turn.media]


def scene_lesson(rng: Random, rows: int, columns: int, most: int, turns: int, alike: float = 0.0) -> Lesson:
    """One picture, several questions; at times one from outside the world among them.

    alike: share of pictures in which most things are of one shape, so that several have to be found.
    """
    scene = random_scene(rng, *size_near(rng, rows, columns), rng.randint(1, most))
    if alike and rng.random() < alike:  # no number is drawn where none is wanted: older phases stay the same
        shape = rng.choice(SHAPES)
        scene = scene.with_things(
            [replace(t, shape=shape) if rng.random() < 0.7 else t for t in scene.things]
        )
    return Lesson(
        _ask_all(rng, (scene,), [_maybe_outside(rng, about_scene(rng, scene)) for _ in range(turns)])
    )


def print_lesson(rng: Random, rows: int, columns: int, turns: int) -> Lesson:
    """As many words as turns, a picture each: reading is learned from many words, not many questions."""
    made = []
    for _ in range(turns):
        page = random_print(rng, *size_near(rng, rows, columns), random_text(rng))
        made.append(Turn((page,), read(rng, page)))
    return Lesson(made)


def change_lesson(rng: Random, rows: int, columns: int) -> Lesson:
    """Two pictures, both in one message or the second in a later turn."""
    change = random_change(rng, *size_near(rng, rows, columns))
    first, second = change.before, change.after
    ask = changed(rng, change)
    if rng.random() < 0.6:
        which = [("the first picture", first), ("the second picture", second)]
        later = [
            describe(rng, scene, name) for name, scene in rng.sample(which, rng.randint(0, 2)) if scene.things
        ]
        return Lesson(_ask_all(rng, (first, second), [ask, *later]))
    made = _ask_all(rng, (first,), [about_scene(rng, first) for _ in range(rng.randint(1, 2))])
    made.append(Turn((second,), ask))
    if second.things:
        made.append(Turn((), about_scene(rng, second)))
    return Lesson(made)


def random_change(rng: Random, width: int, height: int) -> Change:
    """One difference: a colour, a place, something new or something gone."""
    while True:
        before = random_scene(rng, width, height, rng.randint(1, 3))
        thing = rng.choice(before.things)
        kind = rng.choice(["colour", "place", "new", "gone"])
        others = [other for other in before.things if other is not thing]
        if kind == "colour":
            hue = rng.choice([colour for colour in COLOURS if colour != thing.colour])
            after = before.with_things([*others, replace(thing, colour=hue)])
            return Change(before, after, f"The {thing.name} {PLACES[thing.place]} became {hue}.")
        if kind == "place" and (gone := moved(rng, before, thing)):
            after = before.with_things([*others, gone])
            return Change(
                before, after, f"The {thing.name} moved from {_spot(thing.place)} to {_spot(gone.place)}."
            )
        if kind == "new" and (new := another_thing(rng, before)):
            after = before.with_things([*before.things, new])
            return Change(before, after, f"A {new.full_name} appeared {PLACES[new.place]}.")
        if kind == "gone" and others:
            return Change(
                before, before.with_things(others), f"The {thing.name} {PLACES[thing.place]} disappeared."
            )


def _spot(place: int) -> str:
    """A place as somewhere to come from or go to."""
    return PLACES[place].split(" ", 1)[1]


def clip_lesson(rng: Random, rows: int, columns: int) -> Lesson:
    clip = rng.choice([moving, appearing])(rng, columns * 28, rows * 28)
    return Lesson(_ask_all(rng, (clip,), about_clip(rng, clip)))


def quote_lesson(rng: Random, turns: int) -> Lesson:
    """Evidence first, then further questions about it in the same conversation.

    Half of the time all lines are of two kinds, so that only names tell them apart.
    """
    kinds = rng.sample(KINDS, 2) if rng.random() < 0.5 else KINDS
    known = facts(rng, rng.randint(2, 6), kinds)
    made = []
    for index in range(turns):
        asked = evidence(rng, known, rng.random() < 0.8, kinds)
        prompt = asked.prompt if index == 0 else asked.question
        made.append(Turn((), quote(asked, prompt)))
    return Lesson(made)


def outside_lesson(rng: Random) -> Lesson:
    return Lesson([Turn((), _outside(rng)) for _ in range(rng.randint(1, 4))])


def _outside(rng: Random) -> Ask:
    return say("outside", outside.question(rng), outside.SENTENCE, outside.REASONING)


def _maybe_outside(rng: Random, ask: Ask) -> Ask:
    return _outside(rng) if rng.random() < 0.02 else ask


def _ask_all(rng: Random, media: tuple[Medium, ...], asks: list[Ask]) -> list[Turn]:
    """The media with the first question, no question twice."""
    once = list({ask.question: ask for ask in asks}.values())
    return [Turn(media if index == 0 else (), ask) for index, ask in enumerate(once)]
