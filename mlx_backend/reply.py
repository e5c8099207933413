"""A whole reply out of a stream's events.

Knows: what each event adds, and that a Rethink makes reasoning of everything answered so far.
Does not know: tokens, storage, display.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mlx_backend.types import Answer, Boxed, Boxes, Done, Event, Reasoning, Rethink, Saw, Text, ToolCall


@dataclass
class Reply:
    """The fold of a stream: `add` every event, look at any time.

    segments: the answer in order; neighbouring words are one segment, every box is its own.
    saw: what the model was shown; None until it is told.
    done: None until the stream has ended.
    """

    reasoning: str = ""
    segments: list[Text | Boxed] = field(default_factory=list)
    boxes: list[Boxes] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    done: Done | None = None
    saw: Saw | None = None

    @property
    def answer(self) -> str:
        """The visible answer, what stands in boxes included."""
        return "".join(segment.text for segment in self.segments)

    def parts(self) -> tuple[Text | Boxed, ...]:
        """The answer as the content of an assistant message in the next request."""
        return tuple(self.segments)

    def add(self, event: Event) -> None:
        """Take in one event; Progress changes nothing."""
        match event:
            case Reasoning(text):
                self.reasoning += text
            case Answer(text, boxed):
                self._answer(text, boxed)
            case Rethink():
                self._rethink()
            case Boxes():
                self.boxes.append(event)
            case ToolCall():
                self.tool_calls.append(event)
            case Saw():
                self.saw = event
            case Done():
                self.done = event

    def _answer(self, text: str, boxed: bool) -> None:
        last = self.segments[-1] if self.segments else None
        if boxed:
            self.segments.append(Boxed(text))
        elif isinstance(last, Text):
            self.segments[-1] = Text(last.text + text)
        else:
            self.segments.append(Text(text))

    def _rethink(self) -> None:
        gap = "\n\n" if self.reasoning and self.answer else ""
        self.reasoning = (self.reasoning + gap + self.answer).rstrip()
        self.segments.clear()
        self.boxes.clear()
