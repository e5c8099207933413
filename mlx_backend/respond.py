"""One request from messages to events, on a loaded model.

Knows: the order of the work: lay out, see what is already computed, encode pictures, prefill, decode, parse.
Does not know: processes, pipes, other requests. Runs wherever MLX may run: in the worker's one thread.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten

from mlx_backend.cache import FeatureCache, Key, PrefixCache
from mlx_backend.errors import ContextTooLong
from mlx_backend.generate import CHUNK, decode, prefill
from mlx_backend.glm.loading import load
from mlx_backend.glm.model import positions
from mlx_backend.glm.processor import Layout, Media, Processor
from mlx_backend.glm.template import compare_with_template
from mlx_backend.parse import Parser
from mlx_backend.repetition import RepetitionDetector
from mlx_backend.sample import Sampler
from mlx_backend.types import Done, Event, Image, Progress, Reason, Request, Stats

log = logging.getLogger(__name__)

# Vectors of pictures kept between turns: about twenty pictures of the largest size on the real model.
FEATURE_BYTES = 1_000_000_000
# Freed device memory that MLX may keep for itself instead of giving it back at once.
MLX_CACHE_BYTES = 1_000_000_000


@dataclass
class _Clock:
    """What happened when, for the statistics. Seconds on one clock."""

    start: float = field(default_factory=time.perf_counter)
    prefill_start: float = 0.0
    first_token: float = 0.0
    end: float = 0.0


class Responder:
    """A loaded model that answers requests, one after the other, and keeps what it computed for them."""

    def __init__(
        self,
        folder: Path,
        progress: Callable[[Progress], None] = lambda event: None,
        *,
        dtype: str | None = None,
        chunk: int = CHUNK,
        feature_bytes: int = FEATURE_BYTES,
    ) -> None:
        """Load the checkpoint. Raises ModelMissing or ModelBroken."""
        mx.set_cache_limit(MLX_CACHE_BYTES)
        self.processor = Processor(folder)
        if difference := compare_with_template(folder, self.processor.tokenizer):
            log.warning("%s: %s", folder, difference)
        self.model = load(folder, dtype, lambda done, total: progress(Progress("load", done, total)))
        self.chunk = chunk
        parameters: dict[str, mx.array] = dict(tree_flatten(self.model.parameters()))
        self.weight_bytes = sum(array.nbytes for array in parameters.values())
        self._prefix = PrefixCache(self.model.language_model.make_cache)
        self._features = FeatureCache(feature_bytes)

    @property
    def cached_tokens(self) -> int:
        """Tokens whose work the next request may reuse."""
        return len(self._prefix.keys)

    def memory(self) -> tuple[int, int]:
        """Bytes MLX holds now, and the most it held during the last request."""
        return mx.get_active_memory(), mx.get_peak_memory()

    def forget(self) -> None:
        """Drop everything kept from earlier requests; the next one starts cold."""
        self._prefix.clear()
        self._features = FeatureCache(self._features.limit)

    def respond(self, request: Request, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """The events of one answer; the last is Done.

        cancelled: asked between pictures, prefill chunks and tokens.
        Raises BadMedia and ContextTooLong before anything is computed.
        """
        clock = _Clock()
        mx.reset_peak_memory()
        layout = self.processor.layout(
            request.messages,
            thinking=request.thinking,
            tools=request.tools,
            max_image_tokens=request.max_image_tokens,
        )
        limit = self.model.config.text.max_position_embeddings
        if len(layout.ids) >= limit:
            raise ContextTooLong(len(layout.ids), limit)
        reused = self._prefix.reuse(_keys(layout, self._merge))
        clock.prefill_start = time.perf_counter()
        logits = yield from self.compute(layout, request.max_image_tokens, cancelled)
        if logits is None:
            yield Done("cancelled", Stats(prompt_tokens=len(layout.ids), cached_tokens=reused))
            return
        yield from self._answer(request, layout, logits, reused, clock, cancelled)

    def compute(
        self,
        layout: Layout,
        max_image_tokens: int | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Generator[Event, None, mx.array | None]:
        """Encode the pictures and prefill the tokens of a prompt that are not in the cache.

        Yields progress; returns the logits (vocab,) behind the prompt, or None when cancelled.
        """
        keys = _keys(layout, self._merge)
        where, _ = positions(layout.ids, layout.grids, self.model.image_id, self._merge)
        features = yield from self._see(layout, self._prefix.reuse(keys), max_image_tokens, cancelled)
        if features is None:
            return None
        return (
            yield from prefill(
                self.model.language_model,
                self._prefix,
                keys,
                lambda a, b: self._embed(layout.ids, features, a, b),
                where,
                cancelled,
                self.chunk,
            )
        )

    def _see(
        self, layout: Layout, shared: int, max_image_tokens: int | None, cancelled: Callable[[], bool]
    ) -> Generator[Event, None, dict[int, mx.array] | None]:
        """Vectors of the pictures that reach behind the first `shared` tokens, by where each one starts."""
        needed = [m for m in layout.media if m.starts[-1] + m.lengths(self._merge)[-1] > shared]
        total = sum(len(m.grids) for m in needed)
        done, features = 0, {}
        for item in needed:
            vectors = self._features.get((item.digest, item.grids))
            if vectors is None:
                pieces = []
                for piece in self.model.vision_tower.encode(self.processor.pieces(item, max_image_tokens)):
                    if cancelled():
                        return None
                    pieces.append(piece)
                    yield Progress("images", done + len(pieces), total)
                vectors = mx.concatenate(pieces)
                mx.eval(vectors)
                self._features.put((item.digest, item.grids), vectors)
            done += len(item.grids)
            features.update(_split(item, vectors, self._merge))
        return features

    def _answer(
        self,
        request: Request,
        layout: Layout,
        logits: mx.array,
        reused: int,
        clock: _Clock,
        cancelled: Callable[[], bool],
    ) -> Iterator[Event]:
        ids = layout.ids
        _, following = positions(ids, layout.grids, self.model.image_id, self._merge)
        rows, known = self.model.config.text.vocab_size, self.processor.tokenizer.size
        sampler = Sampler(request.sampling, rows, known, ids)
        pictures = sum(isinstance(item.source, Image) for item in layout.media)
        parser = Parser(self.processor.tokenizer, stop=request.stop, images=pictures)
        forced: deque[int] = deque()
        tokens = decode(self.model.language_model, self._prefix, logits, following, sampler, forced)
        room = min(request.max_tokens, self.model.config.text.max_position_embeddings - len(ids))
        count, reason = yield from self._read(tokens, parser, request, forced, room, clock, cancelled)
        yield from parser.finish()
        yield Done(reason, self._stats(clock, len(ids), reused, count, parser.reasoning_tokens))

    def _read(
        self,
        tokens: Iterator[int],
        parser: Parser,
        request: Request,
        forced: deque[int],
        room: int,
        clock: _Clock,
        cancelled: Callable[[], bool],
    ) -> Generator[Event, None, tuple[int, Reason]]:
        """Tokens into events until something ends the answer; returns how many tokens and why."""
        tokenizer, loops = self.processor.tokenizer, RepetitionDetector()
        budget, count = request.thinking_budget, 0
        reason: Reason = "length"
        while count < room:
            if cancelled():
                reason = "cancelled"
                break
            token = next(tokens)
            clock.first_token = clock.first_token or time.perf_counter()
            if token in tokenizer.stop_ids:
                reason = "stop"
                break
            count += 1
            yield from parser.feed(token)
            if parser.stopped:
                reason = "stop"
                break
            if loops.feed(token):
                reason = "repetition"
                break
            if budget is not None and parser.thinking and parser.reasoning_tokens >= budget and not forced:
                forced.extend([*tokenizer.encode("\n"), tokenizer.control.end_think])
        clock.end = time.perf_counter()
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

    def _stats(self, clock: _Clock, prompt: int, reused: int, count: int, reasoning: int) -> Stats:
        first = clock.first_token or clock.end
        prefill_seconds, decode_seconds = first - clock.prefill_start, clock.end - first
        return Stats(
            prompt_tokens=prompt,
            cached_tokens=reused,
            reasoning_tokens=reasoning,
            output_tokens=count,
            first_token_seconds=first - clock.start,
            prefill_rate=(prompt - reused) / prefill_seconds if prefill_seconds > 0 else 0.0,
            decode_rate=(count - 1) / decode_seconds if count > 1 and decode_seconds > 0 else 0.0,
            peak_bytes=mx.get_peak_memory(),
        )


def _keys(layout: Layout, merge: int) -> list[Key]:
    """The name of every position's content: see cache.py."""
    keys: list[Key] = list(layout.ids)
    for item in layout.media:
        for pair, (start, length) in enumerate(zip(item.starts, item.lengths(merge), strict=True)):
            keys[start : start + length] = [(item.digest, item.grids[pair], pair, k) for k in range(length)]
    return keys


def _split(item: Media, vectors: mx.array, merge: int) -> dict[int, mx.array]:
    """Vectors (n, hidden) of a whole video or picture, cut into its grids by where each one starts."""
    pieces, at = {}, 0
    for start, length in zip(item.starts, item.lengths(merge), strict=True):
        pieces[start] = vectors[at : at + length]
        at += length
    return pieces
