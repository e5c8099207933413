"""The values that cross the engine's door: what is asked, and the events of the answer.

Knows: messages, sampling, requests, and the one currency every stream is made of.
Does not know: ids, storage, MLX, how any of this is computed. Values with equal content are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .sizes import Setup

# --- what is asked ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """Words of a person, a document or the model. Never becomes a control token, whatever it spells."""

    text: str


@dataclass(frozen=True)
class Boxed:
    """Words the model put between its box markers: coordinates or a final answer.

    Kept apart from Text so that a past answer is rendered with the markers it was written with.
    """

    text: str


@dataclass(frozen=True)
class Image:
    """A picture: a file, or its encoded bytes. `name` is what errors call it."""

    source: Path | bytes = field(repr=False)
    name: str = ""


@dataclass(frozen=True)
class Video:
    """A video file. `name` is what errors call it.

    fps: frames looked at per second; None: the checkpoint's own rule. start, end: the seconds of the clip
    that are looked at; end None: to its end. Times in the prompt stay those of the whole clip.
    """

    source: Path
    name: str = ""
    fps: float | None = None
    start: float = 0.0
    end: float | None = None


Part = Text | Boxed | Image | Video
Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    thinking: for a user turn, whether it was asked with thinking on; None takes the request's flag. It is
        kept with the message because rendering an old turn otherwise than it was asked would rewrite the
        history and lose everything computed for it.
    reasoning: for an assistant turn. Only rendered while the turn is still open (tool calls after the last
        user turn); past reasoning is dropped, as the model was trained.
    """

    role: Role
    content: tuple[Part, ...]
    thinking: bool | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. temperature 0 is greedy and deterministic.

    top_k 0, min_p 0, repetition_penalty 1, presence_penalty 0 and frequency_penalty 0 mean off.
    seed None draws a fresh one.
    """

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None


@dataclass(frozen=True)
class Request:
    """One question to the model: the whole conversation, ending in a user or tool turn.

    max_tokens: of reasoning and answer together.
    thinking_budget: tokens of reasoning after which it is closed by force; None leaves it open.
    stop: strings that end the answer; they are not part of it.
    tools: one JSON schema per tool, as the model's template lists them.
    max_image_tokens: a larger picture is shrunk to at most so many tokens, and so is each pair of a video's
        frames, 32 times so many for the whole of it; None takes the checkpoint's bounds.
    go_on: the last message is an answer that was cut short, and the events are what comes after its words;
        one without content goes on with its reasoning.
    schema: text of a JSON Schema: the visible answer is one JSON value valid under it, and nothing else;
        thinking stays free. Without go_on, tools and stop. The model is not told of it: that is the
        messages' business.
    """

    messages: tuple[Message, ...]
    thinking: bool = True
    sampling: Sampling = Sampling()
    max_tokens: int = 8192
    thinking_budget: int | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    max_image_tokens: int | None = None
    go_on: bool = False
    schema: str | None = None


# --- what comes back -------------------------------------------------------------------------------------

Stage = Literal["queue", "load", "images", "prefill"]
Reason = Literal["stop", "length", "repetition", "cancelled"]


@dataclass(frozen=True)
class Progress:
    """How far a stage is. Units: queue: requests ahead, load: bytes, images: pictures and pairs of video
    frames, prefill: tokens, those found in the cache included."""

    stage: Stage
    done: int
    total: int


@dataclass(frozen=True)
class Shown:
    """What the model is shown of one picture or video.

    original: width and height in pixels as it lies in the file, turned upright. width, height: after
    resizing. tokens: of all its frames. moments: of a video, the second at which a player shows the first
    frame of each pair, in the whole clip; () for a picture. length: of the whole clip in seconds; 0 for a
    picture.
    """

    name: str
    video: bool
    original: tuple[int, int]
    width: int
    height: int
    tokens: int
    moments: tuple[float, ...] = ()
    length: float = 0.0


@dataclass(frozen=True)
class Saw:
    """What the model is shown of every picture and video, in the order of the conversation.

    Comes once per answer, as soon as the prompt is laid out and before anything is computed.
    """

    media: tuple[Shown, ...]


@dataclass(frozen=True)
class Reasoning:
    """A piece of the thinking; in order of arrival the pieces are the reasoning."""

    text: str


@dataclass(frozen=True)
class Answer:
    """A piece of the visible answer; in order of arrival the pieces are the answer.

    boxed: the model wrote it between box markers (see Boxed).
    """

    text: str
    boxed: bool = False


@dataclass(frozen=True)
class Rethink:
    """A closing tag came without an opening one: everything answered so far was reasoning."""


@dataclass(frozen=True)
class Boxes:
    """Places the model pointed at; comes right after the boxed Answer that spells them.

    image: index of the picture in the conversation, videos' frames not counted.
    boxes: (x1, y1, x2, y2) or points (x, y), each 0 to 1000 of the picture's width and height.
    label: the words before the box on its line, or "".
    """

    image: int
    boxes: tuple[tuple[int, ...], ...]
    label: str = ""


@dataclass(frozen=True)
class ToolCall:
    """The model asks for a tool. arguments: as the model wrote them, JSON values decoded where they parse."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Stats:
    """What the answer cost. Tokens, seconds, tokens per second, bytes.

    cached_tokens: of prompt_tokens, those whose work was already done by an earlier request.
    first_token_seconds: from the request's start, decoding of files and waiting for the model included.
    prefill_rate: over the tokens that were not cached, encoding their pictures included.
    peak_bytes: the most MLX held. predicted_bytes: the planner's number for so many tokens; 0: none.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    output_tokens: int = 0
    first_token_seconds: float = 0.0
    prefill_rate: float = 0.0
    decode_rate: float = 0.0
    peak_bytes: int = 0
    predicted_bytes: int = 0


@dataclass(frozen=True)
class Done:
    """The end of every stream that did not fail; comes last, once.

    reason: stop (the model ended, or a stop string came), length (token limit), repetition (a hopeless loop
    was cut), cancelled (the caller asked).
    """

    reason: Reason
    stats: Stats = Stats()


Event = Progress | Saw | Reasoning | Answer | Rethink | Boxes | ToolCall | Done


@dataclass(frozen=True)
class Measured:
    """What a request would cost, were it sent now.

    tokens: of the whole prompt. limit: tokens that prompt and answer may have together. shown: as in Saw.
    """

    tokens: int
    limit: int
    shown: tuple[Shown, ...] = ()


@dataclass(frozen=True)
class Status:
    """What the engine is doing now. Bytes as MLX reports them; 0 where no worker runs.

    stopped: no worker; it starts by itself with the next load or request.
    active: in use; of it weights, and kv: keys and values. cache: freed and kept for reuse. limit: what may
    be held. other: what all other programs hold. setup: how the loaded model is run, its keys and values
    in the bits they really lie in.
    """

    state: Literal["stopped", "starting", "loading", "idle", "busy"]
    model: str | None = None
    weight_bytes: int = 0
    active_bytes: int = 0
    peak_bytes: int = 0
    cached_tokens: int = 0
    waiting: int = 0
    pid: int | None = None
    kv_bytes: int = 0
    cache_bytes: int = 0
    limit_bytes: int = 0
    other_bytes: int = 0
    setup: Setup | None = None
