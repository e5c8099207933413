"""A training run's weights as the checkpoint the app loads, in mlx-community's form.

Knows: the files of a checkpoint, the array orders of the published layout.
Does not know: torch beyond reading a file of it; what the weights can do.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from tiny_config import config, write_processor_files

from demo.shape import SHAPE
from mlx_backend.glm.loading import load

PATCH = (3, 2, 14, 14)  # colour, frame, y, x of a patch row
BLOCK = (2, 2)  # patches of a token


def export(file: Path, tokenizer: Path, folder: Path) -> None:
    """Write a whole checkpoint into `folder`, bfloat16. Its README.md, if there is one, stays.

    file: float32 weights by the names of demo.network, as NumPy saved them; tokenizer: the folder that
    training wrote.
    """
    weights = dict(np.load(file))
    folder.mkdir(parents=True, exist_ok=True)
    for file in tokenizer.iterdir():
        shutil.copyfile(file, folder / file.name)
    tensors = {name: mx.array(_published(name, array)).astype(mx.bfloat16) for name, array in weights.items()}
    mx.save_safetensors(str(folder / "model.safetensors"), tensors, metadata={"format": "mlx"})
    vocabulary = weights["language_model.lm_head.weight"].shape[0]
    said = config(folder, SHAPE, vocabulary, "mlx")
    (folder / "config.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    write_processor_files(folder)


def compare(folder: Path, probe: Path) -> float:
    """Relative L2 between the app's logits in float32, of the written weights, and those training computed.

    What is left is what bfloat16 takes from the weights.
    """
    given = np.load(probe)
    model = load(folder, dtype="float32")
    ours = model(given["ids"].tolist(), given["patches"], [tuple(grid) for grid in given["grids"]])
    return float(np.linalg.norm(ours - given["logits"]) / np.linalg.norm(given["logits"]))


def _published(name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The two matrices that are convolutions in the reference, channels last as MLX stores them."""
    if name == "vision_tower.patch_embed.proj.weight":
        return np.ascontiguousarray(np.moveaxis(array.reshape(-1, *PATCH), 1, -1))
    if name == "vision_tower.downsample.weight":
        return array.reshape(array.shape[0], *BLOCK, -1)
    return array
