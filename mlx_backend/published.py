"""GLM-4.5V as it was published: its config, for planning before anything is downloaded.

Knows: the numbers of the real checkpoint's config.json that decide about memory.
Does not know: where checkpoints are, what fits. Source: the original's config and module tree; the 107.7
billion parameters that follow from it are those of the published files.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from .glm.config import Config, parse_config
from .sizes import Shape, Weights
from .weighing import LADDER, RECIPES, Recipe, shape_of, weigh_config

CONFIG: Mapping[str, Any] = {
    "model_type": "glm4v_moe",
    "text_config": {
        "vocab_size": 151_552,
        "hidden_size": 4096,
        "intermediate_size": 10_944,
        "moe_intermediate_size": 1408,
        "num_hidden_layers": 46,
        "num_attention_heads": 96,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "attention_bias": True,
        "use_qk_norm": False,
        "n_routed_experts": 128,
        "num_experts_per_tok": 8,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "max_position_embeddings": 65_536,
        "rope_theta": 10_000.0,
        "partial_rotary_factor": 0.5,
        "rope_scaling": {"rope_type": "default", "mrope_section": [8, 12, 12]},
    },
    "vision_config": {
        "depth": 24,
        "hidden_size": 1536,
        "num_heads": 12,
        "intermediate_size": 10_944,  # the merger's; the blocks' is out_hidden_size
        "out_hidden_size": 4096,
        "image_size": 336,
    },
}


@cache
def published_config() -> Config:
    return parse_config(CONFIG, "GLM-4.5V")


@cache
def published_shape() -> Shape:
    return shape_of(published_config())


def published(recipe: Recipe) -> Weights:
    """What GLM-4.5V takes in this quantization."""
    return weigh_config(published_config(), recipe)


@cache
def ladder() -> tuple[Weights, ...]:
    """GLM-4.5V in every quantization that can be downloaded, the largest first."""
    return tuple(published(recipe) for recipe in LADDER)


def named(name: str) -> Weights | None:
    """GLM-4.5V in the quantization of this name: 4-bit, "6-bit g32", mxfp4, bf16."""
    return next((published(recipe) for recipe in RECIPES if recipe.name == name), None)
