"""What the store takes and gives: frozen values, and the errors of what cannot be done.

Knows: the shape of conversations, messages and their parts.
Does not know: SQL, files.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["streaming", "complete", "interrupted", "error"]
PartType = Literal["text", "reasoning", "image", "video", "document", "box", "citation", "error"]
ENDED: tuple[Status, ...] = ("complete", "interrupted", "error")

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class UnknownConversation(Exception):
    """The conversation does not exist (any more); nothing was written."""

    def __init__(self) -> None:
        super().__init__(
            "This conversation no longer exists. Nothing was sent. Start a new chat and send again."
        )


class UnknownMessage(Exception):
    """The message does not exist (any more) or is not of the kind that was meant; nothing was written."""

    def __init__(self) -> None:
        super().__init__("This message no longer exists. Nothing was changed. Reload the page.")


class StillAnswering(Exception):
    """The conversation's last message is not finished; nothing was written."""

    def __init__(self) -> None:
        super().__init__("This conversation is still being answered. Stop the answer first, or wait for it.")


@dataclass(frozen=True)
class Part:
    """A piece of a message: words, a file, a place in a picture, or a quotation of a document.

    text: of a citation, as the model wrote it. sha256: for image, video and document, the content. data: file
    name, media type, bounding boxes, seconds of thought, where quoted words stand.
    """

    type: PartType
    text: str = ""
    sha256: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """One message on the visible path.

    options, reason and stats belong to answers: what the answer was asked with, how its stream ended, what it
    cost and what the model was shown (see costs.py; what is not known is left out).
    evidence belongs to questions: what of documents was laid before the model with it (see app/library.py).
    variants: ids of this message and of all that could stand in its place, oldest first.
    """

    id: str
    role: Literal["user", "assistant"]
    status: Status
    parts: tuple[Part, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    stats: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Conversation:
    """A line of the sidebar. Times are seconds since 1970; trashed_at None: not in the trash."""

    id: str
    title: str
    created_at: float
    updated_at: float
    pinned: bool = False
    folder: str | None = None
    trashed_at: float | None = None


@dataclass(frozen=True)
class Found:
    """A conversation that a search found.

    words: of the best message, as runs of text of which every second one, from the second on, is a match;
    empty where the title alone matched. message_id: of that message.
    """

    conversation: Conversation
    words: tuple[str, ...] = ()
    message_id: str | None = None


@dataclass(frozen=True)
class StoredBlob:
    """A media file to be known to the database. bytes: its size."""

    sha256: str
    media_type: str
    bytes: int


@dataclass(frozen=True)
class Begun:
    """Names of what was written when a turn began."""

    conversation_id: str
    question_id: str
    answer_id: str


def ulid(now: float) -> str:
    """26 characters that sort by time to the millisecond, then at random.

    now: seconds since 1970. Source: the ULID specification, 48 bits of time and 80 random ones in Crockford's
    base 32.
    """
    number = (int(now * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
