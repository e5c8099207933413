"""The command line.

Knows: the commands and their options, the exit codes, how an error is told.
Does not know: what a command does beyond calling it.

Exit codes: 0 done, 2 wrong usage, 1 anything else, with one sentence on standard error and never a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mlx_backend import (
    BackendError,
    Engine,
    EngineLike,
    FakeEngine,
    Request,
    use_calibration,
)

from .ask_line import MODEL, add_ask, file_of, request_of
from .config import PORT, Config, default_model, find_model, kept_switches, log_folder, startable
from .extract_line import add_extract
from .minding import Minding
from .models_line import add_models
from .plan import add_plan
from .shelving_line import add_documents
from .switches_line import add_switches, switched

TOP = """\
GLM Chat: talk with GLM-4.5V about pictures and videos, on this computer alone.

  ./scripts/run                                    open the chat in the browser (same as: serve)
  ./scripts/run serve --port 5000 --no-open        the same on another port, without opening the browser
  ./scripts/run ask "What is this?" --image a.png  one answer in the terminal
  ./scripts/run ask --help                         everything a question can carry
  ./scripts/run extract --columns "number, total (number)" invoices/*.pdf --output invoices.csv
  ./scripts/run documents                          the library: list it, add files, see what a file reads as
  ./scripts/run models                             download a model, check it, delete it
  ./scripts/run plan                               what fits this Mac, or another
  ./scripts/run backup                             a copy of all conversations, now
  ./scripts/run doctor                             what works here, what does not, what to do
"""
ENDING = "All data lies in one folder; GLM_CHAT_HOME=FOLDER moves it elsewhere."
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
    add_switches(serve)
    serve.set_defaults(command=_serve)
    add_ask(commands, form, _ask)
    add_extract(commands, form, _extract)
    _add_backup(
        commands.add_parser(
            "backup", help="copy all conversations, or bring a copy back", description=BACKUP, **form
        )
    )
    _add_doctor(
        commands.add_parser("doctor", help="what works here and what does not", description=DOCTOR, **form)
    )
    add_documents(commands, form)
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


# --- the commands ----------------------------------------------------------------------------------------


def _serve(options: argparse.Namespace) -> int:
    from .server import serve  # Gradio takes seconds to import, and only this command needs it

    config = startable(Config(model=options.model, port=options.port, open_browser=options.open))
    config = replace(config, switches=switched(kept_switches(config), options))
    if config.told:
        print(config.told, file=sys.stderr)
    with _engine(config, minding=True) as engine:
        engine.start()
        return serve(config, engine)


def _ask(options: argparse.Namespace) -> int:
    from .ask import ask

    request = request_of(options)
    config = Config(model=options.model)
    config = replace(config, switches=switched(kept_switches(config), options))
    if options.document:
        return _ask_with(options, request, config)
    with _engine(config) as engine:
        return ask(engine, request, options.model, options.json)


def _ask_with(options: argparse.Namespace, request: Request, config: Config) -> int:
    from .ask import UNABLE, ask_with
    from .shelving import lent  # SQLite

    if config.is_demo:
        print(UNABLE, file=sys.stderr)
    with lent(options.document) as documents, _engine(config) as engine:
        return ask_with(engine, request, documents, options.model, options.json, options.transcribe)


def _extract(options: argparse.Namespace) -> int:
    from .ask import UNABLE
    from .extracting import Order, extract  # SQLite and more

    files = tuple(file_of(name) for name in options.files)
    written = options.columns if options.schema is None else options.schema.read_text("utf-8", "replace")
    config = Config(model=options.model)
    config = replace(config, switches=kept_switches(config))
    if config.is_demo:
        print(UNABLE, file=sys.stderr)
    with _engine(config) as engine:
        return extract(
            engine, Order(files, written, options.row, options.output, options.resume), config.home
        )


def _backup(options: argparse.Namespace) -> int:
    from .backup import backup  # SQLite, which `ask` does without

    return backup(Config(), options.list, options.restore)


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import doctor  # SQLite and more

    return doctor(Config(), options.json, options.bundle)


def _engine(config: Config, minding: bool = False) -> EngineLike:
    """minding: a model that cannot be loaded is remembered, see minding.py."""
    if config.model == "fake":
        return FakeEngine(delay=0.02)
    use_calibration(config.home)
    make = partial(Minding, config.home) if minding else Engine
    return make(find_model(config.model), setup=config.switches.setup, log=config.worker_log)


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
