"""The vision tower: patch rows of one picture or video pair in, one vector per 2 x 2 patches out.

Knows: the tower's weights and mathematics, equal to the reference's to rounding.
Does not know: pixels, files, prompts, caching.

Pictures are independent of each other in the reference (attention never crosses a picture or a pair of
frames), so each is computed alone: no mask, and memory grows with one picture, not with their number squared.
Module names are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import numpy.typing as npt

from mlx_backend.glm.config import VisionConfig
from mlx_backend.glm.images import Grid
from mlx_backend.glm.places import cubic_matrix, merge_order

# Equal grids are computed together up to this many patches: enough to fill a GPU with small pictures and
# video pairs, small enough that activations stay near those of one large picture.
BATCH_PATCHES = 8192

Piece = tuple[npt.NDArray[np.float32], Grid]  # patch rows (h*w, 1176) of a picture or pair, (1, h, w)


def split_rows(patches: npt.NDArray[np.float32], grids: Sequence[Grid]) -> Iterator[Piece]:
    """The rows (sum of h*w, 1176) of several grids, one grid at a time."""
    at = 0
    for grid in grids:
        size = grid[1] * grid[2]
        yield patches[at : at + size], grid
        at += size


class _PositionTable(nn.Module):
    """A learned square table of positions, resampled to each picture's grid."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.position_embedding = nn.Embedding(
            (config.image_size // config.patch_size) ** 2, config.hidden_size
        )

    def __call__(self, grid_h: int, grid_w: int, order: npt.NDArray[np.int32]) -> mx.array:
        """Returns (grid_h * grid_w, hidden) in patch row order; float32 until the end, as the reference."""
        weight = self.position_embedding.weight
        side, hidden = int(weight.shape[0] ** 0.5), weight.shape[1]
        table = weight.astype(mx.float32).reshape(side, side * hidden)
        rows = (mx.array(cubic_matrix(grid_h, side)) @ table).reshape(grid_h, side, hidden)
        full = mx.array(cubic_matrix(grid_w, side)) @ rows  # (grid_h, grid_w, hidden), broadcast over rows
        flat = full.reshape(grid_h * grid_w, hidden)
        return flat[mx.array(order[:, 0] * grid_w + order[:, 1])].astype(weight.dtype)


class _PatchEmbed(nn.Module):
    """The reference's 3D convolution has stride = kernel, so it is one matrix product over patch rows."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        inputs = config.in_channels * config.temporal_patch_size * config.patch_size**2
        self.proj = nn.Linear(inputs, config.hidden_size)


class _Attention(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.num_heads
        self.scale = (config.hidden_size // config.num_heads) ** -0.5
        self.qkv = nn.Linear(config.hidden_size, config.hidden_size * 3, bias=False)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def __call__(self, x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
        """x (B, N, hidden); cos, sin (N, head_dim) float32."""
        batch, n, hidden = x.shape
        qkv = self.qkv(x).reshape(batch, n, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)  # (3, B, heads, N, d)
        q, k = _rotate(qkv[0], cos, sin), _rotate(qkv[1], cos, sin)
        out = mx.fast.scaled_dot_product_attention(q, k, qkv[2], scale=self.scale)
        return self.proj(out.transpose(0, 2, 1, 3).reshape(batch, n, hidden))


def _rotate(x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
    """Half-split rotation in float32, as the reference does whatever the weights' type."""
    f = x.astype(mx.float32)
    left, right = mx.split(f, 2, axis=-1)
    return (f * cos + mx.concatenate([-right, left], axis=-1) * sin).astype(x.dtype)


class _MLP(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.out_hidden_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.out_hidden_size, bias=False)
        self.down_proj = nn.Linear(config.out_hidden_size, config.hidden_size, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        return self.down_proj(nn.silu(self.gate_proj(x)) * self.up_proj(x))


class _Block(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.norm2 = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.attn = _Attention(config)
        self.mlp = _MLP(config)

    def __call__(self, x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
        x = x + self.attn(self.norm1(x), cos, sin)
        return x + self.mlp(self.norm2(x))


class _Merger(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        dim, inner = config.out_hidden_size, config.intermediate_size
        self.proj = nn.Linear(dim, dim, bias=False)
        self.post_projection_norm = nn.LayerNorm(dim)
        self.gate_proj = nn.Linear(dim, inner, bias=False)
        self.up_proj = nn.Linear(dim, inner, bias=False)
        self.down_proj = nn.Linear(inner, dim, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        x = nn.gelu(self.post_projection_norm(self.proj(x)))
        return self.down_proj(nn.silu(self.gate_proj(x)) * self.up_proj(x))


class VisionTower(nn.Module):
    """Patch rows to language-model vectors."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = _PositionTable(config)
        self.patch_embed = _PatchEmbed(config)
        self.post_conv_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.blocks = [_Block(config) for _ in range(config.depth)]
        self.post_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        # Stride = kernel here too: a matrix product over the four patches of a block.
        self.downsample = nn.Linear(config.hidden_size * config.spatial_merge_size**2, config.out_hidden_size)
        self.merger = _Merger(config)

    def __call__(self, patches: mx.array, grid: Grid) -> mx.array:
        """B pictures of one grid: patches (B, h*w, 1176) -> (B, h*w/4, out_hidden), not yet evaluated."""
        _, grid_h, grid_w = grid
        order = merge_order(grid_h, grid_w, self.config.spatial_merge_size)
        cos, sin = self._angles(order)
        x = self.patch_embed.proj(patches.astype(self.patch_embed.proj.weight.dtype))
        x = self.post_conv_layernorm(x) + self.embeddings(grid_h, grid_w, order)
        for block in self.blocks:
            x = block(x, cos, sin)
        x = self.post_layernorm(x)
        block_size = self.config.spatial_merge_size**2
        x = x.reshape(x.shape[0], -1, block_size * x.shape[-1])
        return self.merger(self.downsample(x))

    def encode(self, pieces: Iterable[Piece]) -> Iterator[mx.array]:
        """Features (h*w/4, out_hidden) of each picture or pair in turn, evaluated as they are yielded.

        Takes no more pieces at a time than are computed together.
        """
        for grid, run in groupby(pieces, key=lambda piece: piece[1]):
            together = max(1, BATCH_PATCHES // (grid[1] * grid[2]))
            while batch := [rows for rows, _ in islice(run, together)]:
                features = self(mx.array(np.stack(batch)), grid)
                mx.eval(features)
                yield from features

    def _angles(self, order: npt.NDArray[np.int32]) -> tuple[mx.array, mx.array]:
        """cos and sin (N, head_dim), float32: half of the angles follow the row, half the column."""
        dims = self.config.hidden_size // self.config.num_heads // 2
        inverse = 1.0 / (10000.0 ** (mx.arange(0, dims, 2, dtype=mx.float32) / dims))
        half = (mx.array(order)[:, :, None].astype(mx.float32) * inverse).reshape(order.shape[0], dims)
        angles = mx.concatenate([half, half], axis=-1)
        return mx.cos(angles), mx.sin(angles)
