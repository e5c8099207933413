"""Lessons into the arrays a training step takes.

Knows: the app's own prompt and patch rows, what is to be learned at which token and of which picture token.
Does not know: the network, optimisers, files. NumPy alone, so that a process of its own can prepare batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from demo import meanings
from demo.clips import Clip, frame
from demo.lessons import (
    Lesson,
    Medium,
    change_lesson,
    clip_lesson,
    outside_lesson,
    print_lesson,
    quote_lesson,
    scene_lesson,
)
from demo.printed import Print, draw_print
from demo.questions import Ask
from demo.under import dense
from demo.world import Scene, draw
from mlx_backend.glm.images import patch_rows, resize_frame
from mlx_backend.glm.prompt import render
from mlx_backend.glm.rules import MediaRules
from mlx_backend.glm.tokenizer import Tokenizer
from mlx_backend.types import Boxed, Image, Message, Text, Video

RULES = MediaRules()
IGNORED = -100
TOKEN = 28  # pixels of a picture token's side


@dataclass(frozen=True)
class Meant:
    """What words refer to (meanings.py), and tokens of a second picture.

    line_at, line (k,): flat places in ids, and numbers of lines of evidence, 0 for none; place_at (m,),
    place (m, 4): flat places in ids, and boxes in the picture; before_at, before (j,): flat places of a
    second picture's tokens, and what the first one has there, as a class of thing.
    """

    line_at: NDArray[np.int64]
    line: NDArray[np.int64]
    place_at: NDArray[np.int64]
    place: NDArray[np.float32]
    before_at: NDArray[np.int64]
    before: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """One step's worth of one kind of lesson, all its pictures of one grid.

    patches (N, P, 1176) float16; grid (gh, gw); ids, labels (B, L); positions (B, 3, L); where (n,): flat
    places of the picture tokens in ids; dense (n, 5): CLASSES of each picture token, -100 where unknown;
    boxes (n, 4): share of the picture's width and height, of the thing under the token. early, late: what
    words refer to, to be known half way up and one layer from the top.
    """

    kind: str
    patches: NDArray[np.float16]
    grid: tuple[int, int]
    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    positions: NDArray[np.int64]
    where: NDArray[np.int64]
    dense: NDArray[np.int64]
    boxes: NDArray[np.float32]
    early: Meant
    late: Meant


# --- pixels ----------------------------------------------------------------------------------------------


def pixels(medium: Medium, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """Pairs of frames (2, height, width, 3) as the app would cut them."""
    if isinstance(medium, Clip):
        for second in range(medium.seconds):
            pair = [resize_frame(frame(medium, second + half), height, width) for half in (0.0, 0.5)]
            yield np.stack(pair)
    else:
        levels = resize_frame(picture(medium), height, width)
        yield np.broadcast_to(levels, (2, *levels.shape))


def picture(medium: Scene | Print) -> Pillow.Image:
    return draw_print(medium) if isinstance(medium, Print) else draw(medium)


# --- tokens ----------------------------------------------------------------------------------------------


class Writer:
    """Lessons as token ids, with what is to be learned."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        # lessons repeat their phrases; each is encoded once
        self._silent = tokenizer.control.ids
        tokenizer.encode = lru_cache(maxsize=1 << 16)(tokenizer.encode)  # type: ignore[method-assign]

    def write(self, lesson: Lesson, tokens: int) -> tuple[list[int], list[int]]:
        """ids and labels; label -100 where nothing is to be learned. tokens: of each picture."""
        control, last = self.tokenizer.control, lesson.turns[-1]
        prompt = render(_messages(lesson), self.tokenizer, thinking=False, media=_sizes(lesson, tokens))
        ids = [*prompt.ids]
        labels = self._past_answers(ids)
        said = [Message("assistant", last.ask.answer)]
        answer = render(said, self.tokenizer, thinking=False, go_on=True).ids
        written = answer[answer.index(control.end_think) + 2 :]  # behind a line break
        if lesson.think:
            reasoning = self.tokenizer.encode(last.ask.reasoning)
            written = [control.think, *reasoning, control.end_think, *self.tokenizer.encode("\n"), *written]
        written = [*written, control.user]
        return ids + written, labels + written

    def pieces(self, ids: list[int]) -> list[str]:
        """The text of each token; of those that stand for no text, a sign that is in no name."""
        return [
            "|" if id in self._silent else self.tokenizer.token_bytes(id).decode("utf-8", "replace")
            for id in ids
        ]

    def fitted(self, lesson: Lesson, room: int) -> Lesson:
        """The first turns that fit into about `room` tokens, pictures not counted: rows of one length."""
        turns, used = [], 0
        for turn in lesson.turns:
            used += self._length(turn.ask) + 10  # what the format writes around a question and an answer
            if turns and used > room:
                break
            turns.append(turn)
        return replace(lesson, turns=turns)

    def _length(self, ask: Ask) -> int:
        texts = [ask.question, *(part.text for part in ask.answer if isinstance(part, Text | Boxed))]
        return sum(len(self.tokenizer.encode(text)) for text in texts)

    def _past_answers(self, ids: list[int]) -> list[int]:
        """Answers of earlier turns, with the token that ends them."""
        control, labels, at = self.tokenizer.control, [IGNORED] * len(ids), 0
        while (at := _index(ids, control.end_think, at)) >= 0:
            end = _index(ids, control.user, at)
            if end < 0:
                break
            labels[at + 2 : end + 1] = ids[at + 2 : end + 1]
            at = end
        return labels


def _index(ids: list[int], wanted: int, start: int) -> int:
    try:
        return ids.index(wanted, start)
    except ValueError:
        return -1


def _messages(lesson: Lesson) -> list[Message]:
    messages = []
    for index, turn in enumerate(lesson.turns):
        media = [Video(b"") if isinstance(m, Clip) else Image(b"") for m in turn.media]  # type: ignore[arg-type]
        last = index == len(lesson.turns) - 1
        messages.append(Message("user", (*media, Text(turn.ask.question)), thinking=lesson.think and last))
        if not last:
            messages.append(Message("assistant", turn.ask.answer))
    return messages


def _sizes(lesson: Lesson, tokens: int) -> list[list[tuple[int, int]]]:
    return [
        [(tokens, second) for second in range(medium.seconds)] if isinstance(medium, Clip) else [(tokens, 0)]
        for medium in lesson.media
    ]


def positions(ids: NDArray[np.int64], image: int, rows: int, columns: int) -> NDArray[np.int64]:
    """(3, L): as mlx_backend.glm.model.positions gives, all pictures of rows x columns tokens."""
    result = np.empty((3, len(ids)), np.int64)
    starts = np.flatnonzero((ids == image) & (np.roll(ids, 1) != image))
    at = following = 0
    y, x = np.divmod(np.arange(rows * columns), columns)
    for start in starts:
        result[:, at:start] = np.arange(following, following + start - at)
        following += start - at
        result[:, start : start + rows * columns] = following + np.stack([np.zeros_like(y), y, x])
        at, following = start + rows * columns, following + max(rows, columns)
    result[:, at:] = np.arange(following, following + len(ids) - at)
    return result


# --- batches ---------------------------------------------------------------------------------------------


def collate(kind: str, lessons: list[Lesson], grid: tuple[int, int], writer: Writer) -> Batch:
    """grid: rows and columns of tokens of every picture."""
    rows, columns = grid
    written = [writer.write(lesson, rows * columns) for lesson in lessons]
    length = max(len(ids) for ids, _ in written)
    ids = np.full((len(lessons), length), writer.tokenizer.control.endoftext, np.int64)
    labels = np.full((len(lessons), length), IGNORED, np.int64)
    where = np.empty((len(lessons), 3, length), np.int64)
    for i, (tokens, learned) in enumerate(written):
        ids[i, : len(tokens)], labels[i, : len(learned)] = tokens, learned
        where[i] = positions(ids[i], writer.tokenizer.control.image, rows, columns)
    pieces = [writer.pieces(tokens) for tokens, _ in written]
    media = [medium for lesson in lessons for medium in lesson.media]
    pairs = [patch_rows(p, RULES) for m in media for p in pixels(m, rows * TOKEN, columns * TOKEN)]
    under = [pair for medium in media for pair in dense(medium, rows, columns)]
    empty = np.empty((0, rows * columns * 4, RULES.row), np.float16)
    where_media = np.flatnonzero(ids.reshape(-1) == writer.tokenizer.control.image)
    classes = np.concatenate([c for c, _ in under]) if under else np.empty((0, 5), np.int64)
    nothing = (where_media[:0], classes[:0, 0])
    compared = _before(where_media, classes[:, 0], rows * columns) if kind == "change" else nothing
    return Batch(
        kind=kind,
        patches=np.stack(pairs).astype(np.float16) if pairs else empty,
        grid=(rows * 2, columns * 2),
        ids=ids,
        labels=labels,
        positions=where,
        where=where_media,
        dense=classes,
        boxes=np.concatenate([b for _, b in under]) if under else np.empty((0, 4), np.float32),
        early=_meant(pieces, lessons, length, False, compared),
        late=_meant(pieces, lessons, length, True, nothing),
    )


def _before(
    where: NDArray[np.int64], things: NDArray[np.int64], tokens: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where second pictures' tokens stand, and the first's thing there; only where either has a thing."""
    places, pairs = where.reshape(-1, 2, tokens)[:, 1], things.reshape(-1, 2, tokens)
    there = pairs.max(axis=1) > 0
    return places[there], pairs[:, 0][there]


def _meant(
    pieces: list[list[str]],
    lessons: list[Lesson],
    length: int,
    late: bool,
    before: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> Meant:
    """pieces: the text of each row's tokens. length: of the rows as they are padded. before: as in Meant."""
    line: list[tuple[int, int]] = []
    place: list[tuple[int, meanings.Place]] = []
    for i, (lesson, row) in enumerate(zip(lessons, pieces, strict=True)):
        scenes = [medium for medium in lesson.media if isinstance(medium, Scene)]
        if not scenes:
            found = meanings.cited(row) if late else meanings.lines(row)
            line += [(i * length + at, number) for at, number in found]
            continue
        places = meanings.boxes(row) if late else meanings.named(row, scenes)
        if late and len(scenes) == 2:
            places += meanings.changed(row, scenes)
        place += [(i * length + at, box) for at, box in places]
    return Meant(
        np.array([at for at, _ in line], np.int64),
        np.array([number for _, number in line], np.int64),
        np.array([at for at, _ in place], np.int64),
        np.array([box for _, box in place], np.float32).reshape(-1, 4),
        *before,
    )


@dataclass(frozen=True)
class Stage:
    """How hard lessons are.

    most: things in a scene; large: share of large pictures; think: share of lessons; turns: of a scene, as
    many as fit into `room` tokens; size: of a batch, as a factor; alike: share of scenes of one shape mostly.
    """

    most: int = 4
    large: float = 0.12
    think: float = 0.25
    turns: int = 9
    room: int = 170
    size: float = 1.0
    alike: float = 0.0


def random_grid(rng: Random, kind: str, stage: Stage) -> tuple[int, int]:
    """Rows and columns of tokens: small mostly, oblong for words."""
    if kind == "print":
        return rng.choice([3, 3, 3, 4]), rng.randint(3, 6 if rng.random() > stage.large else 12)
    if kind == "clip":
        return rng.randint(3, 5), rng.randint(3, 6)
    if rng.random() > stage.large:
        return rng.randint(3, 6), rng.randint(3, 6)
    if (large := rng.random()) < 0.3:
        return rng.randint(5, 11), rng.randint(5, 11)
    if large < 0.5:  # as large as pictures get: each costs as much as ten small ones
        return rng.randint(8, 16), rng.randint(8, 16)
    long, short = rng.randint(7, 16), rng.randint(3, 5)
    return (long, short) if rng.random() < 0.5 else (short, long)


def _thought_over(rng: Random, lesson: Lesson) -> Lesson:
    """Ends in a turn with thinking on, which may be any that comes with or after its last picture."""
    first = max((n for n, turn in enumerate(lesson.turns) if turn.media), default=0)
    return Lesson(lesson.turns[: rng.randint(first, len(lesson.turns) - 1) + 1], think=True)


def make(kind: str, rng: Random, stage: Stage, writer: Writer) -> Batch:
    grid = random_grid(rng, kind, stage)
    makers: dict[str, Callable[[], Lesson]] = {
        "scene": lambda: writer.fitted(
            scene_lesson(rng, *grid, stage.most, stage.turns, stage.alike), stage.room
        ),
        "print": lambda: print_lesson(rng, *grid, 4),
        "change": lambda: change_lesson(rng, *grid),
        "clip": lambda: clip_lesson(rng, *grid),
        "quote": lambda: quote_lesson(rng, 3),
        "outside": lambda: outside_lesson(rng),
    }
    wanted = {"scene": 40, "print": 20, "change": 24, "clip": 14, "quote": 32, "outside": 16}[kind]
    tokens = grid[0] * grid[1] * {"scene": 1, "print": 4, "change": 2, "clip": 4.5}.get(kind, 0)
    room = 900 if kind == "scene" else 1300  # picture tokens of one batch, about
    count = max(4, int(min(wanted, room / tokens if tokens else wanted) * stage.size))
    lessons = [makers[kind]() for _ in range(count)]
    lessons = [_thought_over(rng, lesson) if rng.random() < stage.think else lesson for lesson in lessons]
    return collate(kind, lessons, grid, writer)
