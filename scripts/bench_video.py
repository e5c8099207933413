"""Sampling a two-hour video against decoding all of it: seconds and peak memory, each in a process of its own.

Knows: how to make the video and how to measure. Does not know: what is fast enough.
Run alone, or by `scripts/bench engine`.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from bench_table import Row, show

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlx_backend.glm.images import MediaRules
from mlx_backend.glm.video import video_grids, video_pairs, video_patches

HOURS, FPS, SIZE = 2, 24, (160, 90)
RULES = MediaRules(max_pixels=47_040_000)


def measure() -> list[Row]:
    """Make the video, measure every way of reading it, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "two_hours.mp4"
        made(path)
        ways = {way: alone(way, path) for way in WAYS}
    return [
        *(
            row
            for way, found in ways.items()
            for row in (
                Row(f"{way}: seconds", found["seconds"]),
                Row(f"{way}: peak memory of the process, MB", found["peak"] / 1e6),
                Row(f"{way}: frames", found["frames"]),
            )
        ),
        Row("video_patches faster than decoding all, times", faster(ways, "video_patches")),
        Row("video_pairs faster than decoding all, times", faster(ways, "video_pairs")),
    ]


def faster(ways: dict[str, dict[str, float]], way: str) -> float:
    return ways["decode all"]["seconds"] / ways[way]["seconds"]


def made(path: Path) -> None:
    """Two hours of a moving scene with grain, so that frames are worth decoding."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), FPS, SIZE)
    grain = np.random.Generator(np.random.PCG64(1)).integers(0, 200, (SIZE[1] * 2, SIZE[0] * 2, 3), np.uint8)
    grain = cv2.GaussianBlur(grain, (5, 5), 0)
    for index in range(HOURS * 3600 * FPS):
        y, x = index // 3 % SIZE[1], index // 2 % SIZE[0]
        writer.write(np.ascontiguousarray(grain[y : y + SIZE[1], x : x + SIZE[0]]))
    writer.release()


def alone(way: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, way, str(path)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


# --- the ways, each run in a child -----------------------------------------------------------------------


def decode_all(path: Path) -> int:
    """The reference's reader: every frame decoded and turned into RGB, the sampled ones would be kept."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = 0
    while True:
        decoded, frame = capture.read()
        if not decoded:
            return frames
        cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        frames += 1


def lay_out(path: Path) -> int:
    return 2 * len(video_grids(path, RULES)[1])


def in_pairs(path: Path) -> int:
    return 2 * sum(1 for _ in video_pairs(path, RULES))


def at_once(path: Path) -> int:
    return 2 * len(video_patches(path, RULES)[1])


WAYS = {"decode all": decode_all, "video_grids": lay_out, "video_pairs": in_pairs, "video_patches": at_once}


def child(way: str, path: Path) -> None:
    start = time.perf_counter()
    frames = WAYS[way](path)
    seconds = time.perf_counter() - start
    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "peak": peak, "frames": frames}))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(sys.argv[1], Path(sys.argv[2]))
    else:
        show("(d) sampling a two-hour video", measure())
