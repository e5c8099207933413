"""Numbered frames out of video files and animations, one at a time.

Knows: OpenCV's FFmpeg reader and where it is inexact, Pillow's animations.
Does not know: which frames are wanted and why (video.py), patches, MLX.

The packets of a file are read once without decoding: that gives the true number of frames, the time of each
and which of them can be decoded alone. A frame is then found by its time, so a seek that lands elsewhere is
noticed; headers and OpenCV's own frame numbers are never trusted.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

# Both are read at FFmpeg's first use. Silence on the terminal; and only containers that hold the video
# itself: a playlist would make FFmpeg open other files or the network, and it would film plain text.
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = (
    "protocol_whitelist;file|format_whitelist;"
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,h264,hevc,mjpeg,dv,ivf,m4v,nut,rm"
)

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlx_backend.errors import BadMedia
from mlx_backend.glm.images import FORMATS, open_image, quiet, to_rgb, too_large

cv2.utils.logging.setLogLevel(0)

DEFAULT_FPS = 24.0  # the reference's own answer where a file does not say
SAME_TIME = 0.5  # milliseconds; both sides come from the same timestamps
# OpenCV starts decoding this many frames before the one it is asked to seek to, at the keyframe before that.
SEEK_LEAD = 16
# Up to this size one thread decodes a few frames after a seek sooner than several that must first be filled
# (measured on 2 cores); large frames keep OpenCV's own choice.
ONE_THREAD_PIXELS = 640 * 480


class Clip(Protocol):
    """A video that is known but not decoded. frames: how many there truly are. Sizes in pixels, upright.

    times: of each frame in milliseconds, ascending; empty where they are not known.
    """

    @property
    def name(self) -> str: ...

    @property
    def frames(self) -> int: ...

    @property
    def fps(self) -> float: ...

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def times(self) -> NDArray[np.float64]: ...

    def read(self, indices: Sequence[int]) -> Iterator[Image.Image]:
        """The RGB frames of these ascending indices, repeats allowed. Raises BadMedia."""
        ...


def open_clip(path: Path, name: str = "") -> Clip:
    """Find out what a video holds, without decoding it where the container allows.

    name: what errors call it; the file's name where none is given. A still picture is a clip of one frame.
    Raises BadMedia for what is not there, not a video, or without a single usable frame.
    """
    name = name or path.name
    if not path.is_file():
        raise BadMedia(name, "there is no such file.")
    if path.stat().st_size == 0:
        raise BadMedia(name, "the file is empty.")
    return _animation(path, name) or _video_file(path, name)


# --- files that FFmpeg reads -----------------------------------------------------------------------------


@dataclass(frozen=True)
class VideoFile:
    """A clip in a container. times: of each frame in milliseconds, ascending; empty where the container's
    times cannot be trusted, and frames are then counted. keys: indices that can be decoded alone."""

    path: Path
    name: str
    frames: int
    fps: float
    width: int
    height: int
    times: NDArray[np.float64] = field(repr=False)
    keys: NDArray[np.int64] = field(repr=False)

    def read(self, indices: Sequence[int]) -> Iterator[Image.Image]:
        reader = _Reader(self)
        last, picture = -1, None
        for index in indices:
            if picture is None or index != last:
                last, picture = index, Image.fromarray(reader.frame(index))
            yield picture


def _video_file(path: Path, name: str) -> VideoFile:
    capture = _capture(path)
    if not capture.isOpened():
        raise BadMedia(name, "it is not a video this app can read, or it is cut off.")
    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    announced, header_fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    times, keys = _scan(path)
    if not _plays_in_order(capture, times):
        times, keys = np.empty(0), np.empty(0, np.int64)
    frames = len(times) or _count(path)
    if frames == 0 or width < 1 or height < 1:
        raise BadMedia(name, f"nothing in it can be decoded{_codec(capture)}.")
    clip = VideoFile(path, name, frames, _true_fps(header_fps, times), width, height, times, keys)
    # A file that announces more than it holds was cut: its last frame may be there only in part.
    return _without_broken_end(clip) if announced > frames and len(times) else clip


def _capture(path: Path, *options: int) -> Any:
    # FFmpeg by name: OpenCV's other readers take a picture's file name for the pattern of a sequence.
    # An absolute path: FFmpeg would take "concat:…" or "http:…" for a protocol.
    return cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG, list(options))


def _codec(capture: Any) -> str:
    code = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).decode("ascii", "ignore")
    return f"; it is coded as {code}" if code.isalnum() else ""


def _scan(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times in milliseconds and keyframe indices in order of display, from the packets alone."""
    capture = _capture(path, cv2.CAP_PROP_FORMAT, -1)  # -1: packets as they are, nothing is decoded
    times, keys = [], []
    while capture.isOpened() and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        keys.append(capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME) != 0)
    capture.release()
    # Packets come in the order of decoding, frames in the order of display.
    order = np.argsort(np.array(times), kind="stable")
    return np.array(times, np.float64)[order], np.flatnonzero(np.array(keys, bool)[order])


def _plays_in_order(capture: Any, times: NDArray[np.float64], probe: int = 16) -> bool:
    """Whether the first decoded frames have exactly the times that the packets announced."""
    if len(times) == 0 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        return False
    for expected in times[:probe]:
        if not capture.grab() or abs(capture.get(cv2.CAP_PROP_POS_MSEC) - expected) > SAME_TIME:
            return False
    return True


def _count(path: Path) -> int:
    """Frames that decode, by decoding all: the last resort."""
    capture = _capture(path)
    frames = 0
    while capture.grab():
        frames += 1
    return frames


def _true_fps(header: float, times: NDArray[np.float64]) -> float:
    """The header's frame rate, unless it is no number or contradicts the frames' own times."""
    usable = math.isfinite(header) and 0 < header < 10_000
    if len(times) < 2:
        return header if usable else DEFAULT_FPS
    span = float(times[-1] - times[0])
    expected = (len(times) - 1) / header * 1000 if usable else math.inf
    # Containers round to whole milliseconds, hence the constant part.
    return header if abs(expected - span) <= 2 + 0.02 * span else (len(times) - 1) / span * 1000


def _without_broken_end(clip: VideoFile, tail: int = 24) -> VideoFile:
    """The clip up to the last frame that decodes. tail: more frames than any coder puts out of order.

    Some coders fill up a frame whose data ends early, so that the very last one may be incomplete.
    """
    reader, frames = _Reader(clip), max(0, clip.frames - tail)
    try:
        while frames < clip.frames:
            reader.frame(frames)
            frames += 1
    except BadMedia:
        if frames == 0:
            raise
    return replace(clip, frames=frames, times=clip.times[:frames])


class _Reader:
    """Walks forward through a file: decodes on, or seeks where that decodes less."""

    def __init__(self, clip: VideoFile) -> None:
        self._clip = clip
        small = clip.width * clip.height <= ONE_THREAD_PIXELS
        self._options = (cv2.CAP_PROP_N_THREADS, 1) if small else ()
        self._capture = _capture(clip.path, *self._options)
        self._at = -1  # index of the frame grabbed last
        self._seeks = True

    def frame(self, index: int) -> NDArray[np.uint8]:
        """(height, width, 3) RGB; `index` not before the last one. Raises BadMedia."""
        if self._seek_pays(index):
            self._seek(index)
        while self._at < index:
            if not self._grab():
                raise BadMedia(
                    self._clip.name,
                    f"the video is damaged: frame {index + 1} of {self._clip.frames} cannot be decoded.",
                )
        decoded, frame = self._capture.retrieve()
        if not decoded:
            raise BadMedia(self._clip.name, f"the video is damaged at frame {index + 1}.")
        rgb: NDArray[np.uint8] = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        return rgb

    def _grab(self) -> bool:
        if not self._capture.grab():
            return False
        self._at = self._landed() if len(self._clip.times) else self._at + 1
        return True

    def _landed(self) -> int:
        """Index of the frame grabbed last, by its time."""
        now = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        return int(np.searchsorted(self._clip.times, now + SAME_TIME)) - 1

    def _seek_pays(self, index: int) -> bool:
        if not self._seeks:
            return False
        keys = self._clip.keys
        before = int(np.searchsorted(keys, max(0, index - SEEK_LEAD), side="right")) - 1
        return before >= 0 and int(keys[before]) > self._at + 1

    def _seek(self, index: int) -> None:
        """Go to `index` or a little before it. OpenCV numbers frames by time, hence its number for ours."""
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        for lead in (0, 4 * SEEK_LEAD):
            target = round(self._clip.times[max(0, index - lead)] / 1000 * rate) if math.isfinite(rate) else 0
            if self._capture.set(cv2.CAP_PROP_POS_FRAMES, target) and self._grab() and self._at <= index:
                return
        # It landed behind the frame both times: from the start, one by one, is always right.
        self._capture.release()
        self._capture, self._at, self._seeks = _capture(self._clip.path, *self._options), -1, False


# --- files that Pillow reads -----------------------------------------------------------------------------

# Formats with an unmistakable beginning; the first four may move.
MOVING = ("GIF", "WEBP", "PNG", "AVIF")
PICTURES = tuple({*MOVING, "JPEG", "BMP", "TIFF"} & set(FORMATS))


@dataclass(frozen=True)
class Animation:
    """A clip in a picture format; a still picture has one frame."""

    path: Path
    name: str
    frames: int
    fps: float
    width: int
    height: int

    @property
    def times(self) -> NDArray[np.float64]:
        return np.empty(0)

    def read(self, indices: Sequence[int]) -> Iterator[Image.Image]:
        if self.frames == 1:
            yield from [open_image(self.path, self.name)] * len(indices)
            return
        with Image.open(self.path) as image:
            for index in indices:
                try:
                    with quiet():
                        image.seek(index)
                        frame = to_rgb(image)
                except Exception as error:  # decoders raise whatever a damaged file leads them into
                    raise BadMedia(self.name, f"it is damaged at frame {index + 1} ({error}).") from error
                yield frame


def _animation(path: Path, name: str) -> Animation | None:
    """None for what is not a picture format at all. Raises BadMedia for a damaged one."""
    with quiet():
        try:
            image = Image.open(path, formats=PICTURES)
        except Image.DecompressionBombError as error:
            raise BadMedia(name, too_large()) from error
        except Exception:  # header parsers raise whatever they are led into; FFmpeg has the next look
            return None
        with image:
            frames, fps = _length(image, name) if image.format in MOVING else (1, DEFAULT_FPS)
            # A single frame is read as the picture it is, turned upright.
            width, height = open_image(path, name).size if frames == 1 else image.size
    return Animation(path, name, frames, fps, width, height)


def _length(image: Image.Image, name: str) -> tuple[int, float]:
    """Frames, and frames per second on the average."""
    milliseconds = 0.0
    try:
        frames = int(getattr(image, "n_frames", 1))
        for index in range(frames if frames > 1 else 0):
            image.seek(index)
            image.load()  # WebP knows how long a frame lasts only once it is decoded
            milliseconds += float(image.info.get("duration") or 0)
    except Exception as error:  # decoders raise whatever a damaged file leads them into
        raise BadMedia(name, f"the animation is damaged or cut off ({error}).") from error
    return frames, frames / milliseconds * 1000 if milliseconds > 0 else DEFAULT_FPS
