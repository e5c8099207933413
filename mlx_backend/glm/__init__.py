"""The model itself: weights, vision, language, and what turns messages and media into its input.

Knows: GLM-4.5V exactly as the reference computes it. Does not know: conversations, processes, caching.
Importing this package imports nothing heavy; `load` brings in MLX, `Processor` only Pillow and OpenCV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlx_backend.glm.loading import load
    from mlx_backend.glm.processor import Processor

__all__ = ["Processor", "load"]


def __getattr__(name: str) -> Any:
    if name == "load":
        from mlx_backend.glm.loading import load

        return load
    if name == "Processor":
        from mlx_backend.glm.processor import Processor

        return Processor
    raise AttributeError(name)
