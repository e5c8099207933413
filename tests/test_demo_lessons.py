"""What the demo model is taught and examined with is true: pixels, answers, boxes, labels, positions."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
from demo import exam, meanings, outside, vocabulary
from demo.batches import IGNORED, Stage, Writer, collate, make, positions
from demo.clips import appearing, frame, moving, write_clip
from demo.lessons import Lesson, Turn, change_lesson, quote_lesson, random_change, scene_lesson
from demo.printed import EXAM_WORDS, TRAINING_WORDS, draw_print, random_print, random_text
from demo.questions import ABOUT_SCENES, box, changed, describe, refer, where_all
from demo.quoted import evidence, facts
from demo.world import COLOURS, PLACES, any_size, draw, random_scene

from mlx_backend.glm.images import image_patches
from mlx_backend.glm.model import positions as true_positions
from mlx_backend.glm.rules import MediaRules
from mlx_backend.glm.tokenizer import Tokenizer
from mlx_backend.glm.video import video_grids
from mlx_backend.grounding import places
from mlx_backend.reply import Reply
from mlx_backend.types import Answer as Said
from mlx_backend.types import Boxed, Done, Reasoning, Stats, Text

SEEDS = range(60)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    folder = tmp_path_factory.mktemp("tokenizer")
    vocabulary.write(folder)
    return Writer(Tokenizer(folder))


@pytest.mark.parametrize("seed", SEEDS)
def test_things_are_where_the_scene_says(seed: int) -> None:
    rng = Random(seed)
    scene = random_scene(rng, *any_size(rng), rng.randint(1, 4))
    pixels = np.asarray(draw(scene)).astype(int)
    drawn = np.abs(pixels - scene.ground).sum(axis=2) > 0
    for thing in scene.things:
        left, top, right, bottom = thing.box
        part = drawn[top:bottom, left:right]
        assert part.any(axis=0).sum() >= right - left - 1 and part.any(axis=1).sum() >= bottom - top - 1
        x, y = (int(n) for n in thing.centre)
        assert tuple(pixels[y, x]) == COLOURS[thing.colour]
        drawn[top:bottom, left:right] = False
    assert not drawn.any()
    assert len({thing.place for thing in scene.things}) == len(scene.things)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_question_has_its_true_answer(seed: int) -> None:
    """Told by the description alone: each answer agrees with what the scene lists."""
    rng = Random(seed)
    scene = random_scene(rng, 160, 120, rng.randint(1, 4))
    told = "".join(part.text for part in describe(rng, scene).answer if isinstance(part, Text))
    assert all(f"{thing.full_name} {PLACES[thing.place]}" in told for thing in scene.things)
    for _, maker in ABOUT_SCENES:
        ask = maker(rng, scene)
        if ask is None:
            continue
        words = "".join(part.text for part in ask.answer if isinstance(part, Text))
        if found := re.search(r"There (?:is|are) (\d) (.*)\.", words):
            kind = found[2].removesuffix("s").removesuffix(" shape")
            many = [t for t in scene.things if kind in ("shape", t.shape, t.colour)]
            assert len(many) == int(found[1])
        if found := re.search(r"The (\w+) is (\w+)\.", words):
            assert [t.colour for t in scene.things if t.shape == found[1]] == [found[2]]
    boxes = [
        place
        for part in where_all(rng, scene).answer
        if isinstance(part, Boxed)
        for place in places(part.text)
    ]
    assert boxes and all(any(b == box(scene, thing.box) for thing in scene.things) for b in boxes)


def test_a_name_means_one_thing() -> None:
    rng = Random(5)
    for _ in range(100):
        scene = random_scene(rng, 140, 140, 4)
        names = [name for thing in scene.things for name in refer(scene, thing)]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("seed", SEEDS)
def test_one_thing_changes(seed: int) -> None:
    change = random_change(Random(seed), 140, 112)
    gone = set(change.before.things) - set(change.after.things)
    new = set(change.after.things) - set(change.before.things)
    assert len(gone) <= 1 and len(new) <= 1 and gone | new
    assert all(thing.name in change.answer or thing.colour in change.answer for thing in gone | new)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_word_stands_whole_in_its_picture(seed: int) -> None:
    rng = Random(seed)
    page = random_print(rng, rng.randint(84, 300), rng.randint(84, 120), random_text(rng))
    ink = np.abs(np.asarray(draw_print(page)).astype(int) - page.ground).sum(axis=2) > 0
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    assert rows[0] > 0 and rows[-1] < page.height - 1 and columns[0] > 0 and columns[-1] < page.width - 1
    assert "".join(letter for letter, _ in page.letters) == page.text


def test_clips_last_and_move_as_they_say(tmp_path: Path) -> None:
    rng = Random(3)
    for index in range(6):
        clip = moving(rng, 140, 112) if index % 2 else appearing(rng, 140, 112)
        file = write_clip(clip, tmp_path / f"{index}.mp4")
        grids, seconds = video_grids(file, MediaRules.for_videos(tmp_path))
        assert seconds == list(range(clip.seconds)) and grids == [(1, 8, 10)] * clip.seconds
        if clip.late is not None:
            assert frame(clip, clip.since) != frame(clip, clip.since - 0.1)
            assert frame(clip, 0) == frame(clip, clip.since - 0.1)


def test_evidence_is_quoted_word_for_word() -> None:
    rng = Random(1)
    for _ in range(100):
        asked = evidence(rng, facts(rng, 5), answered=rng.random() < 0.8)
        found = re.fullmatch(r'(.*) \[\[(\d)\|"(.*)"\]\]', asked.answer)
        if asked.number:
            assert found and asked.lines[int(found[2]) - 1] == found[3]
            assert found[1].removesuffix(".").split()[-1] in found[3]
        else:
            assert not found


def test_the_exam_is_kept_back_from_training() -> None:
    assert not set(EXAM_WORDS) & set(TRAINING_WORDS) and len(EXAM_WORDS) > 30
    rng = Random(2)
    learned = {random_text(rng) for _ in range(3000)}
    asked = {item.media[0].text for item in exam.items("read", 100) if item.media[0].text.isalpha()}
    assert asked <= set(EXAM_WORDS) and len(asked & learned) <= 1  # letters drawn at random may spell a word
    assert not {outside.question(rng) for _ in range(1000)} & {
        i.ask.question for i in exam.items("outside", 100)
    }


@pytest.mark.parametrize("kind", ["scene", "print", "change", "clip", "quote", "outside"])
def test_a_batch_is_what_the_app_would_compute(kind: str, writer: Writer) -> None:
    batch = make(kind, Random(7), Stage(think=0.5), writer)
    image = writer.tokenizer.control.image
    tokens = batch.grid[0] * batch.grid[1] // 4
    for row in range(len(batch.ids)):
        ids = batch.ids[row]
        many = int((ids == image).sum()) // tokens
        want, _ = true_positions(ids.tolist(), [(1, *batch.grid)] * many, image)
        assert np.array_equal(positions(ids, image, batch.grid[0] // 2, batch.grid[1] // 2), want)
    assert (batch.labels != IGNORED).any(axis=1).all()
    learned = batch.labels[batch.labels != IGNORED]
    assert np.array_equal(learned, batch.ids[batch.labels != IGNORED])
    assert (batch.ids == image).sum() == len(batch.where) == len(batch.dense)


def test_learned_pixels_are_the_apps_pixels(writer: Writer) -> None:
    rng, rules = Random(4), MediaRules()
    scene = scene_lesson(rng, 4, 5, 3, 1).media[0]
    rows, grid = image_patches(draw(scene), rules)
    lesson = Lesson([Turn((scene,), describe(rng, scene))])
    batch = collate("scene", [lesson], (grid[1] // 2, grid[2] // 2), writer)
    assert np.abs(batch.patches.reshape(-1, 1176) - rows).max() < 2e-3  # float16


def test_an_answer_is_judged_by_words_boxes_and_seconds() -> None:
    item = next(i for i in exam.items("locate", 50) if "all" not in i.ask.question)
    assert exam.is_right(item, _reply(*item.ask.answer))
    far = Boxed("[[1,1,2,2]]")
    assert not exam.is_right(item, _reply(item.ask.answer[0], far))
    assert not exam.is_right(item, _reply(item.ask.answer[0]))
    late = next(i for i in exam.items("video", 50) if "second" in i.ask.answer[0].text)
    second = int(re.search(r"\d+", late.ask.answer[0].text)[0])
    assert exam.is_right(late, _reply(Text(f"at {second + 1}"))) and not exam.is_right(
        late, _reply(Text("at 9"))
    )
    assert not exam.is_right(late, _reply(Text("never")))
    assert exam.iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)


def _reply(*parts: Text | Boxed) -> Reply:
    reply = Reply()
    for part in parts:
        reply.add(Said(part.text, isinstance(part, Boxed)))
    return reply


def test_reasoning_counts_only_where_it_was_asked_for(tmp_path: Path) -> None:
    done = Done("stop", Stats(1, 0, 0, 0, 0.0, 0.0, 0.0, 0))
    for thinking, events, good in (
        (True, [Reasoning("I see."), Said("Yes."), done], True),
        (True, [Said("Yes."), done], False),
        (False, [Reasoning("I see."), Said("Yes."), done], False),
        (False, [Said("Yes."), done], True),
        (False, [Said("Yes.")], False),
    ):
        item = next(exam.items("outside", 1))
        item = exam.Item(item.skill, (), item.ask, thinking=thinking)
        mark = exam.grade(item, lambda request, events=events: events, tmp_path)
        assert mark.well_formed == good and not mark.right


def test_lessons_keep_their_turns_apart() -> None:
    rng = Random(8)
    for _ in range(30):
        lesson = change_lesson(rng, 4, 4)
        assert sum(len(turn.media) for turn in lesson.turns) == 2
        assert quote_lesson(rng, 3).turns[0].ask.question.startswith("Evidence:")


# --- what words refer to ---------------------------------------------------------------------------------


def test_words_are_told_what_they_refer_to(writer: Writer) -> None:
    """Every label is at a token of the words it is about, and says what the scene or the evidence says."""
    rng = Random(9)
    for _ in range(20):
        lesson = scene_lesson(rng, 5, 5, 4, 5)
        scene = lesson.media[0]
        pieces = writer.pieces(writer.write(lesson, 25)[0])
        for at, spot in meanings.named(pieces, [scene]):
            thing = next(t for t in scene.things if meanings.place(t, scene) == spot)
            assert thing.shape.endswith(pieces[at].strip()) or thing.shape in pieces[at]
        for at, spot in meanings.boxes(pieces):
            assert pieces[at].strip("[],").isdigit() or not pieces[at].strip("[],")
            assert any(
                max(abs(a - b) for a, b in zip(spot, meanings.place(t, scene), strict=True)) < 0.002
                for t in scene.things
            )
    for _ in range(20):
        lesson = quote_lesson(rng, 1)
        text = lesson.turns[0].ask.question
        pieces = writer.pieces(writer.write(lesson, 0)[0])
        for at, number in meanings.lines(pieces):
            line = text.split("\n")[number]
            assert line.startswith(f"[{number}]") and pieces[at].strip() in line + "."
        wanted = re.search(r"\[\[(\d)", lesson.turns[0].ask.answer[0].text)
        assert {n for _, n in meanings.cited(pieces)} == {int(wanted[1]) if wanted else 0}


def test_the_place_that_changed_is_told(writer: Writer) -> None:
    rng = Random(10)
    for _ in range(30):
        change = random_change(rng, 140, 140)
        lesson = Lesson([Turn((change.before, change.after), changed(rng, change))])
        told = meanings.changed(writer.pieces(writer.write(lesson, 25)[0]), [change.before, change.after])
        (box,) = {box for _, box in told}
        scenes = (change.before, change.after)
        differing = set(change.before.things) ^ set(change.after.things)
        assert box in {meanings.place(thing, scene) for scene in scenes for thing in differing}
