"""Small video files for tests: every frame carries its number as pixels, so that a wrong frame shows.

Knows: OpenCV's writer. Does not know: anything of the app.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

BITS = 16
# Codec and container, as OpenCV's own FFmpeg can write them everywhere.
KINDS = [
    ("mp4v", "mp4"), ("mp4v", "mov"), ("mp4v", "mkv"), ("vp09", "mp4"), ("VP90", "webm"), ("VP80", "webm"),
    ("MJPG", "avi"), ("XVID", "avi"), ("FFV1", "mkv"), ("FFV1", "avi"),
]  # fmt: skip


def numbered(index: int, width: int = 128, height: int = 96) -> npt.NDArray[np.uint8]:
    """(height, width, 3): vertical stripes, light where the bit of the number is set."""
    stripes = [220 if index >> (x * BITS // width) & 1 else 30 for x in range(width)]
    return np.broadcast_to(np.array(stripes, np.uint8)[None, :, None], (height, width, 3)).copy()


def number(frame: Image.Image | npt.NDArray[np.uint8]) -> int:
    """Which frame this is."""
    stripes = np.asarray(frame).mean(axis=(0, 2))
    centres = [int((bit + 0.5) * len(stripes) / BITS) for bit in range(BITS)]
    return sum(1 << bit for bit, x in enumerate(centres) if stripes[x] > 125)


def write_video(
    path: Path,
    frames: int,
    fps: float = 30,
    codec: str = "mp4v",
    size: tuple[int, int] = (128, 96),
    drawn: Iterator[npt.NDArray[np.uint8]] | None = None,
) -> Path:
    """A video of numbered frames, or of `drawn` (BGR)."""
    fourcc = cv2.VideoWriter_fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, fps, size)
    assert writer.isOpened(), f"OpenCV cannot write {codec} here"
    for frame in drawn or (numbered(index, *size) for index in range(frames)):
        writer.write(frame)
    writer.release()
    return path
