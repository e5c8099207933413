"""Which models lie on this computer's disks, and whether each is whole.

Knows: our folders, the model hub's cache that other programs share, any folder a person names; what is ours
to delete. Does not know: the network, settings, what fits this Mac.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mlx_backend import manifest as notes
from mlx_backend.manifest import MANIFEST, UNFINISHED

ASIDE = ".unfinished"
ARCHITECTURE = "glm4v_moe"
COMMIT = re.compile(r"[0-9a-f]{40}")
State = Literal["whole", "unfinished", "damaged", "incomplete"]


@dataclass(frozen=True)
class Found:
    """A model on a disk.

    name: its repository, or its folder's name where that is not known. size: bytes there now. total: bytes
    once it is whole, 0 where nobody knows. missing: names of files that are absent, cut short or damaged.
    ours: whether this app put it there; cached: whether it lies in the model hub's cache.
    """

    name: str
    folder: Path
    state: State
    size: int
    total: int = 0
    missing: tuple[str, ...] = ()
    ours: bool = False
    cached: bool = False
    licence: str = ""


def home_of(place: Path, repo: str) -> Path:
    """The folder that holds a model once it is whole."""
    owner, name = repo.split("/")
    return place / owner / name


def aside_of(place: Path, repo: str) -> Path:
    """The folder that holds it until then."""
    return place / ASIDE / repo.replace("/", "--")


def hub_cache() -> Path:
    """The cache of the model hub's own tools, by the same variables that those read."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(named or Path(home) / "hub")).expanduser()


def disks() -> list[Path]:
    """Folders of the external disks that are connected now and can be written to; never the system's own."""
    roots = [Path("/Volumes")] if sys.platform == "darwin" else [*Path("/media").glob("*"), Path("/mnt")]
    folders = (folder for root in roots if root.is_dir() for folder in sorted(root.iterdir()))
    # On a Mac the system's own disk is listed too, as a link to the root.
    return [one for one in folders if one.is_mount() and not one.is_symlink() and os.access(one, os.W_OK)]


# --- looking ---------------------------------------------------------------------------------------------


def find_models(places: Sequence[Path], cache: Path | None = None) -> list[Found]:
    """Every model in the places and in the cache, half ones too. A place that is not connected holds none.

    A place holds models as OWNER/NAME, as NAME, or is one itself.
    """
    found: dict[object, Found] = {}
    seen: set[Path] = set()
    for place in places:
        for folder in _folders(place):
            if (real := folder.resolve()) not in seen:
                seen.add(real)
                parts = folder.relative_to(place).parts
                with suppress(OSError):  # a download that ends renames its folder; the disk may be pulled out
                    model = look_at(folder, "/".join(parts) if len(parts) == 2 else folder.name)
                    key = (place, model.name) if model.ours else real
                    found[key] = _joined(found.get(key), model)
    for folder in _snapshots(cache) if cache else ():
        if folder.resolve() not in seen:
            with suppress(OSError):  # its owner may be deleting it just now
                found[folder] = _cached(folder)
    return list(found.values())


def _joined(one: Found | None, other: Found) -> Found:
    """A model under repair lies partly in its own folder and partly aside: to a person it is one."""
    if one is None or other.state == "whole":
        return other
    return one if one.state == "whole" else replace(one, state="unfinished", size=one.size + other.size)


def locate(repo: str, places: Sequence[Path], cache: Path | None = None) -> Found | None:
    """The model of that name: a whole one before a half one, ours before the cache's."""
    named = [found for found in find_models(places, cache) if found.name.lower() == repo.lower()]
    return min(named, key=lambda f: (f.state != "whole", f.cached), default=None)


def look_at(folder: Path, name: str = "") -> Found:
    """One folder. name: what it is called where it has no note of ours."""
    # Asked before what is missing: a download that ends just now must not look like a damaged model.
    unfinished, noted = (folder / UNFINISHED).exists(), (folder / MANIFEST).exists()
    note = notes.read(folder, UNFINISHED) or notes.read(folder)
    missing = tuple(notes.lacking(folder))
    state: State = "incomplete" if missing else "whole"
    if missing and unfinished:
        state = "damaged" if note and note.damaged and folder.parent.name != ASIDE else "unfinished"
        missing = note.damaged if note and state == "damaged" else missing
    elif missing and noted:
        state = "damaged"  # it was whole once
    size = _size(folder)
    if note is None:
        return Found(name or folder.name, folder, state, size, 0, missing)
    return Found(note.repo, folder, state, size, note.size, missing, ours=True, licence=note.licence)


def _folders(place: Path) -> Iterator[Path]:
    for pattern in (".", "*", "*/*", f"{ASIDE}/*"):
        for folder in [place] if pattern == "." else sorted(place.glob(pattern)):
            try:
                if (folder / UNFINISHED).exists() or (folder / MANIFEST).exists() or _is_model(folder):
                    yield folder
            except OSError:
                continue


def _is_model(folder: Path) -> bool:
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("model_type") == ARCHITECTURE


def _snapshots(cache: Path) -> Iterator[Path]:
    """Of each repository in the cache the snapshot its main branch points to, else the newest."""
    for repo in sorted(cache.glob("models--*--*")):
        with suppress(OSError):  # its owner may be deleting it just now
            folder = _named_snapshot(repo) or _newest(repo / "snapshots")
            if folder and _is_model(folder):
                yield folder


def _named_snapshot(repo: Path) -> Path | None:
    main = repo / "refs" / "main"
    commit = main.read_text(encoding="utf-8", errors="replace").strip() if main.is_file() else ""
    folder = repo / "snapshots" / commit
    return folder if COMMIT.fullmatch(commit) and folder.is_dir() else None


def _newest(snapshots: Path) -> Path | None:
    folders = [folder for folder in snapshots.glob("*") if folder.is_dir()]
    return max(folders, key=lambda folder: folder.stat().st_mtime, default=None)


def _cached(folder: Path) -> Found:
    name = folder.parent.parent.name.removeprefix("models--").replace("--", "/", 1)
    missing = tuple(notes.lacking(folder))
    state: State = "incomplete" if missing else "whole"
    return Found(name, folder, state, _size(folder), 0, missing, cached=True)


def _size(folder: Path) -> int:
    """Bytes of the model's files there, partial ones included."""
    total = 0
    for path in folder.iterdir():
        if notes.wanted(path.name.removesuffix(".part")):
            with suppress(FileNotFoundError):  # renamed just now
                total += path.stat().st_size
    return total
