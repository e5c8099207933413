"""Pictures as the model's vision tower wants them: opened safely, resized, cut into patch rows.

Knows: Pillow, the order of a patch row.
Does not know: MLX, prompts, videos' containers (video.py, frames.py), caching; sizes are chosen in rules.py.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pi_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mlx_backend.errors import BadMedia
from mlx_backend.glm.rules import MediaRules, fit_size, smart_resize

__all__ = [
    "FORMATS",
    "Grid",
    "MediaRules",
    "image_grid",
    "image_patches",
    "open_image",
    "patch_rows",
    "quiet",
    "resize_frame",
    "smart_resize",
    "to_rgb",
    "too_large",
]

Grid = tuple[int, int, int]  # pairs of frames (always 1 here), patch rows, patch columns

# 16384 x 16384: above the largest phone sensors (200 million), below what fills memory when decoded (1 GB).
MAX_DECODED_PIXELS = 2**28
# Pillow warns above its limit and raises above twice its limit; the raise is the one wanted.
Image.MAX_IMAGE_PIXELS = MAX_DECODED_PIXELS // 2

# EPS and its like are left out on purpose: Pillow would start Ghostscript. A phone's MPO is opened as JPEG.
Image.init()
pi_heif.register_heif_opener(thumbnails=False)
FORMATS = tuple(
    form
    for form in (
        "AVIF", "BMP", "DIB", "GIF", "HEIF", "ICNS", "ICO", "JPEG", "JPEG2000",
        "PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF", "WEBP",
    )
    if form in Image.OPEN  # some builds of Pillow lack a codec
)  # fmt: skip


# --- sizes -----------------------------------------------------------------------------------------------


def image_grid(width: int, height: int, rules: MediaRules, max_tokens: int | None = None) -> Grid:
    """(1, patch rows, patch columns) for a picture of this size in pixels; 4 patches make a token.

    max_tokens: at most so many tokens, as far as a picture can be shrunk (1 at the least).
    Raises BadMedia for a size the model cannot take.
    """
    try:
        new_height, new_width = fit_size(rules.temporal, height, width, rules, max_tokens)
    except ValueError as error:
        raise BadMedia("The picture", f"{error}.") from error
    return 1, new_height // rules.patch, new_width // rules.patch


# --- opening ---------------------------------------------------------------------------------------------


def open_image(source: Path | bytes | Image.Image, name: str = "") -> Image.Image:
    """A picture as RGB, 8 bits per channel, upright, transparency over white, first frame of several.

    name: what errors call it; the file's name where none is given.
    Raises BadMedia for anything that is not a whole, usable picture. The size is judged from the header,
    before anything is decoded.
    """
    name = name or (source.name if isinstance(source, Path) else "The picture")
    with quiet():
        if isinstance(source, Image.Image):
            return _prepared(source, name)
        with _identify(source, name) as image:
            return _prepared(image, name)


def _prepared(image: Image.Image, name: str) -> Image.Image:
    _check_size(image, name)
    try:
        image.load()
    except Exception as error:  # decoders raise whatever a damaged file leads them into
        raise BadMedia(name, f"the picture is damaged or cut off ({error}).") from error
    try:
        return to_rgb(_upright(image))
    except (ValueError, OSError) as error:
        raise BadMedia(name, f"its colour mode {image.mode} cannot be read ({error}).") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings of odd metadata and palettes; none of them changes the pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _identify(source: Path | bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise BadMedia(name, too_large()) from error
    except FileNotFoundError as error:
        raise BadMedia(name, "there is no such file.") from error
    except Exception as error:  # header parsers raise whatever damaged bytes lead them into
        raise BadMedia(name, _not_a_picture(source)) from error


def _not_a_picture(source: Path | bytes) -> str:
    """What to tell about bytes that Pillow does not know."""
    try:
        head = source[:16] if isinstance(source, bytes) else _head(source)
    except OSError as error:
        return f"it cannot be read ({error.strerror})."
    if not head:
        return "the file is empty."
    return "it is not a picture this app can read, or it is damaged."


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def too_large() -> str:
    return f"it has more than {MAX_DECODED_PIXELS:,} pixels. Make it smaller and try again."


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_DECODED_PIXELS:
        raise BadMedia(name, too_large())
    try:
        smart_resize(2, height, width, 1, 1)  # for its checks; the shape's bounds do not depend on the rest
    except ValueError as error:
        raise BadMedia(name, f"{error}.") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # EXIF is free-form; a picture with broken EXIF is shown as it is stored
        return image


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB. Transparency goes over white, as the reference's convert_to_rgb does."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey levels of more than 8 bits, scaled to 0..255; Pillow's own conversion would clip them.

    The full scale is 65535 for whole numbers and 1 for fractions; 255 or the maximum where values exceed it.
    """
    numbers = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(numbers.max(initial=0.0))
    scales = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (65535.0,)
    full = next((scale for scale in scales if top <= scale), top)
    return np.clip(np.rint(numbers * (255.0 / full)), 0, 255).astype(np.uint8)


# --- patch rows ------------------------------------------------------------------------------------------


def resize_frame(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    """RGB levels (height, width, 3), bicubic with antialiasing as the reference resizes: across, then down.

    Two calls, because levels are clipped to 0..255 between the passes and their order shows: Pillow 13 goes
    down first where a picture gets wider and lower, which moves levels of sharp edges by up to 27.
    """
    across = image.resize((width, image.height), Image.Resampling.BICUBIC)
    return np.asarray(across.resize((width, height), Image.Resampling.BICUBIC))


def patch_rows(
    frames: NDArray[np.uint8], rules: MediaRules, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Cut frames into normalised patch rows.

    frames: (2T, H, W, 3) RGB levels; H and W multiples of 28. A picture is given twice.
    Returns (T * gh * gw, 1176) float32, in `out` where given: pairs of frames in order, within a pair
    2 x 2 blocks of patches row by row, within a row (colour, frame, y, x).
    """
    count, height, width, _ = frames.shape
    pairs, side, merge = count // rules.temporal, rules.patch, rules.merge
    down, across = height // rules.factor, width // rules.factor
    if out is None:
        out = np.empty((pairs * down * across * merge**2, rules.row), np.float32)
    cells = out.reshape(pairs, down, across, merge, merge, 3, rules.temporal, side, side)
    blocks = frames.reshape(pairs, rules.temporal, down, merge, side, across, merge, side, 3)
    blocks = blocks.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
    levels = _normalised_levels(rules)
    for pair in range(pairs):
        for colour in range(3):  # a colour of a pair at a time: no second copy of the whole in float
            cells[pair, :, :, :, :, colour] = levels[colour][blocks[pair, :, :, :, :, colour]]
    return out


def _normalised_levels(rules: MediaRules) -> NDArray[np.float32]:
    """(3, 256): what each of the 256 levels of each colour becomes."""
    levels = np.arange(256) / 255.0
    mean, std = np.array(rules.mean)[:, None], np.array(rules.std)[:, None]
    table: NDArray[np.float32] = ((levels - mean) / std).astype(np.float32)
    return table


def image_patches(
    image: Image.Image, rules: MediaRules, max_tokens: int | None = None
) -> tuple[NDArray[np.float32], Grid]:
    """A picture as the vision tower's input: ((gh * gw, 1176) float32, (1, gh, gw)).

    image: as open_image returns it; any other mode is converted as it would have been.
    Raises BadMedia for a size the model cannot take.
    """
    if image.mode != "RGB":
        image = to_rgb(image)
    grid = image_grid(image.width, image.height, rules, max_tokens)
    levels = resize_frame(image, grid[1] * rules.patch, grid[2] * rules.patch)
    # Both frames of the pair are the same picture: a view, not a copy.
    return patch_rows(np.broadcast_to(levels, (rules.temporal, *levels.shape)), rules), grid
