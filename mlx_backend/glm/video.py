"""Videos as the model's vision tower wants them: which frames, when, and their patch rows.

Knows: the reference's sampling and timestamps, that frames go in pairs. A part of a clip is sampled as if it
    were a clip of its own, but keeps the times of the whole.
Does not know: containers and seeking (frames.py), which frames lie in a part (span.py), prompts, MLX.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlx_backend.errors import BadMedia
from mlx_backend.glm.frames import Clip, open_clip
from mlx_backend.glm.images import Grid, patch_rows, resize_frame
from mlx_backend.glm.rules import MediaRules, fit_size
from mlx_backend.glm.span import Look, length, moments, span

PICTURES = 32  # a whole video takes at most what so many pictures of the same detail would

__all__ = ["Look", "Plan", "plan", "sample_indices", "video_grids", "video_pairs", "video_patches"]


def sample_indices(
    frames: int,
    fps: float,
    duration: float | None = None,
    sample_fps: float = 2.0,
    max_seconds: float = 300.0,
) -> list[int]:
    """Which frames the model sees: an even number of ascending indices, the last perhaps twice.

    frames: how many there are; fps: their rate; duration: seconds, derived from both where unknown.
    Up to max_seconds, sample_fps frames per second; beyond, as many as max_seconds would have, spread evenly.
    Raises ValueError when there is no frame or fps is not positive.
    Source: sample_frames of the reference's GLM-4V video processor (transformers 5.23).
    """
    if frames < 1 or not fps > 0:
        raise ValueError(f"{frames} frames at {fps} per second")
    last = frames - 1
    seconds = duration or round(last / fps) + 1
    limit = int(max_seconds * sample_fps)
    if seconds <= max_seconds:
        wanted = [i * fps / sample_fps for i in range(max(math.floor(seconds * sample_fps), 1))]
    elif limit >= frames:
        wanted = [float(i) for i in range(frames)]
    else:
        wanted = [float(second) * fps for second in np.linspace(0, seconds, limit)]
    indices = list(dict.fromkeys(min(last, math.ceil(place)) for place in wanted))
    return indices + indices[-1:] * (len(indices) % 2)


@dataclass(frozen=True)
class Plan:
    """What will be read: known before anything is decoded. height, width: pixels after resizing."""

    clip: Clip
    indices: list[int]
    height: int
    width: int
    rules: MediaRules
    look: Look

    @property
    def grid(self) -> Grid:
        return 1, self.height // self.rules.patch, self.width // self.rules.patch

    @property
    def pairs(self) -> list[tuple[int, ...]]:
        """Indices of the frames of each pair."""
        each = self.rules.temporal
        return [tuple(self.indices[at : at + each]) for at in range(0, len(self.indices), each)]

    @property
    def moments(self) -> list[float]:
        """The second at which a player shows the first frame of each pair."""
        shown = moments(self.clip)
        return [float(shown[pair[0]]) for pair in self.pairs]

    @property
    def seconds(self) -> list[int]:
        """The whole second of the first frame of each pair, as the reference writes it into the prompt."""
        if self.look.whole:
            return [int(pair[0] / self.clip.fps) for pair in self.pairs]
        return [int(moment) for moment in self.moments]  # the person chose the part in a player

    @property
    def length(self) -> float:
        """Seconds of the whole clip."""
        return length(self.clip)


def plan(
    path: Path, rules: MediaRules, name: str = "", max_tokens: int | None = None, look: Look | None = None
) -> Plan:
    """Choose frames and their size. look: None: the whole. Raises BadMedia.

    max_tokens: what a picture may take: so does a pair of frames, and the whole video takes PICTURES times
    that. None: the checkpoint's bound for a video, however many pairs share it.
    """
    clip, look = open_clip(path, name), look or Look()
    part, rate = span(clip, look), look.fps or rules.sample_fps
    chosen = sample_indices(part.frames, part.fps, part.frames / part.fps, rate, rules.max_seconds)
    indices = [part.first + index for index in chosen]
    pairs = len(indices) // rules.temporal
    whole = None if max_tokens is None else max(1, max_tokens) * min(pairs, PICTURES)
    try:
        height, width = fit_size(len(indices), clip.height, clip.width, rules, whole)
    except ValueError as error:
        raise BadMedia(clip.name, f"{error}.") from error
    return Plan(clip, indices, height, width, rules, look)


def video_grids(
    path: Path, rules: MediaRules, name: str = "", max_tokens: int | None = None, look: Look | None = None
) -> tuple[list[Grid], list[int]]:
    """One (1, gh, gw) and one integer second per pair of frames, without decoding the video.

    max_tokens: as in plan. Equal to what video_patches gives. Raises BadMedia.
    """
    planned = plan(path, rules, name, max_tokens, look)
    return [planned.grid] * len(planned.pairs), planned.seconds


def video_pairs(
    path: Path, rules: MediaRules, name: str = "", max_tokens: int | None = None, look: Look | None = None
) -> Iterator[tuple[NDArray[np.float32], Grid, int]]:
    """Pair after pair: patch rows (gh * gw, 1176) float32, grid (1, gh, gw), second.

    Holds one pair at a time, whatever the video's length. Raises BadMedia, also on the way.
    """
    planned = plan(path, rules, name, max_tokens, look)
    for frames, second in zip(_frame_pairs(planned), planned.seconds, strict=True):
        yield patch_rows(frames, rules), planned.grid, second


def video_patches(
    path: Path, rules: MediaRules, name: str = "", max_tokens: int | None = None, look: Look | None = None
) -> tuple[NDArray[np.float32], list[Grid], list[int]]:
    """All pairs of a video: (rows of all pairs in order, one grid per pair, one second per pair).

    max_tokens: as in plan. The rows are float32: up to 564 MB under the reference's bounds, of which
    nothing is held twice. Raises BadMedia.
    """
    planned = plan(path, rules, name, max_tokens, look)
    each, pairs = planned.grid[1] * planned.grid[2], len(planned.pairs)
    rows = np.empty((pairs * each, rules.row), np.float32)
    for pair, frames in enumerate(_frame_pairs(planned)):
        patch_rows(frames, rules, out=rows[pair * each : (pair + 1) * each])
    return rows, [planned.grid] * pairs, planned.seconds


def _frame_pairs(planned: Plan) -> Iterator[NDArray[np.uint8]]:
    """(2, height, width, 3) RGB levels; each frame resized as soon as it is decoded."""
    pair: list[NDArray[np.uint8]] = []
    for frame in planned.clip.read(planned.indices):
        pair.append(resize_frame(frame, planned.height, planned.width))
        if len(pair) == planned.rules.temporal:
            yield np.stack(pair)
            pair = []
