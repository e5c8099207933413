"""Training: a vision warm-up with dense labels, then lessons of every kind.

Knows: the losses, the order of stages, checkpoints to go on from.
Does not know: what lessons are about, the app.

The vision part learns slowly from answers alone. So it is first taught what lies under each picture token,
through a head that is thrown away; the head stays on with a small weight while answers are learned. The
language model is told in the same way, at the words themselves, what they refer to (meanings.py).
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from random import Random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tiny_config import Shape
from torch import Tensor, nn

from demo.batches import IGNORED, Batch, Meant, Stage, Writer, make
from demo.network import Network, Places
from demo.optimiser import Optimiser
from demo.plan import Phase
from demo.under import CLASSES
from mlx_backend.glm.places import cubic_matrix, merge_order
from mlx_backend.glm.tokenizer import Tokenizer

MOST_LINES = 9  # of evidence


# --- losses ----------------------------------------------------------------------------------------------


def edges_loss(edges: Tensor, wanted: Tensor) -> Tensor:
    """Of boxes (n, 4) in shares of the picture: what an edge is off by, as a share of the thing's own side.

    That is what an overlap depends on; the picture's side would let small things be missed.
    """
    sides = (wanted[:, 2:] - wanted[:, :2]).clamp(min=0.04).repeat(1, 2)
    return 2 * F.smooth_l1_loss(edges / sides, wanted / sides, beta=0.03)


class Dense(nn.Module):
    """What lies under a picture token, read off its vector by one matrix. Thrown away after training."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.read = nn.Linear(hidden, sum(CLASSES.values()) + 4)

    def forward(self, vectors: Tensor, classes: Tensor, boxes: Tensor) -> tuple[Tensor, dict[str, float]]:
        *columns, box = self.read(vectors).float().split([*CLASSES.values(), 4], dim=-1)
        loss, seen = torch.zeros((), device=vectors.device), {}
        for name, logits, labels in zip(CLASSES, columns, classes.T, strict=True):
            loss = loss + F.cross_entropy(logits, labels)
            there = labels > 0
            if there.any():
                seen[name] = (logits.argmax(-1) == labels)[there].float().mean().item()
        there = classes[:, 0] > 0
        if there.any():
            loss = loss + edges_loss(box[there], boxes[there])
            seen["box"] = (box[there] - boxes[there]).abs().mean().item()
        return loss, seen


class Meaning(nn.Module):
    """What a word refers to, read off its vector. Thrown away after training."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.sizes = [MOST_LINES + 1, 4, CLASSES["thing"]]
        self.read = nn.Linear(hidden, sum(self.sizes))

    def forward(self, vectors: Tensor, meant: Meant) -> tuple[Tensor, dict[str, float]]:
        """vectors (B, L, hidden)."""
        loss, seen = torch.zeros((), device=vectors.device), {}
        if len(meant.line):
            logits, wanted = self._read(vectors, meant.line_at, meant.line, 0)
            loss = loss + F.cross_entropy(logits, wanted)
            seen["line"] = (logits.argmax(-1) == wanted).float().mean().item()
        if len(meant.place):
            places, wanted = self._read(vectors, meant.place_at, meant.place, 1)
            loss = loss + edges_loss(places, wanted)
            seen["place"] = (places - wanted).abs().mean().item()
        if (meant.before > 0).any():
            logits, wanted = self._read(vectors, meant.before_at, meant.before, 2)
            loss = loss + F.cross_entropy(logits, wanted)
            there = wanted > 0
            seen["before"] = (logits.argmax(-1) == wanted)[there].float().mean().item()
        return loss, seen

    def _read(self, vectors: Tensor, at: Any, wanted: Any, which: int) -> tuple[Tensor, Tensor]:
        chosen = vectors.flatten(0, 1)[torch.from_numpy(at).to(vectors.device)]
        read = self.read(F.rms_norm(chosen, chosen.shape[-1:])).float()
        return read.split(self.sizes, dim=-1)[which], torch.from_numpy(wanted).to(vectors.device)


class Teacher:
    """The network, its heads for training, and losses of batches."""

    def __init__(self, network: Network, device: torch.device) -> None:
        self.device, self.network = device, network.to(device, torch.bfloat16)
        self.dense = Dense(network.shape.hidden).to(device, torch.bfloat16)
        self.early = Meaning(network.shape.hidden).to(device, torch.bfloat16)
        self.late = Meaning(network.shape.hidden).to(device, torch.bfloat16)
        self._places: dict[tuple[int, int], Places] = {}

    def places(self, grid: tuple[int, int]) -> Places:
        if grid not in self._places:
            self._places[grid] = places(grid, self.network.shape, self.dense.read.weight)
        return self._places[grid]

    def loss(self, batch: Batch, answers: bool) -> tuple[Tensor, dict[str, float]]:
        vectors, total, seen = None, torch.zeros((), device=self.device), {}
        if len(batch.patches):
            patches = torch.from_numpy(batch.patches).to(self.device, torch.bfloat16)
            vectors = self.network.vision_tower(patches, self.places(batch.grid)).flatten(0, 1)
            dense = (torch.from_numpy(a).to(self.device) for a in (batch.dense, batch.boxes))
            total, seen = self.dense(vectors, *dense)
        if not answers:
            return total, seen
        learned, right = self.answer_loss(batch, vectors)
        return learned + 0.5 * total, seen | right

    def answer_loss(self, batch: Batch, vectors: Tensor | None) -> tuple[Tensor, dict[str, float]]:
        ids, labels, positions, where = (
            torch.from_numpy(a).to(self.device)
            for a in (batch.ids, batch.labels, batch.positions, batch.where)
        )
        after = self.network.hidden(ids, positions, vectors, where)
        labels = labels[:, 1:]
        at = (labels != IGNORED).nonzero(as_tuple=True)
        logits, wanted = self.network.logits(after[-1][:, :-1][at]).float(), labels[at]
        early, seen = self.early(after[len(after) // 2 - 1], batch.early)
        late, then = self.late(after[-2], batch.late)
        seen |= {f"late_{name}": figure for name, figure in then.items()}
        right = logits.argmax(-1) == wanted
        return F.cross_entropy(logits, wanted) + 0.5 * (early + late), seen | {
            "token": right.float().mean().item(),
            "answer": _whole(right.cpu().numpy(), at[0].cpu().numpy(), at[1].cpu().numpy()),
        }


def _whole(right: Any, row: Any, column: Any) -> float:
    """Share of answers of which every token is right: an answer is a run of neighbouring columns."""
    starts = np.flatnonzero(np.r_[True, (np.diff(row) != 0) | (np.diff(column) != 1)])
    return float(np.minimum.reduceat(right, starts).mean())


def places(grid: tuple[int, int], shape: Shape, like: Tensor) -> Places:
    """like: a weight, for its device and type."""
    order = merge_order(*grid, 2)
    side = shape.image_size // 14
    dims = shape.vision_hidden // shape.vision_heads // 2
    inverse = 1.0 / (10000.0 ** (np.arange(0, dims, 2, dtype=np.float32) / dims))
    half = (order[:, :, None] * inverse).reshape(len(order), dims)
    angles = np.concatenate([half, half], axis=-1)
    tensors = (cubic_matrix(grid[0], side), cubic_matrix(grid[1], side))
    turn = [torch.from_numpy(f(angles)).to(like) for f in (np.cos, np.sin)]
    down, across = (torch.from_numpy(t).to(like.device) for t in tensors)
    flat = torch.from_numpy(order[:, 0] * grid[1] + order[:, 1]).long().to(like.device)
    return Places(down, across, flat, *turn)


# --- the run ---------------------------------------------------------------------------------------------


def batches(tokenizer: Path, phase: Phase, seed: int, first: int) -> Iterator[Batch]:
    """Batches of a phase from step `first` on; each depends on the seed and its number alone."""
    writer = Writer(Tokenizer(tokenizer))
    kinds, weights = list(phase.kinds), list(phase.kinds.values())
    for step in range(first, phase.steps):
        rng = Random(f"{seed} {phase.name} {step}")
        yield make(rng.choices(kinds, weights)[0], rng, phase.stage, writer)


def _produce(queue: Any, *args: Any) -> None:
    for batch in batches(*args):
        queue.put(batch)


def prepared(tokenizer: Path, phase: Phase, seed: int, first: int) -> Iterator[Batch]:
    """The same, made ahead by a process of its own."""
    queue: Any = multiprocessing.get_context("fork").Queue(maxsize=6)
    process = multiprocessing.get_context("fork").Process(
        target=_produce, args=(queue, tokenizer, phase, seed, first), daemon=True
    )
    process.start()
    try:
        for _ in range(first, phase.steps):
            while True:
                try:
                    yield queue.get(timeout=5)
                    break
                except Empty:
                    if not process.is_alive():
                        raise RuntimeError("what prepares the batches has ended") from None
    finally:
        process.terminate()


def rate(phase: Phase, step: int) -> float:
    """Up over 100 steps, then along a cosine."""
    along = 0.5 * (1 + math.cos(math.pi * step / phase.steps))
    return phase.lr * min(1.0, (step + 1) / 100) * (phase.final_lr + (1 - phase.final_lr) * along)


def balance(network: Network) -> None:
    """Move each router's bias against the load, as the architecture's training does."""
    for layer in network.language_model.model.layers:
        if hasattr(layer.mlp, "load"):
            load = layer.mlp.load
            bias = layer.mlp.gate.e_score_correction_bias
            bias += 0.002 * torch.sign(load.mean() - load).to(bias)
            load.zero_()


class Run:
    """A training run that writes checkpoints and goes on from the last."""

    def __init__(self, network: Network, tokenizer: Path, folder: Path, seed: int, device: str) -> None:
        self.tokenizer, self.file, self.seed = tokenizer, folder / "training.pt", seed
        self.teacher = Teacher(network, torch.device(device))
        self.optimiser = Optimiser([network, self.teacher.dense, self.teacher.early, self.teacher.late])
        self.done: dict[str, int] = {}
        if self.file.exists():
            state = torch.load(self.file, map_location=device)
            self.done = state["done"]
            self.teacher.network.load_state_dict(state["network"])
            self.optimiser.load(state["optimiser"])

    def save(self) -> None:
        network, optimiser = self.teacher.network.state_dict(), self.optimiser.state()
        fresh = self.file.with_suffix(".new")
        torch.save({"done": self.done, "network": network, "optimiser": optimiser}, fresh)
        fresh.replace(self.file)

    def weights(self) -> dict[str, Any]:
        """The network in float32, by its names: the optimiser's masters, and what no optimiser changes."""
        names = [name for name, _ in self.teacher.network.named_parameters()]
        masters = dict(zip(names, self.optimiser.masters, strict=False))  # the heads come after
        return {
            name: masters.get(name, tensor).float().cpu().numpy()
            for name, tensor in self.teacher.network.state_dict().items()
        }

    def probe(self) -> dict[str, Any]:
        """One lesson and the float32 network's logits (L, vocab) for it, for the export to compare with."""
        batch = make("change", Random(0), Stage(large=0), Writer(Tokenizer(self.tokenizer)))
        network = Network(self.teacher.network.shape, len(self.teacher.network.language_model.lm_head.weight))
        network.load_state_dict({name: torch.from_numpy(array) for name, array in self.weights().items()})
        length, (rows, columns) = int((batch.labels[0] != IGNORED).nonzero()[0][-1]), batch.grid
        where = batch.where[batch.where < batch.ids.shape[1]]
        patches = batch.patches[: len(where) * 4 // (rows * columns)].astype(np.float32)
        with torch.no_grad():
            turned = places(batch.grid, network.shape, network.language_model.lm_head.weight)
            vectors = network.vision_tower(torch.from_numpy(patches), turned).flatten(0, 1)
            arrays = (torch.from_numpy(a[:1]) for a in (batch.ids, batch.positions))
            after = network.hidden(*arrays, vectors, torch.from_numpy(where))
            logits = network.logits(after[-1])[0, :length]
        grids = np.array([(1, rows, columns)] * len(patches))
        ids = batch.ids[0, :length]
        return {"ids": ids, "patches": patches.reshape(-1, 1176), "grids": grids, "logits": logits.numpy()}

    def phase(self, phase: Phase) -> None:
        first, started, since = self.done.get(phase.name, 0), time.monotonic(), 0
        seen: dict[str, list[float]] = defaultdict(list)
        for step, batch in enumerate(prepared(self.tokenizer, phase, self.seed, first), first):
            loss, figures = self.teacher.loss(batch, phase.answers)
            loss.backward()  # gradients of `together` batches, of different kinds mostly, add up
            if (step + 1) % phase.together == 0:
                self.optimiser.step(rate(phase, step), phase.vision)
                balance(self.teacher.network)
            since += len(batch.ids)
            for name, figure in {"loss": float(loss.detach()), **figures}.items():
                seen[f"{batch.kind}.{name}"].append(figure)
            self.done[phase.name] = step + 1
            if (step + 1) % 100 == 0 or step + 1 == phase.steps:
                seconds = time.monotonic() - started
                report(phase, step + 1, since / seconds, seen)
                seen.clear()
            if (step + 1) % 500 == 0 or step + 1 == phase.steps:
                self.save()


def report(phase: Phase, step: int, speed: float, seen: dict[str, list[float]]) -> None:
    figures = " ".join(
        f"{name} {sum(values) / len(values):.3f}"
        for name, values in sorted(seen.items())
        if not name.endswith("nth")
    )
    print(f"{phase.name} {step}/{phase.steps} {speed:.0f} lessons/s  {figures}", flush=True)
