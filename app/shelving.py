"""The command `documents`: the library in the terminal, and what a file reads as.

Knows: what a person is told about documents in the terminal; how a name means a file or one of the library.
Does not know: argparse, how a file is read (intake.py), SQL.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from app import intake
from app.blobs import Blobs
from app.config import Config
from app.documents import route
from app.documents.pages import Unreadable
from app.intake import Read
from app.migrations import DatabaseTooNew
from app.store import IN_MEMORY, BackupFailed, DiskTrouble, Store, StoredDocument
from app.terminal import harmless
from mlx_backend import BackendError

NONE = "The library is empty. Add a file: ./scripts/run documents add FILE"
UNKNOWN = "{}: there is no such file and nothing of that name in the library. See ./scripts/run documents"


@contextlib.contextmanager
def opened(config: Config, make: bool = False) -> Iterator[Store]:
    """The store of the app; where it has none yet an empty one, which is kept with `make`.

    Raises BackendError.
    """
    try:
        store = Store(config.database if make or config.database.exists() else IN_MEMORY)
    except (DatabaseTooNew, BackupFailed) as error:
        raise BackendError(str(error)) from error
    with contextlib.closing(store):
        try:
            yield store
        except DiskTrouble as error:
            raise BackendError(f"{config.database} could not be written: {error}. Try again.") from error


# --- what is asked for -----------------------------------------------------------------------------------


def listed(as_json: bool) -> int:
    with opened(Config()) as store:
        lines = [_told(one, store.readers_of(one.id)) for one in store.library()]
    if as_json:
        print(json.dumps(lines, ensure_ascii=False, indent=2))
        return 0
    for line in lines:
        _tell(f"{line['title']}  ({line['kind']}, {line['pages']:,} pages)")
        for words in (*line["problems"], _used(line["chats"])):
            _tell(f"    {words}")
    if not lines:
        _tell(NONE)
    return 0


def add(names: Sequence[str], as_json: bool) -> int:
    """Read files into the library. Returns 1 if one of them could not be."""
    config, told = Config(), list[dict[str, Any]]()
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with opened(config, make=True) as store:
        for name in names:
            try:
                document = intake.shelve(store, Blobs(config.blobs), _file(name), _progress, lambda: False)
                assert document is not None  # nothing stops it
                told.append({**_told(document, store.readers_of(document.id)), "file": name})
                if not as_json:
                    read = f"{document.pages:,} of {document.total:,} pages"
                    _tell(f"{document.title}: {read} are in the library.")
            except (BackendError, OSError) as error:
                told.append({"file": name, "error": str(error)})
                _tell(str(error), sys.stderr)
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
    return int(any("error" in one for one in told))


def remove(name: str, as_json: bool) -> int:
    with opened(Config()) as store:
        found = _of_library(store, name)
        if found is None:
            raise BackendError(f"{name}: nothing of that name is in the library. See ./scripts/run documents")
        line = _told(found, store.readers_of(found.id))
        store.shelve_document(found.id, False)
    if as_json:
        print(json.dumps(line, ensure_ascii=False, indent=2))
    else:
        _tell(f"{found.title} is out of the library. {_used(line['chats'])}")
    return 0


def show(name: str, text: bool, as_json: bool) -> int:
    """What a file or a document of the library reads as."""
    read = _read(name)
    document = read.document
    pages = [
        {
            "page": p.number,
            "label": p.label,
            "tokens": route.size(p),
            "picture_only": p.image_only,
            "text": p.text,
        }
        for p in document.pages
    ]
    if as_json:
        outline = [asdict(heading) for heading in document.outline]
        whole = {
            "title": document.title,
            "kind": document.kind,
            "total": document.total,
            "problems": document.problems,
        }
        print(json.dumps({**whole, "outline": outline, "pages": pages}, ensure_ascii=False, indent=2))
        return 0
    tokens = sum(route.size(page) for page in document.pages)
    whole_of = f"{len(pages):,} of {document.total:,} pages"
    _tell(f"{document.title}: {document.kind}, {whole_of}, about {tokens:,} tokens")
    for problem in document.problems:
        _tell(problem)
    for page in document.pages:
        only = ", a picture only" if page.image_only else ""
        size = f"  {page.label}: about {route.size(page):,} tokens{only}"
        _tell(f"\n--- {page.label} ---\n{page.text}" if text else size)
    return 0


@contextlib.contextmanager
def lent(names: Sequence[str]) -> Iterator[list[Path]]:
    """The files that names mean, else documents of the library, under their titles. Raises BackendError."""
    with tempfile.TemporaryDirectory(prefix="glm-chat-") as folder:
        yield [_lent(name, Path(folder) / str(n)) for n, name in enumerate(names)]


# --- names -----------------------------------------------------------------------------------------------


def _lent(name: str, folder: Path) -> Path:
    path = Path(name).expanduser().absolute()
    if path.is_file():
        return path
    config = Config()
    with opened(config) as store:
        found = _of_library(store, name)
    if found is None or not (blob := Blobs(config.blobs).path(found.sha256)).exists():
        raise BackendError(f"{UNKNOWN.format(name)}. Nothing was asked.")
    folder.mkdir()
    link = folder / (found.title.replace("/", "_").strip(".") or "document")
    link.symlink_to(blob)  # a document is called what its file is
    return link


def _of_library(store: Store, name: str) -> StoredDocument | None:
    """By its whole title, else by the only one that begins so."""
    found = store.library()
    exact = [one for one in found if one.title == name]
    begins = [one for one in found if one.title.casefold().startswith(name.casefold())]
    return exact[0] if exact else begins[0] if len(begins) == 1 else None


def _read(name: str) -> Read:
    path, title = Path(name).expanduser().absolute(), Path(name).name
    try:
        if not path.is_file():
            config = Config()
            with opened(config) as store:
                if (found := _of_library(store, name)) is None:
                    raise BackendError(f"{UNKNOWN.format(name)}.")
                if read := intake.read_before(store, found.sha256):
                    return read
            # an older reader made what is there
            path, title = Blobs(config.blobs).path(found.sha256), found.title
        told = partial(_progress, title)
        return intake.read_file("", path, title, told, lambda: False)
    except Unreadable as error:
        raise BackendError(f"{name}: {error}") from error


def _file(name: str) -> Path:
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise BackendError(f"{name}: there is no such file. It was not added.")
    return path


# --- words -----------------------------------------------------------------------------------------------


def _told(one: StoredDocument, chats: Sequence[str]) -> dict[str, Any]:
    return {
        "title": one.title, "kind": one.kind, "pages": one.pages, "total": one.total,
        "problems": list(one.problems), "sha256": one.sha256, "chats": list(chats),
    }  # fmt: skip


def _used(chats: Sequence[str]) -> str:
    if not chats:
        return "No chat uses it."
    return f"{len(chats)} {'chat has' if len(chats) == 1 else 'chats have'} it: {', '.join(chats[:3])}"


def _progress(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        told = f"{harmless(name)}: page {done:,}" + (f" of {total:,}" if total else "")
        print(f"\r\x1b[K{told}", end="" if done < total else "\r\x1b[K", file=sys.stderr, flush=True)


def _tell(words: str, to: TextIO | None = None) -> None:
    """Names and pages are others' words: they must not steer the terminal."""
    print(harmless(words), file=to)
