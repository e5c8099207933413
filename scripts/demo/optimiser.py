"""The optimiser of the demo model: Muon for matrices, AdamW for the rest.

Knows: gradients and weights. Does not know: lessons, losses, the network beyond the names of its weights.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn


class Optimiser:
    """Muon for matrices, AdamW for tables, norms, biases and the last matrix; float32 masters.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. Matrices of one
    shape are orthogonalised together.
    """

    def __init__(self, modules: list[nn.Module]) -> None:
        self.params = [p for module in modules for p in module.parameters()]
        names = [name for module in modules for name, _ in module.named_parameters()]
        self.masters = [p.detach().float().clone() for p in self.params]
        self.first = [torch.zeros_like(m) for m in self.masters]
        self.second = [torch.zeros_like(m) for m in self.masters]
        self.steps = 0
        self.slow = ["vision_tower" in name for name in names]
        self.groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        self.others = []
        for i, (name, p) in enumerate(zip(names, self.params, strict=True)):
            table = any(word in name for word in ("embed", "lm_head", "read", "gate.weight"))
            if p.ndim < 2 or (table and "patch_embed" not in name):
                self.others.append(i)
            else:
                self.groups[(*p.shape[-2:], self.slow[i])].append(i)

    @torch.no_grad()
    def step(self, lr: float, vision: float = 1.0) -> None:
        """vision: the tower's rate as a share of lr."""
        self.steps += 1
        grads = [None if p.grad is None else p.grad.float() for p in self.params]
        norm = math.sqrt(sum(float((g * g).sum()) for g in grads if g is not None))
        if not math.isfinite(norm):
            return
        scale = min(1.0, 1.0 / (norm + 1e-6))
        for i in self.others:
            if (g := grads[i]) is not None:
                self._adam(i, g * scale, lr * (vision if self.slow[i] else 1.0))
        for (*shape, slow), members in self.groups.items():
            given = [i for i in members if grads[i] is not None]
            self._muon(tuple(shape), given, grads, lr * (vision if slow else 1.0))
        for p, master in zip(self.params, self.masters, strict=True):
            p.grad = None
            p.copy_(master)

    def _adam(self, i: int, grad: Tensor, lr: float) -> None:
        first, second = self.first[i], self.second[i]
        first.lerp_(grad, 0.1)
        second.lerp_(grad * grad, 0.02)
        correct = math.sqrt(1 - 0.98**self.steps) / (1 - 0.9**self.steps)
        self.masters[i].addcdiv_(first, second.sqrt() + 1e-8, value=-0.15 * lr * correct)

    def _muon(self, shape: tuple[int, ...], members: list[int], grads: list[Any], lr: float) -> None:
        if not members:
            return
        updates = []
        for i in members:
            self.first[i].mul_(0.95).add_(grads[i], alpha=0.05)
            updates.append((grads[i] * 0.05 + self.first[i] * 0.95).reshape(-1, *shape))
        whole = _orthogonal(torch.cat(updates)) * math.sqrt(max(1.0, shape[0] / shape[1]))
        for i, update in zip(members, whole.split([len(u) for u in updates]), strict=True):
            self.masters[i].mul_(1 - lr * 0.02).add_(update.reshape(self.masters[i].shape), alpha=-lr)

    def state(self) -> dict[str, Any]:
        return {"steps": self.steps, "masters": self.masters, "first": self.first, "second": self.second}

    def load(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        for mine, theirs in (
            (self.masters, state["masters"]), (self.first, state["first"]), (self.second, state["second"])
        ):  # fmt: skip
            for a, b in zip(mine, theirs, strict=True):
                a.copy_(b)
        for p, master in zip(self.params, self.masters, strict=True):
            p.data.copy_(master)


def _orthogonal(g: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrices (n, a, b), by five Newton-Schulz steps."""
    x = g.to(torch.bfloat16)
    flip = x.shape[1] > x.shape[2]
    x = x.mT if flip else x
    x = x / (x.float().norm(dim=(1, 2), keepdim=True).to(x.dtype) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if flip else x).float()
