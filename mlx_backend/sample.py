"""From logits to the next token.

Knows: penalties, temperature, top-k, top-p, min-p, seeds; in the order the reference applies them.
Does not know: the model, what tokens mean. Everything stays an unevaluated array: no waiting for the device.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from mlx_backend.types import Sampling


class Sampler:
    """Chooses tokens one after the other; remembers them for the penalties.

    rows: length of the logits; known: how many of them the tokenizer has a word for. The rest is padding and
    is never chosen. prompt: ids the repetition penalty counts as already said.
    """

    def __init__(self, sampling: Sampling, rows: int, known: int, prompt: Sequence[int] = ()) -> None:
        self.sampling = sampling
        seed = secrets.randbits(63) if sampling.seed is None else sampling.seed
        self._key = mx.random.key(seed % 2**64)
        self._padding = mx.array(np.where(np.arange(rows) < known, 0.0, -np.inf).astype(np.float32))
        said = np.bincount(np.asarray(prompt, np.int64), minlength=rows)[:rows]
        self._in_prompt = mx.array(said > 0)
        self._counts = mx.zeros(rows)  # how often each token was generated

    def observe(self, token: mx.array) -> None:
        """A token () became part of the answer."""
        if self._penalised:
            self._counts = self._counts.at[token].add(1)

    def __call__(self, logits: mx.array, allowed: NDArray[np.uint8] | None = None) -> mx.array:
        """logits (rows,) -> token (), uint32. allowed (rows,): 0 for each token that must not be chosen."""
        scores = logits.astype(mx.float32) + self._padding
        if allowed is not None:
            scores = scores + mx.where(mx.array(allowed), 0.0, -mx.inf)
        if self._penalised:
            scores = self._penalise(scores)
        if self.sampling.temperature == 0:
            return mx.argmax(scores)
        return self._draw(scores / self.sampling.temperature)

    @property
    def _penalised(self) -> bool:
        s = self.sampling
        return s.repetition_penalty != 1 or s.presence_penalty != 0 or s.frequency_penalty != 0

    def _penalise(self, scores: mx.array) -> mx.array:
        s = self.sampling
        said = self._counts > 0
        factor = mx.where(said | self._in_prompt, s.repetition_penalty, 1.0)
        scores = mx.where(scores > 0, scores / factor, scores * factor)
        return scores - s.frequency_penalty * self._counts - s.presence_penalty * said

    def _draw(self, scores: mx.array) -> mx.array:
        self._key, key = mx.random.split(self._key)
        s = self.sampling
        if s.top_k <= 0 and s.top_p >= 1 and s.min_p <= 0:
            return mx.random.categorical(scores, key=key)
        # Ranked by score, every rule keeps a run from the top.
        order = mx.argsort(-scores)
        ranked = scores[order]
        if s.top_k > 0:
            ranked = mx.where(mx.arange(ranked.size) < s.top_k, ranked, -mx.inf)
        probabilities = mx.softmax(ranked)
        before = mx.cumsum(probabilities) - probabilities
        keep = (before < s.top_p) & (probabilities >= s.min_p * probabilities[0])
        keep = keep | (mx.arange(ranked.size) == 0)  # top_p 0 still leaves the best
        return order[mx.random.categorical(mx.where(keep, ranked, -mx.inf), key=key)]
