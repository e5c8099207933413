"""Where the patches of a picture stand: their order, and their weights in the table of positions.

Knows: the reference's interpolation and patch order, as NumPy arrays.
Does not know: MLX, pixels, the table itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def cubic_matrix(n_out: int, n_in: int) -> npt.NDArray[np.float32]:
    """Weights (n_out, n_in) that resample n_in table entries to n_out patches along one axis.

    Bicubic with a = -0.75, half-pixel centres, indices clamped at the border: `grid_sample(mode="bicubic",
    padding_mode="border", align_corners=False)` of the reference, which is separable on a regular grid.
    Source: Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """
    a = -0.75
    # The reference normalises to [-1, 1] in float32 and back; its rounding is part of the result.
    centre = ((np.arange(n_out, dtype=np.float32) + np.float32(0.5)) / np.float32(n_out)) * 2 - 1
    position = ((centre + 1) * n_in - 1) / 2
    first = np.floor(position).astype(np.int64)
    t = (position - first).astype(np.float64)

    def near(d: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:  # |d| <= 1
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:  # 1 < |d| < 2
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    matrix = np.zeros((n_out, n_in), np.float64)
    for k, weight in enumerate((far(t + 1), near(t), near(1 - t), far(2 - t))):
        np.add.at(matrix, (np.arange(n_out), np.clip(first - 1 + k, 0, n_in - 1)), weight)
    return matrix.astype(np.float32)


def merge_order(grid_h: int, grid_w: int, merge: int) -> npt.NDArray[np.int32]:
    """Row and column (h*w, 2) of each patch row, in the order patch rows come: 2 x 2 blocks together."""
    rows, columns = np.mgrid[:grid_h, :grid_w].astype(np.int32)
    blocks = np.stack([rows, columns], -1).reshape(grid_h // merge, merge, grid_w // merge, merge, 2)
    return blocks.transpose(0, 2, 1, 3, 4).reshape(grid_h * grid_w, 2)
