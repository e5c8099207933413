"""Messages and media into the model's input.

Knows: the checkpoint's tokenizer and preprocessing rules, and how both meet in a prompt.
Does not know: MLX, what was computed before, sampling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from mlx_backend.digests import Digests
from mlx_backend.errors import BadMedia
from mlx_backend.glm.images import Grid, MediaRules, image_grid, image_patches, open_image
from mlx_backend.glm.prompt import render
from mlx_backend.glm.tokenizer import Tokenizer
from mlx_backend.glm.video import Look, plan, video_pairs, video_patches
from mlx_backend.types import Image, Message, Request, Shown, Video

Patches = npt.NDArray[np.float32]
Frames = tuple[int, ...]  # indices of the frames of a pair


@dataclass(frozen=True)
class Media:
    """A picture or video as it stands in a prompt.

    digest: SHA-256 of its content. grids: (1, gh, gw) per picture or pair of frames. frames: which frames of
    the video each grid shows; (0, 0) for a picture. starts: index of each grid's first placeholder among the
    prompt's ids.
    """

    source: Image | Video
    digest: str
    grids: tuple[Grid, ...]
    frames: tuple[Frames, ...]
    starts: tuple[int, ...]
    shown: Shown

    @property
    def names(self) -> list[tuple[object, ...]]:
        """What the pixels of each grid are made from, and nothing else: equal names, equal pixels.

        The kind is part of it: a film's only frame and a picture are sized by different rules.
        """
        kind = type(self.source).__name__
        return [
            (kind, self.digest, grid, frames) for grid, frames in zip(self.grids, self.frames, strict=True)
        ]

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

    @property
    def shown(self) -> tuple[Shown, ...]:
        return tuple(item.shown for item in self.media)


@dataclass(frozen=True)
class _Size:
    """What is known of a file once it was opened. seconds: of each grid, 0 for a picture. shown: without a
    name, which is the message's and not the file's."""

    grids: tuple[Grid, ...]
    frames: tuple[Frames, ...]
    seconds: tuple[int, ...]
    shown: Shown


class Processor:
    """What a checkpoint's tokenizer and preprocessor files say, applied."""

    def __init__(self, folder: str | Path) -> None:
        """Raises ModelMissing or ModelBroken naming the file."""
        path = Path(folder)
        self.tokenizer = Tokenizer(path)
        self.image_rules = MediaRules.for_images(path)
        self.video_rules = MediaRules.for_videos(path)
        self._digests = Digests()
        self._sizes: dict[tuple[str, Look | None, int | None], _Size] = {}

    def image(
        self, picture: Pillow.Image | Path | str | bytes, max_tokens: int | None = None, name: str = ""
    ) -> tuple[Patches, Grid]:
        """Patch rows (gh * gw, 1176) float32 and the grid (1, gh, gw) of a picture.

        max_tokens: a larger picture is shrunk to at most so many. Raises BadMedia.
        """
        source = Path(picture) if isinstance(picture, str) else picture
        return image_patches(open_image(source, name), self.image_rules, max_tokens)

    def video(
        self, path: Path | str, name: str = "", look: Look | None = None
    ) -> tuple[Patches, list[Grid], list[int]]:
        """Patch rows of all pairs of frames, and a grid and an integer second per pair. Raises BadMedia."""
        return video_patches(Path(path), self.video_rules, name, look=look)

    def prompt(self, messages: Sequence[Message], thinking: bool = True) -> list[int]:
        """Token ids with one image placeholder per 2 x 2 patches. Raises BadMedia."""
        return self.layout(messages, thinking=thinking).ids

    def of(self, request: Request) -> Layout:
        """The layout of a request's prompt. Raises BadMedia."""
        return self.layout(
            request.messages,
            thinking=request.thinking,
            tools=request.tools,
            max_image_tokens=request.max_image_tokens,
            go_on=request.go_on,
        )

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
        sizes = [self._tokens(size) for _, size in measured]
        prompt = render(messages, self.tokenizer, thinking=thinking, tools=tools, media=sizes, go_on=go_on)
        starts = iter(prompt.starts)
        media = [
            Media(
                part,
                digest,
                size.grids,
                size.frames,
                tuple(next(starts) for _ in size.grids),
                replace(size.shown, name=name_of(part)),
            )
            for part, (digest, size) in zip(parts, measured, strict=True)
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
        raise BadMedia(name_of(item.source), "it changed while it was being read. Ask again.")

    def _read(self, part: Image | Video, max_tokens: int | None) -> Iterator[tuple[Patches, Grid]]:
        if isinstance(part, Video):
            for rows, grid, _ in video_pairs(
                part.source, self.video_rules, part.name, max_tokens, _look(part)
            ):
                yield rows, grid
        else:
            yield self.image(part.source, max_tokens, part.name)

    def _measure(self, part: Image | Video, max_tokens: int | None) -> tuple[str, _Size]:
        """Digest and size of a part. Remembered by all that the size follows from."""
        try:
            digest = self._digests.of(part.source)
        except OSError as error:
            raise BadMedia(name_of(part), f"it cannot be read ({error.strerror}).") from error
        key = (digest, _look(part) if isinstance(part, Video) else None, max_tokens)
        if key not in self._sizes:
            self._sizes[key] = (
                self._film(part, max_tokens) if isinstance(part, Video) else self._picture(part, max_tokens)
            )
        return digest, self._sizes[key]

    def _picture(self, part: Image, max_tokens: int | None) -> _Size:
        picture = open_image(part.source, part.name)
        grid = image_grid(picture.width, picture.height, self.image_rules, max_tokens)
        shown = self._shown(part, picture.size, grid, 1)
        return _Size((grid,), ((0, 0),), (0,), shown)

    def _film(self, part: Video, max_tokens: int | None) -> _Size:
        planned = plan(part.source, self.video_rules, part.name, max_tokens, _look(part))
        pairs = tuple(planned.pairs)
        original = planned.clip.width, planned.clip.height
        shown = self._shown(part, original, planned.grid, len(pairs))
        shown = replace(shown, moments=tuple(planned.moments), length=planned.length)
        return _Size((planned.grid,) * len(pairs), pairs, tuple(planned.seconds), shown)

    def _shown(self, part: Image | Video, original: tuple[int, int], grid: Grid, count: int) -> Shown:
        _, down, across = grid
        side, merge = self.image_rules.patch, self.image_rules.merge
        tokens = count * down * across // merge**2
        return Shown("", isinstance(part, Video), original, across * side, down * side, tokens)

    def _tokens(self, size: _Size) -> list[tuple[int, int]]:
        """(tokens, second) of each grid."""
        merge = self.image_rules.merge
        return [
            (h * w // merge**2, second) for (_, h, w), second in zip(size.grids, size.seconds, strict=True)
        ]


def _look(video: Video) -> Look:
    return Look(video.fps, video.start, video.end)


def name_of(part: Image | Video) -> str:
    """What errors call it."""
    return part.name or (part.source.name if isinstance(part.source, Path) else "the picture")
