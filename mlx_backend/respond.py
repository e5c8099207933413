"""One request from messages to events, on a loaded model.

Knows: the order of the work: lay out, see what is already computed, encode pictures, prefill, decode, parse.
Does not know: processes, pipes, other requests. Runs wherever MLX may run: in the worker's one thread.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx
from mlx.utils import tree_flatten

from mlx_backend.cache import Key, PrefixCache
from mlx_backend.errors import ContextTooLong
from mlx_backend.generate import decode, prefill
from mlx_backend.glm.kv import check_bits
from mlx_backend.glm.language import Positions
from mlx_backend.glm.loading import load
from mlx_backend.glm.model import positions
from mlx_backend.glm.processor import Layout, Processor
from mlx_backend.glm.template import compare_with_template
from mlx_backend.guard import Fit, Needs
from mlx_backend.limits import admit, device_facts, guard_of, machine, only_dtype
from mlx_backend.parse import Parser
from mlx_backend.process import Facts
from mlx_backend.repetition import RepetitionDetector
from mlx_backend.sample import Sampler
from mlx_backend.schema import check_schema
from mlx_backend.seeing import Sight
from mlx_backend.sizes import Setup
from mlx_backend.sums import DEFAULT
from mlx_backend.types import Done, Event, Image, Progress, Reason, Request, Saw, Stats
from mlx_backend.verbatim import Verbatim

if TYPE_CHECKING:
    from mlx_backend.constraint import Constraint, Constraints

log = logging.getLogger(__name__)


@dataclass
class Run:
    """One request under way: what is known of its prompt, and what happened when (seconds on one clock).

    keys: the name of every position's content, see cache.py. where: M-RoPE positions (3, L); following: that
    of the first token of the answer. needs, fit: what it asks of the memory, and how it is run for that.
    held: what the answer must be; None: whatever the model writes.
    reused: tokens of the prompt that were computed before. predicted: bytes; see Stats.
    """

    request: Request
    layout: Layout
    keys: list[Key]
    where: Positions
    following: int
    start: float
    needs: Needs
    fit: Fit
    held: Constraint | None = None
    predicted: int = 0
    reused: int = 0
    prefill_start: float = 0.0
    first_token: float = 0.0
    end: float = 0.0

    def stats(self, output: int = 0, reasoning: int = 0) -> Stats:
        """What it cost so far; output and reasoning in tokens."""
        prompt, first = len(self.keys), self.first_token or self.end
        reading, speaking = first - self.prefill_start, self.end - first
        return Stats(
            prompt_tokens=prompt,
            cached_tokens=self.reused,
            reasoning_tokens=reasoning,
            output_tokens=output,
            first_token_seconds=max(0.0, first - self.start),
            prefill_rate=(prompt - self.reused) / reading if reading > 0 else 0.0,
            decode_rate=(output - 1) / speaking if output > 1 and speaking > 0 else 0.0,
            peak_bytes=mx.get_peak_memory(),
            predicted_bytes=self.predicted,
        )


class Responder:
    """A loaded model that answers requests, one after the other, and keeps what it computed for them."""

    def __init__(
        self,
        folder: Path,
        progress: Callable[[Progress], None] = lambda event: None,
        *,
        setup: Setup = DEFAULT,
        force: bool = False,
        dtype: str | None = None,
    ) -> None:
        """Load the checkpoint. Raises ModelMissing or ModelBroken; NotEnoughMemory unless forced.

        setup: what is traded for memory, see budget.py. Keys and values in 4 or 8 bits cost exactness, no
        vision tower in memory costs the time to read it when a picture comes; nothing else changes an answer.
        dtype: of what is not quantized; None keeps the file's where this computer can compute with it.
        Raises ValueError for other bits, before anything is loaded.
        """
        check_bits(setup.kv_bits)
        dtype = dtype or only_dtype()
        self._guard, self._limit_bytes = admit(guard_of(folder, setup, dtype, force))
        self.setup = setup = self._guard.setup
        self.processor = Processor(folder)
        tokenizer = self.processor.tokenizer
        if difference := compare_with_template(folder, tokenizer):
            log.warning("%s: %s", folder, difference)
        self.model = load(
            folder,
            dtype,
            lambda done, total: progress(Progress("load", done, total)),
            tokenizer,
            vision=setup.vision,
            experts=int(self._guard.weights.experts * setup.experts_share),
        )
        self._prefix = PrefixCache(lambda: self.model.language_model.make_cache(setup.kv_bits))
        self._sight = Sight(self.model, self.processor, folder, dtype, not setup.vision, setup.kept)
        self._constraints: Constraints | None = None

    @property
    def weight_bytes(self) -> int:
        """Of what is in memory now: without the vision tower where it is not."""
        parameters: dict[str, mx.array] = dict(tree_flatten(self.model.parameters()))
        return sum(array.nbytes for array in parameters.values())

    @property
    def cached_tokens(self) -> int:
        """Tokens whose work the next request may reuse."""
        return len(self._prefix.keys)

    def facts(self) -> Facts:
        """What the memory is used for now; costs nothing worth mentioning."""
        return Facts(
            weight_bytes=self.weight_bytes,
            active_bytes=mx.get_active_memory(),
            peak_bytes=mx.get_peak_memory(),
            cached_tokens=self.cached_tokens,
            kv_bytes=self._prefix.nbytes,
            cache_bytes=mx.get_cache_memory(),
            limit_bytes=self._limit_bytes,
            device=device_facts(),
            setup=replace(self.setup, kv_bits=self._prefix.bits),
        )

    def forget(self) -> None:
        """Drop everything kept from earlier requests; the next one starts cold."""
        self._prefix.clear()
        self._sight.forget()

    def respond(self, request: Request, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """The events of one answer; the last is Done.

        cancelled: asked between pictures, prefill chunks and tokens.
        Raises BadMedia, BadSchema, ContextTooLong and NotEnoughMemory before anything is computed, and
        BackendError where a schema leaves so much open that the answer cannot be held to it to its end.
        """
        run = self.prepare(request)
        yield Saw(run.layout.shown)
        logits = yield from self.compute(run, cancelled)
        if logits is None:
            yield Done("cancelled", run.stats())
        else:
            yield from self._answer(run, logits, cancelled)

    def prepare(self, request: Request) -> Run:
        """Lay out the prompt; nothing is computed. Raises as respond() says."""
        start = time.perf_counter()
        mx.reset_peak_memory()
        layout = self.processor.of(request)
        if len(layout.ids) >= self._limit:
            raise ContextTooLong(len(layout.ids), self._limit)
        where, following = positions(layout.ids, layout.grids, self.model.image_id, self._merge)
        keys = _keys(layout, self._merge)
        needs = self._needs(layout, keys)
        fit = self._guard.request(machine(), needs)
        return Run(request, layout, keys, where, following, start, needs, fit, self._held(request, layout))

    def _held(self, request: Request, layout: Layout) -> Constraint | None:
        if request.schema is None:
            return None
        check_schema(request)
        tokenizer = self.processor.tokenizer
        if self._constraints is None:
            from mlx_backend.constraint import Constraints  # only when needed: see there

            self._constraints = Constraints(tokenizer, self.model.config.text.vocab_size)
        unthinking = [tokenizer.control.think, tokenizer.control.end_think, *tokenizer.encode("\n")]
        return self._constraints.under(request.schema, layout.ids[-len(unthinking) :] != unthinking)

    def _needs(self, layout: Layout, keys: list[Key]) -> Needs:
        reused = self._prefix.shared(keys)
        pictures, kept = self._sight.unseen(layout, reused), self._sight.kept.nbytes
        return Needs(len(keys), reused, self._prefix.room(reused), pictures, kept)

    def compute(
        self, run: Run, cancelled: Callable[[], bool] = lambda: False
    ) -> Generator[Event, None, mx.array | None]:
        """Encode the pictures and prefill the tokens of a prompt that are not in the cache.

        Yields progress; returns the logits (vocab,) behind the prompt, or None when cancelled.
        """
        run.reused = self._prefix.reuse(run.keys)
        run.prefill_start = time.perf_counter()
        most = run.request.max_image_tokens
        features = yield from self._sight.see(run.layout, run.reused, most, cancelled)
        if features is None:
            return None
        return (
            yield from prefill(
                self.model.language_model,
                self._prefix,
                run.keys,
                lambda a, b: self._embed(run.layout.ids, features, a, b),
                run.where,
                cancelled,
                run.fit.chunk,
            )
        )

    def _answer(self, run: Run, logits: mx.array, cancelled: Callable[[], bool]) -> Iterator[Event]:
        rows, tokenizer = self.model.config.text.vocab_size, self.processor.tokenizer
        sampler = Sampler(run.request.sampling, rows, tokenizer.size, run.layout.ids)
        pictures = sum(isinstance(item.source, Image) for item in run.layout.media)
        tags = Parser(tokenizer, stop=run.request.stop, images=pictures)
        tags.resume(run.layout.ids[run.layout.begun :])
        end = tokenizer.control.end_think
        parser = Verbatim(tags, tokenizer, run.held.thinking, end) if run.held is not None else tags
        forced: deque[int] = deque()
        model = self.model.language_model
        tokens = decode(model, self._prefix, logits, run.following, sampler, forced, run.held)
        count, reason = yield from self._read(run, tokens, parser, forced, cancelled)
        run.predicted = self._guard.peak(machine(), run.needs, run.fit.chunk, len(run.keys) + count)
        yield from parser.finish()
        yield Done(reason, run.stats(count, parser.reasoning_tokens))

    def _read(
        self,
        run: Run,
        tokens: Iterator[int],
        parser: Parser | Verbatim,
        forced: deque[int],
        cancelled: Callable[[], bool],
    ) -> Generator[Event, None, tuple[int, Reason]]:
        """Tokens into events until something ends the answer; returns how many tokens and why."""
        tokenizer, loops = self.processor.tokenizer, RepetitionDetector()
        budget, count = run.request.thinking_budget, 0
        room = min(run.request.max_tokens, min(self._limit, run.fit.most) - len(run.keys))
        reason: Reason = "length"
        while count < room:
            if cancelled():
                reason = "cancelled"
                break
            token = next(tokens)
            run.first_token = run.first_token or time.perf_counter()
            if token in tokenizer.stop_ids:
                reason = "stop"
                break
            count += 1
            yield from parser.feed(token)
            if parser.stopped or (run.held is not None and run.held.complete):
                reason = "stop"
                break
            if loops.feed(token):
                reason = "repetition"
                break
            if budget is not None and parser.thinking and parser.reasoning_tokens >= budget and not forced:
                forced.extend([*tokenizer.encode("\n"), tokenizer.control.end_think])
        run.end = time.perf_counter()
        return count, reason

    def _embed(self, ids: list[int], features: dict[int, mx.array], begin: int, end: int) -> mx.array:
        """Vectors of tokens begin to end; a picture may reach over either side of a chunk."""
        inside = []
        for start, vectors in sorted(features.items(), key=lambda item: item[0]):
            first, last = max(start, begin), min(start + vectors.shape[0], end)
            if first < last:
                inside.append((first - begin, vectors[first - start : last - start]))
        return self.model.embed(ids[begin:end], inside)

    @property
    def _merge(self) -> int:
        return self.model.config.vision.spatial_merge_size

    @property
    def _limit(self) -> int:
        return min(self.model.config.text.max_position_embeddings, self.setup.context)


def _keys(layout: Layout, merge: int) -> list[Key]:
    """The name of every position's content: see cache.py."""
    keys: list[Key] = list(layout.ids)
    for item in layout.media:
        for name, start, length in zip(item.names, item.starts, item.lengths(merge), strict=True):
            keys[start : start + length] = [(name, k) for k in range(length)]
    return keys
