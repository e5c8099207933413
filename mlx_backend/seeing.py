"""Pictures of a prompt as vectors: kept from an earlier turn, or computed now.

Knows: the vision tower, and that it may lie in its files until a picture comes; which vectors are kept.
Does not know: the language model, what else is in the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import mlx.core as mx

from mlx_backend.cache import FeatureCache
from mlx_backend.glm.images import Grid
from mlx_backend.glm.loading import load_vision
from mlx_backend.glm.model import Model
from mlx_backend.glm.processor import Layout, Media, Processor
from mlx_backend.types import Event, Progress

Features = dict[int, mx.array]  # vectors (n, hidden) by where in the prompt they begin


class Sight:
    """Looks at pictures with a model's tower.

    late: the tower is read when a picture comes that is not kept, and its memory given back once it was seen.
    kept: bound on the vectors kept between turns, bytes.
    """

    def __init__(
        self, model: Model, processor: Processor, folder: Path, dtype: str | None, late: bool, kept: int
    ) -> None:
        self._model = model
        self._processor = processor
        self._folder = folder
        self._dtype = dtype
        self._late = late
        self._merge = model.config.vision.spatial_merge_size
        self.kept = FeatureCache(kept)

    def forget(self) -> None:
        """Drop the kept vectors."""
        self.kept = FeatureCache(self.kept.limit)

    def unseen(self, layout: Layout, reused: int) -> list[Sequence[Grid]]:
        """Grids of each picture or video that the tower must look at."""
        needed = self._needed(layout, reused)
        return [item.grids for item in needed if tuple(item.names) not in self.kept]

    def see(
        self, layout: Layout, reused: int, most: int | None, cancelled: Callable[[], bool]
    ) -> Generator[Event, None, Features | None]:
        """Vectors of the pictures that reach behind the `reused` first tokens, by where each one starts.

        most: tokens of the largest picture. Yields progress; returns None when cancelled.
        """
        needed = self._needed(layout, reused)
        if self.unseen(layout, reused):
            yield from self._open()
        try:
            return (yield from self._vectors(needed, most, cancelled))
        finally:
            if self._late:
                self._close()

    def _vectors(
        self, needed: Sequence[Media], most: int | None, cancelled: Callable[[], bool]
    ) -> Generator[Event, None, Features | None]:
        total, done = sum(len(item.grids) for item in needed), 0
        features: Features = {}
        # First of all, and held to the end: what is seen now may push them out, and nothing is seen that the
        # guard was not told of by unseen().
        held = {names: self.kept.get(names) for names in (tuple(item.names) for item in needed)}
        for item in needed:
            vectors = held[tuple(item.names)]
            if vectors is None:
                pieces: list[mx.array] = []
                for piece in self._model.encode(self._processor.pieces(item, most)):
                    if cancelled():
                        return None
                    pieces.append(piece)
                    yield Progress("images", done + len(pieces), total)
                vectors = mx.concatenate(pieces)
                mx.eval(vectors)
                held[tuple(item.names)] = vectors
                self.kept.put(tuple(item.names), vectors)
            done += len(item.grids)
            features.update(_split(item, vectors, self._merge))
        return features

    def _needed(self, layout: Layout, reused: int) -> list[Media]:
        return [m for m in layout.media if m.starts[-1] + m.lengths(self._merge)[-1] > reused]

    def _open(self) -> Generator[Event, None, None]:
        if self._model.vision_tower is None:
            last = Progress("load", 0, 1)
            yield last

            def hear(done: int, total: int) -> None:
                nonlocal last
                last = Progress("load", done, total)

            load_vision(self._model, self._folder, self._dtype, hear)
            yield last

    def _close(self) -> None:
        if self._model.vision_tower is not None:
            self._model.vision_tower = None
            mx.clear_cache()  # what it held goes back to the system, not to MLX's own store


def _split(item: Media, vectors: mx.array, merge: int) -> Features:
    """Vectors (n, hidden) of a whole video or picture, cut into its grids by where each one starts."""
    pieces, at = {}, 0
    for start, length in zip(item.starts, item.lengths(merge), strict=True):
        pieces[start] = vectors[at : at + length]
        at += length
    return pieces
