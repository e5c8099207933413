"""Which part of a clip is looked at, and when a player shows its frames.

Knows: the times of frames, what a person may ask for.
Does not know: containers (frames.py), which frames of the part the model sees (video.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlx_backend.errors import BadMedia
from mlx_backend.glm.frames import Clip

FPS = (0.1, 8.0)  # frames per second that may be asked for
SLACK = 1.0  # seconds that an end may lie behind the clip's: players round its length up
FIT = 0.5  # of a frame's duration, up to which frames count as evenly spaced


@dataclass(frozen=True)
class Look:
    """fps, start, end: as in types.Video."""

    fps: float | None = None
    start: float = 0.0
    end: float | None = None

    @property
    def whole(self) -> bool:
        return self.start == 0 and self.end is None


@dataclass(frozen=True)
class Span:
    """Neighbouring frames of a clip. first: index; fps: their own rate, as if they were a clip."""

    first: int
    frames: int
    fps: float


def length(clip: Clip) -> float:
    """Seconds. The reference's readers give frames / fps, not the length the container states."""
    return clip.frames / clip.fps


def moments(clip: Clip) -> NDArray[np.float64]:
    """(frames,) the second at which a player shows each frame: index / fps where they are evenly spaced."""
    even: NDArray[np.float64] = np.arange(clip.frames) / clip.fps
    if len(clip.times) == 0:
        return even
    true = (clip.times - clip.times[0]) / 1000
    return even if np.abs(true - even).max() <= FIT / clip.fps else true


def span(clip: Clip, look: Look) -> Span:
    """The frames that are shown in the part, one at least. Raises BadMedia for what is not in the clip."""
    _check(clip, look)
    if look.whole:
        return Span(0, clip.frames, clip.fps)
    shown = moments(clip)
    end = math.inf if look.end is None else look.end
    first, behind = (int(at) for at in np.searchsorted(shown, [look.start, end]))
    if first == behind:  # a part between two frames shows the one before it
        first = behind - 1
    frames = behind - first
    seconds = float(shown[behind - 1] - shown[first])
    steady = abs(seconds - (frames - 1) / clip.fps) <= FIT / clip.fps
    return Span(first, frames, clip.fps if steady else (frames - 1) / seconds)


def _check(clip: Clip, look: Look) -> None:
    low, high = FPS
    if look.fps is not None and not low <= look.fps <= high:
        raise BadMedia(
            clip.name, f"{look.fps:g} frames a second cannot be looked at, {low:g} to {high:g} can."
        )
    lasts = length(clip)
    part = f"from {look.start:g} s to {'its end' if look.end is None else f'{look.end:g} s'}"
    if not 0 <= look.start < (math.inf if look.end is None else look.end):  # NaN too
        raise BadMedia(clip.name, f"there can be no part {part}. It lasts {lasts:.1f} s.")
    if look.start >= lasts or (look.end is not None and look.end > lasts + SLACK):
        raise BadMedia(clip.name, f"it lasts {lasts:.1f} s, so there is no part {part}.")
