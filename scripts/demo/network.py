"""GLM-4.5V's architecture in torch, lean enough to train a few million parameters on two processor cores.

Knows: the mathematics of the tower, the language model and the experts, and the published names of weights.
Does not know: lessons, tokens, files. Equal to the app's own network to rounding: export.py compares them.

Differs from the reference class in speed alone: pictures of one grid are computed as one batch, experts
as runs of sorted tokens, and logits only where there is something to learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from tiny_config import Shape
from torch import Tensor, nn


class RMSNorm(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


class SwiGLU(nn.Module):
    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


# --- vision ----------------------------------------------------------------------------------------------


class Table(nn.Module):
    """The learned square of positions."""

    def __init__(self, side: int, hidden: int) -> None:
        super().__init__()
        self.side = side
        self.position_embedding = nn.Embedding(side * side, hidden)

    def forward(self, places: Places) -> Tensor:
        hidden = self.position_embedding.weight.shape[1]
        table = self.position_embedding.weight.float().reshape(self.side, self.side * hidden)
        rows = (places.down @ table).reshape(-1, self.side, hidden)
        full = places.across @ rows
        return full.reshape(-1, hidden)[places.order].to(self.position_embedding.weight.dtype)


@dataclass(frozen=True)
class Places:
    """What a grid of patches says of positions.

    down (gh, side), across (gw, side): cubic resampling of the table; order (P,): index of each patch row in
    the grid read row by row; cos, sin (P, head_dim): rotation by row and column.
    """

    down: Tensor
    across: Tensor
    order: Tensor
    cos: Tensor
    sin: Tensor


class VisionAttention(nn.Module):
    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(hidden, hidden * 3, bias=False)
        self.proj = nn.Linear(hidden, hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, n, hidden = x.shape
        q, k, v = self.qkv(x).reshape(batch, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        out = attend(_rotate(q, cos, sin), _rotate(k, cos, sin), v)
        return self.proj(out.transpose(1, 2).reshape(batch, n, hidden))


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Written out: on a processor torch's own kernel takes almost twice as long for such short sequences."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return (scores if mask is None else scores + mask).softmax(dim=-1) @ v


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin


class VisionBlock(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(s.vision_hidden), RMSNorm(s.vision_hidden)
        self.attn = VisionAttention(s.vision_hidden, s.vision_heads)
        self.mlp = SwiGLU(s.vision_hidden, s.hidden)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), cos, sin)
        return x + self.mlp(self.norm2(x))


class Merger(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.proj = nn.Linear(s.hidden, s.hidden, bias=False)
        self.post_projection_norm = nn.LayerNorm(s.hidden)
        self.gate_proj = nn.Linear(s.hidden, s.merger_inter, bias=False)
        self.up_proj = nn.Linear(s.hidden, s.merger_inter, bias=False)
        self.down_proj = nn.Linear(s.merger_inter, s.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.post_projection_norm(self.proj(x)))
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class PatchEmbed(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(3 * 2 * 14 * 14, hidden)


class Vision(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.embeddings = Table(s.image_size // 14, s.vision_hidden)
        self.patch_embed = PatchEmbed(s.vision_hidden)
        self.post_conv_layernorm = RMSNorm(s.vision_hidden)
        self.blocks = nn.ModuleList(VisionBlock(s) for _ in range(s.vision_depth))
        self.post_layernorm = RMSNorm(s.vision_hidden)
        self.downsample = nn.Linear(s.vision_hidden * 4, s.hidden)
        self.merger = Merger(s)

    def forward(self, patches: Tensor, places: Places) -> Tensor:
        """patches (N, P, 1176), N pictures of one grid -> (N, P / 4, hidden)."""
        x = self.post_conv_layernorm(self.patch_embed.proj(patches)) + self.embeddings(places)
        for block in self.blocks:
            x = block(x, places.cos, places.sin)
        x = self.post_layernorm(x)
        return self.merger(self.downsample(x.reshape(x.shape[0], -1, 4 * x.shape[-1])))


# --- language --------------------------------------------------------------------------------------------


class Attention(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.rotary = s.heads, s.kv_heads, s.head_dim // 2
        self.q_proj = nn.Linear(s.hidden, s.heads * s.head_dim)
        self.k_proj = nn.Linear(s.hidden, s.kv_heads * s.head_dim)
        self.v_proj = nn.Linear(s.hidden, s.kv_heads * s.head_dim)
        self.o_proj = nn.Linear(s.heads * s.head_dim, s.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q = self._turn(self.q_proj(x).reshape(batch, length, self.heads, -1).transpose(1, 2), cos, sin)
        k = self._turn(self.k_proj(x).reshape(batch, length, self.kv_heads, -1).transpose(1, 2), cos, sin)
        v = self.v_proj(x).reshape(batch, length, self.kv_heads, -1).transpose(1, 2)
        groups = self.heads // self.kv_heads
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        out = attend(
            q, k, v, torch.full((length, length), -torch.inf, dtype=x.dtype, device=x.device).triu(1)
        )
        return self.o_proj(out.transpose(1, 2).reshape(batch, length, -1))

    def _turn(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        left, right, rest = x.split([self.rotary // 2, self.rotary // 2, x.shape[-1] - self.rotary], dim=-1)
        return torch.cat([left * cos - right * sin, right * cos + left * sin, rest], dim=-1)


class Router(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(s.experts, s.hidden) * s.hidden**-0.5)
        self.register_buffer("e_score_correction_bias", torch.zeros(s.experts))


class Switch(nn.Module):
    """All experts' matrices in one array each: (experts, out, in)."""

    def __init__(self, experts: int, out: int, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter((torch.rand(experts, out, inputs) * 2 - 1) * inputs**-0.5)


class SwitchMLP(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.gate_proj = Switch(s.experts, s.moe_inter, s.hidden)
        self.up_proj = Switch(s.experts, s.moe_inter, s.hidden)
        self.down_proj = Switch(s.experts, s.hidden, s.moe_inter)


class Experts(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.top, self.count = s.experts_per_token, s.experts
        self.gate = Router(s)
        self.switch_mlp = SwitchMLP(s)
        self.shared_experts = SwiGLU(s.hidden, s.moe_inter)
        self.load = torch.zeros(s.experts)  # tokens per expert since it was last looked at

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        scores = (flat.float() @ self.gate.weight.float().T).sigmoid()
        chosen = (scores.detach() + self.gate.e_score_correction_bias.float()).topk(self.top, dim=-1).indices
        weights = scores.gather(1, chosen)
        weights = (weights / (weights.sum(-1, keepdim=True) + 1e-20)).to(x.dtype)
        order = chosen.reshape(-1).argsort(stable=True)
        counts = torch.bincount(chosen.reshape(-1), minlength=self.count)
        self.load += counts.cpu()
        token = order // self.top
        runs = flat[token].split(counts.tolist())
        out = torch.cat([self._expert(run, e) for e, run in enumerate(runs)])
        out = out * weights.reshape(-1)[order].unsqueeze(-1)
        mixed = torch.zeros_like(flat).index_add(0, token, out)
        return mixed.reshape(x.shape) + self.shared_experts(x)

    def _expert(self, x: Tensor, e: int) -> Tensor:
        m = self.switch_mlp
        inner = F.silu(F.linear(x, m.gate_proj.weight[e])) * F.linear(x, m.up_proj.weight[e])
        return F.linear(inner, m.down_proj.weight[e])


class Layer(nn.Module):
    def __init__(self, s: Shape, index: int) -> None:
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(s.hidden), RMSNorm(s.hidden)
        self.self_attn = Attention(s)
        self.mlp = Experts(s) if index else SwiGLU(s.hidden, s.inter)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Stack(nn.Module):
    def __init__(self, s: Shape, vocab: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab, s.hidden)
        self.layers = nn.ModuleList(Layer(s, index) for index in range(s.layers))
        self.norm = RMSNorm(s.hidden)


class Language(nn.Module):
    def __init__(self, s: Shape, vocab: int) -> None:
        super().__init__()
        self.model = Stack(s, vocab)
        self.lm_head = nn.Linear(s.hidden, vocab, bias=False)


class Network(nn.Module):
    """The whole model under the published names."""

    def __init__(self, s: Shape, vocab: int) -> None:
        super().__init__()
        self.shape = s
        self.vision_tower = Vision(s)
        self.language_model = Language(s, vocab)
        for table in (
            self.language_model.model.embed_tokens,
            self.vision_tower.embeddings.position_embedding,
        ):
            nn.init.normal_(table.weight, std=0.5)
        nn.init.normal_(self.language_model.lm_head.weight, std=0.02)

    def hidden(
        self, ids: Tensor, positions: Tensor, images: Tensor | None, where: Tensor | None
    ) -> list[Tensor]:
        """Hidden states (B, L, hidden) after each layer of ids (B, L) at positions (B, 3, L).

        The last one is normed, ready for `logits`.

        images: vision vectors (n, hidden) of all pictures in order; where (n,): their places in ids, flat.
        """
        stack = self.language_model.model
        x = stack.embed_tokens(ids)
        if images is not None:
            x = x.reshape(-1, x.shape[-1]).index_copy(0, where, images).reshape(x.shape)
        cos, sin = rotation(self.shape, positions, x.dtype)
        after = []
        for layer in stack.layers:
            x = layer(x, cos, sin)
            after.append(x)
        return [*after[:-1], stack.norm(x)]

    def logits(self, hidden: Tensor) -> Tensor:
        return self.language_model.lm_head(hidden)


def rotation(s: Shape, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """cos and sin (B, 1, L, rotary / 2): each frequency follows one of the three axes."""
    rotary = s.head_dim // 2
    axis = torch.from_numpy(np.repeat(np.arange(3), s.section)).to(positions.device)
    steps = torch.arange(0, rotary, 2, device=positions.device) / rotary
    angles = positions[:, axis].transpose(1, 2).float() * (1.0 / s.rope_theta**steps)
    return angles.cos().to(dtype).unsqueeze(1), angles.sin().to(dtype).unsqueeze(1)
