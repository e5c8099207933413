"""The real app with an engine that quotes what the question tells it to.

usage: python viewed_app.py PORT   (the data folder is GLM_CHAT_HOME)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from app.config import Config
from app.server import serve
from mlx_backend import Answer, FakeEngine, Request, Text
from mlx_backend.fake import Step


def script(request: Request) -> Sequence[Step]:
    """ "quote 2: words | 1: others" cites the words under those numbers; anything else is said as it is."""
    said = "".join(part.text for part in request.messages[-1].content if isinstance(part, Text))
    asked = said.rpartition("quote ")[2]
    cited = re.findall(r"(\d+): ([^|]+)", asked)
    answer = " ".join(f'So it is [[{number}|"{words.strip()}"]].' for number, words in cited) or asked
    return [step for at in range(0, len(answer), 9) for step in (Answer(answer[at : at + 9]), 0.01)]


if __name__ == "__main__":
    with FakeEngine(script) as engine:
        sys.exit(serve(Config(), engine, port=int(sys.argv[1]), open_browser=False))
