"""Token ids out: prefill in chunks, then decode step by step.

Knows: the language model's steps, the prefix cache, the order in which the device is kept busy.
Does not know: what tokens mean, when an answer ends. The caller stops it, between any two tokens or chunks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, cast

import mlx.core as mx

from mlx_backend.cache import Key, PrefixCache
from mlx_backend.glm.language import LanguageModel, Positions
from mlx_backend.sample import Sampler
from mlx_backend.types import Progress

if TYPE_CHECKING:
    from mlx_backend.constraint import Constraint

CHUNK = 1024
# A chunk's attention grows with the keys before it, and macOS ends GPU work that blocks the screen too long.
LONG_CONTEXT, LONG_CONTEXT_CHUNK = 32768, 512


def prefill(
    model: LanguageModel,
    prefix: PrefixCache,
    keys: Sequence[Key],
    embed: Callable[[int, int], mx.array],
    positions: Positions,
    cancelled: Callable[[], bool],
    chunk: int = CHUNK,
) -> Generator[Progress, None, mx.array | None]:
    """Compute the prompt named by `keys` (L) behind what `prefix` holds of it: reuse() comes first.

    embed(a, b): vectors (b - a, hidden) of tokens a to b. positions: (3, L).
    Yields progress in tokens after each chunk; returns the logits (vocab,) behind the last token, or None
    when cancelled. What was computed stays in the prefix cache either way.
    """
    total = len(keys)
    at = len(prefix.keys)
    yield Progress("prefill", at, total)
    hidden = None
    while at < total:
        if cancelled():
            return None
        size = chunk if at < LONG_CONTEXT else min(chunk, LONG_CONTEXT_CHUNK)
        end = min(at + size, total)
        hidden = model(embed(at, end), positions[:, at:end], prefix.kv)[-1:]
        mx.eval(hidden)
        prefix.extend(keys[at:end])
        at = end
        yield Progress("prefill", at, total)
    assert hidden is not None  # the last token is always computed
    return model.logits(hidden)[0]


def decode(
    model: LanguageModel,
    prefix: PrefixCache,
    logits: mx.array,
    position: int,
    sampler: Sampler,
    forced: deque[int],
    held: Constraint | None = None,
) -> Iterator[int]:
    """Token ids behind a prefilled prompt, without end.

    logits (vocab,) predict the first token, which stands at `position`. Ids the caller puts into `forced`
    take the place of what would be sampled next. held: what the answer must be; see constraint.py.
    Raises BackendError where it cannot be held to that any longer.
    """
    token = sampler(logits, held.allowed() if held is not None else None)
    while True:
        # The next step is under way on the device before this token is read back: Python's work hides in it.
        sampler.observe(token)
        scores = model.step(token, position, prefix.kv)
        if held is not None:
            # What may follow depends on this token, but the step does not: it is computed meanwhile.
            mx.async_eval(scores)  # type: ignore[no-untyped-call]
            held.take(int(cast(int, token.item())))
        following = sampler(scores, held.allowed() if held is not None else None)
        mx.async_eval(following)  # type: ignore[no-untyped-call]
        chosen = int(cast(int, token.item()))
        prefix.extend([chosen])
        yield chosen
        token = mx.array(forced.popleft(), mx.uint32) if forced else following
        position += 1
