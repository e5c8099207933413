"""What a small checkpoint says of itself: its sizes, config.json in each published form, preprocessor files.

Knows: the spelling of every form. Does not know: weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer


@dataclass(frozen=True)
class Shape:
    """The sizes of a checkpoint."""

    hidden: int = 64
    inter: int = 128
    layers: int = 3
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    moe_inter: int = 64
    experts: int = 8
    experts_per_token: int = 2
    section: tuple[int, int, int] = (2, 3, 3)
    rope_theta: float = 10000.0
    vision_depth: int = 2
    vision_hidden: int = 64
    vision_heads: int = 4
    merger_inter: int = 128
    image_size: int = 336  # 14 times the side of the table of positions
    context: int = 65536


TINY = Shape()
# A decoding step of 15 ms and more on two CPU cores: what the engine adds must vanish beside it.
BENCH = Shape(
    hidden=512,
    inter=1536,
    layers=12,
    heads=8,
    kv_heads=2,
    head_dim=64,
    moe_inter=384,
    experts=16,
    experts_per_token=4,
    section=(4, 6, 6),
    vision_depth=6,
    vision_hidden=256,
    vision_heads=4,
    merger_inter=768,
)


def config(folder: Path, s: Shape, vocab: int, form: str) -> dict[str, Any]:
    """The object of config.json. form: who wrote it, see make()."""
    token = Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id
    stop = [token("<|endoftext|>"), token("<|user|>"), token("<|observation|>")]
    text = _text(s, vocab, form, stop)
    start, end = ("vision_start", "vision_end") if form == "mlx" else ("image_start", "image_end")
    return {
        "architectures": ["Glm4vMoeForConditionalGeneration"],
        "model_type": "glm4v_moe",
        "text_config": text,
        "vision_config": {
            "model_type": "glm4v_moe_vision",
            "depth": s.vision_depth,
            "hidden_size": s.vision_hidden,
            "num_heads": s.vision_heads,
            "out_hidden_size": s.hidden,
            "intermediate_size": s.merger_inter,
            "image_size": s.image_size,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "in_channels": 3,
            "rms_norm_eps": 1e-5,
        },
        "image_token_id": token("<|image|>"),
        "video_token_id": token("<|video|>"),
        f"{start}_token_id": token("<|begin_of_image|>"),
        f"{end}_token_id": token("<|end_of_image|>"),
        "video_start_token_id": token("<|begin_of_video|>"),
        "video_end_token_id": token("<|end_of_video|>"),
        "eos_token_id": stop,
        "tie_word_embeddings": False,
    }


def _text(s: Shape, vocab: int, form: str, stop: list[int | None]) -> dict[str, Any]:
    text: dict[str, Any] = {
        "model_type": "glm4v_moe_text",
        "vocab_size": vocab,
        "hidden_size": s.hidden,
        "intermediate_size": s.inter,
        "num_hidden_layers": s.layers,
        "num_attention_heads": s.heads,
        "num_key_value_heads": s.kv_heads,
        "head_dim": s.head_dim,
        "moe_intermediate_size": s.moe_inter,
        "n_routed_experts": s.experts,
        "num_experts_per_tok": s.experts_per_token,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "norm_topk_prob": True,
        "routed_scaling_factor": 1.0,
        "n_group": 1,
        "topk_group": 1,
        "rms_norm_eps": 1e-5,
        "attention_bias": True,
        "max_position_embeddings": s.context,
        "eos_token_id": stop,
        "pad_token_id": stop[0],
    }
    if form == "transformers5":
        text["rope_parameters"] = {
            "rope_type": "default",
            "rope_theta": s.rope_theta,
            "partial_rotary_factor": 0.5,
            "mrope_section": list(s.section),
        }
    else:
        text |= {"use_qk_norm": False, "partial_rotary_factor": 0.5, "rope_theta": s.rope_theta}
        text["rope_scaling"] = {"rope_type": "default", "mrope_section": list(s.section)}
    return text


def write_processor_files(folder: Path) -> None:
    """preprocessor_config.json and video_preprocessor_config.json, with the published bounds."""
    shared = {
        "do_rescale": True,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "processor_class": "Glm4vProcessor",
    }
    image = {"size": {"shortest_edge": 12544, "longest_edge": 9633792}}
    video = {"size": {"shortest_edge": 12544, "longest_edge": 47040000}}
    image |= {"image_processor_type": "Glm4vImageProcessor"} | shared
    video |= {"video_processor_type": "Glm4vVideoProcessor"} | shared
    (folder / "preprocessor_config.json").write_text(json.dumps(image, indent=1))
    (folder / "video_preprocessor_config.json").write_text(json.dumps(video, indent=1))
