"""The planner's forecast against what MLX reports: weights, keys and values, and the peak of whole requests.

Each combination runs in a process of its own: a small random checkpoint of the true architecture is loaded,
one request is forecast from its tokens and pictures, answered, and compared with mx.get_peak_memory(). The
shares that the model of moments needs are measured first, by the planner's own probe, once for each size.
The last column is the processor's time: a busy computer takes much longer and measures the same.

Knows: how to measure. Does not know: what a Mac would say; on a processor attention keeps its scores.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import numpy as np  # noqa: E402
from make_tiny_model import BENCH, TINY, make  # noqa: E402
from PIL import Image as Pillow  # noqa: E402

from mlx_backend.sizes import PROCESSOR, Calibration, Setup  # noqa: E402
from mlx_backend.sums import judge, kv_bytes_per_token, kv_tokens, looks  # noqa: E402
from mlx_backend.weighing import shape_of_folder, weigh_folder  # noqa: E402

NEAR, NEAR_SHARE = 20_000_000, 0.03
SHAPES = {
    "tiny": TINY,
    "small": replace(
        TINY, hidden=256, inter=512, layers=4, heads=8, kv_heads=2, head_dim=64, moe_inter=192,
        section=(4, 6, 6), vision_depth=4, vision_hidden=256, merger_inter=512,
    ),
    "bench": BENCH,
    "long": replace(TINY, layers=2, heads=1, kv_heads=1),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A checkpoint and a request. bits: 0 for plain. pictures: sizes in pixels. video: seconds."""

    size: str
    bits: int
    tokens: int
    kv_bits: int | None
    chunk: int
    pictures: tuple[tuple[int, int], ...] = ()
    video: int = 0

    @property
    def label(self) -> str:
        kind = f"{self.bits}-bit" if self.bits else "plain"
        seen = f"{len(self.pictures)} pictures" if self.pictures else ""
        seen = f"{self.video} s video" if self.video else seen
        return f"{self.size} {kind}, KV {self.kv_bits or 'plain'}, chunk {self.chunk} {seen}".strip()


SMALL, WIDE, TALL, LARGE = (336, 336), (672, 448), (280, 840), (896, 896)
CASES = (
    *(
        Case("tiny", 0, n, None, c)
        for n, c in ((1000, 256), (1000, 1024), (2000, 512), (4000, 128), (4000, 1024))
    ),
    *(Case("tiny", b, 2000, kv, 512) for b, kv in ((4, None), (8, 8), (4, 4))),
    *(Case("tiny", 0, 3000, kv, 1024) for kv in (8, 4)),
    *(
        Case("small", b, 1000, None, c)
        for b, c in ((0, 256), (0, 1024), (3, 512), (4, 512), (6, 512), (8, 512))
    ),
    *(Case("small", 4, 2000, kv, 1024) for kv in (None, 8, 4)),
    *(Case("bench", b, 700, kv, c) for b, kv, c in ((4, None, 512), (4, 8, 256), (8, 4, 512))),
    *(Case("long", 0, 8000, kv, 1024) for kv in (None, 8, 4)),
    *(Case("long", 0, 16000, kv, 512) for kv in (None, 8)),
    Case("long", 0, 32000, None, 512),
    Case("long", 0, 32000, 4, 512),
    Case("tiny", 0, 50, None, 1024, (LARGE,)),
    Case("tiny", 4, 50, None, 256, (SMALL, SMALL)),
    Case("tiny", 0, 50, 8, 256, (WIDE, LARGE, TALL, SMALL)),
    Case("tiny", 0, 50, None, 512, (SMALL,) * 8),
    Case("small", 4, 50, None, 512, (WIDE,)),
    Case("small", 0, 50, 8, 256, (SMALL, TALL, SMALL)),
    Case("tiny", 0, 50, None, 512, (), 4),
    Case("small", 4, 50, None, 512, (), 2),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="cases whose label holds this text")
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="results so far; a run that was cut goes on"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run(*json.loads(options.one))))
        return
    with tempfile.TemporaryDirectory() as folder:
        cases = [case for case in CASES if options.only in case.label]
        summary(list(measured(Path(folder), cases, options.keep)))


def measured(folder: Path, cases: list[Case], keep: Path | None) -> Iterator[dict[str, Any]]:
    probed: dict[str, Calibration] = {}
    before = kept(keep)
    print(f"{'':52}{'tokens':>7}{'weights':>9}{'KV':>7}{'forecast':>10}{'peak':>9}{'off':>8}{'':>8}   (MB)")
    for number, case in enumerate(cases, 1):
        name = f"{case.label}, {case.tokens} words"
        if (found := before.get(name)) is None:
            print(f"{number} of {len(cases)}: {name}", end="\r", file=sys.stderr, flush=True)
            if case.size not in probed:
                probed[case.size] = probe(checkpoint(folder, case.size, 0))
            found = one(checkpoint(folder, case.size, case.bits), case, probed[case.size])
            if keep:
                with keep.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"name": name, **found}) + "\n")
        show(found)
        yield found


def kept(keep: Path | None) -> dict[str, dict[str, Any]]:
    lines = keep.read_text(encoding="utf-8").splitlines() if keep and keep.exists() else []
    return {found.pop("name"): found for found in map(json.loads, lines)}


def one(model: Path, case: Case, probed: Calibration) -> dict[str, Any]:
    start, worked = time.perf_counter(), processor_seconds()
    found = child("--one", json.dumps([str(model), asdict(case), asdict(probed)]))
    seconds, worked = time.perf_counter() - start, processor_seconds() - worked
    return found | {"label": case.label, "seconds": seconds, "processor": worked}


def processor_seconds() -> float:
    """Of all cases so far: what they would take with a core of their own, however busy this computer is."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def checkpoint(folder: Path, size: str, bits: int) -> Path:
    """A random checkpoint, made once."""
    place = folder / f"{size}-{bits}"
    if not place.exists():
        recipe = {"bits": bits, "group_size": 64, "mode": "affine"} if bits else None
        make(place, shape=SHAPES[size], layout="stacked", form="mlx", recipe=recipe)
    return place


def probe(model: Path) -> Calibration:
    command = [sys.executable, "-m", "mlx_backend.probe", str(model / "config.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return Calibration(**json.loads(done.stdout.splitlines()[-1]), source="measured here")


def child(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{arguments[-1]}\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def show(found: dict[str, Any]) -> None:
    off, peak = found["forecast"] - found["peak"], found["peak"]
    exact = ("exact" if found[kind] == found[f"{kind}_forecast"] else "WRONG" for kind in ("weights", "kv"))
    mark = "" if near(found) else "  too far"
    sizes = f"{found['tokens']:>7}{next(exact):>9}{next(exact):>7}{found['forecast'] / 1e6:>10.1f}"
    sizes += f"{peak / 1e6:>9.1f}{off / 1e6:>+8.1f}{off / peak:>+8.1%}"
    print(f"{found['label']:52}{sizes}{mark}   {found['processor']:.0f} s", flush=True)


def near(found: dict[str, Any], key: str = "forecast") -> bool:
    return abs(found[key] - found["peak"]) <= max(NEAR, NEAR_SHARE * found["peak"])


def summary(found: list[dict[str, Any]]) -> None:
    over = sum(one["forecast"] >= one["peak"] for one in found)
    took, worked = (sum(one[kind] for one in found) / 60 for kind in ("seconds", "processor"))
    print(f"\n{len(found)} combinations, each in a process of its own: {took:.0f} minutes")
    print(f"  of the processor's own time, which a busy computer does not lengthen: {worked:.0f} minutes")
    for kind, name in (("weights", "weights"), ("kv", "keys and values")):
        exact = sum(one[kind] == one[f"{kind}_forecast"] for one in found)
        print(f"  {name} exact to the byte: {exact} of {len(found)}")
    print(f"  peak within 3 % or 20 MB: {sum(map(near, found))} of {len(found)}")
    print(f"  peak within 3 %: {sum(abs(o['forecast'] / o['peak'] - 1) <= NEAR_SHARE for o in found)}")
    print(f"  without the probe, within 3 % or 20 MB: {sum(near(one, 'unprobed') for one in found)}")
    print(f"  forecast too high: {over} ({over / len(found):.0%}), too low: {len(found) - over}")
    shares = sorted(one["forecast"] / one["peak"] - 1 for one in found)
    print(f"  from {shares[0]:+.1%} to {shares[-1]:+.1%}, median {shares[len(shares) // 2]:+.1%}")
    beyond = [(one["forecast"] - one["peak"]) / (one["peak"] - one["weights"] - one["kv"]) for one in found]
    beyond.sort(key=abs)
    print(
        f"  of the moment alone, beyond weights and KV: off by {beyond[len(beyond) // 2]:+.1%} in the median"
    )


# --- one case, in a process of its own ----------------------------------------------------------------------


def run(model: str, raw: dict[str, Any], probed: dict[str, Any]) -> dict[str, Any]:
    import mlx.core as mx

    from mlx_backend import Done, Message, Request, Sampling, Text
    from mlx_backend.device import this_machine
    from mlx_backend.respond import Responder

    case = Case(**{**raw, "pictures": tuple(map(tuple, raw["pictures"]))})
    folder, wanted = Path(model), Setup(kv_bits=case.kv_bits, chunk=case.chunk)
    responder = Responder(folder, setup=wanted, force=True)
    parts = (*media(case, folder), Text("a " * case.tokens))
    request = Request(
        (Message("user", parts),), sampling=Sampling(temperature=0), max_tokens=4, thinking=False
    )
    layout = responder.processor.of(request)
    patches, each = looks([item.grids for item in layout.media])
    weights, shape = weigh_folder(folder, 4), shape_of_folder(folder, 4)
    done = next(event for event in responder.respond(request) if isinstance(event, Done))
    # The answer is as long as it is: what was forecast is the prompt and so many tokens behind it.
    context = len(layout.ids) + done.stats.output_tokens
    setup = replace(
        wanted,
        context=context,
        reused=0,
        patches=patches,
        picture=each,
        picture_tokens=sum(h * w for _, h, w in layout.grids) // shape.merge**2,
    )
    machine = this_machine()
    pieces = [case.chunk] * (len(layout.ids) // case.chunk) + [len(layout.ids) % case.chunk]
    room = kv_tokens([n for n in pieces if n] + [1] * done.stats.output_tokens)
    return {
        "tokens": context,
        "peak": mx.get_peak_memory(),
        "forecast": judge(shape, weights, machine, setup, Calibration(**probed)).peak,
        "unprobed": judge(shape, weights, machine, setup, PROCESSOR).peak,
        "weights": responder.weight_bytes,
        "weights_forecast": weights.total,
        "kv": sum(array.nbytes for layer in responder._prefix.kv for array in arrays(layer)),
        "kv_forecast": room * kv_bytes_per_token(shape, case.kv_bits),
    }


def arrays(layer: Any) -> Iterator[Any]:
    """Of a layer's cache: keys and values, each one array or packed in three."""
    for kept in (layer.keys, layer.values):
        yield from kept if isinstance(kept, tuple | list) else [kept]


def media(case: Case, folder: Path) -> Iterator[Any]:
    from mlx_backend import Image, Video

    for number, (width, height) in enumerate(case.pictures):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        out = io.BytesIO()
        Pillow.fromarray(pixels).save(out, "PNG")
        yield Image(out.getvalue(), f"{number}.png")
    if case.video:
        yield Video(clip(folder / "clip.mp4", case.video))


def clip(path: Path, seconds: int) -> Path:
    import cv2

    out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 8, (336, 224))
    for frame in range(seconds * 8):
        out.write(np.full((224, 336, 3), frame * 5 % 256, np.uint8))
    out.release()
    return path


if __name__ == "__main__":
    main()
