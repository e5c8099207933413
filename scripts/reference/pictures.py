"""The pictures, sizes and samplings whose preparation is compared with the reference.

Shared by the script that makes the golden files and the tests that read them. Everything is drawn again from
seeds rather than stored, and nothing passes a lossy coder, so that both sides start from the same levels.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

Levels = npt.NDArray[np.uint8]
POSITIONS = 256  # compared per picture
TINY_BUDGET = 9_633_792  # the bound in the model family's own files, beside the class default


def levels(name: str, width: int, height: int, bands: int = 3) -> Levels:
    """(height, width, bands) of slopes, edges and noise: smooth parts alone would hide a wrong filter."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    y, x = np.mgrid[0:height, 0:width]
    slope = (x * 255 // max(1, width - 1))[..., None] + y[..., None] * np.arange(1, bands + 1)
    checks = ((x // 7 + y // 5) % 2 * 90)[..., None]
    noise = rng.integers(0, 80, (height, width, bands))
    return ((slope + checks + noise) % 256).astype(np.uint8)


def _of_mode(mode: str) -> Image.Image:
    drawn = levels(mode, 90, 70, len(Image.new(mode, (1, 1)).getbands()))
    return Image.frombytes(mode, (90, 70), drawn.tobytes())


def _palette(transparency: bytes | int | None = None) -> Image.Image:
    image = Image.frombytes("P", (90, 70), levels("P", 90, 70, 1).tobytes())
    image.putpalette(levels("palette", 256, 1).tobytes())
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


def _saved(image: Image.Image, form: str, **options: object) -> Image.Image:
    """Through a lossless file, so that what the file says (transparency, orientation) is read back."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return Image.open(io.BytesIO(file.getvalue()))


def _oriented(orientation: int) -> Image.Image:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _saved(Image.fromarray(levels("exif", 90, 50)), "PNG", exif=exif)


def _animated() -> Image.Image:
    frames = [Image.frombytes("P", (60, 40), levels(f"frame {i}", 60, 40, 1).tobytes()) for i in range(3)]
    for frame in frames:
        frame.putpalette(levels("palette", 256, 1).tobytes())
    return _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)


def deep(kind: str) -> npt.NDArray[np.generic]:
    """Grey levels of more than 8 bits: uint16, int32 or float32 (0 to 1), (70, 90)."""
    wide = levels(kind, 90, 70, 1)[..., 0].astype(np.uint16) * 257 + 0
    wide[0, 0] = 65535
    if kind == "F":
        return (wide / 65535).astype(np.float32)
    return wide.astype(np.int32) if kind == "I" else wide


SIZES = [
    (1, 1), (2, 3), (27, 29), (28, 28), (14, 14), (100, 37), (336, 336), (640, 480), (1920, 1080), (3000, 20),
    (4200, 3100), (5600, 28), (28, 5600), (7, 1400), (1, 200), (200, 1), (999, 1001), (57, 43), (12000, 90),
]  # fmt: skip
MODES = ["L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "PA"]

PICTURES: dict[str, Callable[[], Image.Image]] = {
    **{
        f"{w}x{h}": (lambda w=w, h=h: Image.fromarray(levels(f"{w}x{h}", w, h)))  # type: ignore[misc]
        for w, h in SIZES
    },
    **{f"mode {mode}": (lambda mode=mode: _of_mode(mode)) for mode in MODES},  # type: ignore[misc]
    "mode 1": lambda: Image.fromarray(levels("1", 90, 70, 1)[..., 0] > 127),
    "palette": _palette,
    "palette, one level transparent": lambda: _saved(_palette(7), "PNG"),
    "palette, alpha per level": lambda: _saved(_palette(bytes(range(256))), "PNG"),
    "grey, one level transparent": lambda: _saved(_of_mode("L"), "PNG", transparency=90),
    "RGB, one colour transparent": lambda: _saved(
        Image.fromarray(levels("RGB", 90, 70)),
        "PNG",
        transparency=tuple(int(v) for v in levels("RGB", 90, 70)[3, 4]),
    ),
    "GIF, three frames": _animated,
    **{f"orientation {o}": (lambda o=o: _oriented(o)) for o in range(1, 9)},  # type: ignore[misc]
    "16 bit": lambda: _saved(Image.fromarray(deep("I;16")), "PNG"),
    "32 bit": lambda: Image.fromarray(deep("I")),
    "float": lambda: Image.fromarray(deep("F")),
}
DEEP = {"16 bit": "I;16", "32 bit": "I", "float": "F"}

# Frames, frames per second, duration in seconds or None where it is to be derived.
SAMPLINGS: list[tuple[int, float, float | None]] = [
    (1, 25, None), (1, 30, 1 / 30), (2, 30, None), (3, 30, 0.1), (7, 2, None), (7, 2, 3.5), (10, 1, None),
    (10, 1, 10.0), (30, 30, None), (30, 30, 1.0), (45, 30, None), (45, 30, 1.5), (61, 29.97, None),
    (61, 29.97, 61 / 29.97), (100, 23.976, None), (100, 23.976, 4.1708), (251, 25, None), (251, 25, 10.04),
    (299, 59.94, None), (500, 14.985, 33.4), (899, 3, None), (1000, 120, None), (1000, 120, 8.33),
    (2500, 12.5, 200.0), (5400, 18, 300.0), (7193, 23.976, 300.0083), (9000, 30, None), (9000, 30, 300.0),
    (9001, 30, 300.0333), (9001, 30, None), (9031, 30, 301.0333), (590, 1, 590.0), (600, 1, 600.0),
    (601, 1, 601.0), (601, 1, None), (700, 0.5, 1400.0), (2001, 0.75, None), (18000, 30, 600.0),
    (107892, 29.97, 3600.0), (172800, 24, 7200.0), (215784, 29.97, 7200.0), (432000, 60, None),
    (30, 30, 2.7), (30, 30, 310.0), (1000, 30, 0.0), (12, 1000, None), (10000, 33.333333, 299.99),
]  # fmt: skip

# Videos as frames: (frames, width, height, frames per second).
VIDEOS: dict[str, tuple[int, int, int, float]] = {
    "one frame": (1, 64, 48, 25),
    "odd": (45, 80, 60, 25),
    "wide": (30, 300, 40, 12.5),
    "small": (20, 20, 33, 10),
}


def video_frames(name: str) -> list[Levels]:
    """The frames of VIDEOS[name], (height, width, 3) each."""
    count, width, height, _ = VIDEOS[name]
    return [levels(f"{name} {index}", width, height) for index in range(count)]


def positions(name: str, shape: tuple[int, int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows and columns of a patch matrix that are compared."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    return rng.integers(0, shape[0], POSITIONS), rng.integers(0, shape[1], POSITIONS)


def sizes_compared() -> list[tuple[int, int, int]]:
    """(frames, height, width) whose resized shape is compared, both sides of every border of the rule."""
    rng = np.random.Generator(np.random.PCG64(7))
    edges = [1, 2, 13, 14, 15, 27, 28, 29, 41, 42, 43, 69, 70, 71, 111, 112, 113, 140, 200, 201, 5600, 5601]
    small = [(frames, h, w) for frames in (2,) for h in edges for w in edges]
    drawn = np.exp(rng.uniform(0, np.log(20_000), (300, 2))).astype(int)
    frames = rng.choice([2, 4, 6, 16, 100, 598, 600], 300)
    return small + [(int(f), int(h), int(w)) for f, (h, w) in zip(frames, drawn, strict=True)]
