"""A file that comes as the body of a request, on its way from the page to whoever takes it.

Knows: how it reaches the disk, in a folder that goes with it; how large it may be, what it may be called.
Does not know: what it is, who keeps it, who may send it (the guard stands before).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from fastapi import Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from app.orders import fresh


@dataclass(frozen=True)
class Refusals:
    """What is told of a file that does not arrive. key: of the answer, under which the page looks for words.

    too_large: of the file's name; unkept: of what the disk answered.
    """

    key: str
    too_large: Callable[[str], str]
    unkept: Callable[[OSError], str]


async def arrived(
    request: Request, folder: Path, most: int, take: Callable[[Path], Response], refusals: Refusals
) -> Response:
    """What `take` answers, in a thread, to the body as a file of at most `most` bytes; else a refusal.

    folder: for files on their way; afterwards nothing of this one is in it.
    """
    scratch = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder))
        file = scratch / named(request.headers.get("x-file-name", ""))
        if not await _received(request, file, most):
            return fresh({refusals.key: refusals.too_large(file.name)}, 413)
        return await run_in_threadpool(take, file)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody hears it
    except OSError as error:
        return fresh({refusals.key: refusals.unkept(error)}, 507)
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def named(told: str) -> str:
    """A file's name as the page tells it, percent-encoded, as one that a folder can hold: errors say it."""
    name = "".join(char for char in unquote(told) if char.isprintable() and char not in "/\\")
    return name[-60:].lstrip(".") or "the file"  # 60 characters are 240 bytes at most


def length(told: str) -> int:
    """The bytes that a request says it will send; 0 where it does not say."""
    return int(told) if told.isascii() and told.isdigit() else 0


async def _received(request: Request, file: Path, most: int) -> bool:
    """Write the body to a file; False where it has more bytes than `most`.

    Raises ClientDisconnect or OSError.
    """
    size = 0
    if length(request.headers.get("content-length", "")) > most:
        return False
    with file.open("wb") as out:
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                return False
            out.write(piece)
    return True
