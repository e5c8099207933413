"""Experts that lie one by one on disk, ready for slow mode: whether a folder holds them so, and their bytes.

Knows: the names of the files. Does not know: MLX, how they are written or read (glm/experts.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

INDEX = "offload_index.json"  # written last: a folder without it is not whole


def is_repacked(folder: Path) -> bool:
    """Whether the experts of this checkpoint lie one by one."""
    return (folder / INDEX).is_file()


def expert_bytes(folder: Path) -> int:
    """Of all experts together, by the sizes of their files; 0 where they do not lie one by one."""
    return sum(_sizes(folder))


def layer_bytes(folder: Path) -> int:
    """Of the experts of one layer, of which there is one in memory at least."""
    return max(_sizes(folder), default=0)


def _sizes(folder: Path) -> Iterator[int]:
    return (file.stat().st_size for file in (folder / "experts").glob("layer_*.safetensors"))
