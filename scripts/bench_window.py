"""What the window is measured on: the real app in a process of its own, and homes full of conversations.

Knows: how the app is started with an engine that plays a script, how a history is made up.
Does not know: what is measured.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.blobs import Blobs
from app.config import Config
from app.store import Part, Store
from app.turn import Draft, begin
from mlx_backend import Answer, FakeEngine, Request
from mlx_backend.fake import Step

RATE = 50  # tokens a second
VOCABULARY = [
    "harbour",
    "lantern",
    "market",
    "marble",
    "river",
    "copper",
    "window",
    "garden",
    "winter",
    "signal",
    "mirror",
    "paper",
    "发票",
    "总额",
]


# --- the app ---------------------------------------------------------------------------------------------


def child(port: int) -> int:
    """The app, in a process of its own; each line on standard input is answered with its processor time."""
    from app.server import serve

    def tell() -> None:
        for _ in sys.stdin:
            print(f"cpu {time.process_time()}", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)  # whoever measures is gone

    threading.Thread(target=tell, daemon=True).start()
    with FakeEngine(script) as engine:
        return serve(Config(), engine, port=port, open_browser=False)


def script(request: Request) -> list[Step]:
    """As many words as the question says, at RATE."""
    words = next(int(word) for word in str(request.messages[-1].content).split("'") if word.isdigit())
    return [step for n in range(words) for step in (Answer(f"word{n} "), 1 / RATE)]


class Served:
    """The app on a home folder, and the address that opens its window."""

    def __init__(self, home: Path, command: list[str] | None = None) -> None:
        """command: the app in another way than with a script for an engine."""
        command = command or [sys.executable, __file__, "0"]
        environment = {**os.environ, "GLM_CHAT_HOME": str(home)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.pid = self._process.pid
        self.address = self._line("GLM Chat is open at").split()[-1]

    def cpu(self) -> float:
        """Seconds of processor time since its start."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._line("cpu").split()[1])

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)

    def _line(self, start: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(start):
                return line
        raise SystemExit("the app ended: see above")


@contextlib.contextmanager
def window(browser: Browser, home: Path) -> Iterator[tuple[Served, Page]]:
    served = Served(home)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        page.goto(served.address)
        usable(page)
        yield served, page
    finally:
        context.close()
        served.stop()


def usable(page: Page) -> None:
    page.wait_for_selector("html.loaded", state="attached", timeout=120_000)
    page.wait_for_selector("#box textarea")


# --- histories -------------------------------------------------------------------------------------------


def talk(store: Store, blobs: Blobs, title: str, messages: int, pictures: int, width: int) -> None:
    """A conversation of turns with a little of all that Markdown draws."""
    conversation = None
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(messages // 2):
            files = (photo(Path(folder) / f"{turn}.jpg", turn, width),) if turn < pictures else ()
            draft = Draft(f"question {turn} about a harbour, and what else can be seen?", files)
            begun = begin(store, blobs, conversation, draft)
            conversation = begun.conversation_id
            words = f"{title} answer {turn} **is** a paragraph of some length. " * 4
            more = "\n\n- one\n- two `code`\n\n```python\nprint(1)\n```" if turn % 4 == 0 else ""
            store.finish(begun.answer_id, (Part("text", words + more),), "complete", "stop")
    if conversation is not None:
        store.rename(conversation, title)


def photo(file: Path, seed: int, width: int) -> Path:
    """Grain and large shapes: about as many bytes as a photograph of that size."""
    coarse = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (24, 32, 3), np.uint8)
    fine = np.random.Generator(np.random.PCG64(seed)).integers(0, 24, (width * 3 // 4, width, 3), np.uint8)
    shapes = Image.fromarray(coarse).resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    Image.fromarray(np.asarray(shapes) // 4 * 3 + fine).save(out, "JPEG", quality=80)
    file.write_bytes(out.getvalue())
    return file


def history(store: Store, conversations: int) -> None:
    choose = random.Random(1)
    for number in range(conversations):
        words = " ".join(choose.choices(VOCABULARY, k=60))
        begun = store.begin_turn(None, f"Conversation {number}", (Part("text", words[:80]),))
        said = words + (" needle" if number % 2000 == 7 else "")
        store.finish(begun.answer_id, (Part("text", said),), "complete", "stop")


if __name__ == "__main__":
    sys.exit(child(int(sys.argv[1])))
