"""Golden logits and positions from the reference: transformers' Glm4vMoe, float32, CPU, eager attention.

Needs torch and transformers, which neither the app nor its tests have.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from reference.cases import CASES, Clip, Input, Picture, build, rows_kept
from transformers import Glm4vMoeForConditionalGeneration, PreTrainedTokenizerFast

DECODE_STEPS = 6


def main(checkpoint: Path, out: Path) -> None:
    """Run every case on `checkpoint` and write `out`/logits.npz."""
    torch.set_grad_enabled(False)
    model = Glm4vMoeForConditionalGeneration.from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(checkpoint / "tokenizer.json"))
    arrays = {}
    for name in CASES:
        given = build(name, lambda text: tokenizer(text, add_special_tokens=False)["input_ids"])
        for key, value in run(model, tokenizer, name, given).items():
            arrays[f"{name}/{key}"] = value
        print(f"{name}: {len(given.ids)} tokens")
    np.savez_compressed(out / "logits.npz", **arrays)


def run(
    model: Glm4vMoeForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, name: str, given: Input
) -> dict[str, np.ndarray]:
    """Positions (3, L), logits of the kept rows, and greedy decoding: tokens and the logits after each."""
    types = modality(tokenizer, given.ids)
    images, videos = grids_of(name)
    positions, _ = model.model.get_rope_index(
        torch.tensor([given.ids]),
        mm_token_type_ids=torch.tensor([types]),
        image_grid_thw=torch.tensor(images) if images else None,
        video_grid_thw=torch.tensor(videos) if videos else None,
    )
    vectors = model.get_input_embeddings()(torch.tensor([given.ids]))
    if given.patches is not None:
        # The reference refuses a prompt with both images and videos; its own vision tower on each picture and
        # pair, put in place in prompt order, is the same mathematics.
        seen = model.model.visual(
            torch.tensor(given.patches), grid_thw=torch.tensor(given.grids)
        ).pooler_output
        vectors = vectors.clone()
        vectors[0, torch.tensor(types) > 0] = seen
    out = model.model.language_model(inputs_embeds=vectors, position_ids=positions, use_cache=True)
    logits = model.lm_head(out.last_hidden_state)[0]
    check_whole_model(model, name, given, types, images, videos, logits)
    rows = rows_kept(len(given.ids))
    tokens, after, past = [], [], out.past_key_values
    following = int(positions.max()) + 1
    token = int(logits[-1].argmax())
    for step in range(DECODE_STEPS):
        tokens.append(token)
        out = model.model.language_model(
            input_ids=torch.tensor([[token]]),
            position_ids=torch.full((3, 1, 1), following + step),
            past_key_values=past,
            use_cache=True,
        )
        after.append(model.lm_head(out.last_hidden_state)[0, -1].numpy())
        token = int(after[-1].argmax())
    return {
        "ids": np.array(given.ids, np.int32),
        "positions": positions[:, 0].numpy().astype(np.int32),
        "logits": logits[rows].numpy(),
        "decoded": np.array(tokens, np.int32),
        "decode_logits": np.stack(after),
    }


def check_whole_model(
    model: Glm4vMoeForConditionalGeneration,
    name: str,
    given: Input,
    types: list[int],
    images: list[list[int]],
    videos: list[list[int]],
    logits: torch.Tensor,
) -> None:
    """Where the reference can run the case in one call, the pieces put together above must equal that."""
    if images and videos:
        return
    model.model.rope_deltas = None
    patches = None if given.patches is None else torch.tensor(given.patches)
    whole = model(
        input_ids=torch.tensor([given.ids]),
        pixel_values=patches if images else None,
        image_grid_thw=torch.tensor(images) if images else None,
        pixel_values_videos=patches if videos else None,
        video_grid_thw=torch.tensor(videos) if videos else None,
        mm_token_type_ids=torch.tensor([types]) if images or videos else None,
    ).logits[0]
    difference = float((whole - logits).norm() / whole.norm())
    assert difference < 2e-6, f"{name}: the reference differs from itself by {difference}"


def grids_of(name: str) -> tuple[list[list[int]], list[list[int]]]:
    """The reference's image grids and video grids [[t, h, w]] of a case."""
    images = [list(piece.grid) for piece in CASES[name] if isinstance(piece, Picture)]
    videos = [[piece.pairs, *piece.grid[1:]] for piece in CASES[name] if isinstance(piece, Clip)]
    return images, videos


def modality(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> list[int]:
    """0 for text, 1 for a picture's placeholder, 2 for a video's."""
    tokens = np.array(ids)
    image, begin, end = tokenizer.convert_tokens_to_ids(
        ["<|image|>", "<|begin_of_video|>", "<|end_of_video|>"]
    )
    in_video = np.cumsum(tokens == begin) > np.cumsum(tokens == end)
    return np.where(tokens == image, np.where(in_video, 2, 1), 0).tolist()
