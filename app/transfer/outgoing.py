"""Conversations leave as a zip: pages of Markdown with their media, or everything as JSON with media.

Knows: what lies where in the zip, which conversations and files go into it.
Does not know: SQL, how a page or the JSON is written, the window.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.blobs import Blobs
from app.store import Store, Tree
from app.transfer import archive
from app.transfer.loose import Watch
from app.transfer.markdown import page, visible
from app.transfer.media import extension
from app.transfer.names import Names

DOCUMENTS = (".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".epub", ".html", ".md", ".txt")


class BadExport(Exception):
    """The export could not be written; there is no file. Its text is for the person at the screen."""


@dataclass(frozen=True)
class Exported:
    """What was written. files: pictures, videos and documents in it; missing: those whose copy is gone.

    stopped: by the person, and then there is no file.
    """

    conversations: int = 0
    files: int = 0
    missing: int = 0
    stopped: bool = False


class _Stopped(Exception):
    pass


def export_markdown(
    store: Store,
    blobs: Blobs,
    target: Path,
    conversations: Sequence[str] | None = None,
    *,
    progress: Watch | None = None,
    cancel: threading.Event | None = None,
) -> Exported:
    """Write a zip with a page for each conversation's visible messages, and media/ beside the pages.

    conversations: their ids, None for all outside the trash; unknown ones are left out. progress: called
    with the share that is done, 0 to 1. Raises BadExport where the disk does not take it; target is unchanged
    then.
    """
    with _writing(target, progress, cancel) as out:
        pages, media, names = Names(), Names(), dict[str, str]()
        for tree in out.trees(store, conversations):
            for sha256, called in _files(tree, visible_only=True):
                if sha256 not in names and blobs.path(sha256).exists():
                    ending = _ending(store, sha256, called)
                    names[sha256] = media.give(Path(called).stem, "file", ending)
                elif sha256 not in names:
                    out.missing.add(sha256)
            out.zip.writestr(pages.give(tree.title, "Untitled chat", "md"), page(tree, names))
        for sha256, name in names.items():
            out.add(blobs.path(sha256), f"media/{name}")
    return out.result()


def export_archive(
    store: Store,
    blobs: Blobs,
    target: Path,
    conversations: Sequence[str] | None = None,
    *,
    progress: Watch | None = None,
    cancel: threading.Event | None = None,
) -> Exported:
    """Write a zip with conversations.json and media/, from which import_file makes the same again.

    As export_markdown otherwise. The trash, settings and the search index are not in it.
    """
    with _writing(target, progress, cancel) as out:
        wanted: dict[str, str] = {}
        with out.zip.open("conversations.json", "w", force_zip64=True) as told:
            told.write(archive.opening(time.time()).encode())
            for n, tree in enumerate(out.trees(store, conversations)):
                told.write((",\n" if n else "").encode() + archive.told(tree).encode())
                wanted |= dict(_files(tree, visible_only=False))
                wanted |= {held.sha256: held.title for held in tree.documents}
            told.write(archive.CLOSING.encode())
        for sha256, called in wanted.items():
            file = blobs.path(sha256)
            if file.exists():
                out.add(file, f"media/{sha256}.{_ending(store, sha256, called)}")
            else:
                out.missing.add(sha256)
    return out.result()


def _files(tree: Tree, *, visible_only: bool) -> Iterator[tuple[str, str]]:
    """Content and name of every file in it."""
    for node in visible(tree) if visible_only else tree.nodes:
        for part in node.parts:
            if part.sha256 is not None:
                yield part.sha256, str(part.data.get("name") or part.type)


def _ending(store: Store, sha256: str, called: str) -> str:
    """What the name of a file ends with; a document keeps its own ending if a document's can be so."""
    own = Path(called).suffix.lower()
    known = extension(store.media_type(sha256))
    return own[1:] if known == "bin" and own in DOCUMENTS else known


class _Writing:
    """A zip on its way, and what has gone into it."""

    def __init__(self, packed: zipfile.ZipFile, progress: Watch, cancel: threading.Event) -> None:
        self.zip = packed
        self.missing: set[str] = set()
        self.stopped = False
        self._progress, self._cancel = progress, cancel
        self._conversations = self._files = 0

    def result(self) -> Exported:
        if self.stopped:
            return Exported(stopped=True)
        return Exported(self._conversations, self._files, len(self.missing))

    def trees(self, store: Store, conversations: Sequence[str] | None) -> Iterator[Tree]:
        wanted = store.every_conversation() if conversations is None else tuple(dict.fromkeys(conversations))
        for n, conversation in enumerate(wanted):
            self._look_up()
            if (tree := store.whole(conversation)) is not None:
                yield tree
                self._conversations += 1
            self._progress(0.9 * (n + 1) / len(wanted))

    def add(self, file: Path, name: str) -> None:
        """Pictures and videos are packed already: packing them again would only take time."""
        self._look_up()
        self.zip.write(file, name, zipfile.ZIP_STORED)
        self._files += 1

    def _look_up(self) -> None:
        if self._cancel.is_set():
            raise _Stopped


@contextlib.contextmanager
def _writing(target: Path, progress: Watch | None, cancel: threading.Event | None) -> Iterator[_Writing]:
    """The zip appears whole under its name, or not at all."""
    watch = progress or (lambda share: None)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".export-")
        os.close(handle)
        try:
            with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
                out = _Writing(packed, watch, cancel or threading.Event())
                try:
                    yield out
                except _Stopped:
                    out.stopped = True
            if not out.stopped:
                Path(name).replace(target)
                watch(1.0)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or "it cannot be written"
        raise BadExport(
            f"{target.name} could not be written: {why}. There is no export; try another place."
        ) from error
