"""Pictures of pages: a photo, a scan, a fax of several pages.

Knows: Pillow, how large a picture may be before it is refused.
Does not know: what is on it; that is for the model to see.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from .items import Item, Leaf, Opened, Refusal

PIXELS = 120_000_000
FRAMES = 500  # pages of a TIFF
_TURNED = (5, 6, 7, 8)  # values of EXIF's orientation that swap width and height


def read(path: Path, kind: str) -> Iterator[Item]:
    with opened(path) as image:
        count = min(FRAMES, getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
        yield Opened(kind, "", count)
        for number in range(1, count + 1):
            image.seek(number - 1)
            width, height = size(image)
            yield Leaf(f"page {number}", "", width, height, image_only=True, pictured=1.0)


def opened(path: Path) -> Image.Image:
    """The picture, not decoded yet. Raises Refusal."""
    with contextlib.suppress(ImportError):
        import pi_heif

        pi_heif.register_heif_opener()
    Image.MAX_IMAGE_PIXELS = None  # our own limit below, as a refusal and not as a warning
    try:
        image = Image.open(path)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise Refusal("corrupt", "a damaged picture") from error
    if image.width * image.height > PIXELS:
        raise Refusal("too-large", f"a picture of {image.width:,} x {image.height:,} pixels")
    return image


def size(image: Image.Image) -> tuple[int, int]:
    """Width and height as a person sees them."""
    turned = image.getexif().get(0x0112) in _TURNED
    return (image.height, image.width) if turned else image.size


def drawn(path: Path, number: int, longest: int) -> Image.Image:
    """The page with its long side at most `longest` pixels, upright."""
    image = opened(path)
    image.seek(number - 1)
    image.draft("RGB", (longest, longest))
    image.thumbnail((2 * longest, 2 * longest))  # before conversion: a fourth of the memory
    upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.thumbnail((longest, longest))
    return upright
