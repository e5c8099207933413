"""Parts of clips and other frame rates: the reference's rule on the part, the clock of the whole."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media import number, write_video
from PIL import Image

from mlx_backend.errors import BadMedia
from mlx_backend.glm.frames import VideoFile, open_clip
from mlx_backend.glm.images import MediaRules
from mlx_backend.glm.span import Look, length, moments, span
from mlx_backend.glm.video import plan, sample_indices, video_grids, video_patches

VFR = Path(__file__).parent / "reference" / "variable_rate.mp4"
RULES = MediaRules(max_pixels=47_040_000)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds at 30 frames a second, without loss, each frame with its number."""
    return write_video(tmp_path_factory.mktemp("clips") / "v.mkv", 300, codec="FFV1")


def counted(frames: int, fps: float) -> VideoFile:
    return VideoFile(Path("v"), "v", frames, fps, 100, 100, np.empty(0), np.empty(0, np.int64))


# --- the whole is as ever --------------------------------------------------------------------------------


def test_without_a_look_it_is_the_reference_s_choice(clip: Path) -> None:
    whole = plan(clip, RULES)
    assert whole.indices == sample_indices(300, 30.0, 10.0)
    assert plan(clip, RULES, look=Look()).indices == whole.indices
    assert whole.seconds == [int(index / 30) for index in whole.indices[::2]]
    assert plan(clip, RULES, look=Look(2.0)).indices == whole.indices  # the reference's own rate


# --- another rate ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [0.1, 0.5, 1.0, 3.0, 8.0])
def test_a_rate_is_the_reference_s_rule_with_that_rate(clip: Path, fps: float) -> None:
    planned = plan(clip, RULES, look=Look(fps))
    assert planned.indices == sample_indices(300, 30.0, 10.0, fps)
    assert planned.seconds == [int(index / 30) for index in planned.indices[::2]]
    assert len(planned.indices) == max(2, 2 * math.ceil(10 * fps / 2))


# --- a part ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [None, 1.0, 5.0])
def test_a_part_is_a_clip_of_its_own_with_the_times_of_the_whole(
    clip: Path, tmp_path: Path, fps: float | None
) -> None:
    frames = open_clip(clip).read(range(90, 210))
    drawn = (np.asarray(frame)[:, :, ::-1].copy() for frame in frames)
    alone = write_video(tmp_path / "part.mkv", 120, codec="FFV1", drawn=drawn)
    own, part = plan(alone, RULES, look=Look(fps)), plan(clip, RULES, look=Look(fps, 3.0, 7.0))
    assert part.indices == [90 + index for index in own.indices]
    assert part.seconds == [3 + second for second in own.seconds]
    assert part.length == pytest.approx(10) and own.length == pytest.approx(4)
    rows, grids, seconds = video_patches(clip, RULES, look=Look(fps, 3.0, 7.0))
    expected, own_grids, _ = video_patches(alone, RULES, look=Look(fps))
    assert (grids, seconds) == (own_grids, part.seconds)
    assert np.array_equal(rows, expected)
    assert video_grids(clip, RULES, look=Look(fps, 3.0, 7.0)) == (grids, seconds)


def test_parts_beside_each_other_share_no_frame_and_leave_none_out() -> None:
    whole = counted(1000, 23.976)
    edges = [0.0, 1.0, 2 / 23.976 + 1, 7.5, 20.0, 41.5]
    found = [span(whole, Look(None, start, end)) for start, end in pairwise(edges)]
    found.append(span(whole, Look(None, edges[-1])))
    frames = [at for part in found for at in range(part.first, part.first + part.frames)]
    assert frames == list(range(1000))


def test_a_part_between_two_frames_is_the_frame_that_is_on_the_screen() -> None:
    assert span(counted(10, 1.0), Look(None, 4.2, 4.8)).first == 4
    assert span(counted(10, 1.0), Look(None, 4.2, 4.8)).frames == 1


def test_a_player_rounds_the_end_up() -> None:
    assert span(counted(300, 30.0), Look(None, 5.0, 10.04)).frames == 150


@given(
    st.integers(1, 100_000),
    st.floats(1, 240),
    st.one_of(st.none(), st.floats(0.1, 8)),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1),
)
def test_what_is_seen_of_a_part_lies_in_it(
    frames: int, rate: float, fps: float | None, begin: float, long: float
) -> None:
    whole = counted(frames, rate)
    lasts = length(whole)
    start = begin * lasts
    end = start + long * (lasts - start)
    if not start < end:
        return
    found = span(whole, Look(fps, start, end))
    shown = moments(whole)[found.first : found.first + found.frames]
    assert len(shown) == found.frames >= 1
    if found.frames > 1:
        assert (shown >= start).all() and (shown < end).all()
    assert shown[0] <= end and shown[-1] >= start - 1.001 / rate


def test_a_part_of_a_clip_with_frames_of_unequal_length_is_what_a_player_shows_then() -> None:
    """Index / rate, which is good enough for the reference, is off by up to a second here."""
    clip = open_clip(VFR)
    assert isinstance(clip, VideoFile)
    true = (clip.times - clip.times[0]) / 1000
    assert np.abs(true - np.arange(clip.frames) / clip.fps).max() > 0.2
    assert np.array_equal(moments(clip), true)
    middle = float(true[-1]) / 2
    planned = plan(VFR, RULES, look=Look(None, middle, middle + 2.0))
    assert all(middle <= true[index] < middle + 2.0 for index in planned.indices)
    assert planned.moments == [true[index] for index in planned.indices[::2]]
    assert planned.seconds == [int(true[index]) for index in planned.indices[::2]]
    assert [number(frame) for frame in clip.read(planned.indices)] == planned.indices


def test_a_part_of_an_animation(tmp_path: Path) -> None:
    drawn = [Image.new("RGB", (64, 64), (n * 8, 0, 0)) for n in range(30)]
    drawn[0].save(tmp_path / "a.gif", save_all=True, append_images=drawn[1:], duration=100)
    planned = plan(tmp_path / "a.gif", RULES, look=Look(None, 1.0, 2.0))
    assert planned.indices == [10, 15] and planned.seconds == [1] and planned.moments == [1.0]


# --- what cannot be --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (Look(None, 10.0), "lasts 10.0 s, so there is no part from 10 s to its end"),
        (Look(None, 200.0, 210.0), "lasts 10.0 s, so there is no part from 200 s to 210 s"),
        (Look(None, 5.0, 12.0), "lasts 10.0 s, so there is no part from 5 s to 12 s"),
        (Look(None, 7.0, 3.0), "there can be no part from 7 s to 3 s. It lasts 10.0 s."),
        (Look(None, 3.0, 3.0), "no part from 3 s to 3 s"),
        (Look(None, -1.0), "no part from -1 s to its end. It lasts 10.0 s"),
        (Look(None, math.nan), "no part from nan s to its end"),
        (Look(None, 0.0, math.nan), "no part from 0 s to nan s"),
        (Look(None, 0.0, math.inf), "lasts 10.0 s"),
        (Look(0.0), "0 frames a second cannot be looked at, 0.1 to 8 can"),
        (Look(math.nan), "nan frames a second"),
        (Look(1e9), r"1e\+09 frames a second"),
        (Look(-1.0), "-1 frames a second"),
    ],
)
def test_a_part_that_is_not_there_is_told_with_the_clip_s_length(clip: Path, look: Look, words: str) -> None:
    with pytest.raises(BadMedia, match=rf"^holiday\.mkv: .*{words}"):
        plan(clip, RULES, "holiday.mkv", look=look)
