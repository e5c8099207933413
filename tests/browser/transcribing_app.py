"""The real app with an engine that writes down scanned pages, one word after the other, and quotes them.

usage: python transcribing_app.py PORT   (the data folder is GLM_CHAT_HOME)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from app import titles, transcribing
from app.config import Config
from app.documents import transcript
from app.server import serve
from mlx_backend import Answer, FakeEngine, Image, Request, Text
from mlx_backend.fake import Step

WRITTEN = "Harbour dues of the year 1750: every ship pays thirty crowns, on page {}."
QUOTED = "every ship pays thirty crowns"


def script(request: Request) -> Sequence[Step]:
    said = "".join(part.text for part in request.messages[-1].content if isinstance(part, Text))
    if said == transcript.ASKED:
        (picture,) = (part for part in request.messages[-1].content if isinstance(part, Image))
        number = (picture.name or "").rpartition(" ")[2]
        return [step for word in WRITTEN.format(number).split() for step in (Answer(f"{word} "), 0.05)]
    if titles.QUESTION in said:
        return [Answer("Dues")]
    return [Answer(f'It is [[1|"{QUOTED}"]].')]


if __name__ == "__main__":
    transcribing.QUIET_SECONDS = 0.2
    with FakeEngine(script) as engine:
        sys.exit(serve(Config(), engine, port=int(sys.argv[1]), open_browser=False))
