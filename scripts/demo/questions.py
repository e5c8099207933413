"""Questions about what is to be seen, each with its true answer and a short true reasoning.

Knows: every way of asking, the sentences of the answers, GLM's form of a box.
Does not know: pixels, tokens, how lessons are put together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from demo.clips import Clip
from demo.printed import Print
from demo.quoted import Evidence
from demo.world import COLOURS, PLACES, SHAPES, Box, Scene, Thing
from mlx_backend.types import Boxed, Part, Text

SCALE = 1000
WHICH_WAY = {"left": "to the left", "right": "to the right", "up": "up", "down": "down"}


@dataclass(frozen=True)
class Ask:
    """A question, its answer and the reasoning that leads there. skill: the row of the table it counts in."""

    skill: str
    question: str
    answer: tuple[Part, ...]
    reasoning: str


def say(skill: str, question: str, answer: str, reasoning: str) -> Ask:
    return Ask(skill, question, (Text(answer),), reasoning)


# --- one picture -----------------------------------------------------------------------------------------


def listed(things: Sequence[Thing]) -> str:
    """Names in reading order: a large red circle, a small blue star and a small pink square."""
    names = [f"a {thing.full_name}" for thing in things]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def placed(things: Sequence[Thing]) -> str:
    names = [f"a {thing.full_name} {PLACES[thing.place]}" for thing in things]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def a(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def plural(shape: str, count: int) -> str:
    return shape if count == 1 else f"{shape}s"


def describe(rng: Random, scene: Scene, which: str = "the picture") -> Ask:
    question = rng.choice(
        ["What is in {0}?", "Describe {0}.", "What do you see in {0}?", "What is to be seen in {0}?"]
    ).format(which)
    count = len(scene.things)
    reasoning = f"I see {count} {plural('shape', count)}."
    return say("describe", question, sentence(placed(scene.things)), reasoning)


def count(rng: Random, scene: Scene) -> Ask:
    kind = rng.random()
    if kind < 0.3:
        name, found = "shape", scene.things
    elif kind < 0.75:
        name = rng.choice([thing.shape for thing in scene.things] + [rng.choice(SHAPES)])
        found = tuple(thing for thing in scene.things if thing.shape == name)
    else:
        colour = rng.choice([thing.colour for thing in scene.things] + [rng.choice(list(COLOURS))])
        name, found = f"{colour} shape", tuple(t for t in scene.things if t.colour == colour)
    question = rng.choice(["How many {0} are there?", "How many {0} do you see?", "Count the {0}."])
    number, verb = str(len(found)) if found else "no", "is" if len(found) == 1 else "are"
    answer = f"There {verb} {number} {plural(name, len(found))}."
    return say("count", question.format(f"{name}s"), answer, f"I see {listed(scene.things)}.")


def colour(rng: Random, scene: Scene) -> Ask | None:
    thing = _choose(rng, [t for t in scene.things if _alone(scene, t, "shape")])
    if thing is None:
        return None
    question = rng.choice(["What colour is the {0}?", "What color is the {0}?", "Which colour has the {0}?"])
    reasoning = f"The {thing.shape} is {PLACES[thing.place]}."
    return say("count", question.format(thing.shape), f"The {thing.shape} is {thing.colour}.", reasoning)


def exists(rng: Random, scene: Scene) -> Ask:
    thing = rng.choice(scene.things)
    name = thing.name if rng.random() < 0.5 else f"{rng.choice(list(COLOURS))} {rng.choice(SHAPES)}"
    yes = any(other.name == name for other in scene.things)
    answer = f"Yes, there is {a(name)}." if yes else f"No, there is no {name}."
    return say("count", f"Is there {a(name)}?", answer, f"I see {listed(scene.things)}.")


RELATIONS = ("left of", "right of", "above", "below")
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def compare(rng: Random, scene: Scene) -> Ask | None:
    """Left, right, above, below and size, where it is clear: the places differ on that axis."""
    pairs = [
        (a, b)
        for a in scene.things
        for b in scene.things
        if a is not b and refer(scene, a) and refer(scene, b)
    ]
    if not pairs:
        return None
    one, two = rng.choice(pairs)
    first, second = rng.choice(refer(scene, one)), rng.choice(refer(scene, two))
    reasoning = f"The {first} is {PLACES[one.place]} and the {second} is {PLACES[two.place]}."
    if one.large != two.large and rng.random() < 0.3:
        asked = rng.choice([True, False])
        word, other = ("larger", "smaller") if asked else ("smaller", "larger")
        yes = one.large == asked
        answer = f"Yes, the {first} is {word}." if yes else f"No, the {first} is {other}."
        reasoning = f"The {first} is {one.size} and the {second} is {two.size}."
        return say("count", f"Is the {first} {word} than the {second}?", answer, reasoning)
    true = []
    if one.place % 3 != two.place % 3:
        true.append("left of" if one.place % 3 < two.place % 3 else "right of")
    if one.place // 3 != two.place // 3:
        true.append("above" if one.place // 3 < two.place // 3 else "below")
    relation = rng.choice(true)
    asked_relation = relation if rng.random() < 0.5 else OPPOSITE[relation]
    start = "Yes" if asked_relation == relation else "No"
    answer = f"{start}, the {first} is {relation} the {second}."
    return say("count", f"Is the {first} {asked_relation} the {second}?", answer, reasoning)


def where(rng: Random, scene: Scene) -> Ask | None:
    """A box or a point of one thing."""
    thing = _choose(rng, [t for t in scene.things if refer(scene, t)])
    if thing is None:
        return None
    name = rng.choice(refer(scene, thing))
    reasoning = f"The {name} is {PLACES[thing.place]}."
    if rng.random() < 0.3:
        question = rng.choice(["Point to the {0}.", "Point at the {0}."]).format(name)
        answer = (Text(f"The {name}: "), Boxed(f"[{_spelled(point(scene, thing))}]"))
        return Ask("locate", question, answer, reasoning)
    question = rng.choice(
        ["Where is the {0}?", "Find the {0}.", "Give the box of the {0}.", "Locate the {0}."]
    )
    answer = (Text(f"The {name}: "), Boxed(f"[{_spelled(box(scene, thing.box))}]"))
    return Ask("locate", question.format(name), answer, reasoning)


def where_all(rng: Random, scene: Scene) -> Ask:
    name, found = "shape", scene.things
    if rng.random() < 0.7:
        name = rng.choice(scene.things).shape
        found = tuple(thing for thing in scene.things if thing.shape == name)
    question = rng.choice(
        ["Where are all the {0}?", "Find all {0}.", "Give the boxes of all {0}.", "Locate all {0}."]
    )
    boxes = ",".join(_spelled(box(scene, thing.box)) for thing in found)
    answer = (Text(f"The {name}s: "), Boxed(f"[{boxes}]"))
    return Ask("locate", question.format(f"{name}s"), answer, f"I see {listed(found)}.")


def refer(scene: Scene, thing: Thing) -> list[str]:
    """Names that mean this thing and no other of the scene."""
    names = []
    if _alone(scene, thing, "shape"):
        names.append(thing.shape)
    if _alone(scene, thing, "name"):
        names.append(thing.name)
    if _alone(scene, thing, "full_name"):
        names.append(thing.full_name)
    return names


def box(scene: Scene, edges: Box) -> tuple[int, ...]:
    """Edges as GLM spells them: 0 to 1000 of the picture's width and height."""
    sides = (scene.width, scene.height, scene.width, scene.height)
    return tuple(min(SCALE - 1, round(edge * SCALE / side)) for edge, side in zip(edges, sides, strict=True))


def point(scene: Scene, thing: Thing) -> tuple[int, ...]:
    x, y = thing.centre
    return min(SCALE - 1, round(x * SCALE / scene.width)), min(SCALE - 1, round(y * SCALE / scene.height))


def _spelled(numbers: tuple[int, ...]) -> str:
    return "[" + ",".join(f"{number:03d}" for number in numbers) + "]"


def _alone(scene: Scene, thing: Thing, what: str) -> bool:
    return sum(getattr(other, what) == getattr(thing, what) for other in scene.things) == 1


def _choose(rng: Random, things: Sequence[Thing]) -> Thing | None:
    return rng.choice(things) if things else None


ABOUT_SCENES: tuple[tuple[float, Callable[[Random, Scene], Ask | None]], ...] = (
    (0.16, describe),
    (0.08, count),
    (0.05, colour),
    (0.05, exists),
    (0.1, compare),
    (0.22, where),
    (0.34, where_all),
)


def about_scene(rng: Random, scene: Scene) -> Ask:
    weights, makers = zip(*ABOUT_SCENES, strict=True)
    while True:
        ask = rng.choices(makers, weights)[0](rng, scene)
        if ask is not None:
            return ask


# --- prints, two pictures, clips, evidence ---------------------------------------------------------------


def read(rng: Random, page: Print) -> Ask:
    question = rng.choice(
        [
            "What does it say?",
            "Read the word.",
            "What is written there?",
            "Which word is in the picture?",
            "Read the text.",
        ]
    )
    count = len(page.text)
    unit = plural("digit" if page.text.isdigit() else "letter", count)
    return say("read", question, page.text, f"I count {count} {unit}.")


@dataclass(frozen=True)
class Change:
    """Two pictures and the sentence of what is different."""

    before: Scene
    after: Scene
    answer: str


def changed(rng: Random, change: Change) -> Ask:
    question = rng.choice(
        ["What changed?", "What is different?", "What has changed?", "What is the difference?"]
    )
    reasoning = f"Before: {placed(change.before.things)}. After: {placed(change.after.things)}."
    return say("change", question, change.answer, reasoning)


def which_way(rng: Random, clip: Clip) -> Ask:
    question = rng.choice(
        [
            "Which way does the ball move?",
            "Where does the ball move?",
            "In which direction does the ball move?",
        ]
    )
    assert clip.ball is not None
    way = WHICH_WAY[clip.way]
    return say("video", question, f"The ball moves {way}.", f"I follow the {clip.ball.colour} ball.")


def when(rng: Random, clip: Clip) -> Ask:
    assert clip.late is not None
    shape, second = clip.late.shape, int(clip.since)
    question = rng.choice(
        [
            "At what second does the {0} appear?",
            "When does the {0} appear?",
            "At which second does the {0} come?",
        ]
    )
    reasoning = f"At second {second - 1} there is no {shape}."
    return say("video", question.format(shape), f"The {shape} appears at second {second}.", reasoning)


def about_clip(rng: Random, clip: Clip) -> list[Ask]:
    """All there is to ask of a clip, in random order."""
    if clip.ball is not None:
        hue = say(
            "video", "What colour is the ball?", f"The ball is {clip.ball.colour}.", "I look at the ball."
        )
        told = sentence(f"{a(clip.ball.colour)} ball moves {WHICH_WAY[clip.way]}")
        asks = [which_way(rng, clip), hue]
    else:
        assert clip.late is not None
        late, second = clip.late, int(clip.since)
        hue = say(
            "video",
            f"What colour is the {late.shape}?",
            f"The {late.shape} is {late.colour}.",
            f"I look at the {late.shape}.",
        )
        told = sentence(f"{a(late.name)} appears at second {second}")
        asks = [when(rng, clip), hue]
    question = rng.choice(["What happens in the video?", "Describe the video.", "What happens?"])
    asks.append(say("video", question, told, "I watch the clip."))
    rng.shuffle(asks)
    return asks


def quote(evidence: Evidence, prompt: str) -> Ask:
    return say("quote", prompt, evidence.answer, evidence.reasoning)
