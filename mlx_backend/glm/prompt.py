"""Messages into token ids, in the format GLM-4.5V was trained on.

Knows: turns, thinking, tools, where pictures and videos stand. What the format writes by itself becomes
    control ids; every word from a message passes through Tokenizer.encode and can never become one.
Does not know: pixels, the model, what was computed before.

Equal to the checkpoint's own chat template in every conversation that one can express; see template.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlx_backend.glm.tokenizer import Tokenizer
from mlx_backend.types import Boxed, Image, Message, Part, Text, ToolCall, Video

Size = Sequence[
    tuple[int, int]
]  # (tokens, second) of each pair of frames; of a picture one, its second unused

# The words the model was trained to find its tools under; they are part of the format, like the tags.
TOOLS_BEFORE = """
# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
"""
TOOLS_AFTER = """</tools>

For each function call, output the function name and arguments within the following XML format:
<tool_call>{function-name}
<arg_key>{arg-key-1}</arg_key>
<arg_value>{arg-value-1}</arg_value>
<arg_key>{arg-key-2}</arg_key>
<arg_value>{arg-value-2}</arg_value>
...
</tool_call>"""


@dataclass(frozen=True)
class Span:
    """The placeholders of one picture or one pair of video frames.

    start: index of the first among the prompt's ids; length: how many; part: index of the picture or video
    among all pictures and videos of the conversation.
    """

    start: int
    length: int
    part: int


@dataclass(frozen=True)
class Prompt:
    """Token ids, and where pixels go among them, in prompt order.

    begun: index of the first id that belongs to an answer which is to be gone on with; the number of ids
    where none is.
    """

    ids: list[int]
    media: tuple[Span, ...]
    begun: int

    @property
    def starts(self) -> list[int]:
        return [span.start for span in self.media]


def render(
    messages: Sequence[Message],
    tokenizer: Tokenizer,
    *,
    thinking: bool,
    tools: Sequence[str] = (),
    media: Iterable[Size] = (),
    go_on: bool = False,
) -> Prompt:
    """The prompt of a conversation, up to where the model begins to write.

    thinking: for user turns that do not say it themselves. tools: one JSON schema each. media: the sizes of
    every picture and video in the order in which they stand; ValueError when their number differs. go_on: the
    last message is an answer to be gone on with.
    """
    writer = _Writer(tokenizer, iter(media))
    control = tokenizer.control
    writer.control(control.gmask, control.sop)
    if tools:
        _write_tools(writer, tools)
    last_user = max((i for i, m in enumerate(messages) if m.role == "user"), default=-1)
    begun = messages[-1] if go_on and messages[-1].role == "assistant" else None
    for i, message in enumerate(messages[: len(messages) - (begun is not None)]):
        if message.role == "system":
            writer.control(control.system).words("\n").parts(message.content)
        elif message.role == "user":
            _write_user(writer, message, _thinks(message, thinking))
        elif message.role == "assistant":
            _write_assistant(writer, message, is_open=i > last_user)
        else:
            _write_result(writer, message, is_first=i == 0 or messages[i - 1].role != "tool")
    writer.control(control.assistant).words("\n")
    thinks = _thinks(messages[last_user], thinking) if last_user >= 0 else thinking
    if begun is not None:
        return _go_on(writer, begun, thinks)
    if not thinks:
        writer.control(control.think, control.end_think).words("\n")
    return writer.finish()


def _thinks(message: Message, otherwise: bool) -> bool:
    return otherwise if message.thinking is None else message.thinking


def _write_tools(writer: _Writer, tools: Sequence[str]) -> None:
    writer.control(writer.tokenizer.control.system).template(TOOLS_BEFORE)
    for tool in tools:
        writer.words(_one_line(tool) + "\n")
    writer.template(TOOLS_AFTER)


def _one_line(tool: str) -> str:
    """A schema as the template writes it; one that does not parse as it is."""
    try:
        return json.dumps(json.loads(tool), ensure_ascii=False)
    except (ValueError, RecursionError):
        return tool


def _write_user(writer: _Writer, message: Message, thinking: bool) -> None:
    control, parts = writer.tokenizer.control, _joined(message.content)
    last = parts[-1] if parts else None
    if not thinking and isinstance(last, Text):  # typed by the person already: once is enough
        parts[-1] = Text(last.text.removesuffix("/nothink"))
    writer.control(control.user).words("\n").parts(parts)
    if not thinking:
        writer.control(control.nothink)


def _write_assistant(writer: _Writer, message: Message, is_open: bool) -> None:
    """is_open: no user turn follows, so that the model is still at it and its reasoning is kept."""
    control = writer.tokenizer.control
    writer.control(control.assistant).words("\n").control(control.think)
    if is_open:
        writer.words(message.reasoning.strip())
    writer.control(control.end_think)
    content = _stripped(_joined(message.content))
    if content:
        writer.words("\n").parts(content)
    for call in message.tool_calls:
        _write_call(writer, call)


def _go_on(writer: _Writer, begun: Message, thinks: bool) -> Prompt:
    """Finish with an answer as far as it came, as the model itself would have written it."""
    control, content = writer.tokenizer.control, _joined(begun.content)
    writer.control()
    start = writer.length
    if content or not thinks:
        writer.control(control.think).words(begun.reasoning.strip()).control(control.end_think).words("\n")
        writer.parts(content)
    elif begun.reasoning:
        writer.control(control.think).words(begun.reasoning)
    return writer.finish(start)


def _write_call(writer: _Writer, call: ToolCall) -> None:
    control = writer.tokenizer.control
    writer.words("\n").control(control.tool_call).words(call.name + "\n")
    for key, value in call.arguments.items():
        writer.control(control.arg_key).words(key).control(control.end_arg_key).words("\n")
        writer.control(control.arg_value).words(_value(value)).control(control.end_arg_value).words("\n")
    writer.control(control.end_tool_call)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write_result(writer: _Writer, message: Message, is_first: bool) -> None:
    """Results of one round of calls share one observation turn."""
    control = writer.tokenizer.control
    if is_first:
        writer.control(control.observation)
    writer.words("\n").control(control.tool_response).words("\n").parts(message.content)
    writer.words("\n").control(control.end_tool_response)


def _joined(content: Sequence[Part]) -> list[Part]:
    """Neighbouring texts as one, empty ones left out: where a text was cut must not matter."""
    parts: list[Part] = []
    for part in content:
        if isinstance(part, Text) and parts and isinstance(parts[-1], Text):
            parts[-1] = Text(parts[-1].text + part.text)
        elif part != Text(""):
            parts.append(part)
    return parts


def _stripped(parts: list[Part]) -> list[Part]:
    """Without white space at either end; parts as from _joined."""
    if parts and isinstance(parts[0], Text):
        parts = [replace(parts[0], text=parts[0].text.lstrip()), *parts[1:]]
    if parts and isinstance(parts[-1], Text):
        parts = [*parts[:-1], replace(parts[-1], text=parts[-1].text.rstrip())]
    return [part for part in parts if part != Text("")]


class _Writer:
    """Collects a prompt. Neighbouring words are tokenized together, as they would be in one string."""

    def __init__(self, tokenizer: Tokenizer, sizes: Iterator[Size]) -> None:
        self.tokenizer = tokenizer
        self._sizes = sizes
        self._ids: list[int] = []
        self._words: list[str] = []
        self._spans: list[Span] = []
        self._media = 0

    def words(self, text: str) -> _Writer:
        """Words of anyone, the format's own plain ones included."""
        self._words.append(text)
        return self

    def control(self, *ids: int) -> _Writer:
        self._flush()
        self._ids.extend(ids)
        return self

    def template(self, text: str) -> None:
        """Words of the format in which tags are tags. Never called with anything from a message."""
        for piece in self.tokenizer.split(text):
            if isinstance(piece, int):
                self.control(piece)
            else:
                self.words(piece)

    def parts(self, parts: Iterable[Part]) -> None:
        control = self.tokenizer.control
        for part in parts:
            if isinstance(part, Text):
                self.words(part.text)
            elif isinstance(part, Boxed):
                self.control(control.begin_box).words(part.text).control(control.end_box)
            else:
                self._medium(part)

    def _medium(self, part: Image | Video) -> None:
        control, size = self.tokenizer.control, next(self._sizes, None)
        if size is None:
            raise ValueError("more pictures and videos in the messages than sizes given")
        if isinstance(part, Video):
            self.control(control.begin_video)
            for tokens, second in size:
                self._grid(tokens)
                self.words(str(second))
            self.control(control.end_video)
        else:
            self._grid(size[0][0])
        self._media += 1

    def _grid(self, tokens: int) -> None:
        control = self.tokenizer.control
        self.control(control.begin_image)
        self._spans.append(Span(len(self._ids), tokens, self._media))
        self._ids.extend([control.image] * tokens)
        self._ids.append(control.end_image)

    def _flush(self) -> None:
        if self._words:
            self._ids.extend(self.tokenizer.encode("".join(self._words)))
            self._words.clear()

    @property
    def length(self) -> int:
        """Ids written, words that wait for their neighbours not counted."""
        return len(self._ids)

    def finish(self, begun: int | None = None) -> Prompt:
        self._flush()
        if next(self._sizes, None) is not None:
            raise ValueError("more sizes given than pictures and videos in the messages")
        return Prompt(self._ids, tuple(self._spans), len(self._ids) if begun is None else begun)
