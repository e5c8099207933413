"""One question on the command line: the answer as it comes, or one JSON object.

Knows: how events look in a terminal, what the JSON object holds, what Ctrl-C means.
Does not know: argument parsing, which model answers, conversations.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import pi_heif
from PIL import Image as Pillow

from mlx_backend import (
    Answer,
    Boxes,
    EngineLike,
    Event,
    Image,
    Progress,
    Reasoning,
    Reply,
    Request,
    Rethink,
    ToolCall,
)

from .terminal import harmless

if TYPE_CHECKING:
    from .attached import Attached

ORIENTATION, LYING = 0x0112, (5, 6, 7, 8)  # EXIF's tag, and its values that swap width and height
# The model has looked at the picture already; here only its size is read, which no size makes dangerous.
Pillow.MAX_IMAGE_PIXELS = None
pi_heif.register_heif_opener(thumbnails=False)
UNABLE = "The demo model cannot read documents. Choose another with --model to ask about them."
STAGES = {"queue": "waiting", "load": "loading the model", "images": "looking", "prefill": "reading"}


def ask_with(
    engine: EngineLike,
    request: Request,
    documents: Sequence[Path],
    model: str,
    as_json: bool,
    transcribe: bool = False,
) -> int:
    """The same with documents before the question. Raises BadMedia for one that cannot be used.

    transcribe: the model writes down scanned pages first.
    """
    from .attached import attached  # SQLite, which a question without documents does without

    screen = Screen(None, sys.stderr)
    with attached(engine, request, documents, screen.opening, transcribe) as question:
        screen.close()
        return ask(engine, question.request, model, as_json, question)


def ask(
    engine: EngineLike, request: Request, model: str, as_json: bool, question: Attached | None = None
) -> int:
    """Streams the answer to standard output. Returns the exit code: 0, or 130 after Ctrl-C."""
    reply = Reply()
    screen = Screen(None if as_json else sys.stdout, sys.stderr)
    with cancelled_by_ctrl_c() as cancel, contextlib.closing(screen):
        for event in engine.stream(request, cancel):
            reply.add(event)
            screen.show(event)
    quoted = question.check(reply.answer) if question else []
    if as_json:
        told = as_object(reply, request, model)
        if question:
            told |= {"read": list(question.read), "quotations": quoted}
        print(json.dumps(told, ensure_ascii=False, indent=2), flush=True)
    elif question and request.schema is None:  # the answer is data then, and nothing else may follow it
        print("\n" + "\n".join(harmless(line) for line in _sources(question, quoted)), flush=True)
    return 130 if cancel.is_set() else 0


def _sources(question: Attached, quoted: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What was read, and where each quotation stands."""
    for read in question.read:
        yield f"{read['title']}: {read['read']} of {read['total']} pages read"
    for one in quoted:
        place = f"{one['title']}, {one['label']}" if one["verified"] else "not found in the documents"
        place += ", transcribed by the model" if one["verified"] and one.get("transcribed") else ""
        yield f"[{one['number']}] {place}: {one['words']}"
    if not any(one["verified"] for one in quoted):
        yield "No quotation of this answer was found in the documents."


class Screen:
    """The answer on `out`; on `err`, where that is a terminal, dimmed reasoning and one line of progress."""

    def __init__(self, out: TextIO | None, err: TextIO) -> None:
        self._out = out
        self._err = err if err.isatty() else None
        self._progress = False
        self._dim = False
        self._open_line = False

    def show(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._tell(event)
        elif isinstance(event, Reasoning):
            self._think(event.text)
        elif isinstance(event, Answer):
            self._say(event.text)
        elif isinstance(event, Rethink):
            self._rethink()
        elif isinstance(event, ToolCall):
            self._say(f"\n[{event.name}] {json.dumps(dict(event.arguments), ensure_ascii=False)}\n")

    def opening(self, name: str, done: int, total: int) -> None:
        """A document is being read: pages."""
        if self._err:
            self._err.write(f"\r\x1b[K\x1b[2mopening {harmless(name)} {done}/{total or '?'}\x1b[0m")
            self._err.flush()
            self._progress = True

    def close(self) -> None:
        """Leave the terminal as it was found, the cursor on a line of its own."""
        self._clear()
        if self._out and self._open_line:
            self._out.write("\n")
            self._out.flush()

    def _tell(self, progress: Progress) -> None:
        if self._err:
            share = (
                f" {100 * progress.done // progress.total} %"
                if progress.stage != "queue" and progress.total
                else ""
            )
            self._err.write(f"\r\x1b[K\x1b[2m{STAGES[progress.stage]}{share}\x1b[0m")
            self._err.flush()
            self._progress = True

    def _think(self, text: str) -> None:
        if self._err:
            if not self._dim:
                self._clear()
                self._err.write("\x1b[2m")
                self._dim = True
            self._err.write(harmless(text))
            self._err.flush()

    def _say(self, text: str) -> None:
        self._clear()
        if self._out:
            self._out.write(harmless(text) if self._out.isatty() else text)
            self._out.flush()
            self._open_line = not text.endswith("\n")

    def _rethink(self) -> None:
        """What is printed cannot be taken back, only told apart."""
        self._say("\n\n")
        if self._err:
            self._err.write("\x1b[2m(the above was still thinking; the answer follows)\x1b[0m\n\n")
            self._err.flush()

    def _clear(self) -> None:
        if self._err and (self._progress or self._dim):
            self._err.write("\x1b[0m\n\n" if self._dim else "\r\x1b[K")
            self._err.flush()
        self._progress = self._dim = False


def as_object(reply: Reply, request: Request, model: str) -> dict[str, Any]:
    """The whole answer. boxes: one entry per place named, 0 to 1000 and in pixels of the upright picture."""
    pictures = [part for message in request.messages for part in message.content if isinstance(part, Image)]
    return {
        "model": model,
        "reasoning": reply.reasoning,
        "answer": reply.answer,
        "saw": [asdict(shown) for shown in reply.saw.media] if reply.saw else [],
        "boxes": [_place(boxes, pictures) for boxes in reply.boxes],
        "tool_calls": [{"name": call.name, "arguments": dict(call.arguments)} for call in reply.tool_calls],
        "reason": reply.done.reason if reply.done else None,
        "stats": asdict(reply.done.stats) if reply.done else None,
    }


def _place(found: Boxes, pictures: Sequence[Image]) -> dict[str, Any]:
    """pixels is None for a picture that was not given: a model may point at one that does not exist."""
    place: dict[str, Any] = {"image": found.image, "name": None, "label": found.label}
    place |= {"boxes": [list(box) for box in found.boxes], "pixels": None}
    if 0 <= found.image < len(pictures):
        picture = pictures[found.image]
        place["name"] = picture.name
        size = _size(picture)
        place["pixels"] = [[round(n * size[i % 2] / 1000) for i, n in enumerate(box)] for box in found.boxes]
    return place


def _size(picture: Image) -> tuple[int, int]:
    """Width and height in pixels, turned upright as the picture's EXIF data says; only the header is read."""
    source = picture.source if isinstance(picture.source, Path) else io.BytesIO(picture.source)
    with Pillow.open(source) as opened:
        width, height = opened.size
        return (height, width) if opened.getexif().get(ORIENTATION) in LYING else (width, height)


@contextlib.contextmanager
def cancelled_by_ctrl_c() -> Iterator[threading.Event]:
    """The first Ctrl-C ends what is asked and keeps what came; a second one ends the program."""
    cancel = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        cancel.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)
