"""The backend's public list says exactly what is there."""

from __future__ import annotations

from types import ModuleType

import mlx_backend
from mlx_backend import errors


def test_all_lists_every_public_name() -> None:
    there = {
        name
        for name, value in vars(mlx_backend).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert there == set(mlx_backend.__all__)
    assert len(set(mlx_backend.__all__)) == len(mlx_backend.__all__)


def test_every_error_is_public() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert tree <= set(mlx_backend.__all__)
