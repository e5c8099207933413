"""What the demo model is examined with: conversations it never saw, and how an answer is judged.

Knows: the skills of the table, the seed and words kept back from training, when an answer counts as right.
Does not know: engines; `grade` takes anything that answers a request.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image as Pillow

from demo import outside
from demo.batches import picture
from demo.clips import Clip, appearing, moving, write_clip
from demo.lessons import Medium, random_change
from demo.printed import EXAM_WORDS, random_number, random_print
from demo.questions import (
    Ask,
    about_scene,
    changed,
    colour,
    compare,
    count,
    describe,
    exists,
    quote,
    read,
    say,
    when,
    where,
    where_all,
    which_way,
)
from demo.quoted import evidence, facts
from demo.world import Scene, any_size, random_scene
from mlx_backend.grounding import places
from mlx_backend.reply import Reply
from mlx_backend.types import Boxed, Event, Image, Message, Part, Request, Sampling, Text, Video

SEED = "held out"  # training's seeds are "<number> <phase> <step>"
LIMITS = {  # per cent
    "describe": 95, "count": 97, "locate": 90, "read": 90, "change": 90, "video": 90, "think": 99,
    "chat": None, "quote": 85, "outside": None,
}  # fmt: skip
LABELS = {
    "describe": "describe a scene, exact",
    "count": "count, colour, compare",
    "locate": "locate: every IoU over 0.7, points within 4 %",
    "read": "read a printed word or number, exact",
    "change": "two pictures: what changed, exact",
    "video": "video: direction; second within 1 s",
    "think": "thinking on: well-formed",
    "chat": "follow-up on an earlier turn's picture",
    "quote": "fact and citation from evidence, exact",
    "outside": "says so when asked something else",
}
SKILLS = tuple(LABELS)
POINT_SLACK = 40  # thousandths of the picture's side
Answer = Callable[[Request], Iterable[Event]]


@dataclass(frozen=True)
class Item:
    """One question of the exam. before: turns of the conversation so far, answered by the model itself."""

    skill: str
    media: tuple[Medium, ...]
    ask: Ask
    before: tuple[Ask, ...] = ()
    thinking: bool = False


@dataclass(frozen=True)
class Mark:
    """right: the answer is. well_formed: reasoning where asked for and nowhere else, and an end.

    true_reasoning: the reasoning is the true one; None with thinking off.
    """

    item: Item
    said: str
    reasoning: str
    right: bool
    well_formed: bool
    true_reasoning: bool | None


# --- questions -------------------------------------------------------------------------------------------


def items(skill: str, number: int, seed: str = SEED) -> Iterator[Item]:
    """`number` questions of a skill; the same for the same seed, and the first ones whatever the number."""
    for index in range(number):
        yield MAKERS[skill](Random(f"{seed} {skill} {index}"))


def _scene(rng: Random) -> Scene:
    return random_scene(rng, *any_size(rng), rng.randint(1, 4))


def _some(rng: Random, makers: list[Callable[[Random, Scene], Ask | None]]) -> tuple[Scene, Ask]:
    """A scene, and a question of one of the makers that can be asked of it."""
    while True:
        scene = _scene(rng)
        if ask := rng.choice(makers)(rng, scene):
            return scene, ask


def _about(skill: str, makers: list[Callable[[Random, Scene], Ask | None]]) -> Callable[[Random], Item]:
    def make(rng: Random) -> Item:
        scene, ask = _some(rng, makers)
        return Item(skill, (scene,), ask)

    return make


def _read(rng: Random) -> Item:
    text = rng.choice(EXAM_WORDS) if rng.random() < 0.6 else random_number(rng)
    height = rng.randint(84, 120)
    page = random_print(
        rng, rng.randint(max(84, 24 * len(text)), 340 if rng.random() < 0.3 else 180), height, text
    )
    return Item("read", (page,), read(rng, page))


def _change(rng: Random) -> Item:
    change = random_change(rng, rng.randint(84, 200), rng.randint(84, 200))
    return Item("change", (change.before, change.after), changed(rng, change))


def _video(rng: Random) -> Item:
    size = (28 * rng.randint(3, 6), 28 * rng.randint(3, 5))
    if rng.random() < 0.5:
        clip = moving(rng, *size)
        return Item("video", (clip,), which_way(rng, clip))
    clip = appearing(rng, *size)
    return Item("video", (clip,), when(rng, clip))


def _think(rng: Random) -> Item:
    scene, ask = _some(rng, [describe, count, colour, exists, compare, where])
    return Item("think", (scene,), ask, thinking=True)


def _chat(rng: Random) -> Item:
    """Two questions about the picture, then the one that counts."""
    scene, last = _some(rng, [describe, count, colour, exists, compare])
    before = [ask for ask in (about_scene(rng, scene) for _ in range(2)) if ask.question != last.question]
    return Item("chat", (scene,), last, tuple(before))


def _quote(rng: Random) -> Item:
    asked = evidence(rng, facts(rng, rng.randint(2, 6)), answered=rng.random() < 0.85)
    return Item("quote", (), quote(asked, asked.prompt))


def _outside(rng: Random) -> Item:
    return Item("outside", (), say("outside", outside.question(rng, exam=True), outside.SENTENCE, ""))


MAKERS: dict[str, Callable[[Random], Item]] = {
    "describe": _about("describe", [describe]),
    "count": _about("count", [count, colour, exists, compare, compare]),
    "locate": _about("locate", [where, where, where_all]),
    "read": _read,
    "change": _change,
    "video": _video,
    "think": _think,
    "chat": _chat,
    "quote": _quote,
    "outside": _outside,
}


# --- asking ----------------------------------------------------------------------------------------------


def grade(item: Item, answer: Answer, folder: Path) -> Mark:
    """Ask it as a person would, turn by turn. folder: for clips, which are files."""
    media = tuple(attach(medium, folder) for medium in item.media)
    messages: list[Message] = []
    reply, finished = Reply(), False
    for index, ask in enumerate((*item.before, item.ask)):
        content: tuple[Part, ...] = (*(media if index == 0 else ()), Text(ask.question))
        messages.append(Message("user", content))
        reply, finished = _hear(answer, tuple(messages), item.thinking)
        messages.append(Message("assistant", reply.parts()))
    thought = bool(reply.reasoning.strip())
    return Mark(
        item,
        reply.answer,
        reply.reasoning,
        right=is_right(item, reply),
        well_formed=finished
        and thought == item.thinking
        and bool(reply.answer.strip())
        and "<" not in reply.answer,
        true_reasoning=reply.reasoning.strip() == item.ask.reasoning if item.thinking else None,
    )


def _hear(answer: Answer, messages: tuple[Message, ...], thinking: bool) -> tuple[Reply, bool]:
    reply = Reply()
    request = Request(messages, thinking=thinking, sampling=Sampling(temperature=0), max_tokens=200)
    for event in answer(request):
        reply.add(event)
    return reply, reply.done is not None and reply.done.reason == "stop"


def attach(medium: Medium, folder: Path) -> Image | Video:
    if isinstance(medium, Clip):
        return Video(write_clip(medium, folder / f"{abs(hash(medium)):x}.mp4"))
    return Image(png(picture(medium)))


def png(image: Pillow.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


# --- judging ---------------------------------------------------------------------------------------------


def is_right(item: Item, reply: Reply) -> bool:
    """Word for word; boxes by their overlap, seconds by their distance."""
    wanted, said = _words(item.ask.answer), _words(reply.parts())
    if (second := _second(item)) is not None:
        heard = re.search(r"\d+", said)
        return heard is not None and abs(int(heard.group()) - second) <= 1
    return said == wanted and _places_right(item.ask.answer, reply.parts())


def _words(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text)).strip()


def _second(item: Item) -> int | None:
    """The second that is asked for, where one is."""
    clip = item.media[0] if item.media else None
    return int(clip.since) if isinstance(clip, Clip) and clip.late is not None else None


def _places_right(wanted: Sequence[Part], said: Sequence[Part]) -> bool:
    """As many places as asked for, each with one of the true ones, in whatever order."""
    true, found = (
        [p for part in parts if isinstance(part, Boxed) for p in places(part.text)]
        for parts in (wanted, said)
    )
    return len(true) == len(found) and all(any(_same(a, b) for b in found) for a in true)


def _same(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    if len(a) != len(b):
        return False
    if len(a) == 2:
        return max(abs(x - y) for x, y in zip(a, b, strict=True)) <= POINT_SLACK
    return iou(a, b) > 0.7


def iou(a: Sequence[int], b: Sequence[int]) -> float:
    """Overlap of two boxes (x1, y1, x2, y2): the shared area over the whole, 0 to 1."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0, wide) * max(0, high)
    whole = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / whole if whole else 0.0


# --- scores ----------------------------------------------------------------------------------------------


def score(skill: str, marks: Sequence[Mark]) -> float:
    """Per cent, by what the skill counts: well-formed for thinking, right answers for the others."""
    good = [mark.well_formed if skill == "think" else mark.right for mark in marks]
    return 100 * sum(good) / len(good)
