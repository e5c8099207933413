"""The values the planner adds up: a checkpoint's sizes, a computer, a way to run one on the other, the sum.

Knows: what each number means. Does not know: how any of it is found out or added.
Bytes everywhere; GB are 1e9, GiB 2**30.
"""

from __future__ import annotations

from dataclasses import dataclass

GB, GIB = 10**9, 2**30
# Keys and values grow in steps of so many tokens.
STEP = 256
# Of the working set: what may be used at all, and what leaves room for a wrong guess of the transients.
EDGE, COMFORT = 0.97, 0.95
# For macOS and its windows, at the most; less where the computer itself is small.
RESERVE = 4 * GB
# Python, tokenizer, Metal's library and buffers outside MLX's account; 0.4 to 1.0 GB elsewhere, unmeasured.
OVERHEAD = 700_000_000
CACHE, SMALL_CACHE = GB, GB // 4
# The largest picture the published bounds let through, and one of a million pixels.
LARGEST_PICTURE, MEGAPIXEL = 24_576, 5_120
# Behind so many tokens a chunk is at most so long: macOS ends GPU work that blocks the screen (generate.py).
LONG_CONTEXT, LONG_CHUNK = 32_768, 512
CHUNKS = (2048, 1024, 512, 256, 128)
# A window shorter than this is not worth a better quantization.
USEFUL_CONTEXT = 32_768


@dataclass(frozen=True)
class Shape:
    """What the arithmetic needs of a checkpoint's config. item: bytes of a number the layers compute in."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    dense_layers: int
    dense: int
    experts: int
    top_k: int
    expert: int
    shared: int
    vocab: int
    max_context: int
    bias: bool
    depth: int
    vision_hidden: int
    vision_heads: int
    vision_out: int
    merger: int
    table: int
    row: int = 1176
    merge: int = 2
    item: int = 2


@dataclass(frozen=True)
class Calibration:
    """Measured over modelled, for reading a prompt and for looking at a picture. source: in words.

    fused: attention keeps no scores (Metal); otherwise they are an array.
    """

    prefill: float = 1.0
    vision: float = 1.0
    fused: bool = True
    source: str = "modelled"


# Of a GPU: the model as it is. Of a processor: as measured with MLX 0.32 on x86-64, see scripts/bench memory.
MODELLED = Calibration()
PROCESSOR = Calibration(0.87, 1.25, fused=False, source="modelled for a processor")


@dataclass(frozen=True)
class Weights:
    """What a checkpoint's weights take in memory. Bytes.

    text: the language model, experts included. experts: of text, the routed experts. vision: the tower.
    active: of text, what is read for one token. name: "4-bit", "mxfp4", "bf16". bits: of most weights.
    exact: counted tensor by tensor. stacked: the experts lie in the file as the model wants them, so that
    loading needs no second copy of a layer.
    """

    text: int
    vision: int
    experts: int
    active: int
    name: str = ""
    bits: float = 16
    exact: bool = True
    stacked: bool = True

    @property
    def total(self) -> int:
        return self.text + self.vision


@dataclass(frozen=True)
class Machine:
    """A computer. Bytes.

    working_set: what the GPU may hold, as the system says now. others: what other programs hold now and will
    not give back. source: where working_set comes from, in words. gpu: memory is shared with one.
    """

    name: str
    physical: int
    working_set: int
    others: int = 0
    source: str = "asked live"
    gpu: bool = True

    @property
    def reserve(self) -> int:
        """Left to the system."""
        return min(RESERVE, self.physical // 8)

    @property
    def room(self) -> int:
        """What our processes may hold together."""
        return max(0, self.physical - self.others - self.reserve)


@dataclass(frozen=True)
class Setup:
    """How the model is run. A change of any of these changes the bytes.

    context: tokens of prompt and answer together. kv_bits: 4, 8, or None for the type layers compute in.
    chunk: tokens of a prompt computed at once. patches: computed at once by the vision tower, at most;
    picture: of one picture among them, 0: all are one's; see `looks`. picture_tokens: of all pictures of the
    prompt; None: as many as the context may hold.
    kept: bound on vectors of pictures kept between turns, bytes. cache_limit: freed buffers that MLX keeps,
    bytes. vision: whether the tower is in memory. experts_share: of the experts that lie in memory at once.
    reused: tokens of the prompt whose work is there already; None: the worst, all of it when a picture comes.
    """

    context: int = 65_536
    kv_bits: int | None = None
    chunk: int = 1024
    patches: int = LARGEST_PICTURE
    picture: int = 0
    picture_tokens: int | None = None
    kept: int = GB
    cache_limit: int = CACHE
    vision: bool = True
    experts_share: float = 1.0
    reused: int | None = None


@dataclass(frozen=True)
class Item:
    """One line of the sum. exact: counted, not modelled."""

    name: str
    bytes: int
    exact: bool


@dataclass(frozen=True)
class Remedy:
    """A change that makes it fit.

    what: chunk, picture, vision, kv, context, quantization, memory, several or slow. text: for the
    person. risk: what it costs. command: to be typed by the person, never run by us. setup, weights, machine:
    after the change.
    """

    what: str
    text: str
    risk: str
    setup: Setup
    weights: Weights
    machine: Machine
    command: str = ""


@dataclass(frozen=True)
class Plan:
    """The sum, the verdict, and what would change it.

    peak: what mx.get_peak_memory() should say after the longest request. metal_peak: with MLX's freed
    buffers. process: with all that is not MLX's. limit: for metal_peak. room: for process.
    fits: within both. tight: fits, with less than 5 % of the working set to spare. why: one sentence.
    moments: where the numbers of what is held for a moment come from.
    """

    setup: Setup
    weights: Weights
    machine: Machine
    items: tuple[Item, ...]
    peak: int
    metal_peak: int
    process: int
    limit: int
    room: int
    fits: bool
    tight: bool
    why: str
    remedies: tuple[Remedy, ...] = ()
    moments: str = "modelled"

    @property
    def spare(self) -> int:
        """Bytes left under the nearer of both limits; negative: missing."""
        return min(self.limit - self.metal_peak, self.room - self.process)


def both(size: int) -> str:
    """12.35 GB (11.50 GiB): the two units differ by 7 %, and half of all confusion is about them."""
    return f"{size / GB:.2f} GB ({size / GIB:.2f} GiB)"
