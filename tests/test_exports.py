"""The backend's public list says exactly what is there."""

from __future__ import annotations

from types import ModuleType

import pytest

import mlx_backend
from mlx_backend import errors, types


def test_all_lists_every_public_name() -> None:
    there = {
        name
        for name, value in vars(mlx_backend).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert there == set(mlx_backend.__all__)
    assert len(set(mlx_backend.__all__)) == len(mlx_backend.__all__)


@pytest.mark.parametrize("module", [errors, types])
def test_every_value_and_error_is_public(module: ModuleType) -> None:
    made_here = {
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }
    assert made_here - set(mlx_backend.__all__) == set()
