"""What a person is about to send, and how it is stored with the empty answer to it.

Knows: which files can be sent and as what, how a draft becomes stored parts.
Does not know: how it is asked (turn.py), threads, windows, SQL.
"""

from __future__ import annotations

import logging
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app import disk, intake
from app.blobs import Blobs
from app.choices import Choices
from app.look import look as valid
from app.store import Begun, DiskTrouble, Part, Store, StoredBlob

log = logging.getLogger(__name__)

TITLE_LENGTH = 60
# not in Python's own table on every system it runs on
mimetypes.add_type("image/webp", ".webp")
mimetypes.add_type("image/heic", ".heic")
mimetypes.add_type("image/heif", ".heif")
mimetypes.add_type("image/avif", ".avif")
mimetypes.add_type("video/x-matroska", ".mkv")


class BadDraft(Exception):
    """The draft cannot be sent; nothing was stored. Its text is for the person at the screen."""


@dataclass(frozen=True)
class Draft:
    """What a person is about to send.

    files: where they lie now; their last component is the name shown. kept: pictures and videos of an earlier
    wording of this question, stored already. instead_of: that earlier question; None: this one follows the
    last. looks: how the videos among `files` are looked at, by position: {"fps", "start", "end"}, as it goes
    into Part.data.
    """

    text: str
    files: tuple[Path, ...] = ()
    choices: Choices = field(default_factory=Choices)
    kept: tuple[Part, ...] = ()
    instead_of: str | None = None
    looks: tuple[Mapping[str, float], ...] = ()


def begin(store: Store, blobs: Blobs, conversation_id: str | None, draft: Draft) -> Begun:
    """Store the question, its files and an empty answer.

    Raises BadDraft, UnknownConversation, UnknownMessage or StillAnswering; then no message was written.
    """
    text = draft.text.strip()
    if not text and not draft.files and not draft.kept:
        raise BadDraft("There is nothing to send yet. Type a message or attach a picture or a video.")
    kinds = [media_type(file) for file in draft.files]  # all of them before the first copy
    if short := disk.shortage(blobs, draft.files):
        raise BadDraft(short)
    stored = [_put(blobs, file, kind) for file, kind in zip(draft.files, kinds, strict=True)]
    added = [
        file_part(file, blob, look)
        for file, blob, look in zip(draft.files, stored, looks_of(draft), strict=True)
    ]
    parts = [*draft.kept, *added]
    if text:
        parts.append(Part("text", text))
    options = draft.choices.options()
    try:
        return store.begin_turn(
            conversation_id, title_of(draft), parts, stored, options, instead_of=draft.instead_of
        )
    except DiskTrouble as error:
        raise BadDraft(f"Your message could not be stored: {error}. Nothing was sent.") from error


def title_of(draft: Draft) -> str:
    """The first words of the question, cut between words; without words, the first file's name."""
    words = " ".join(draft.text.split()) or (draft.files[0].name if draft.files else "New chat")
    if len(words) <= TITLE_LENGTH:
        return words
    cut = words[:TITLE_LENGTH].rsplit(" ", 1)[0] if " " in words[:TITLE_LENGTH] else words[:TITLE_LENGTH]
    return cut.rstrip(" ,;:.–-") + "…"


def media_type(file: Path) -> str:
    """What a file is: a picture or a video by its name, a document by its content.

    Raises BadDraft if it is none of them.
    """
    kind, packed = mimetypes.guess_type(file.name)
    if kind is not None and not packed and kind.startswith(("image/", "video/")):
        return kind
    if (document := intake.media_type(file)) is not None:
        return document
    raise BadDraft(
        f"{file.name} is neither a picture, a video nor a document that can be read. "
        "Remove it and send again."
    )


def _put(blobs: Blobs, file: Path, media_type: str) -> StoredBlob:
    try:
        blob = blobs.put(file)
    except OSError as error:
        log.warning("could not store an attachment: %s", type(error).__name__)  # never its name
        why = error.strerror or "it cannot be read"
        raise BadDraft(f"{file.name} could not be stored: {why}. Nothing was sent.") from error
    return StoredBlob(blob.sha256, media_type, blob.bytes)


def looks_of(draft: Draft) -> Sequence[Mapping[str, float]]:
    return [*draft.looks, *[{}] * len(draft.files)][: len(draft.files)]


def file_part(file: Path, blob: StoredBlob, look: Mapping[str, float]) -> Part:
    data = {"name": file.name, "media_type": blob.media_type}
    if blob.media_type.startswith("image/"):
        return Part("image", "", blob.sha256, data)
    if not blob.media_type.startswith("video/"):
        return Part("document", "", blob.sha256, data)
    return Part("video", "", blob.sha256, {**data, **valid(look)})
