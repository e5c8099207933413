"""Messages and media into the model's input.

Knows: the checkpoint's tokenizer and preprocessing rules, and how both meet in a prompt.
Does not know: MLX, what was computed before, sampling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from mlx_backend.digests import Digests
from mlx_backend.errors import BadMedia
from mlx_backend.glm.images import Grid, MediaRules, image_grid, image_patches, open_image
from mlx_backend.glm.prompt import render
from mlx_backend.glm.tokenizer import Tokenizer
from mlx_backend.glm.video import video_grids, video_pairs, video_patches
from mlx_backend.types import Image, Message, Video

Patches = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Media:
    """A picture or video as it stands in a prompt.

    digest: SHA-256 of its content. grids: (1, gh, gw) per picture or pair of frames. starts: index of each
    grid's first placeholder among the prompt's ids.
    """

    source: Image | Video
    digest: str
    grids: tuple[Grid, ...]
    starts: tuple[int, ...]

    def lengths(self, merge: int) -> list[int]:
        """Tokens of each grid."""
        return [h * w // merge**2 for _, h, w in self.grids]


@dataclass(frozen=True)
class Layout:
    """A prompt with everything known about it before a pixel is computed.

    begun: index of the first id of an answer that is to be gone on with; the number of ids where none is.
    """

    ids: list[int]
    media: tuple[Media, ...]
    begun: int

    @property
    def grids(self) -> list[Grid]:
        return [grid for item in self.media for grid in item.grids]


class Processor:
    """What a checkpoint's tokenizer and preprocessor files say, applied."""

    def __init__(self, folder: str | Path) -> None:
        """Raises ModelMissing or ModelBroken naming the file."""
        path = Path(folder)
        self.tokenizer = Tokenizer(path)
        self.image_rules = MediaRules.for_images(path)
        self.video_rules = MediaRules.for_videos(path)
        self._digests = Digests()
        self._measured: dict[tuple[str, int | None], tuple[tuple[Grid, ...], tuple[int, ...]]] = {}

    def image(
        self, picture: Pillow.Image | Path | str | bytes, max_tokens: int | None = None, name: str = ""
    ) -> tuple[Patches, Grid]:
        """Patch rows (gh * gw, 1176) float32 and the grid (1, gh, gw) of a picture.

        max_tokens: a larger picture is shrunk to at most so many. Raises BadMedia.
        """
        source = Path(picture) if isinstance(picture, str) else picture
        return image_patches(open_image(source, name), self.image_rules, max_tokens)

    def video(self, path: Path | str, name: str = "") -> tuple[Patches, list[Grid], list[int]]:
        """Patch rows of all pairs of frames, and a grid and an integer second per pair. Raises BadMedia."""
        return video_patches(Path(path), self.video_rules, name)

    def prompt(self, messages: Sequence[Message], thinking: bool = True) -> list[int]:
        """Token ids with one image placeholder per 2 x 2 patches. Raises BadMedia."""
        return self.layout(messages, thinking=thinking).ids

    def layout(
        self,
        messages: Sequence[Message],
        *,
        thinking: bool = True,
        tools: Sequence[str] = (),
        max_image_tokens: int | None = None,
        go_on: bool = False,
    ) -> Layout:
        """Render a conversation. Files met before are not opened again. Raises BadMedia."""
        parts = [part for m in messages for part in m.content if isinstance(part, Image | Video)]
        measured = [self._measure(part, max_image_tokens) for part in parts]
        merge = self.image_rules.merge
        sizes = [
            [(h * w // merge**2, second) for (_, h, w), second in zip(grids, seconds, strict=True)]
            for _, grids, seconds in measured
        ]
        prompt = render(messages, self.tokenizer, thinking=thinking, tools=tools, media=sizes, go_on=go_on)
        starts = iter(prompt.starts)
        media = [
            Media(part, digest, grids, tuple(next(starts) for _ in grids))
            for part, (digest, grids, _) in zip(parts, measured, strict=True)
        ]
        return Layout(prompt.ids, tuple(media), prompt.begun)

    def pieces(self, item: Media, max_image_tokens: int | None = None) -> Iterator[tuple[Patches, Grid]]:
        """Patch rows and grid of a laid out picture, or of a video's pairs, one at a time.

        Raises BadMedia, also when the file is no longer what was laid out.
        """
        count = 0
        for count, (rows, grid) in enumerate(self._read(item.source, max_image_tokens), 1):
            if count > len(item.grids) or grid != item.grids[count - 1]:
                break
            yield rows, grid
        else:
            if count == len(item.grids):
                return
        raise BadMedia(_name(item.source), "it changed while it was being read. Ask again.")

    def _read(self, part: Image | Video, max_tokens: int | None) -> Iterator[tuple[Patches, Grid]]:
        if isinstance(part, Video):
            for rows, grid, _ in video_pairs(part.source, self.video_rules, part.name):
                yield rows, grid
        else:
            yield self.image(part.source, max_tokens, part.name)

    def _measure(
        self, part: Image | Video, max_tokens: int | None
    ) -> tuple[str, tuple[Grid, ...], tuple[int, ...]]:
        """Digest, grids and seconds (0 for a picture) of a part."""
        try:
            digest = self._digests.of(part.source)
        except OSError as error:
            raise BadMedia(_name(part), f"it cannot be read ({error.strerror}).") from error
        key = (digest, max_tokens if isinstance(part, Image) else None)
        if key not in self._measured:
            self._measured[key] = self._open(part, max_tokens)
        return digest, *self._measured[key]

    def _open(self, part: Image | Video, max_tokens: int | None) -> tuple[tuple[Grid, ...], tuple[int, ...]]:
        if isinstance(part, Video):
            grids, seconds = video_grids(part.source, self.video_rules, part.name)
            return tuple(grids), tuple(seconds)
        picture = open_image(part.source, part.name)
        return (image_grid(picture.width, picture.height, self.image_rules, max_tokens),), (0,)


def _name(part: Image | Video) -> str:
    return part.name or (part.source.name if isinstance(part.source, Path) else "the picture")
