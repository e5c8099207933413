"""One chat turn, from the question to the stored answer.

Knows: how a draft becomes stored parts, how the stored path becomes a Request, how the answer is kept: a
checkpoint every half second, then one final state.
Does not know: threads, windows, SQL, MLX.
"""

from __future__ import annotations

import logging
import mimetypes
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import mlx_backend as backend
from app import disk
from app.answering import Answering, Live
from app.blobs import Blobs
from app.choices import Choices, read
from app.look import look as valid
from app.store import Begun, DiskTrouble, Message, Part, Status, Store, StoredBlob
from mlx_backend import BackendError, BadMedia

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 0.5  # 0.03 ms each: what a crash can take is half a second of words
RETRY_SECONDS = 2.0  # until an answer that the disk had no room for is tried again
TITLE_LENGTH = 60
# A question that failed for what it holds would fail again with every later one: it is left out from then on.
SELF_INFLICTED = (backend.BadMedia.__name__, backend.ContextTooLong.__name__, backend.OutOfMemory.__name__)
UNEXPECTED = (
    "Something went wrong inside GLM Chat. What was answered so far is kept, and the details are in the log. "
    "Ask again; if it happens again, restart the app."
)
# not in Python's own table on every system it runs on
mimetypes.add_type("image/webp", ".webp")
mimetypes.add_type("image/heic", ".heic")
mimetypes.add_type("image/heif", ".heif")
mimetypes.add_type("image/avif", ".avif")
mimetypes.add_type("video/x-matroska", ".mkv")


class Streaming(Protocol):
    """All that a turn asks of an engine."""

    def stream(
        self, request: backend.Request, cancel: threading.Event | None = None
    ) -> Iterator[backend.Event]: ...


class Cancel(threading.Event):
    """Ends an answer once set. by_person: somebody pressed Stop, as opposed to the app being closed."""

    by_person = True


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


# --- before: the draft is stored -------------------------------------------------------------------------


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
        _file_part(file, blob, look)
        for file, blob, look in zip(draft.files, stored, _looks(draft), strict=True)
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
    """What a file is by its name. Raises BadDraft if it is neither a picture nor a video."""
    kind, packed = mimetypes.guess_type(file.name)
    if kind is None or packed or not kind.startswith(("image/", "video/")):
        raise BadDraft(f"{file.name} is neither a picture nor a video. Remove it and send again.")
    return kind


def _put(blobs: Blobs, file: Path, media_type: str) -> StoredBlob:
    try:
        blob = blobs.put(file)
    except OSError as error:
        log.warning("could not store an attachment: %s", type(error).__name__)  # never its name
        why = error.strerror or "it cannot be read"
        raise BadDraft(f"{file.name} could not be stored: {why}. Nothing was sent.") from error
    return StoredBlob(blob.sha256, media_type, blob.bytes)


def _looks(draft: Draft) -> Sequence[Mapping[str, float]]:
    return [*draft.looks, *[{}] * len(draft.files)][: len(draft.files)]


def _file_part(file: Path, blob: StoredBlob, look: Mapping[str, float]) -> Part:
    data = {"name": file.name, "media_type": blob.media_type}
    if blob.media_type.startswith("image/"):
        return Part("image", "", blob.sha256, data)
    return Part("video", "", blob.sha256, {**data, **valid(look)})


# --- asking: the path becomes a request ------------------------------------------------------------------


def request(path: Sequence[Message], blobs: Blobs) -> backend.Request:
    """The conversation up to its last question, and the answer as far as it came.

    path: as stored, ending in an answer, which is empty unless it is gone on with. Raises BadMedia if a
    stored file is gone.
    """
    return _asked(_turns(path, blobs, path[-1]), read(path[-1].options))


def preview(path: Sequence[Message], blobs: Blobs, draft: Draft) -> backend.Request:
    """What would be asked if the draft were sent now; nothing is copied or stored.

    path: as stored, its answers over. Raises BadDraft for a file that is neither a picture nor a video,
    BadMedia if a stored file is gone.
    """
    content = [_said(part, blobs) for part in draft.kept]
    for file, look in zip(draft.files, _looks(draft), strict=True):
        content.append(_medium(_file_part(file, StoredBlob("", media_type(file), 0), look), file))
    if text := draft.text.strip():
        content.append(backend.Text(text))
    asked = backend.Message("user", tuple(content), draft.choices.thinking)
    return _asked([*_turns(path, blobs), asked], draft.choices)


def _turns(path: Sequence[Message], blobs: Blobs, unfinished: Message | None = None) -> list[backend.Message]:
    """unfinished: the answer that is to come or to be gone on with."""
    messages: list[backend.Message] = []
    for question, answer in zip(path[::2], path[1::2], strict=True):
        if answer is not unfinished and left_out(answer):
            continue
        thinking = bool(answer.options.get("thinking", True))
        content = tuple(_said(part, blobs) for part in question.parts)
        messages.append(backend.Message("user", content, thinking))
        words, reasoning = _answered(answer), _reasoning(answer)
        if words or (reasoning and answer is unfinished):
            messages.append(backend.Message("assistant", words, reasoning=reasoning))
    return messages


def _asked(messages: list[backend.Message], choices: Choices) -> backend.Request:
    if choices.system:
        messages.insert(0, backend.Message("system", (backend.Text(choices.system),)))
    return backend.Request(
        tuple(messages),
        thinking=choices.thinking,
        sampling=choices.sampling,
        max_tokens=choices.max_tokens,
        thinking_budget=choices.thinking_budget or None,
        max_image_tokens=choices.max_image_tokens,
        go_on=bool(messages) and messages[-1].role == "assistant",
    )


def left_out(answer: Message) -> bool:
    """Whether an answer failed for what its question holds: later requests are made without both."""
    kinds = [part.data.get("kind") for part in answer.parts if part.type == "error"]
    return any(kind in SELF_INFLICTED for kind in kinds) and not _answered(answer)


def _said(part: Part, blobs: Blobs) -> backend.Part:
    if part.sha256 is None:
        return backend.Text(part.text)
    file = blobs.path(part.sha256)
    if not file.exists():
        raise BadMedia(_name(part), "its stored copy is missing. Attach it again in a new chat.")
    return _medium(part, file)


def _medium(part: Part, file: Path) -> backend.Image | backend.Video:
    if part.type == "image":
        return backend.Image(file, _name(part))
    return backend.Video(file, _name(part), **valid(part.data))


def _name(part: Part) -> str:
    return str(part.data.get("name", "attachment"))


def _answered(answer: Message) -> tuple[backend.Part, ...]:
    kinds: dict[str, type[backend.Text | backend.Boxed]] = {"text": backend.Text, "box": backend.Boxed}
    return tuple(kinds[part.type](part.text) for part in answer.parts if part.type in kinds and part.text)


def _reasoning(answer: Message) -> str:
    return "".join(part.text for part in answer.parts if part.type == "reasoning")


# --- answering: events are kept --------------------------------------------------------------------------


def run(
    store: Store,
    blobs: Blobs,
    engine: Streaming,
    begun: Begun,
    cancel: Cancel,
    publish: Callable[[Live], None],
) -> None:
    """Ask the engine and keep its answer; returns when the answer's last state is stored. Never raises.

    cancel: set it to stop. publish: called with every new state, from this thread.
    """
    answering = Answering(publish)
    problem: Part | None = None
    try:
        path = store.path(begun.conversation_id)
        answering = Answering(publish, path[-1].parts if path else ())
        publish(answering.live)
        asked = request(path, blobs)
        _keep(store, begun.answer_id, engine.stream(asked, cancel), answering, cancel)
    except BackendError as error:
        problem = Part("error", error.message, None, {"kind": type(error).__name__})
    except Exception:
        log.exception("a turn failed")
        problem = Part("error", UNEXPECTED, None, {"kind": "unexpected"})
    _finish(store, begun.answer_id, answering, problem, cancel)


def _keep(
    store: Store,
    answer_id: str,
    events: Iterator[backend.Event],
    answering: Answering,
    cancel: threading.Event,
) -> None:
    checked = time.monotonic()
    for event in events:
        answering.add(event)
        if time.monotonic() - checked >= CHECKPOINT_SECONDS:
            checked = time.monotonic()
            if not _checkpoint(store, answer_id, answering.parts()):
                cancel.set()  # the conversation was deleted: nobody waits for this answer


def _checkpoint(store: Store, answer_id: str, parts: Sequence[Part]) -> bool:
    try:
        return store.checkpoint(answer_id, parts)
    except DiskTrouble as error:
        log.warning("an answer could not be kept so far: %s", error)
        return True  # nothing is lost while it goes on: the next one holds all of it again


def _finish(store: Store, answer_id: str, answering: Answering, problem: Part | None, cancel: Cancel) -> None:
    done, parts = answering.done, answering.parts()
    status: Status = "complete"
    reason = done.reason if done else None
    if problem is not None:
        status, parts = "error", (*parts, problem)
    elif done is None or done.reason == "cancelled":
        status, reason = "interrupted", "cancelled" if cancel.by_person else None
    stats = asdict(done.stats) if done else {}
    if answering.saw:
        stats["saw"] = [asdict(shown) for shown in answering.saw]
    try:
        while not _stored(store, answer_id, parts, status, reason, stats):
            answering.publish(Live((*parts, Part("error", disk.UNSTORED, None, {"kind": "disk"}))))
            if cancel.is_set() and not cancel.by_person:
                return  # the app ends: what the last checkpoint kept is there at the next start
            time.sleep(RETRY_SECONDS)
    except Exception:
        log.exception("an answer could not be stored")


def _stored(store: Store, *last_state: Any) -> bool:
    try:
        store.finish(*last_state)
    except DiskTrouble:
        return False
    return True
