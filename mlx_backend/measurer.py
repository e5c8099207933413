"""The child process that measures requests: opens their files, lays out their prompts, counts tokens.

Knows: the pipe to the app, that one checkpoint's tokenizer and rules are kept; which file is open, so that
    the app can name the one that was this process's end.
Does not know: MLX, which is never imported here; how a prompt is laid out (glm/processor.py).

One thread reads the pipe, so that the end of the app is seen, and is the end of this process, also while a
decoder is at work. Run by measuring.py as `python -m mlx_backend.measurer DESCRIPTOR`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from .errors import BackendError
from .glm.config import read_config
from .glm.processor import Processor, name_of
from .types import Image, Measured, Message, Request, Video

Asked = tuple[Path, Request]  # the checkpoint's folder, and what would be sent to it


class Measurer:
    """Measures with the checkpoint that was asked for last."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._processor: Processor | None = None
        self._limit = 0

    def measure(self, folder: Path, request: Request, opening: Callable[[str], None]) -> Measured:
        """opening: told the name of each file before it is opened, and "" when all are.

        Raises ModelMissing, ModelBroken or BadMedia.
        """
        if self._processor is None or folder != self._folder:
            limit = read_config(folder).text.max_position_embeddings
            self._processor, self._folder, self._limit = Processor(folder), folder, limit
        for part in (part for message in request.messages for part in message.content):
            if isinstance(part, Image | Video):
                opening(name_of(part))
                alone = (Message("user", (part,)),)
                self._processor.layout(alone, max_image_tokens=request.max_image_tokens)
        opening("")
        layout = self._processor.of(request)  # opens nothing again
        return Measured(len(layout.ids), self._limit, layout.shown)


def answer(
    measurer: Measurer, folder: Path, request: Request, opening: Callable[[str], None]
) -> Measured | BackendError:
    """Whatever happens becomes a value that can be sent."""
    try:
        return measurer.measure(folder, request, opening)
    except BackendError as error:
        return error
    except Exception as error:
        _note_in_log()
        return BackendError(
            f"This message could not be measured ({type(error).__name__}: {error}). Nothing was lost; the "
            "details are in measure.log."
        )


def _note_in_log() -> None:
    print(time.strftime("%Y-%m-%d %H:%M:%S"), file=sys.stderr)
    traceback.print_exc()


def _listen(pipe: Connection, asked: SimpleQueue[Asked]) -> None:
    try:
        while True:
            asked.put(pipe.recv())
    except (EOFError, OSError):  # the app is gone
        os._exit(0)  # at once, from this thread: the main thread may be deep inside a decoder
    except BaseException:
        _note_in_log()  # no request of ours: nothing that follows it can be understood either
        os._exit(1)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is the app's business
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    pipe, asked, measurer = Connection(descriptor), SimpleQueue[Asked](), Measurer()
    threading.Thread(target=_listen, args=(pipe, asked), name="requests", daemon=True).start()
    while True:
        pipe.send(answer(measurer, *asked.get(), pipe.send))


if __name__ == "__main__":
    main()
