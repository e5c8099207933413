"""Read a whole model again and compare every file with its checksum.

Knows: manifests, the hub's cache, what to do with a damaged file. Does not know: the network, who is
watching.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mlx_backend import manifest as notes
from mlx_backend.errors import DownloadFailed, ModelMissing
from mlx_backend.manifest import MANIFEST, UNFINISHED, File
from mlx_backend.offline import named

UNKNOWN = (
    "No checksums are known for this folder, so only its structure was checked: every file is there "
    "and as long as "
    "its header says."
)


def verify(folder: Path, tell: Callable[..., None]) -> str:
    """Raises DownloadFailed naming what is damaged, ModelMissing naming what is absent. Returns a note,
    or "".

    A model of ours with a damaged file is marked: it is not whole any more until a download has repaired it.
    """
    if missing := notes.lacking(folder):
        raise ModelMissing(str(folder), missing if folder.is_dir() else [])
    held = notes.read(folder)
    files = held.files if held else _cached(folder)
    damaged = _damaged(folder, files, tell)
    if damaged and held:
        notes.write(folder, replace(held, damaged=tuple(damaged)), UNFINISHED)
        (folder / MANIFEST).unlink(missing_ok=True)
    if damaged:
        again = (
            f"Run `models download {held.repo}`: only what is damaged is fetched again." if held else REPLACE
        )
        raise DownloadFailed("damaged", f"{', '.join(damaged)} in {folder} is damaged. {again}")
    return "" if files else UNKNOWN


REPLACE = "Another program put it there; download the model again with that program."


def _cached(folder: Path) -> tuple[File, ...]:
    found = (named(path) for path in sorted(folder.iterdir()) if notes.wanted(path.name) and path.exists())
    return tuple(file for file in found if file)


def _damaged(folder: Path, files: tuple[File, ...], tell: Callable[..., None]) -> list[str]:
    total, before, damaged = sum(file.size for file in files), 0, list[str]()
    for file in files:

        def told(done: int, file: File = file, before: int = before) -> None:
            tell("checking", done=before + done, total=total, file=file.name)

        if not notes.intact(folder / file.name, file, told):
            damaged.append(file.name)
        before += file.size
    return damaged
