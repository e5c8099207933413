"""The sizes pictures and videos are brought to, and a checkpoint's own rules for it.

Knows: the preprocessor files of a checkpoint, the resize rule.
Does not know: pixels, file formats, Pillow, MLX.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_backend.errors import ModelBroken

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
MAX_ASPECT = 200
# What reading a file of somebody else's numbers may raise.
WRONG = (OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class MediaRules:
    """How a checkpoint wants pictures or videos prepared.

    min_pixels, max_pixels: bounds on frames x height x width after resizing; a picture counts as two frames.
    patch: pixels per side; merge: patches per side of one token; temporal: frames per patch.
    sample_fps, max_seconds: for videos, frames taken per second and the length up to which that rate holds.
    """

    min_pixels: int = 12_544
    max_pixels: int = 11_760_000
    patch: int = 14
    merge: int = 2
    temporal: int = 2
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    sample_fps: float = 2.0
    max_seconds: float = 300.0

    @property
    def factor(self) -> int:
        """Pixels per side of one token."""
        return self.patch * self.merge

    @property
    def row(self) -> int:
        """Numbers in one patch row: 3 x 2 x 14 x 14 = 1176."""
        return 3 * self.temporal * self.patch**2

    @classmethod
    def from_file(
        cls, path: Path, default_min: int = 12_544, default_max: int = 11_760_000, section: str = ""
    ) -> MediaRules:
        """Read `preprocessor_config.json` or `video_preprocessor_config.json`.

        What the file does not say, or the whole file when it is absent, takes the reference's class
        defaults. section: the object inside the file that holds the rules, for files that nest them.
        Raises ModelBroken, naming the file, when it is not JSON or holds impossible values.
        """
        if not path.is_file():
            return cls(min_pixels=default_min, max_pixels=default_max)
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            return _rules(read.get(section, {}) if section else read, default_min, default_max)
        except WRONG as error:
            raise ModelBroken(str(path), f"not a usable preprocessor file ({error}).") from error

    @classmethod
    def for_images(cls, folder: Path) -> MediaRules:
        """The rules for pictures of the checkpoint in `folder`, looked up where the reference looks."""
        return cls._for(folder, "image_processor", ("preprocessor_config.json",), 11_760_000)

    @classmethod
    def for_videos(cls, folder: Path) -> MediaRules:
        """The rules for videos; a checkpoint without a video file applies its picture file to both."""
        names = ("video_preprocessor_config.json", "preprocessor_config.json")
        return cls._for(folder, "video_processor", names, 47_040_000)

    @classmethod
    def _for(cls, folder: Path, section: str, names: tuple[str, ...], default_max: int) -> MediaRules:
        # Files saved by transformers 5 nest both sections in one file, and that one then counts.
        nested = folder / "processor_config.json"
        if nested.is_file() and f'"{section}"' in nested.read_text(encoding="utf-8", errors="replace"):
            return cls.from_file(nested, default_max=default_max, section=section)
        found = next((folder / name for name in names if (folder / name).is_file()), folder / names[0])
        return cls.from_file(found, default_max=default_max)


def _rules(read: Mapping[str, Any], default_min: int, default_max: int) -> MediaRules:
    size = read.get("size") or {}
    rules = MediaRules(
        min_pixels=int(size.get("shortest_edge") or read.get("min_pixels") or default_min),
        max_pixels=int(size.get("longest_edge") or read.get("max_pixels") or default_max),
        patch=int(read.get("patch_size", 14)),
        merge=int(read.get("merge_size", 2)),
        temporal=int(read.get("temporal_patch_size", 2)),
        mean=_triple(read.get("image_mean", CLIP_MEAN)),
        std=_triple(read.get("image_std", CLIP_STD)),
        sample_fps=float(read.get("fps") or 2.0),
        max_seconds=float(read.get("max_duration") or 300.0),
    )
    if not 0 < rules.min_pixels <= rules.max_pixels:
        raise ValueError(f"pixel bounds {rules.min_pixels} to {rules.max_pixels}")
    if min(rules.patch, rules.merge) < 1 or rules.temporal != 2 or min(rules.std) <= 0:
        raise ValueError("patch, merge, temporal patch size or image_std out of range")
    return rules


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


# --- sizes -----------------------------------------------------------------------------------------------


def smart_resize(
    frames: int,
    height: int,
    width: int,
    min_pixels: int,
    max_pixels: int,
    factor: int = 28,
    temporal: int = 2,
) -> tuple[int, int]:
    """The (height, width) in pixels that the model sees, both multiples of `factor`.

    frames: 2 for a picture, the number of sampled frames for a video.
    min_pixels, max_pixels: bounds on frames x height x width. Very long shapes may exceed max_pixels,
        because no side gets shorter than `factor`; that is the reference's behaviour too.
    Raises ValueError when a side is not positive or one is over 200 times the other.
    Source: the resize rule of the reference's GLM-4V image and video processors (transformers 5.23).
    """
    if height < 1 or width < 1 or frames < 1:
        raise ValueError(f"it is {width} x {height} pixels")
    if height < factor or width < factor:
        scale = max(factor / height, factor / width)
        height, width = int(height * scale), int(width * scale)
    aspect = max(height, width) / min(height, width)
    if aspect > MAX_ASPECT:
        raise ValueError(f"one side is {aspect:.0f} times the other and the model takes at most {MAX_ASPECT}")

    # Python's round (half to even) is part of the rule.
    new_height, new_width = round(height / factor) * factor, round(width / factor) * factor
    volume = round(frames / temporal) * temporal * new_height * new_width
    if volume > max_pixels:
        shrink = math.sqrt(frames * height * width / max_pixels)
        new_height = max(factor, math.floor(height / shrink / factor) * factor)
        new_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif volume < min_pixels:
        grow = math.sqrt(min_pixels / (frames * height * width))
        new_height = math.ceil(height * grow / factor) * factor
        new_width = math.ceil(width * grow / factor) * factor
    return new_height, new_width


def fit_size(
    frames: int, height: int, width: int, rules: MediaRules, max_tokens: int | None = None
) -> tuple[int, int]:
    """`smart_resize` under a checkpoint's rules and, if given, a limit on tokens over all frames.

    The limit lowers the bound on pixels, so that the shape is chosen by the same rule. Where rounding or a
    very long shape still exceeds it, the longer side gives way; one token per pair of frames is the least.
    Returns (height, width) in pixels. Raises ValueError as smart_resize does.
    """
    low, high = rules.min_pixels, rules.max_pixels
    if max_tokens is not None:
        high = min(high, max(1, max_tokens) * rules.temporal * rules.factor**2)
        low = min(low, high)
    size = smart_resize(frames, height, width, low, high, rules.factor, rules.temporal)
    if max_tokens is None:
        return size
    down, across = size[0] // rules.factor, size[1] // rules.factor
    each = max(1, max_tokens // math.ceil(frames / rules.temporal))
    while down * across > each:
        down, across = (down - 1, across) if down > across else (down, across - 1)
    return down * rules.factor, across * rules.factor
