"""One clip looked at in different ways: what is reused between them is never the wrong pictures.

Two ways often have as many frames of the same size, so that only which frames they are tells them apart.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from media import write_video
from PIL import Image as Pillow
from turns import assistant, check, user

from mlx_backend.respond import Responder
from mlx_backend.sizes import Setup
from mlx_backend.types import Image, Message, Text, Video

LOOKS = {
    "all": {},
    "first half": {"end": 5.0},
    "second half": {"start": 5.0},
    "slowly, second half": {"fps": 0.5, "start": 5.0},
    "quickly, a quarter": {"fps": 4.0, "start": 5.0, "end": 7.5},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "v.mp4", 300, size=(112, 84))


@pytest.fixture(scope="module")
def pair(tiny_model: Path) -> tuple[Responder, Responder]:
    first, second = (Responder(tiny_model, dtype="float32", setup=Setup(chunk=64)) for _ in range(2))
    return first, second


@pytest.fixture
def warm(pair: tuple[Responder, Responder]) -> Responder:
    pair[0].forget()
    return pair[0]


@pytest.fixture
def cold(pair: tuple[Responder, Responder]) -> Responder:
    return pair[1]


def looked(clip: Path, name: str) -> Message:
    return user(Video(clip, "v.mp4", **LOOKS[name]), Text("what happens?"))


def first_frames(responder: Responder, question: Message) -> tuple[int, ...]:
    return responder.processor.layout((question,)).media[0].frames[0]


@pytest.mark.parametrize("before", LOOKS)
@pytest.mark.parametrize("after", LOOKS)
def test_after_one_look_another_has_the_logits_of_a_cold_run(
    warm: Responder, cold: Responder, clip: Path, before: str, after: str
) -> None:
    first, second = looked(clip, before), looked(clip, after)
    check(warm, cold, first)
    reused, total, encoded = check(warm, cold, second)
    if before == after:
        assert (reused, encoded) == (total - 1, 0)
    elif first_frames(warm, first) != first_frames(warm, second):
        assert reused < 8  # nothing behind the beginning of the first picture
        assert encoded == len(warm.processor.layout((second,)).grids)


def test_the_halves_of_a_clip_differ_in_their_frames_alone(warm: Responder, clip: Path) -> None:
    """Else the test above would prove little."""
    (first,), (second,) = (
        warm.processor.layout((looked(clip, name),)).media for name in ("first half", "second half")
    )
    assert (first.digest, first.grids, first.starts) == (second.digest, second.grids, second.starts)
    assert first.frames != second.frames


def test_two_looks_in_one_conversation(warm: Responder, cold: Responder, clip: Path) -> None:
    first, second = looked(clip, "first half"), looked(clip, "second half")
    before = check(warm, cold, first)
    assert before[2] == 5
    after = check(warm, cold, first, assistant("it counts."), second)
    assert (after[0], after[2]) == (before[1], 5)
    assert check(warm, cold, second, assistant("it counts."), first)[2] == 0  # their vectors are kept


def test_an_animation_as_a_picture_and_as_a_video_are_two_things(
    warm: Responder, cold: Responder, tmp_path: Path
) -> None:
    """One file, one size, and yet not the same pixels: a picture is the first frame twice."""
    frames = [Pillow.effect_noise((112, 112), 60 + n).convert("RGB") for n in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=500)
    as_picture = user(Image(tmp_path / "a.gif", "a.gif"), Text("what?"))
    as_video = user(Video(tmp_path / "a.gif", "a.gif"), Text("what?"))
    assert check(warm, cold, as_picture)[2] == 1
    assert check(warm, cold, as_video)[2] == 1
    grids = [warm.processor.layout((asked,)).grids for asked in (as_picture, as_video)]
    assert grids[0] == grids[1]
