"""The whole model: vision and language joined, with the positions of text and pictures.

Knows: where picture vectors go in a prompt and which M-RoPE position every token has.
Does not know: files, prompts as text, sampling, what was computed before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import numpy.typing as npt

from mlx_backend.glm.config import Config
from mlx_backend.glm.images import Grid
from mlx_backend.glm.language import LanguageModel, Positions
from mlx_backend.glm.vision import Piece, VisionTower, split_rows


def positions(
    ids: Sequence[int], grids: Sequence[Grid], image_id: int, merge: int = 2
) -> tuple[Positions, int]:
    """M-RoPE positions (3, L) of a whole prompt, and the position of the token after it.

    ids: with one image id per merged patch; grids: (1, gh, gw) of each picture or video pair in prompt order.
    Text advances all three axes by one. A picture's tokens share one time and spread over height and width;
    the text after it goes on from the largest position used.
    Raises ValueError when placeholders and grids do not match.
    Source: get_rope_index of the reference; a video is its pairs as pictures.
    """
    tokens = np.asarray(ids)
    result = np.empty((3, len(tokens)), np.int64)
    at, following = 0, 0
    images = np.flatnonzero(tokens == image_id)
    used = 0
    for _, grid_h, grid_w in grids:
        rows, columns = grid_h // merge, grid_w // merge
        if used + rows * columns > len(images):
            raise ValueError(f"{len(images)} picture tokens are fewer than the pictures need")
        start = int(images[used])
        result[:, at:start] = np.arange(following, following + start - at)
        following += start - at
        y, x = np.divmod(np.arange(rows * columns), columns)
        result[:, start : start + rows * columns] = following + np.stack([np.zeros_like(y), y, x])
        at, used, following = start + rows * columns, used + rows * columns, following + max(rows, columns)
    if used != len(images):
        raise ValueError(f"{len(images)} picture tokens are more than the pictures need ({used})")
    result[:, at:] = np.arange(following, following + len(tokens) - at)
    return result, following + len(tokens) - at


class Model(nn.Module):
    """GLM-4.5V. Module names are those of the published checkpoints.

    vision_tower: None while it is not in memory, see loading.load_vision.
    """

    def __init__(self, config: Config, image_id: int) -> None:
        super().__init__()
        self.config = config
        self.image_id = image_id
        self.vision_tower: VisionTower | None = VisionTower(config.vision)
        self.language_model = LanguageModel(config.text)

    def embed(self, ids: Sequence[int], features: Sequence[tuple[int, mx.array]]) -> mx.array:
        """Vectors (L, hidden) of tokens, with pictures in place.

        features: (index in ids, vectors (n, hidden)) of each picture, in order, none overlapping another.
        """
        words = self.language_model.embed(mx.array(list(ids)))
        pieces, at = [], 0
        for start, vectors in features:
            pieces += [words[at:start], vectors.astype(words.dtype)]
            at = start + vectors.shape[0]
        return mx.concatenate([*pieces, words[at:]]) if pieces else words

    def encode(self, pieces: Iterable[Piece]) -> Iterator[mx.array]:
        """See VisionTower.encode. Raises ValueError while the tower is not in memory."""
        if self.vision_tower is None:
            raise ValueError("the vision tower is not in memory")
        return self.vision_tower.encode(pieces)

    def __call__(
        self,
        token_ids: Sequence[int],
        patches: npt.NDArray[np.float32] | None = None,
        grids: Sequence[Grid] = (),
    ) -> npt.NDArray[np.float32]:
        """Logits of every position, computed at once and without a cache.

        token_ids: (L,); patches: (N, 1176), the rows of all grids; grids: (1, gh, gw) in prompt order.
        Returns (L, vocab) float32. Raises ValueError when placeholders, patches and grids do not match, and
        for patches while the vision tower is not in memory.
        """
        ids = [int(token) for token in token_ids]
        grids = [(int(t), int(h), int(w)) for t, h, w in grids]
        rows = 0 if patches is None else len(patches)
        if rows != sum(h * w for _, h, w in grids):
            raise ValueError(f"{rows} patch rows do not fill the grids {list(grids)}")
        where, _ = positions(ids, grids, self.image_id, self.config.vision.spatial_merge_size)
        features = [] if patches is None else list(self.encode(split_rows(patches, grids)))
        starts = _starts(ids, self.image_id, [len(f) for f in features])
        vectors = self.embed(ids, list(zip(starts, features, strict=True)))
        hidden = self.language_model(vectors, where, self.language_model.make_cache())
        return np.array(self.language_model.logits(hidden).astype(mx.float32))


def _starts(ids: Sequence[int], image_id: int, lengths: Sequence[int]) -> list[int]:
    """Index of each picture's first placeholder; pictures may stand directly behind one another."""
    images = np.flatnonzero(np.asarray(ids) == image_id)
    offsets = np.cumsum([0, *lengths])[:-1]
    return [int(images[offset]) for offset in offsets]
