"""The language model: vectors in, hidden states and logits out, with a KV cache.

Knows: M-RoPE positions that come with the call, the mixture of experts, what attention stands between.
Does not know: pictures, prompts, sampling. Keeps no state between calls: positions come with each.

Expert layers and dense MLPs are mlx-vlm's; module names are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import numpy.typing as npt
from mlx_vlm.models.glm4v_moe.language import group_expert_select
from mlx_vlm.models.mlp import DeepseekMLP
from mlx_vlm.models.switch_layers import SwitchGLU

from mlx_backend.glm import kv
from mlx_backend.glm.config import TextConfig

Positions = npt.NDArray[np.int64]  # (3, L): time, height and width of each token
Turn = Callable[[mx.array], mx.array]  # rotates queries or keys (1, heads, L, head_dim)


def running(config: TextConfig, offset: int) -> Turn:
    """The rotation for tokens whose three positions run on by one from `offset`: MLX's fused kernel."""
    dims, base = config.rotary_dims, config.rope_theta
    return lambda x: mx.fast.rope(x, dims, traditional=False, base=base, scale=1.0, offset=offset)


def rotation(config: TextConfig, positions: Positions, dtype: mx.Dtype) -> Turn:
    """The rotation for tokens at `positions` (3, L), of queries and keys in `dtype`."""
    first, length = int(positions[0, 0]), positions.shape[1]
    if np.array_equal(positions, np.broadcast_to(np.arange(first, first + length), (3, length))):
        return running(config, first)
    axis = np.repeat(np.arange(3), config.mrope_section)  # which axis each frequency follows
    exponents = mx.arange(0, config.rotary_dims, 2, dtype=mx.float32) / config.rotary_dims
    angles = mx.array(positions[axis].T.astype(np.float32)) * (1.0 / config.rope_theta**exponents)
    cos, sin = mx.cos(angles).astype(dtype), mx.sin(angles).astype(dtype)  # (L, rotary_dims / 2)

    def turn(x: mx.array) -> mx.array:
        left, right, rest = mx.split(x, [config.rotary_dims // 2, config.rotary_dims], axis=-1)
        return mx.concatenate([left * cos - right * sin, right * cos + left * sin, rest], axis=-1)

    return turn


class _Attention(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.scale = config.head_dim**-0.5
        hidden, bias = config.hidden_size, config.attention_bias
        self.q_proj = nn.Linear(hidden, self.heads * config.head_dim, bias=bias)
        self.k_proj = nn.Linear(hidden, self.kv_heads * config.head_dim, bias=bias)
        self.v_proj = nn.Linear(hidden, self.kv_heads * config.head_dim, bias=bias)
        self.o_proj = nn.Linear(self.heads * config.head_dim, hidden, bias=False)

    def __call__(self, x: mx.array, turn: Turn, cache: kv.Cache) -> mx.array:
        length = x.shape[1]  # x: (1, L, hidden)
        q = self.q_proj(x).reshape(1, length, self.heads, -1).transpose(0, 2, 1, 3)
        k = self.k_proj(x).reshape(1, length, self.kv_heads, -1).transpose(0, 2, 1, 3)
        v = self.v_proj(x).reshape(1, length, self.kv_heads, -1).transpose(0, 2, 1, 3)
        out = kv.attend(turn(q), turn(k), v, cache, self.scale)
        return self.o_proj(out.transpose(0, 2, 1, 3).reshape(1, length, -1))


class _Router(nn.Module):
    """Chooses experts per token; scores in float32 whatever the weights' type, as the reference does."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = mx.zeros((config.n_routed_experts, config.hidden_size))
        self.e_score_correction_bias = mx.zeros((config.n_routed_experts,))

    def __call__(self, x: mx.array) -> tuple[mx.array, mx.array]:
        """x (L, hidden) -> expert indices and weights, each (L, k)."""
        scores = x.astype(mx.float32) @ self.weight.astype(mx.float32).T
        c = self.config
        return group_expert_select(
            scores,
            self.e_score_correction_bias.astype(mx.float32),
            c.num_experts_per_tok,
            c.n_group,
            c.topk_group,
            c.routed_scaling_factor,
            c.norm_topk_prob,
        )


class _Experts(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        inner = config.moe_intermediate_size
        self.gate = _Router(config)
        self.switch_mlp = SwitchGLU(config.hidden_size, inner, config.n_routed_experts)
        self.shared_experts = DeepseekMLP(config, intermediate_size=inner * config.n_shared_experts)

    def __call__(self, x: mx.array) -> mx.array:
        """x: (1, L, hidden)."""
        flat = x[0]
        indices, weights = self.gate(flat)
        # Tokens go in as a batch of single positions: with L between 2 and 16 SwitchGLU otherwise takes a
        # path made for speculative decoding, token by token.
        routed = self.switch_mlp(flat[:, None], indices[:, None])[:, 0]  # (L, k, hidden)
        mixed = (routed * weights[..., None]).sum(axis=-2).astype(x.dtype)
        return mixed[None] + self.shared_experts(x)


class _Layer(nn.Module):
    def __init__(self, config: TextConfig, index: int) -> None:
        super().__init__()
        self.self_attn = _Attention(config)
        self.mlp = DeepseekMLP(config) if index < config.first_k_dense_replace else _Experts(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def __call__(self, x: mx.array, turn: Turn, cache: kv.Cache) -> mx.array:
        x = x + self.self_attn(self.input_layernorm(x), turn, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class _Stack(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = [_Layer(config, index) for index in range(config.num_hidden_layers)]
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)


class LanguageModel(nn.Module):
    """The text half of the model."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.model = _Stack(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def make_cache(self, kv_bits: int | None = None) -> list[kv.Cache]:
        """One empty KV cache per layer, plain or of 4 or 8 bits. Raises ValueError: see kv.make."""
        return kv.make(len(self.model.layers), self.config.head_dim, kv_bits)

    def embed(self, ids: mx.array) -> mx.array:
        """Token vectors (L, hidden) of ids (L,), in the type the layers compute in.

        Tables in a float4 or float8 mode come out as bfloat16 whatever that is; their values are exact in it.
        """
        return self.model.embed_tokens(ids).astype(self.model.norm.weight.dtype)

    def __call__(self, vectors: mx.array, positions: Positions, cache: Sequence[Any]) -> mx.array:
        """Token vectors (L, hidden) at `positions` (3, L), behind what `cache` holds, to hidden states."""
        return self.run(vectors, rotation(self.config, positions, vectors.dtype), cache)

    def step(self, token: mx.array, position: int, cache: Sequence[Any]) -> mx.array:
        """One decoding step: token () at `position` on all three axes -> logits (vocab,)."""
        turn = running(self.config, position)
        return self.logits(self.run(self.embed(token.reshape(1)), turn, cache))[0]

    def run(self, vectors: mx.array, turn: Turn, cache: Sequence[Any]) -> mx.array:
        x = vectors[None]
        for layer, past in zip(self.model.layers, cache, strict=True):
            x = layer(x, turn, past)
        return self.model.norm(x)[0]

    def logits(self, hidden: mx.array) -> mx.array:
        """Hidden states (L, hidden) -> logits (L, vocab)."""
        return self.lm_head(hidden)
