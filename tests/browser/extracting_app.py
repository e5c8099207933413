"""The real app with an engine that reads invoices as a good model would, a second for each.

usage: python extracting_app.py PORT   (the data folder is GLM_CHAT_HOME)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from invoices import reading

from app.config import Config
from app.server import serve
from mlx_backend import FakeEngine, Progress, Request
from mlx_backend.fake import Step


def script(request: Request) -> Sequence[Step]:
    first, *rest = reading(request)
    return [Progress("prefill", 400, 900), 0.6, first, 0.4, *rest]


if __name__ == "__main__":
    with FakeEngine(script) as engine:
        sys.exit(serve(Config(), engine, port=int(sys.argv[1]), open_browser=False))
