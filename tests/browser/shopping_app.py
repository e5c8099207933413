"""The scripted app with a short list of models and a real hub behind it. Run as a program.

usage: python shopping_app.py PORT   (HF_ENDPOINT: the hub; HUB_REPO: the repository that it holds)

Downloads, checks and folders are real. The engine is scripted: it loads for a second and tells how far it is,
and refuses a folder called large unless it is forced.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from scripted_app import script_or_title

from app import offers
from app.config import Config, startable
from app.server import serve
from mlx_backend import FakeEngine, Known, Progress, Setup, catalogue
from mlx_backend.errors import NotEnoughMemory

STEPS = 10
GB = 10**9


class Slow(FakeEngine):
    def load(self, model: Path, setup: Setup = Setup(), force: bool = False) -> Iterator[Progress]:  # noqa: B008
        if model.name == "large" and not force:
            items = [("weights", 88 * GB)]
            what, kept, remedy = "Loading this model", "Nothing was loaded.", "Close other programs."
            raise NotEnoughMemory(what, 90 * GB, 20 * GB, items, kept, remedy)
        for step in range(STEPS + 1):
            yield Progress("load", step * 100, STEPS * 100)
            time.sleep(0.1)
        yield from super().load(model)


if __name__ == "__main__":
    catalogue.KNOWN = offers.KNOWN = (
        Known(os.environ["HUB_REPO"], "GLM-4.5V, 4 bits", 4, 9_000_000),
        Known("mlx-community/GLM-4.6V-4bit", "GLM-4.6V, 4 bits", 4, 0, unsupported=catalogue.OTHER_MODEL),
    )
    config = startable(Config())
    with Slow(script_or_title) as engine:
        sys.exit(serve(config, engine, port=int(sys.argv[1]), open_browser=False))
