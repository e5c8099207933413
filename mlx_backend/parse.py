"""The model's tokens into events: reasoning, answer, boxes, tool calls.

Knows: the tags GLM-4.5V writes, whole or spelled out over ordinary tokens, and all the ways in which it
    forgets them. One state machine; no tag ever shows.
Does not know: MLX, token ids, prompts. For any way of cutting a stream the events fold to the same reply.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Any, Protocol

from mlx_backend import grounding
from mlx_backend.types import Answer, Boxes, Event, Reasoning, Rethink, ToolCall

BOX_LIMIT = 4096  # characters; a longer box was never closed, and its words are shown like any others
LINE_LIMIT = 500  # characters of a line that are remembered to name the places on it

THINK, END_THINK = "<think>", "</think>"
BEGIN_BOX, END_BOX = "<|begin_of_box|>", "<|end_of_box|>"
TOOL_CALL, END_TOOL_CALL = "<tool_call>", "</tool_call>"

# Structure, wherever it stands and however it is spelled; what has no meaning where it stands is left out.
_TAGS = (
    THINK,
    END_THINK,
    TOOL_CALL,
    END_TOOL_CALL,
    *(f"<{slash}{name}>" for name in ("arg_key", "arg_value", "tool_response") for slash in ("", "/")),
    *(f"<|{edge}_of_{what}|>" for what in ("box", "image", "video", "audio") for edge in ("begin", "end")),
    *(
        f"<|{name}|>"
        for name in ("image", "video", "system", "user", "assistant", "observation", "endoftext")
    ),
)
_TAG = re.compile("|".join(map(re.escape, _TAGS)))
_STARTS = frozenset(tag[:n] for tag in _TAGS for n in range(1, len(tag)))

_NAME = re.compile(r"\s*([^\s<>]+)\s*")
_ARGUMENT = re.compile(r"<arg_key>([^<]*)</arg_key>\s*<arg_value>(.*?)</arg_value>\s*", re.DOTALL)


class Vocabulary(Protocol):
    """All the parser asks of a tokenizer."""

    @property
    def added(self) -> Mapping[str, int]:
        """The tokens beside the learned vocabulary, by their text."""
        ...

    def token_bytes(self, id: int, /) -> bytes:
        """What a token adds to the text, in UTF-8, possibly a part of a character."""
        ...


class _In(Enum):
    ANSWER = auto()
    REASONING = auto()
    BOX = auto()
    CALL = auto()


# Tags that mean something in each state; all others are left out of what is shown.
_HEARD = {
    _In.ANSWER: {THINK, END_THINK, BEGIN_BOX, TOOL_CALL},
    _In.REASONING: {END_THINK},
    _In.BOX: {END_BOX, THINK, END_THINK, TOOL_CALL},
    _In.CALL: {tag for tag in _TAGS if not tag.startswith("<|")},
}


class Parser:
    """Reads one answer, token by token. See `feed`.

    stop: strings that end the answer. images: how many pictures the conversation holds; without any,
    coordinates stay words.

    stopped: a stop string came; nothing is shown from it on. reasoning_tokens: tokens read while thinking.
    """

    def __init__(self, vocabulary: Vocabulary, *, stop: tuple[str, ...] = (), images: int = 0) -> None:
        self.stopped = False
        self.reasoning_tokens = 0
        self._vocabulary = vocabulary
        # Tokens like [gMASK] steer the model; as words of an answer, spelled out, they are only words.
        self._silent = {id for text, id in vocabulary.added.items() if text not in _TAGS}
        self._stops = [text for text in stop if text]
        self._images = images
        self._tokens = 0
        self._state = _In.ANSWER
        self._events: list[Event] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._unread = ""  # text that may be the start of a tag
        self._unsaid = ""  # answer that may be the start of a stop string
        self._kept = ""  # what a box or a tool call holds so far
        self._closed = False  # a reasoning has ended: a further closing tag means nothing
        self._answered = False  # something of the answer has been said
        self._reasoned = False  # something of the reasoning has been said
        self._fresh = True  # nothing of this block of reasoning has been said
        self._space = ""  # white space behind reasoning, said only when more follows
        self._line = ""  # the answer's present line
        self._since = ""  # that line from the last box on

    @property
    def thinking(self) -> bool:
        """Inside the reasoning now."""
        return self._state is _In.REASONING

    def feed(self, token_id: int) -> list[Event]:
        """Read one token; returns what is certain by now, often nothing."""
        data = self._vocabulary.token_bytes(token_id)
        if self.stopped or token_id in self._silent:
            return []
        was_thinking = self.thinking
        self._read(self._decoder.decode(data))
        self._tokens += 1
        self.reasoning_tokens += was_thinking and self.thinking
        return self._take()

    def resume(self, token_ids: Iterable[int]) -> None:
        """Read what was answered before this stream; it is shown already, and no event tells of it again."""
        for token_id in token_ids:
            self.feed(token_id)
        self._put(self._unread)
        self._unread = ""
        self._release()
        self._events.clear()
        self.reasoning_tokens = 0

    def finish(self) -> list[Event]:
        """The stream is over: returns what was held back."""
        if self.stopped:
            return []
        self._read(self._decoder.decode(b"", True))
        if self._state is _In.CALL:  # half a call is not one: an argument may be missing
            self._reread_call()
            self._read("")
        self._put(self._unread)
        self._unread = ""
        if self._state is _In.BOX:
            self._close_box()
        self._release()
        return self._take()

    # --- text and tags apart ---------------------------------------------------------------------------

    def _read(self, text: str) -> None:
        self._unread += text
        while not self.stopped and (match := _TAG.search(self._unread)):
            before, tag, after = self._unread[: match.start()], match.group(), self._unread[match.end() :]
            sure = _certain(before)
            self._put(before[:sure])
            self._unread = before[sure:] + after
            if self._hears(tag):
                self._put(before[sure:])
                self._unread = after
                self._turn(tag)
        if not self.stopped:
            sure = _certain(self._unread)
            self._put(self._unread[:sure])
            self._unread = self._unread[sure:]

    def _hears(self, tag: str) -> bool:
        spent = tag == END_THINK and self._closed and self._state in (_In.ANSWER, _In.BOX)
        return tag in _HEARD[self._state] and not spent

    def _put(self, text: str) -> None:
        if not text or self.stopped:
            return
        if self._state is _In.ANSWER:
            self._say(text)
        elif self._state is _In.REASONING:
            self._reason(text)
        else:
            self._kept += text
            if self._state is _In.BOX and len(self._kept) > BOX_LIMIT:
                self._state = _In.ANSWER
                self._say(self._drain())

    def _turn(self, tag: str) -> None:
        """A tag that means something here."""
        if self._state is _In.CALL:
            self._turn_in_call(tag)
        elif self._state is _In.REASONING:
            self._state, self._closed = _In.ANSWER, True
        else:
            if self._state is _In.BOX:
                self._close_box()
            if not self.stopped and tag != END_BOX:
                self._turn_in_answer(tag)

    def _turn_in_answer(self, tag: str) -> None:
        self._release()
        if tag == END_THINK:
            self._rethink()
        elif tag == THINK:
            self._state, self._fresh, self._space = _In.REASONING, True, ""
        else:
            self._state = _In.BOX if tag == BEGIN_BOX else _In.CALL

    def _turn_in_call(self, tag: str) -> None:
        if tag not in (TOOL_CALL, END_TOOL_CALL):
            self._kept += tag
            return
        call = _call(self._kept)
        if call:
            self._events.append(call)
            self._kept = ""
            self._state = _In.ANSWER if tag == END_TOOL_CALL else _In.CALL
        else:
            self._reread_call(tag if tag == TOOL_CALL else "")

    # --- events ----------------------------------------------------------------------------------------

    def _reason(self, text: str) -> None:
        text = text.lstrip() if self._fresh else self._space + text
        body = text.rstrip()
        self._space = text[len(body) :]
        if not body:
            return
        gap = "\n\n" if self._fresh and self._reasoned else ""
        self._events.append(Reasoning(gap + body))
        self._fresh, self._reasoned = False, True

    def _rethink(self) -> None:
        self._closed = True
        if self._answered:
            self._events.append(Rethink())
            self.reasoning_tokens = self._tokens
            self._answered, self._reasoned = False, True
            self._line = self._since = ""

    def _say(self, text: str) -> None:
        """Answer, up to a stop string; held back where one may begin."""
        text = self._unsaid + text
        if not self._answered:
            text = text.lstrip()
        ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in self._stops if stop in text]
        if ends:
            self._show(text[: min(ends)[1]])
            self._end()
            return
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._unsaid = text[len(text) - held :]
        self._show(text[: len(text) - held])

    def _release(self) -> None:
        text, self._unsaid = self._unsaid, ""
        self._show(text)

    def _show(self, text: str) -> None:
        if text:
            self._events.append(Answer(text))
            self._answered = True
            self._line = (self._line + text).rpartition("\n")[2][-LINE_LIMIT:]
            self._since = (self._since + text).rpartition("\n")[2][-LINE_LIMIT:]

    def _close_box(self) -> None:
        self._state = _In.ANSWER
        text = self._drain()
        cut = min((text.find(stop) for stop in self._stops if stop in text), default=None)
        if text[:cut]:
            self._events.append(Answer(text[:cut], boxed=True))
            self._answered = True
        if cut is not None:
            self._end()
        elif self._images and (places := grounding.places(text)):
            index = grounding.picture(self._line, self._images)
            self._events.append(Boxes(index, places, grounding.label(self._since)))
        self._since = ""

    def _reread_call(self, following: str = "") -> None:
        """What was no proper call is answer: its words are kept, its tags are not."""
        self._state = _In.ANSWER
        text = self._drain()
        while _TAG.search(text):
            text = _TAG.sub("", text)
        self._unread = text + following + self._unread

    def _drain(self) -> str:
        text, self._kept = self._kept, ""
        return text

    def _end(self) -> None:
        self.stopped = True
        self._unread = self._unsaid = self._kept = ""

    def _take(self) -> list[Event]:
        """The events so far, neighbouring pieces of one kind as one."""
        events: list[Event] = []
        for event in self._events:
            last = events[-1] if events else None
            if isinstance(event, Reasoning) and isinstance(last, Reasoning):
                events[-1] = Reasoning(last.text + event.text)
            elif isinstance(event, Answer) and isinstance(last, Answer) and not (event.boxed or last.boxed):
                events[-1] = Answer(last.text + event.text)
            else:
                events.append(event)
        self._events.clear()
        return events


def _certain(text: str) -> int:
    """Length of the part that cannot become a tag any more.

    What may become one is a chain of starts: a tag within another one may turn out to mean nothing and be
    left out, and then the outer one is whole.
    """
    end = len(text)
    while (start := text.rfind("<", 0, end)) >= 0 and text[start:end] in _STARTS:
        end = start
    return end


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a start of `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)


def _call(body: str) -> ToolCall | None:
    """A tool call from what stands between its tags; None when it is not well formed."""
    name = _NAME.match(body)
    if not name:
        return None
    at, arguments = name.end(), {}
    while argument := _ARGUMENT.match(body, at):
        arguments[argument[1].strip()] = _value(argument[2])
        at = argument.end()
    return ToolCall(name[1], arguments) if at == len(body) else None


def _value(text: str) -> Any:
    """As JSON where it is JSON; NaN and Infinity are not."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
