"""The options of the command `ask` and what its help teaches.

Knows: argparse, how pictures and videos keep their order, the request that the options mean.
Does not know: how a question is answered.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlx_backend import BackendError, Image, Message, Request, Sampling, Text, Video

from .config import default_model
from .look import FASTEST, SLOWEST
from .switches_line import add_switches

LARGEST_SCHEMA = 1_000_000  # bytes
# The answer is held to the schema anyway; a model that has read it also knows what belongs into each field.
FOLLOW = "\n\nAnswer with one JSON value that follows this JSON Schema:\n"
MODEL = "demo, fake (a script), a folder, or a downloaded repository; default: GLM_CHAT_MODEL or demo"
ASK = """\
Ask one question; the answer streams to standard output, reasoning and progress to the terminal.

  ./scripts/run ask "What is this?" --image a.png
  ./scripts/run ask "What changed from the first to the second?" --image a.png --image b.png --no-think
  ./scripts/run ask "When does the dog jump?" --video walk.mp4 --max-tokens 500
  ./scripts/run ask "What is in his hand?" --video talk.mp4 --from 10:00 --to 10:30 --fps 4
  ./scripts/run ask "When does it end?" --document lease.pdf      answered from its pages, quotations checked
  ./scripts/run ask "Find every cup." --image table.jpg --json     boxes in 0..1000 and in pixels
  ./scripts/run ask "Read the receipt." --image r.jpg --schema receipt.json     JSON that follows it
  git diff | ./scripts/run ask - --system "You review code."       the question from standard input
  ./scripts/run ask "Hello" --model ~/models/GLM-4.5V-4bit --seed 1

The model looks at 2 frames a second of a video, fewer where it is longer than 5 minutes. --from, --to and
--fps stand behind the --video they are about; times in the answer are those of the whole video.
Ctrl-C ends the answer and keeps what was printed.
"""


def add_ask(commands: Any, form: dict[str, Any], then: Callable[[argparse.Namespace], int]) -> None:
    """Add the command to the others. form: how each of them shows its help. then: what it does."""
    ask = commands.add_parser(
        "ask", help="one question, one answer, in the terminal", description=ASK, **form
    )
    add = ask.add_argument
    add("question", metavar="QUESTION", help="what to ask; - reads it from standard input")
    add("--image", metavar="FILE", action=_Media, help="a picture; repeat for more, their order is kept")
    add("--video", metavar="FILE", action=_Media, help="a video; its place among the pictures is kept")
    add(
        "--document",
        metavar="FILE",
        action="append",
        default=[],
        help="a document to answer from, or its name in the library; repeatable",
    )
    add("--transcribe", action="store_true", help="write down the text of scanned pages first")
    look: dict[str, Any] = {"action": _Look, "type": _moment, "default": argparse.SUPPRESS}
    add(
        "--fps",
        **look | {"type": _between(SLOWEST, FASTEST)},
        metavar="N",
        help="look at N frames a second of it; see above",
    )
    add(
        "--from",
        **look,
        metavar="TIME",
        help="look at the --video before it from here on: 90, 1:30 or 0:01:30",
    )
    add("--to", **look, metavar="TIME", help="and no further than this")
    add("--system", metavar="TEXT", help="what the model should know or be")
    add("--model", default=default_model(), help=MODEL)
    add("--no-think", action="store_true", help="answer at once, without reasoning first")
    add("--thinking-budget", type=_at_least(0), metavar="N", help="close the reasoning after N tokens")
    add(
        "--max-tokens",
        type=_at_least(1),
        metavar="N",
        default=Request.max_tokens,
        help="default: %(default)s",
    )
    add("--max-image-tokens", type=_at_least(1), metavar="N", help="shrink larger pictures to N tokens each")
    add("--temperature", type=_between(0, 10), metavar="T", default=Sampling.temperature, help="0 is greedy")
    add("--top-p", type=_between(0, 1), metavar="P", default=Sampling.top_p, help="default: %(default)s")
    add("--seed", type=_at_least(0), metavar="N", help="the same seed gives the same answer")
    add("--stop", metavar="TEXT", action="append", default=[], help="end the answer before TEXT; repeatable")
    add("--schema", metavar="FILE", help="print one JSON value that follows the JSON Schema in FILE, no more")
    add("--json", action="store_true", help="print one JSON object at the end instead")
    add_switches(ask)
    ask.set_defaults(command=then, media=[])


class _Look(argparse.Action):
    """How the video before it is looked at."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option: str | None = None,
    ) -> None:
        *others, (kind, name, look) = namespace.media or [(None, "", {})]
        if kind is not Video:
            parser.error(f"{option} belongs behind the --video that it is about")
        field = {"from": "start", "to": "end"}.get(self.dest, self.dest)
        namespace.media = [*others, (kind, name, {**look, field: values})]


class _Media(argparse.Action):
    """Pictures and videos in one list, in the order they were given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option: str | None = None,
    ) -> None:
        namespace.media = [*namespace.media, (Image if self.dest == "image" else Video, values, {})]


def _at_least(smallest: int) -> Any:
    def number(text: str) -> int:
        if (value := int(text)) < smallest:
            raise argparse.ArgumentTypeError(f"must be at least {smallest}, not {text}")
        return value

    return number


def _between(low: float, high: float) -> Any:
    def number(text: str) -> float:
        if not low <= (value := float(text)) <= high:
            raise argparse.ArgumentTypeError(f"must be from {low} to {high}, not {text}")
        return value

    return number


def _moment(text: str) -> float:
    """Seconds out of 90, 90.5, 1:30 or 0:01:30."""
    found = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"must be a time as 90, 1:30 or 0:01:30, not {text}")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def request_of(options: argparse.Namespace) -> Request:
    """What was asked. Raises BackendError for a file that is not there, or no schema."""
    question = sys.stdin.read() if options.question == "-" else options.question
    schema = _text_of(options.schema) if options.schema else None
    if schema is not None:
        question += FOLLOW + schema
    media = [kind(file_of(name), name, **look) for kind, name, look in options.media]
    messages = [Message("user", (*media, Text(question)))]
    if options.system:
        messages.insert(0, Message("system", (Text(options.system),)))
    return Request(
        messages=tuple(messages),
        thinking=not options.no_think,
        sampling=Sampling(temperature=options.temperature, top_p=options.top_p, seed=options.seed),
        max_tokens=options.max_tokens,
        thinking_budget=options.thinking_budget,
        stop=tuple(options.stop),
        max_image_tokens=options.max_image_tokens,
        schema=schema,
    )


def _text_of(name: str) -> str:
    """Of a schema. It is looked at before anything is done with it; here only its size counts."""
    path = file_of(name)
    try:
        if path.stat().st_size > LARGEST_SCHEMA:
            raise BackendError(f"{name}: is too large for a JSON schema. Nothing was asked.")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        why = "it is not text in UTF-8" if isinstance(error, ValueError) else error.strerror
        raise BackendError(f"{name}: cannot be read ({why}). Nothing was asked.") from error


def file_of(name: str) -> Path:
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise BackendError(f"{name}: there is no such file. Nothing was asked.")
    return path
