"""The published checkpoints this app knows by name: their size, their licence, whether they run here.

Knows: repositories on the model hub and the exact bytes of their weights, as the planner counts them.
Does not know: what is on this disk, what fits this Mac, the network.

Weight bytes are computed from the model's configuration (affine quantization in groups of 64: bits / 8 + 1
/ 16 bytes per quantized weight; vision tower, routers, norms and biases in bfloat16) and equal the
published files to 0.01 %. A repository is a little larger than its weights: tokenizer, headers, settings.
"""

from __future__ import annotations

from dataclasses import dataclass

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Known:
    """A published checkpoint. weight_bytes: of all tensors; 0 where it is not known.

    unsupported: why this app does not run it; "" where it does.
    """

    repo: str
    title: str
    bits: int
    weight_bytes: int
    licence: str = "MIT"
    unsupported: str = ""

    @property
    def page(self) -> str:
        """Where a person reads about it."""
        return f"{HUB}/{self.repo}"


OTHER_MODEL = (
    "GLM-4.6V has another context and other preprocessing than GLM-4.5V, and nobody has proven that "
    "its answers "
    "are right here. Choose a GLM-4.5V."
)
KNOWN = (
    Known("mlx-community/GLM-4.5V-3bit", "GLM-4.5V, 3 bits", 3, 48_503_722_240),
    Known("mlx-community/GLM-4.5V-4bit", "GLM-4.5V, 4 bits", 4, 61_857_173_760),
    Known("mlx-community/GLM-4.5V-5bit", "GLM-4.5V, 5 bits", 5, 75_210_625_280),
    Known("mlx-community/GLM-4.5V-6bit", "GLM-4.5V, 6 bits", 6, 88_564_076_800),
    Known("mlx-community/GLM-4.5V-8bit", "GLM-4.5V, 8 bits", 8, 115_270_979_840),
    Known("mlx-community/GLM-4.6V-4bit", "GLM-4.6V, 4 bits", 4, 0, unsupported=OTHER_MODEL),
)


def known(repo: str) -> Known | None:
    """What is known of a repository, whatever the case its name is written in."""
    return next((entry for entry in KNOWN if entry.repo.lower() == repo.lower()), None)


def unsupported(repo: str) -> str:
    """Why this app does not run a repository, "" where nothing is known against it."""
    if entry := known(repo):
        return entry.unsupported
    return OTHER_MODEL if "glm-4.6v" in repo.lower() else ""
