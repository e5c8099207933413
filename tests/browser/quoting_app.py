"""The real app with an engine that quotes the documents it is given, once rightly and once wrongly.

usage: python quoting_app.py PORT   (the data folder is GLM_CHAT_HOME)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from app.config import Config
from app.server import serve
from mlx_backend import Answer, FakeEngine, Request
from mlx_backend.fake import Step

ANSWER = 'It is deep [[1|"2.1 metres remain over the sill"]], or not [[1|"<b>nine</b> metres are there"]].'


def script(request: Request) -> Sequence[Step]:
    return [step for at in range(0, len(ANSWER), 4) for step in (Answer(ANSWER[at : at + 4]), 0.02)]


if __name__ == "__main__":
    with FakeEngine(script) as engine:
        sys.exit(serve(Config(), engine, port=int(sys.argv[1]), open_browser=False))
