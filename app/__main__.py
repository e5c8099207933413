"""The command line.

Knows: the commands and their options, the exit codes, how an error is told.
Does not know: what a command does beyond calling it.

Exit codes: 0 done, 2 wrong usage, 1 anything else, with one sentence on standard error and never a traceback.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlx_backend import (
    BackendError,
    Engine,
    EngineLike,
    FakeEngine,
    Image,
    Message,
    Request,
    Sampling,
    Text,
    Video,
    use_calibration,
)

from .config import PORT, Config, default_model, find_model, log_folder, startable
from .look import FASTEST, SLOWEST
from .models_line import add_models
from .plan import add_plan

MODEL = "demo, fake (a script), a folder, or a downloaded repository; default: GLM_CHAT_MODEL or demo"
TOP = """\
GLM Chat: talk with GLM-4.5V about pictures and videos, on this computer alone.

  ./scripts/run                                    open the chat in the browser (same as: serve)
  ./scripts/run serve --port 5000 --no-open        the same on another port, without opening the browser
  ./scripts/run ask "What is this?" --image a.png  one answer in the terminal
  ./scripts/run ask --help                         everything a question can carry
  ./scripts/run models                             download a model, check it, delete it
  ./scripts/run plan                               what fits this Mac, or another
  ./scripts/run backup                             a copy of all conversations, now
  ./scripts/run doctor                             what works here, what does not, what to do
"""
ENDING = "All data lies in one folder; GLM_CHAT_HOME=FOLDER moves it elsewhere."
ASK = """\
Ask one question; the answer streams to standard output, reasoning and progress to the terminal.

  ./scripts/run ask "What is this?" --image a.png
  ./scripts/run ask "What changed from the first to the second?" --image a.png --image b.png --no-think
  ./scripts/run ask "When does the dog jump?" --video walk.mp4 --max-tokens 500
  ./scripts/run ask "What is in his hand?" --video talk.mp4 --from 10:00 --to 10:30 --fps 4
  ./scripts/run ask "When does it end?" --document lease.pdf      answered from its pages, quotations checked
  ./scripts/run ask "Find every cup." --image table.jpg --json     boxes in 0..1000 and in pixels
  git diff | ./scripts/run ask - --system "You review code."       the question from standard input
  ./scripts/run ask "Hello" --model ~/models/GLM-4.5V-4bit --seed 1

The model looks at 2 frames a second of a video, fewer where it is longer than 5 minutes. --from, --to and
--fps stand behind the --video they are about; times in the answer are those of the whole video.
Ctrl-C ends the answer and keeps what was printed.
"""
BACKUP = """\
Copy all conversations to a file that SQLite has read and found whole, or bring such a copy back.

  ./scripts/run backup                             a copy now; the chat may be open
  ./scripts/run backup --list                      every copy: when, how large, what for, where
  ./scripts/run backup --restore 2026-11-20.db     that copy takes the place of what there is now

The app makes a copy on each day it is started, keeps 7 of them, and makes one before an update changes the
file. Bringing one back deletes nothing: the conversations of now become a copy themselves, and can be brought
back in turn. Pictures and videos lie beside the copies and are kept as long as one of them needs them.
To have a copy on another disk, take the file that is printed and the folder blobs.
"""
DOCTOR = """\
Look at this computer, the installation, your data and the model, and say what to do where something is wrong.
Nothing is changed. The demo model answers one question, so it takes some seconds.

  ./scripts/run doctor                             one line for each: ok, warning or problem
  ./scripts/run doctor --json                      the same for programs
  ./scripts/run doctor --bundle report.zip         a file to pass on: versions, findings, the ends of logs

The file holds no words of conversations, no prompts, and no names of your files and folders.
Exit code 1 says that there is a problem.
"""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments.insert(0, "serve")
    options = parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except BackendError as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has read enough, as in `ask … | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _failed(f"{error.filename or 'The system refused'}: {error.strerror or error}.")
    except Exception as error:
        return _failed(f"Something unexpected went wrong ({type(error).__name__}: {error}).{_kept_in_log()}")


def parser() -> argparse.ArgumentParser:
    form: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    top = argparse.ArgumentParser("./scripts/run", description=TOP, epilog=ENDING, **form)
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="the chat window, in the browser (default)", **form)
    serve.add_argument("--port", type=int, default=PORT, help="default: %(default)s, or the next free one")
    serve.add_argument("--model", default=default_model(), help=MODEL)
    serve.add_argument("--open", action=argparse.BooleanOptionalAction, default=True, help="open the browser")
    serve.set_defaults(command=_serve)
    _add_ask(
        commands.add_parser("ask", help="one question, one answer, in the terminal", description=ASK, **form)
    )
    _add_backup(
        commands.add_parser(
            "backup", help="copy all conversations, or bring a copy back", description=BACKUP, **form
        )
    )
    _add_doctor(
        commands.add_parser("doctor", help="what works here and what does not", description=DOCTOR, **form)
    )
    add_models(commands, form)
    add_plan(commands, form)
    return top


def _add_doctor(doctor: argparse.ArgumentParser) -> None:
    how = doctor.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print one JSON object")
    how.add_argument("--bundle", metavar="FILE.zip", type=Path, help="write what helps whoever repairs this")
    doctor.set_defaults(command=_doctor)


def _add_backup(backup: argparse.ArgumentParser) -> None:
    which = backup.add_mutually_exclusive_group()
    which.add_argument("--list", action="store_true", help="show the copies there are")
    which.add_argument("--restore", metavar="FILE", help="bring one back: a name from the list, or any file")
    backup.set_defaults(command=_backup)


def _add_ask(ask: argparse.ArgumentParser) -> None:
    add = ask.add_argument
    add("question", metavar="QUESTION", help="what to ask; - reads it from standard input")
    add("--image", metavar="FILE", action=_Media, help="a picture; repeat for more, their order is kept")
    add("--video", metavar="FILE", action=_Media, help="a video; its place among the pictures is kept")
    add(
        "--document",
        metavar="FILE",
        action="append",
        default=[],
        help="a document to answer from; repeatable",
    )
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
    add("--json", action="store_true", help="print one JSON object at the end instead")
    ask.set_defaults(command=_ask, media=[])


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


# --- the commands ----------------------------------------------------------------------------------------


def _serve(options: argparse.Namespace) -> int:
    from .server import serve  # Gradio takes seconds to import, and only this command needs it

    config = startable(Config(model=options.model, port=options.port, open_browser=options.open))
    with _engine(config) as engine:
        engine.start()
        return serve(config, engine)


def _ask(options: argparse.Namespace) -> int:
    from .ask import ask, ask_with

    request = _request(options)
    documents = [_file(name) for name in options.document]
    config = Config(model=options.model)
    with _engine(config) as engine:
        if documents:
            return ask_with(engine, request, documents, options.model, options.json)
        return ask(engine, request, options.model, options.json)


def _backup(options: argparse.Namespace) -> int:
    from .backup import backup  # SQLite, which `ask` does without

    return backup(Config(), options.list, options.restore)


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import doctor  # SQLite and more

    return doctor(Config(), options.json, options.bundle)


def _engine(config: Config) -> EngineLike:
    if config.model == "fake":
        return FakeEngine(delay=0.02)
    use_calibration(config.home)
    return Engine(find_model(config.model), log=config.worker_log)


def _request(options: argparse.Namespace) -> Request:
    question = sys.stdin.read() if options.question == "-" else options.question
    media = [kind(_file(name), name, **look) for kind, name, look in options.media]
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
    )


def _file(name: str) -> Path:
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise BackendError(f"{name}: there is no such file. Nothing was asked.")
    return path


# --- when it goes wrong ----------------------------------------------------------------------------------


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


def _kept_in_log() -> str:
    """The traceback helps whoever repairs this, not the person at the screen."""
    log = log_folder() / "app.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{traceback.format_exc()}\n")
    except OSError:
        return ""
    return f" The details are in {log}."


if __name__ == "__main__":
    sys.exit(main())
