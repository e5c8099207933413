"""An answer while it arrives: events folded into parts, its thinking and its progress timed.

Knows: how events become the parts that are stored and shown, what an answer that is gone on with said before.
Does not know: where anything is stored, who asks, threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import mlx_backend as backend
from app.library import quoted
from app.store import Part
from mlx_backend import Reply


@dataclass(frozen=True)
class Opening:
    """A document is being read. done, total: pages; total 0 while nobody knows how many there are."""

    name: str
    done: int
    total: int


@dataclass(frozen=True)
class Live:
    """An answer as it stands.

    progress: what is being waited for, until the first word; left: seconds that it will take, by the speed so
    far, None while that is not known.
    A reasoning part carries {"seconds": so far or in all, "over": whether it has ended}.
    """

    parts: tuple[Part, ...] = ()
    progress: backend.Progress | Opening | None = None
    left: float | None = None


class Answering:
    """The answer while it arrives: folds events, measures the thinking. publish gets every new state.

    so_far: the parts of an answer that is gone on with.
    highest: the highest number that a quotation of a document may bear; 0: there are none.
    """

    def __init__(
        self, publish: Callable[[Live], None], so_far: Sequence[Part] = (), highest: int = 0
    ) -> None:
        self.publish, self.highest = publish, highest
        self._reply = Reply()
        self._places: dict[int, dict[str, Any]] = {}  # segment -> what the model pointed at there
        self._stage: tuple[str, int, float] | None = None  # of progress: name, done at first, when that was
        self._began: float | None = None  # the first word of any kind
        self._thought_for: float | None = None  # seconds, once the thinking is over
        self._thought_before = 0.0  # seconds of thinking of an answer that is gone on with
        # pictures of an answer that another app's model made; they stand before the words from then on
        self._files = tuple(part for part in so_far if part.sha256 is not None)
        for part in so_far:
            self._recall(part)
        self.live = Live(self.parts())

    def _recall(self, part: Part) -> None:
        if part.type == "reasoning":
            self._reply.add(backend.Reasoning(part.text))
            self._thought_before = float(part.data.get("seconds") or 0.0)
            self._thought_for = 0.0 if part.data.get("over") else None
        elif part.type in ("text", "box", "citation"):
            self._reply.add(backend.Answer(part.text, boxed=part.type == "box"))
            if part.data and part.type == "box":
                self._places[len(self._reply.segments) - 1] = dict(part.data)

    @property
    def done(self) -> backend.Done | None:
        return self._reply.done

    @property
    def saw(self) -> tuple[backend.Shown, ...]:
        """What the model was shown; empty until it is told."""
        return self._reply.saw.media if self._reply.saw else ()

    def add(self, event: backend.Event) -> None:
        if isinstance(event, backend.Saw):
            self._reply.add(event)  # no word yet: what is being waited for stays on the screen
        elif isinstance(event, backend.Progress):
            self.live = Live(self.live.parts, event, self._left(event))
        else:
            self._reply.add(event)
            self._time(event)
            self._place(event)
            over = isinstance(event, backend.Done)  # maybe without a word: what was waited for stays
            self.live = replace(self.live if over else Live(), parts=self.parts(over))
        self.publish(self.live)

    def _left(self, at: backend.Progress) -> float | None:
        """Seconds until this stage is over: it has a speed from its second event on."""
        now = time.monotonic()
        if self._stage is None or self._stage[0] != at.stage:
            self._stage = (at.stage, at.done, now)
        _, first, since = self._stage
        if at.done <= first or now <= since:
            return None
        return (at.total - at.done) * (now - since) / (at.done - first)

    def _time(self, event: backend.Event) -> None:
        now = time.monotonic()
        self._began = self._began or now
        if isinstance(event, backend.Reasoning | backend.Rethink):
            self._thought_for = None  # words taken for the answer may turn out to have been thinking
        elif self._thought_for is None:
            self._thought_for = now - self._began

    def _place(self, event: backend.Event) -> None:
        if isinstance(event, backend.Rethink):
            self._places.clear()
        elif isinstance(event, backend.Boxes):
            self._places[len(self._reply.segments) - 1] = asdict(event)

    def parts(self, over: bool = True) -> tuple[Part, ...]:
        """The answer so far. over: False holds back what may become a quotation; to be shown, not kept."""
        parts: list[Part] = []
        if self._reply.reasoning:
            thought = self._thought_for is not None
            now = time.monotonic()
            seconds = self._thought_for if self._thought_for is not None else now - (self._began or now)
            seconds += self._thought_before
            parts.append(
                Part("reasoning", self._reply.reasoning, None, {"seconds": seconds, "over": thought})
            )
        parts += self._files
        for n, segment in enumerate(self._reply.segments):
            last = n == len(self._reply.segments) - 1
            if isinstance(segment, backend.Boxed):
                parts.append(Part("box", segment.text, None, self._places.get(n, {})))
            elif self.highest:
                parts += quoted(segment.text, self.highest, over or not last)
            else:
                parts.append(Part("text", segment.text))
        return tuple(parts)
