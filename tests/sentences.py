"""Sentences that the app puts together out of pieces, made by the app itself."""

from __future__ import annotations

import errno
import os
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.blobs import Blobs
from app.documents.coming import Coming
from app.minding import with_change
from app.savings import COSTS
from app.store import Message, Part, Store, back_up, rescue
from app.transfer import BadImport, Imported, import_file
from app.ui import acts, memory, messages, models, sizes
from mlx_backend import (
    BackendError,
    EngineStopped,
    Progress,
    Setup,
    Shown,
    Status,
    Transfer,
    imagined,
    ladder,
    plan,
    published_shape,
)
from mlx_backend.calibration import failure as measured
from mlx_backend.errors import ContextTooLong, ModelBroken, ModelMissing, NotEnoughMemory, OutOfMemory
from mlx_backend.guard import ASKING, LOADING, NOTHING_HELPS, amount
from mlx_backend.hub import _ended
from mlx_backend.remote import Remote


def produced(store: Store, blobs: Blobs, folder: Path) -> Iterator[str]:
    yield from map(messages.duration, (3, 4.2, 75.0))
    for seconds in (1.2, 75.0):
        yield messages._thought(Part("reasoning", "", None, {"seconds": seconds}), True)["metadata"]["title"]
    for progress in (Progress("queue", 1, 1), Progress("queue", 2, 2), Progress("load", 1, 2)):
        yield messages.progress(progress)
    yield f"{messages.progress(Progress('load', 0, 0))}, about {messages.duration(5)}"
    yield f"{ContextTooLong(1, 2)} {messages.LEFT_OUT}"
    stats = {"output_tokens": 40, "decode_rate": 2.0, "first_token_seconds": 1.5, "prompt_tokens": 9}
    for cached in (0, 3):
        answer = Message("1", "assistant", "complete", (), stats={**stats, "cached_tokens": cached})
        yield from acts.cost(answer).split(" · ")
    answer = Message("1", "assistant", "complete", (), stats={**stats, "peak_bytes": 1, "predicted_bytes": 2})
    yield acts.cost(answer).split(" · ")[-1]
    yield str(Imported(1, 1, ("x",), 1, True))
    yield str(Imported(2, 2, ("x",), 2))
    for code, doing in ((-9, "answering"), (-9, ""), (1, ""), (1, "starting")):
        yield str(EngineStopped(code, doing))
    yield from map(str, (ModelMissing("f"), ModelMissing("f", ["a"]), ModelMissing("f", ["a", "b"])))
    yield from map(str, (OutOfMemory(1, 2), ContextTooLong(1, 2)))
    for what, kept, anyway in (LOADING, ASKING):
        for remedy in ("What would help: x.", NOTHING_HELPS):
            yield str(NotEnoughMemory(what, 2, 1, [("x", 1)], kept, remedy + anyway))
    yield from dict.fromkeys(remedied())
    fetching = Transfer("fetching", 1, 2)
    for transfer in (fetching, replace(fetching, speed=1.0), replace(fetching, speed=1.0, seconds_left=9)):
        yield models._doing(transfer, False)
    yield from refusals(store, blobs, folder)
    picture = Shown("a.png", False, (640, 480), 280, 280, 100)
    video = Shown("a.mp4", True, (640, 480), 280, 280, 100, (0.5, 1.5), 2.0)
    yield from (sizes.chip(one)["cost"] for one in (picture, video, replace(video, moments=(0.5,))))
    yield from (sizes.detail([picture]), sizes.fills(5, 5, 100))
    yield from papers()
    for state in ("idle", "busy", "stopped"):
        yield sizes.fills(5, 500, 1000) + sizes.first_word(5, Status(state))
    for seconds in (120, 8000):
        yield sizes.fills(1, 1, 1000) + sizes.first_word(seconds, Status("idle"))
    yield sizes.too_long(9, 5, sizes.helps([picture, video], [picture, video], "full", True))
    yield from (os.strerror(n) for n in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOENT, errno.EIO))
    yield from (time.strftime("%d %B %Y, %H:%M", time.gmtime(n * 30.4 * 86400 - 1e6)) for n in range(1, 13))
    yield from rescues(folder)


def papers() -> Iterator[str]:
    """What is said of a document before it is sent."""
    for pages in (1, 9):
        yield from (sizes.pages(pages), sizes.reading(1, pages))
        yield str(Coming(1, "a", pages, pages, True, 1))
        yield str(Coming(1, "a", 1, pages, False, 1))
    yield from (sizes.fills(5, 5, 100, True), sizes.unread(5, 1), sizes.unread(5, 2), sizes.reading(0, 0))
    yield from (f"{sizes.stored(1)} · x", f"{sizes.stored(2_000_000)} · x")


def remedied() -> Iterator[str]:
    """Every change that the planner knows where it is the answer; what switches cost; what steps say."""
    shape, every = published_shape(), ladder()
    for gib in (16, 32, 48, 64, 96, 128):
        for weights in every:
            for setup in (Setup(), Setup(context=8192, kv_bits=8), Setup(vision=False)):
                found = plan(shape, weights, imagined(gib), setup, others=every)
                yield from (remedy.text for remedy in found.remedies)
                for what, kept, anyway in (LOADING, ASKING):
                    items = [(item.name, size) for item in found.items for size in (10**9, 10**6)]
                    for at in range(0, len(items), 3):
                        error = NotEnoughMemory(what, 2, 1, items[at : at + 3], kept, NOTHING_HELPS + anyway)
                        yield str(error)
    yield from map(memory._sentence, COSTS.values())
    yield from (f"{verb} GLM-4.5V, 3 bits instead" for verb in ("Use", "Download"))
    yield from (label.format(8) for label in memory.STEPS.values())
    for code, words in ((-9, ""), (-11, ""), (1, ""), (-11, "Segmentation fault"), (1, "ImportError: x")):
        yield _ended(code, words)
    with pytest.raises(BackendError) as refused:
        amount("much")
    yield str(refused.value)
    yield str(with_change(ModelBroken("config.json", "holds no JSON object.")))
    yield from (measured("it gave no usable number"), f"{Remote()._refusal('a/b', 500, {})}")
    yield f"{Remote()._refusal('a/b', 429, {})}"
    yield from ("while experts are stacked 1.00 GB, while experts are stacked 1.0 MB",)


def refusals(store: Store, blobs: Blobs, folder: Path) -> Iterator[str]:
    """What is told of a file without conversations, and of one whose documents cannot be read either."""
    file, packed = folder / "export.json", folder / "export.zip"
    file.write_text("[]")
    with zipfile.ZipFile(packed, "w") as out:
        out.writestr("a.json", "[")
        out.writestr("b.json", "[]")
    for export in (file, packed):
        with pytest.raises(BadImport) as refused:
            import_file(store, blobs, export)
        yield str(refused.value)


def rescues(folder: Path) -> Iterator[str]:
    """What is told of a database that was emptied with a backup beside it, and of one that is none."""
    emptied, garbage = folder / "emptied" / "chat.db", folder / "garbage" / "chat.db"
    for file in (emptied, garbage):
        file.parent.mkdir()
    Store(emptied).close()
    back_up(emptied)
    emptied.write_bytes(b"")
    garbage.write_bytes(b"no database at all, by far" * 100)
    for file in (emptied, garbage):
        rescued = rescue(file)
        assert rescued is not None
        yield rescued.words
