"""Sampling a two-hour video against decoding all of it: seconds and peak memory, each in its own process.

Knows: how to make the video and how to measure. Does not know: what is fast enough.
Run alone, or by `scripts/bench engine`.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from bench_table import Row, show
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlx_backend.glm.frames import open_clip
from mlx_backend.glm.images import MediaRules, patch_rows, resize_frame
from mlx_backend.glm.video import sample_indices, video_grids, video_pairs

# Coded with a keyframe every 12 frames, OpenCV's setting. The figures hang on that distance: a frame can only
# be decoded from the keyframe before it, so that sampling gains less the farther apart keyframes are.
HOURS, FPS, SIZE = 2, 24, (320, 180)
ROUNDS = 3
RULES = MediaRules(max_pixels=47_040_000)


def measure() -> list[Row]:
    """Make the video, read it every way in turn, take the medians, compare like with like."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "two_hours.mp4"
        made(path)
        rounds = [{way: alone(way, path) for way in WAYS} for _ in range(ROUNDS)]

    def median(way: str, figure: str) -> float:
        return statistics.median(found[way][figure] for found in rounds)

    rows = []
    for way in WAYS:
        rows.append(Row(f"{way}: seconds", median(way, "seconds")))
        rows.append(Row(f"{way}: peak memory of the process, MB", median(way, "peak") / 1e6))
    for all_of_it, sampling in (
        ("frames, decoding all", "frames, sampling"),
        ("frames, decoding all in one thread", "frames, sampling"),
        ("patch rows, decoding all", "patch rows, sampling"),
    ):
        rows.append(
            Row(f"{all_of_it} / sampling", median(all_of_it, "seconds") / median(sampling, "seconds"))
        )
    return rows


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


def sampled_by_decoding(path: Path, *options: int) -> Iterator[Image.Image]:
    """The reference's reader: decode every frame, turn those wanted into RGB."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, list(options))
    frames, fps = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
    wanted = set(sample_indices(frames, fps, frames / fps))
    for index in range(frames):
        decoded, frame = capture.read()
        if decoded and index in wanted:
            yield Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def decode_all(path: Path) -> int:
    return sum(1 for _ in sampled_by_decoding(path))


def decode_all_in_one_thread(path: Path) -> int:
    """With the decoder set as sampling sets it for frames of this size, so that only the seeking differs."""
    return sum(1 for _ in sampled_by_decoding(path, cv2.CAP_PROP_N_THREADS, 1))


def decode_all_and_prepare(path: Path) -> int:
    """The same work as video_pairs, frames found by decoding all."""
    _, down, across = video_grids(path, RULES)[0][0]
    pair: list[np.ndarray] = []
    frames = 0
    for frame in sampled_by_decoding(path):
        pair.append(resize_frame(frame, down * RULES.patch, across * RULES.patch))
        if len(pair) == 2:
            patch_rows(np.stack(pair), RULES)
            frames, pair = frames + 2, []
    return frames


def sample(path: Path) -> int:
    clip = open_clip(path)
    return sum(1 for _ in clip.read(sample_indices(clip.frames, clip.fps, clip.frames / clip.fps)))


def prepare(path: Path) -> int:
    return 2 * sum(1 for _ in video_pairs(path, RULES))


WAYS: dict[str, Callable[[Path], int]] = {
    "frames, decoding all": decode_all,
    "frames, decoding all in one thread": decode_all_in_one_thread,
    "frames, sampling": sample,
    "patch rows, decoding all": decode_all_and_prepare,
    "patch rows, sampling": prepare,
}


def child(way: str, path: Path) -> None:
    start = time.perf_counter()
    frames = WAYS[way](path)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak": peak_memory(), "frames": frames}))


def peak_memory() -> int:
    """The most memory this process has held, in bytes.

    On Linux not ru_maxrss: a child inherits that figure from whoever started it.
    """
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(sys.argv[1], Path(sys.argv[2]))
    else:
        show("(d) sampling a two-hour video", measure())
