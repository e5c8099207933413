"""The weight files of a checkpoint, checked from their headers before a byte of weights is read.

Knows: the safetensors format, index files, what makes a folder complete.
Does not know: what the tensors mean, MLX.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlx_backend.errors import ModelBroken, ModelMissing
from mlx_backend.glm.config import read_json

INDEX = "model.safetensors.index.json"
# A header names every tensor of a shard; the largest published ones stay under a megabyte.
MAX_HEADER_BYTES = 100_000_000
MAX_BYTES, MAX_SIDES = 1 << 48, 8  # of a file, of a tensor: more is no model


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies: its file, and its size there in bytes."""

    file: Path
    nbytes: int


def find_tensors(folder: Path) -> Mapping[str, Tensor]:
    """Every tensor of the checkpoint in `folder` by name, from file headers alone.

    Raises ModelMissing for absent files, ModelBroken for a truncated or damaged one, naming it.
    """
    if not folder.is_dir():
        raise ModelMissing(str(folder))
    tensors: dict[str, Tensor] = {}
    for file in weight_files(folder):
        for name, nbytes in read_header(file).items():
            tensors[name] = Tensor(file, nbytes)
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint, as its index names them.

    Raises ModelMissing for absent files, ModelBroken for an index that cannot be read.
    """
    if (folder / INDEX).is_file():
        shards = read_json(folder / INDEX).get("weight_map")
        if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
            raise ModelBroken(str(folder / INDEX), "holds no weight_map.")
        # A shard's name comes from a downloaded file: it may not lead out of the folder.
        names = sorted({Path(name).name for name in shards.values()})
        try:
            missing = [name for name in names if not (folder / name).is_file()]
        except (OSError, ValueError) as error:
            raise ModelBroken(str(folder / INDEX), "names a file that no disk can hold.") from error
        if missing:
            raise ModelMissing(str(folder), missing)
        return [folder / name for name in names]
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelMissing(str(folder), ["model.safetensors"])
    return files


def read_header(file: Path) -> dict[str, int]:
    """Tensor names and their sizes in bytes. Raises ModelBroken as read_entries does."""
    spans = {name: entry["data_offsets"] for name, entry in read_entries(file).items()}
    return {name: end - begin for name, (begin, end) in spans.items()}


def read_entries(file: Path) -> dict[str, dict[str, Any]]:
    """What a safetensors file's header says of each tensor: its dtype, shape and data_offsets.

    Raises ModelBroken when the file is no safetensors file or shorter than its header says.
    Source: the format's description, 8 bytes of little-endian header length, JSON, then the data.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 0 < length <= min(size - 8, MAX_HEADER_BYTES):
            raise ModelBroken(str(file), "is no safetensors file, or was cut short in its header.")
        entries = entries_of(stream.read(length), str(file))
    expected = 8 + length + max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if size < expected:
        raise ModelBroken(
            str(file),
            f"is cut short: {size:,} of {expected:,} bytes are there. Download the file again.",
        )
    return entries


def entries_of(header: bytes, file: str) -> dict[str, dict[str, Any]]:
    """What a safetensors header says of each tensor: its dtype, shape and data_offsets, of the right kinds.

    file: what errors call it. Raises ModelBroken.
    """
    unreadable = ModelBroken(file, "has a header that cannot be read.")
    try:
        said = json.loads(header)
    except (ValueError, RecursionError):
        raise unreadable from None
    entries = dict(said) if isinstance(said, dict) else {"": said}
    entries.pop("__metadata__", None)
    if not all(map(_is_tensor, entries.values())):
        raise unreadable
    return entries


def _is_tensor(entry: object) -> bool:
    match entry:
        case {"dtype": str(), "shape": [*shape], "data_offsets": [int(begin), int(end)]}:
            sides = all(isinstance(side, int) and 0 <= side <= MAX_BYTES for side in shape)
            return sides and len(shape) <= MAX_SIDES and 0 <= begin <= end <= MAX_BYTES
    return False
