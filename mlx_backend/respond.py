"""One request from messages to events, on a loaded model.

Knows: the order of the work: lay out, see what is already computed, encode pictures, prefill, decode, parse.
Does not know: processes, pipes, other requests. Runs wherever MLX may run: in the worker's one thread.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten

from mlx_backend.cache import FeatureCache, Key, PrefixCache
from mlx_backend.errors import ContextTooLong
from mlx_backend.generate import CHUNK, decode, prefill
from mlx_backend.glm.kv import check_bits
from mlx_backend.glm.language import Positions
from mlx_backend.glm.loading import load
from mlx_backend.glm.model import positions
from mlx_backend.glm.processor import Layout, Media, Processor
from mlx_backend.glm.template import compare_with_template
from mlx_backend.parse import Parser
from mlx_backend.repetition import RepetitionDetector
from mlx_backend.sample import Sampler
from mlx_backend.types import Done, Event, Image, Progress, Reason, Request, Saw, Stats

log = logging.getLogger(__name__)

# Vectors of pictures kept between turns: about twenty pictures of the largest size on the real model.
FEATURE_BYTES = 1_000_000_000
# Freed device memory that MLX may keep for itself instead of giving it back at once.
MLX_CACHE_BYTES = 1_000_000_000


@dataclass
class Run:
    """One request under way: what is known of its prompt, and what happened when (seconds on one clock).

    keys: the name of every position's content, see cache.py. where: M-RoPE positions (3, L); following: that
    of the first token of the answer. reused: tokens of the prompt that were computed before.
    """

    request: Request
    layout: Layout
    keys: list[Key]
    where: Positions
    following: int
    start: float
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
        )


def only_dtype() -> str | None:
    """MLX multiplies experts on a processor in float32 alone; on a GPU in every type."""
    return "float32" if mx.default_device() == mx.Device(mx.cpu) else None


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
        kv_bits: int | None = None,
    ) -> None:
        """Load the checkpoint. Raises ModelMissing or ModelBroken.

        dtype: of what is not quantized; None keeps the file's where this computer can compute with it.
        kv_bits: 4 or 8 keep keys and values quantized, in about a half or a quarter of the memory that None
        takes, at the price of exactness. Raises ValueError for other numbers, before anything is loaded.
        """
        check_bits(kv_bits)
        mx.set_cache_limit(MLX_CACHE_BYTES)
        self.processor = Processor(folder)
        tokenizer = self.processor.tokenizer
        if difference := compare_with_template(folder, tokenizer):
            log.warning("%s: %s", folder, difference)
        self.model = load(
            folder,
            dtype or only_dtype(),
            lambda done, total: progress(Progress("load", done, total)),
            tokenizer,
        )
        self.chunk = chunk
        parameters: dict[str, mx.array] = dict(tree_flatten(self.model.parameters()))
        self.weight_bytes = sum(array.nbytes for array in parameters.values())
        self._prefix = PrefixCache(lambda: self.model.language_model.make_cache(kv_bits))
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
        run = self.prepare(request)
        yield Saw(run.layout.shown)
        logits = yield from self.compute(run, cancelled)
        if logits is None:
            yield Done("cancelled", run.stats())
        else:
            yield from self._answer(run, logits, cancelled)

    def prepare(self, request: Request) -> Run:
        """Lay out the prompt; nothing is computed. Raises BadMedia and ContextTooLong."""
        start = time.perf_counter()
        mx.reset_peak_memory()
        layout = self.processor.of(request)
        if len(layout.ids) >= self._limit:
            raise ContextTooLong(len(layout.ids), self._limit)
        where, following = positions(layout.ids, layout.grids, self.model.image_id, self._merge)
        return Run(request, layout, _keys(layout, self._merge), where, following, start)

    def compute(
        self, run: Run, cancelled: Callable[[], bool] = lambda: False
    ) -> Generator[Event, None, mx.array | None]:
        """Encode the pictures and prefill the tokens of a prompt that are not in the cache.

        Yields progress; returns the logits (vocab,) behind the prompt, or None when cancelled.
        """
        run.reused = self._prefix.reuse(run.keys)
        run.prefill_start = time.perf_counter()
        features = yield from self._see(run, cancelled)
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
                self.chunk,
            )
        )

    def _see(
        self, run: Run, cancelled: Callable[[], bool]
    ) -> Generator[Event, None, dict[int, mx.array] | None]:
        """Vectors of the pictures that reach behind the reused prefix, by where each one starts."""
        needed = [m for m in run.layout.media if m.starts[-1] + m.lengths(self._merge)[-1] > run.reused]
        total = sum(len(m.grids) for m in needed)
        done, features = 0, {}
        for item in needed:
            vectors = self._features.get(tuple(item.names))
            if vectors is None:
                pieces = []
                rows = self.processor.pieces(item, run.request.max_image_tokens)
                for piece in self.model.vision_tower.encode(rows):
                    if cancelled():
                        return None
                    pieces.append(piece)
                    yield Progress("images", done + len(pieces), total)
                vectors = mx.concatenate(pieces)
                mx.eval(vectors)
                self._features.put(tuple(item.names), vectors)
            done += len(item.grids)
            features.update(_split(item, vectors, self._merge))
        return features

    def _answer(self, run: Run, logits: mx.array, cancelled: Callable[[], bool]) -> Iterator[Event]:
        rows, tokenizer = self.model.config.text.vocab_size, self.processor.tokenizer
        sampler = Sampler(run.request.sampling, rows, tokenizer.size, run.layout.ids)
        pictures = sum(isinstance(item.source, Image) for item in run.layout.media)
        parser = Parser(tokenizer, stop=run.request.stop, images=pictures)
        parser.resume(run.layout.ids[run.layout.begun :])
        forced: deque[int] = deque()
        tokens = decode(self.model.language_model, self._prefix, logits, run.following, sampler, forced)
        count, reason = yield from self._read(run, tokens, parser, forced, cancelled)
        yield from parser.finish()
        yield Done(reason, run.stats(count, parser.reasoning_tokens))

    def _read(
        self,
        run: Run,
        tokens: Iterator[int],
        parser: Parser,
        forced: deque[int],
        cancelled: Callable[[], bool],
    ) -> Generator[Event, None, tuple[int, Reason]]:
        """Tokens into events until something ends the answer; returns how many tokens and why."""
        tokenizer, loops = self.processor.tokenizer, RepetitionDetector()
        budget, count = run.request.thinking_budget, 0
        room = min(run.request.max_tokens, self._limit - len(run.keys))
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
            if parser.stopped:
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
        return self.model.config.text.max_position_embeddings


def _keys(layout: Layout, merge: int) -> list[Key]:
    """The name of every position's content: see cache.py."""
    keys: list[Key] = list(layout.ids)
    for item in layout.media:
        for name, start, length in zip(item.names, item.starts, item.lengths(merge), strict=True):
            keys[start : start + length] = [(name, k) for k in range(length)]
    return keys


def _split(item: Media, vectors: mx.array, merge: int) -> dict[int, mx.array]:
    """Vectors (n, hidden) of a whole video or picture, cut into its grids by where each one starts."""
    pieces, at = {}, 0
    for start, length in zip(item.starts, item.lengths(merge), strict=True):
        pieces[start] = vectors[at : at + length]
        at += length
    return pieces
