"""What MLX says of this computer's memory, and what it is told to keep within.

Knows: MLX's own account and its limits. Does not know: what is computed; what fits (guard.py).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlx.core as mx

from mlx_backend.apart import is_repacked, layer_bytes
from mlx_backend.calibration import calibration_in_use
from mlx_backend.errors import BackendError
from mlx_backend.glm.config import read_config
from mlx_backend.guard import Guard, machine_now
from mlx_backend.sizes import Machine, Setup
from mlx_backend.weighing import LADDER, shape_of_folder, weigh_config, weigh_folder


def only_dtype() -> str | None:
    """MLX multiplies experts on a processor in float32 alone; on a GPU in every type."""
    return "float32" if mx.default_device() == mx.Device(mx.cpu) else None


def device_facts() -> dict[str, str | int]:
    """What MLX knows of the device: on a processor its name only."""
    return dict(mx.device_info())


def machine() -> Machine:
    """This computer now; what MLX holds here does not count as other programs'."""
    return machine_now(device_facts(), mx.get_active_memory() + mx.get_cache_memory())


def guard_of(folder: Path, setup: Setup, dtype: str | None, force: bool) -> Guard:
    """From the headers of the checkpoint's files. Raises ModelMissing or ModelBroken."""
    item = 4 if dtype == "float32" else 2
    weights = weigh_folder(folder, item if dtype else None)
    config = read_config(folder)
    others = [weigh_config(config, recipe, item) for recipe in LADDER if recipe.bits < weights.bits]
    if setup.experts_share < 1 and not is_repacked(folder):
        raise BackendError(
            f"{folder} is not prepared for slow mode: its experts must lie one by one. Nothing was loaded. "
            f"Prepare a copy with `python -m mlx_backend.glm.experts {folder} NEW_FOLDER`; it is as large as "
            "the model, and twice as much must be free while it is made."
        )
    shape = shape_of_folder(folder, item)
    calibration = calibration_in_use(machine(), shape)
    return Guard(shape, weights, setup, calibration, force, others, layer_bytes(folder))


def admit(guard: Guard) -> tuple[Guard, int]:
    """The guard of what is loaded now, with its setup; and the bytes that may be held, of which MLX is told.

    Raises NotEnoughMemory.
    """
    here = machine()
    guard = replace(guard, setup=guard.load(here))
    mx.set_cache_limit(guard.setup.cache_limit)
    if wired := guard.wired(here, guard.setup):
        mx.set_wired_limit(wired)
    return guard, guard.limit(here)
