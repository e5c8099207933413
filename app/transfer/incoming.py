"""An export of this app, ChatGPT or Claude becomes conversations here.

Knows: what kind of file it is (by what is in it, not by its name), what is there already, what was left out.
Does not know: how each format tells a message, SQL, the window.

An import only ever adds. A conversation is there already if one outside the trash holds every message of it:
the same words and files, at the same time, after the same messages. So a file may be imported twice, also
after its conversations were renamed, moved or gone on with here; one that went on elsewhere comes in beside
the old one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from app import intake
from app.blobs import Blobs
from app.store import DiskTrouble, Held, Part, Store, StoredBlob, Tree
from app.transfer import archive, chatgpt, claude
from app.transfer.grow import grow
from app.transfer.lent import believed, read_again
from app.transfer.loose import BadImport, Broken, Chat, File, Watch, file_name, note, one_line
from app.transfer.media import EXTENSIONS, extension, media_type
from app.transfer.source import Limits, Source

log = logging.getLogger(__name__)

Read = Callable[[dict[str, Any]], Chat]
KNOWN: tuple[tuple[Callable[[Any], bool], Read], ...] = (
    (chatgpt.is_chatgpt, chatgpt.read),
    (claude.is_claude, claude.read),
)
MAX_DOCUMENTS = 1000
UNKNOWN = "no conversations in it can be read. GLM Chat reads its own exports, ChatGPT's and Claude's"
ASSET_NAMES = "conversation_asset_file_names.json"  # in ChatGPT's newer exports: what people call the files


@dataclass(frozen=True)
class Imported:
    """What came of an import. skipped: a sentence for each conversation or document that could not be read.

    files: pictures, videos and documents that could not be taken over; a note stands in their place.
    stopped: before the end, by the person; what had been imported by then is kept.
    """

    conversations: int = 0
    already_there: int = 0
    skipped: tuple[str, ...] = ()
    files: int = 0
    stopped: bool = False

    def __str__(self) -> str:
        told = [f"{_many(self.conversations, 'conversation')} imported"]
        told += [f"{self.already_there:,} already there"] if self.already_there else []
        told += [f"{len(self.skipped):,} could not be read"] if self.skipped else []
        told += (
            [f"{_many(self.files, 'picture or video', 'pictures or videos')} left out"] if self.files else []
        )
        return ("Stopped. " if self.stopped else "") + ", ".join(told) + "."


def import_file(
    store: Store,
    blobs: Blobs,
    file: Path,
    *,
    progress: Watch | None = None,
    opening: intake.Told | None = None,
    cancel: threading.Event | None = None,
    limits: Limits | None = None,
) -> Imported:
    """Take over every conversation of an export: a zip, or its JSON alone.

    progress: called with the share that is done, 0 to 1, after each conversation; opening: while a document
    of one is read. cancel: set it to stop after this conversation, or in the middle of such a document.
    Raises BadImport where nothing in the file can be read, or the disk is full; its text says what is kept.
    """
    with Source(file, limits) as source, tempfile.TemporaryDirectory() as folder:
        media = _Media(source, store, blobs, Path(folder), opening or (lambda name, done, total: None))
        importing = _Importing(store, media, cancel or threading.Event(), progress or (lambda share: None))
        try:
            importing.run(source)
        except (OSError, DiskTrouble) as error:
            why = getattr(error, "strerror", None) or error
            raise BadImport(
                f"{file.name} was imported in part: the disk answered «{why}». "
                f"{importing.kept()} Make room and import it again; nothing will be there twice."
            ) from error
        return importing.result()


# --- finding the conversations ---------------------------------------------------------------------------


def conversations_in(document: Any) -> tuple[list[Any], Read] | None:
    """The conversations of a document, unread, and how to read each. None: it is of no kind that is known.

    Raises BadImport where it is ours and cannot be read at all.
    """
    if archive.is_ours(document):
        return archive.conversations(document), archive.read
    inside = document.get("conversations") if isinstance(document, dict) else document
    listed = inside if isinstance(inside, list) else [document]
    for known, read in KNOWN:
        if any(known(item) for item in listed):
            return listed, read
    return None


class _Importing:
    """One import as it goes on."""

    def __init__(self, store: Store, media: _Media, cancel: threading.Event, progress: Watch) -> None:
        self._store, self._media, self._cancel, self._progress = store, media, cancel, progress
        self._there = _There(store)
        self._conversations = self._already = self._files = 0
        self._skipped: list[str] = []

    def result(self) -> Imported:
        return Imported(
            self._conversations, self._already, tuple(self._skipped), self._files, self._cancel.is_set()
        )

    def kept(self) -> str:
        return f"{_many(self._conversations, 'conversation')} had been imported by then and are kept."

    def run(self, source: Source) -> None:
        documents = source.documents()
        if len(documents) > MAX_DOCUMENTS:
            left = len(documents) - MAX_DOCUMENTS
            self._skipped.append(f"{left:,} documents after the first {MAX_DOCUMENTS:,} were not opened.")
            documents = documents[:MAX_DOCUMENTS]
        size, before, known = sum(size for _, size in documents) or 1, 0, False
        for name, length in documents:
            if self._cancel.is_set():
                return
            try:
                found = conversations_in(source.json(name))
            except BadImport as error:
                if len(documents) == 1:
                    raise
                self._skipped.append(str(error))
                found = None
            if found is not None:
                known = True
                self._document(*found, before / size, length / size)
            before += length
        if not known:
            why = f" {' '.join(self._skipped[:3])}" if self._skipped else ""
            raise BadImport(f"{source.file.name}: {UNKNOWN}. Nothing was imported.{why}")
        self._progress(1.0)

    def _document(self, listed: list[Any], read: Read, before: float, share: float) -> None:
        for n, value in enumerate(listed):
            if self._cancel.is_set():
                return
            self._one(value, read, n)
            listed[n] = None  # it may be large, and is not needed any more
            self._progress(before + share * (n + 1) / len(listed))

    def _one(self, value: Any, read: Read, n: int) -> None:
        title = f"Conversation {n + 1}"
        try:
            if not isinstance(value, dict):
                raise Broken("it is not a conversation.")
            title = one_line(value.get("title")) or one_line(value.get("name")) or title
            self._media.left_out = 0
            self._keep(grow(read(value), self._media.settle))
        except Broken as error:
            self._skipped.append(f"{title}: {error}")
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError):
            log.exception("a conversation could not be imported")
            self._skipped.append(
                f"{title}: it is not built as conversations are. The details are in the log."
            )

    def _keep(self, tree: Tree) -> None:
        if self._there.holds(tree):
            self._already += 1
            return
        documents = [self._media.document(held, self._cancel.is_set) for held in tree.documents]
        if self._cancel.is_set() and None in documents:
            return  # in the middle of a document
        tree = believed(self._store, tree, documents)
        self._store.plant(tree, self._media.of(tree), documents)
        self._there.add(tree)
        self._conversations += 1
        self._files += self._media.left_out


# --- what is there already -------------------------------------------------------------------------------


def marks(tree: Tree) -> tuple[bytes, ...]:
    """A mark for each message: equal where it and all before it say the same at the same time."""
    made: list[bytes] = []
    for node in tree.nodes:
        above = made[node.parent] if node.parent is not None else b""
        said = [node.role, node.created_at, [asdict(_plain(part)) for part in node.parts]]
        digest = hashlib.blake2b(above, digest_size=16)
        digest.update(json.dumps(said, sort_keys=True).encode())
        made.append(digest.digest())
    return tuple(made)


def _plain(part: Part) -> Part:
    """A part without what was found out about it here."""
    if part.type != "citation":
        return part
    return replace(part, data={name: part.data.get(name) for name in ("number", "words")})


class _There:
    """The conversations that are there, read only where one may be the same."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begun = store.beginnings()
        self._by_first: dict[bytes, list[frozenset[bytes]]] = {}

    def holds(self, tree: Tree) -> bool:
        for conversation in self._begun.pop(tree.nodes[0].created_at, ()):
            if (there := self._store.whole(conversation)) is not None:
                self.add(there)
        wanted = marks(tree)
        return any(held.issuperset(wanted) for held in self._by_first.get(wanted[0], ()))

    def add(self, tree: Tree) -> None:
        made = marks(tree)
        for mark, node in zip(made, tree.nodes, strict=True):
            if node.parent is None:
                self._by_first.setdefault(mark, []).append(frozenset(made))


# --- media -----------------------------------------------------------------------------------------------


class _Media:
    """Puts files of the export away, each once. left_out: how many could not be since it was set to 0."""

    def __init__(
        self, source: Source, store: Store, blobs: Blobs, folder: Path, opening: intake.Told
    ) -> None:
        self.left_out = 0
        self._source, self._store, self._blobs, self._folder = source, store, blobs, folder
        self._opening = opening
        self._put: dict[str, tuple[StoredBlob, str] | str] = {}  # by key: the file and its name, or why not
        self._stored: dict[str, StoredBlob] = {}
        self._names = self._asset_names()

    def settle(self, file: File) -> Part:
        """The part of a file that is in its place; a note in its stead where that cannot be."""
        found = self._found(file)
        if isinstance(found, str):
            self.left_out += 1
            return note(f"{file.name}, {found}")
        blob, name = found
        self._stored[blob.sha256] = blob
        if file.document:
            return Part(
                "document", "", blob.sha256, {"name": name, "media_type": blob.media_type, **file.data}
            )
        kind = blob.media_type.split("/")[0]
        data = {"name": name, "media_type": blob.media_type, **file.data}
        if not str(data["media_type"]).startswith(kind):
            data["media_type"] = blob.media_type
        return Part("image" if kind == "image" else "video", "", blob.sha256, data)

    def document(self, held: Held, stopped: Callable[[], bool]) -> int | None:
        """A document's number, read now if it was not before; None: it is not there or cannot be read."""
        if not held.sha256:
            return None
        found = self._found(File(held.sha256, held.sha256, {"name": held.title}, document=True))
        if isinstance(found, str):
            return None
        return read_again(self._store, self._blobs, held, stopped, self._opening)

    def _found(self, file: File) -> tuple[StoredBlob, str] | str:
        key = f"document {file.key}" if file.document else file.key
        if key not in self._put:
            self._put[key] = self._store_away(file)
        return self._put[key]

    def of(self, tree: Tree) -> Iterator[StoredBlob]:
        shas = {part.sha256 for node in tree.nodes for part in node.parts if part.sha256}
        return (self._stored[sha256] for sha256 in sorted(shas))

    def _store_away(self, file: File) -> tuple[StoredBlob, str] | str:
        entry = self._source.find(file.key)
        if entry is None:
            return self._at_home(file) or "its file is not in the export"
        temporary = self._folder / "media"
        try:
            with temporary.open("wb") as out:
                head, sha256 = self._source.copy(entry, out)
        except BadImport as error:
            return str(error)
        kind = intake.media_type(temporary) if file.document else media_type(head)
        if kind is None and file.document:
            return "which is not a document that can be read"
        if kind is None:
            return "which is neither a picture nor a video that can be shown"
        if file.sha256 not in (None, sha256):
            return "whose content is not what the export says it is"
        blob = self._blobs.put(temporary)
        name = file.name if file.document else self._name(entry, kind)
        return StoredBlob(blob.sha256, kind, blob.bytes), name

    def _at_home(self, file: File) -> tuple[StoredBlob, str] | None:
        """A JSON without its zip may still name what is here."""
        kind = self._store.media_type(file.sha256) if file.sha256 else None
        if file.sha256 is None or kind is None or not (path := self._blobs.path(file.sha256)).exists():
            return None
        blob = self._blobs.put(path)  # young again: it will not be swept before it is needed
        return StoredBlob(blob.sha256, kind, blob.bytes), file.name

    def _name(self, entry: str, kind: str) -> str:
        """What a person may have called it; only a name that ends as such a file does is a picture's name."""
        base = entry.rsplit("/", 1)[-1]
        name = self._names.get(base) or file_name(base)
        ending = name.rsplit(".", 1)[-1].lower()
        known = ending in {*EXTENSIONS.values(), "jpeg", "tiff"}
        return name if known else f"{name.removesuffix('.dat') or 'picture'}.{extension(kind)}"

    def _asset_names(self) -> dict[str, str]:
        entry = self._source.find(ASSET_NAMES)
        try:
            names = self._source.json(entry) if entry else {}
        except BadImport:
            return {}  # only names: the files have others
        items = names.items() if isinstance(names, dict) else ()
        return {key: named for key, name in items if (named := file_name(name))}


def _many(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"
