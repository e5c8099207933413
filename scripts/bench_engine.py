"""The engine's speed and memory beside the plain alternatives, in one run, as ratios.

(a) tokens per second through the worker process, against a bare step loop in this one
(b) time to the first token of turn 5 of a conversation with three pictures, against mlx-vlm computing it anew
(c) peak memory of the vision tower for 1, 4 and 16 equal pictures, beside mlx-vlm's
(d) sampling a two-hour video, against decoding all of it
(e) reading a prompt of 8,192 tokens with keys and values in 8 and 4 bits, beside plain ones: memory, logits

Knows: how to measure. Does not know: what is fast enough; it prints.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bench_reading
import bench_video
import mlx.core as mx
import numpy as np
from bench_table import Row, show
from make_tiny_model import BENCH, make
from mlx_vlm.generate import generate_step
from mlx_vlm.utils import load_model
from PIL import Image as Pillow

from mlx_backend import Done, Engine, Image, Message, Request, Sampling, Stats, Text
from mlx_backend.glm import Processor, load
from mlx_backend.glm.vision import split_rows

TOKENS = 64
ROUNDS = 11
GREEDY = Sampling(temperature=0)


def main() -> None:
    mx.set_default_device(mx.cpu if not mx.metal.is_available() else mx.gpu)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="abcde", metavar="LETTERS", help="parts to measure")
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory() as folder:
        if set(only) & set("abc"):
            checkpoint = make(Path(folder), shape=BENCH, layout="stacked", form="mlx")
        if "a" in only:
            show("(a) decoding, tokens per second", decoding(checkpoint))
        if "b" in only:
            show("(b) first token of turn 5, seconds", follow_up(checkpoint))
        if "c" in only:
            show("(c) peak memory of the vision tower beyond weights, MB", vision_memory(checkpoint))
    if "d" in only:
        show("(d) sampling a two-hour video", bench_video.measure())
    if "e" in only:
        bench_reading.measure()


def picture(seed: int, width: int, height: int) -> Image:
    pixels = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (height, width, 3), np.uint8)
    out = io.BytesIO()
    Pillow.fromarray(pixels).save(out, "PNG")
    return Image(out.getvalue(), f"{seed}.png")


# --- (a) -------------------------------------------------------------------------------------------------


def decoding(checkpoint: Path) -> list[Row]:
    """Both ways in turn, and now one first, now the other: a machine's speed drifts."""
    model = load(checkpoint)
    ids = Processor(checkpoint).prompt([Message("user", (Text("hello"),))])
    request = Request((Message("user", (Text("hello"),)),), sampling=GREEDY, max_tokens=TOKENS)
    bare, through = [], []
    with Engine(checkpoint) as engine:
        for _ in engine.stream(request):
            pass
        for turn in range(ROUNDS):
            if turn % 2:
                bare.append(bare_loop(model, ids))
            through.append(engine_rate(engine, request))
            if not turn % 2:
                bare.append(bare_loop(model, ids))
    ratios = [a / b for a, b in zip(through, bare, strict=True)]
    step = 1000 / statistics.median(bare)
    return [
        Row(f"bare step loop ({step:.1f} ms a step)", statistics.median(bare)),
        Row("engine", statistics.median(through)),
        Row("ratio, median of pairs (at least 0.95)", statistics.median(ratios)),
    ]


def bare_loop(model, ids: list[int]) -> float:
    """Tokens per second of steps and argmax alone, pipelined like the engine's."""
    language = model.language_model
    cache = language.make_cache()
    where = np.broadcast_to(np.arange(len(ids)), (3, len(ids)))
    token = mx.argmax(language.logits(language(language.embed(mx.array(ids)), where, cache)[-1:])[0])
    mx.eval(token)
    start = time.perf_counter()
    for step in range(TOKENS):
        following = mx.argmax(language.step(token, len(ids) + step, cache))
        mx.async_eval(following)
        token.item()
        token = following
    return TOKENS / (time.perf_counter() - start)


def engine_rate(engine: Engine, request: Request) -> float:
    """Tokens per second from the first to the last, as the worker counts them."""
    done = next(event for event in engine.stream(request) if isinstance(event, Done))
    if done.stats.output_tokens != TOKENS:
        raise SystemExit(f"the checkpoint stopped after {done.stats.output_tokens} tokens")
    return done.stats.decode_rate


# --- (b) -------------------------------------------------------------------------------------------------


def follow_up(checkpoint: Path) -> list[Row]:
    messages: list[Message] = []
    with Engine(checkpoint) as engine:
        for turn in range(5):
            parts = [picture(turn, 336, 252)] if turn < 3 else []
            messages.append(Message("user", (*parts, Text(f"question {turn}: what is in this image?"))))
            warm = first_token(engine, messages)
            messages.append(Message("assistant", (Text("a fox and a dog."),)))
    messages.pop()
    with Engine(checkpoint) as engine:
        cold = first_token(engine, messages)
    reference = mlx_vlm_first_token(checkpoint, messages)
    seconds = warm.first_token_seconds
    return [
        Row(f"mlx-vlm, {warm.prompt_tokens} tokens anew, pictures ready-made", reference),
        Row("engine, everything anew, pictures read and prepared", cold.first_token_seconds),
        Row(f"engine, {warm.cached_tokens} of {warm.prompt_tokens} tokens reused", seconds),
        Row("ratio to mlx-vlm (at least 5)", reference / seconds),
        Row("ratio to the engine itself without reuse", cold.first_token_seconds / seconds),
    ]


def first_token(engine: Engine, messages: list[Message]) -> Stats:
    request = Request(tuple(messages), sampling=GREEDY, max_tokens=8, thinking=False)
    return next(event for event in engine.stream(request) if isinstance(event, Done)).stats


def mlx_vlm_first_token(checkpoint: Path, messages: list[Message]) -> float:
    """Best of three: the whole prompt through mlx-vlm's own model and loop."""
    processor = Processor(checkpoint)
    layout = processor.layout(messages, thinking=False)
    rows = np.concatenate([rows for item in layout.media for rows, _ in processor.pieces(item)])
    model = load_model(_with_all_fields(checkpoint))

    def once() -> float:
        start = time.perf_counter()
        steps = generate_step(
            mx.array([layout.ids]),
            model,
            mx.array(rows),
            None,
            image_grid_thw=mx.array(np.array(layout.grids)),
            max_tokens=1,
            temperature=0.0,
        )
        next(steps)
        return time.perf_counter() - start

    return min(once() for _ in range(3))


def _with_all_fields(checkpoint: Path) -> Path:
    """mlx-vlm insists on eos_token_id at the top level as well as its own names; ours has both."""
    config = json.loads((checkpoint / "config.json").read_text())
    config["eos_token_id"] = config["text_config"]["eos_token_id"]
    (checkpoint / "config.json").write_text(json.dumps(config))
    return checkpoint


# --- (c) -------------------------------------------------------------------------------------------------

COUNTS = (1, 4, 16)
SIDE = 16  # patches; mlx-vlm's mask grows with the square of all of them together


def vision_memory(checkpoint: Path) -> list[Row]:
    ours, theirs = load(checkpoint).vision_tower, load_model(checkpoint).vision_tower
    mx.eval(ours.parameters(), theirs.parameters())
    rows = []
    for count in COUNTS:
        grids = [(1, SIDE, SIDE)] * count
        patches = np.zeros((count * SIDE * SIDE, 1176), np.float32)
        here = peak(lambda p=patches, g=grids: mx.eval(list(ours.encode(split_rows(p, g)))))
        there = peak(lambda p=patches, g=grids: mx.eval(theirs(mx.array(p), mx.array(np.array(g)))))
        rows.append(Row(f"{count} pictures of {SIDE} x {SIDE} patches: ours", here))
        rows.append(Row(f"{count} pictures: mlx-vlm", there))
        rows.append(Row(f"{count} pictures: ratio mlx-vlm / ours", there / here))
    growth = rows[-3].value / rows[0].value
    return [*rows, Row(f"growth of ours from 1 to {COUNTS[-1]} (patches grow {COUNTS[-1]})", growth)]


def peak(work: Callable[[], None]) -> float:
    """The most MLX held during `work` beyond what it held before, in MB."""
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    work()
    return (mx.get_peak_memory() - before) / 1e6


if __name__ == "__main__":
    main()
