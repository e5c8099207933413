"""Experts that stay on disk and are read when a token needs them ("slow mode").

Knows: the folder that holds them one by one, mlx-vlm's store that reads and drops them, what may stay.
Does not know: what else needs memory; who chooses between fast and slow.

Repacking writes a second copy of the checkpoint beside the first. Made once, by
`python -m mlx_backend.glm.experts CHECKPOINT FOLDER`; the folder is then loaded like any other.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlx_vlm.models.switch_layers import OffloadedSwitchGLU
from mlx_vlm.moe_offload import ExpertStore, repack

from mlx_backend.apart import INDEX, layer_bytes
from mlx_backend.chore import tethered
from mlx_backend.errors import BackendError, ModelBroken
from mlx_backend.glm.config import Config, read_config, read_json
from mlx_backend.glm.language import LanguageModel

SWITCH = "language_model.model.layers.{}.mlp.switch_mlp.{}"
PROJECTIONS = ("gate_proj", "up_proj", "down_proj")
PLAIN = (64, 4, "affine")  # mlx-vlm wants a recipe for plain experts as well, and does not look at it


def make(checkpoint: Path, folder: Path) -> None:
    """Write the checkpoint again with its experts one by one; needs twice its size on disk while it is made.

    Nothing is at `folder` until it is whole. Raises BackendError in words.
    """
    read_config(checkpoint)
    if folder.exists():
        raise BackendError(f"{folder} is there already. Nothing was written. Choose another folder.")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with contextlib.redirect_stdout(sys.stderr), _unclosed():
            repack(str(checkpoint), str(part))
        part.rename(folder)
    except (OSError, ValueError, RuntimeError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise BackendError(
            f"{checkpoint} could not be prepared for slow mode ({error}). The model itself is unchanged and "
            "nothing of the copy was kept."
        ) from error


def attach(model: LanguageModel, folder: Path, config: Config, most: int) -> ExpertStore:
    """Let the layers read their experts from `folder`, which is_repacked.

    most: bytes of experts in memory at any moment. Those of the layer that is computed stand beside what is
    kept, so one layer is the least it can be; of the others those unused for longest are dropped first.
    Raises ModelBroken where experts are missing.
    """
    index = read_json(folder / INDEX)
    wanted = range(config.text.first_k_dense_replace, config.text.num_hidden_layers)
    absent = [n for n in wanted if not _file(folder, n).is_file()]
    if absent or index.get("num_experts") != config.text.n_routed_experts:
        raise ModelBroken(
            str(_file(folder, absent[0]) if absent else folder / INDEX), "holds not all experts."
        )
    # A bound of 0 means none to mlx-vlm.
    with _unclosed():
        store = ExpertStore(str(folder), max(1, most - layer_bytes(folder)))
    for layer in wanted:
        mlp: Any = model.model.layers[layer].mlp
        recipes = [_recipe(config.quantization, SWITCH.format(layer, name)) for name in PROJECTIONS]
        mlp.switch_mlp = OffloadedSwitchGLU(store, layer, *recipes, activation=mlp.switch_mlp.activation)
    return store


@contextlib.contextmanager
def _unclosed() -> Iterator[None]:
    """mlx-vlm leaves the closing of its small files to the garbage collector, which warns of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


def _file(folder: Path, layer: int) -> Path:
    return folder / "experts" / f"layer_{layer:04d}.safetensors"


def _recipe(quantization: Mapping[str, Any], path: str) -> tuple[int, int, str]:
    own = quantization.get(path)
    chosen = own if isinstance(own, Mapping) else quantization
    size, bits, mode = PLAIN
    return chosen.get("group_size", size), chosen.get("bits", bits), chosen.get("mode", mode)


USAGE = """usage: python -m mlx_backend.glm.experts CHECKPOINT FOLDER
Writes the checkpoint in the folder CHECKPOINT again as FOLDER, its experts one by one, for slow mode."""

if __name__ == "__main__":
    tethered()
    if len(sys.argv) != 3:
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    try:
        make(Path(sys.argv[1]), Path(sys.argv[2]))
    except BackendError as error:
        sys.exit(str(error))
