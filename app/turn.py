"""One chat turn, from the question to the stored answer.

Knows: how the stored path becomes a Request, how the answer is kept: a checkpoint every half second, then one
final state.
Does not know: how a draft is stored (drafts.py), how documents are read (library.py), threads, windows, SQL,
MLX.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import mlx_backend as backend
from app import disk, intake, library
from app.answering import Answering, Live, Opening
from app.blobs import Blobs
from app.choices import Choices, read
from app.drafts import BadDraft, Draft, begin, file_part, looks_of, media_type, title_of
from app.library import Laid
from app.look import look as valid
from app.store import Begun, DiskTrouble, Message, Part, Status, Store, StoredBlob
from mlx_backend import BackendError, BadMedia

__all__ = [
    "SELF_INFLICTED", "BadDraft", "Cancel", "Draft", "Streaming", "begin", "kept", "left_out", "media_type",
    "preview", "request", "run", "title_of",
]  # fmt: skip

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 0.5  # 0.03 ms each: what a crash can take is half a second of words
RETRY_SECONDS = 2.0  # until an answer that the disk had no room for is tried again
# A question that failed for what it holds would fail again with every later one: it is left out from then on.
SELF_INFLICTED = tuple(
    kind.__name__
    for kind in (backend.BadMedia, backend.ContextTooLong, backend.OutOfMemory, backend.NotEnoughMemory)
)
UNEXPECTED = (
    "Something went wrong inside GLM Chat. What was answered so far is kept, and the details are in the log. "
    "Ask again; if it happens again, restart the app."
)


class Streaming(Protocol):
    """All that a turn asks of an engine."""

    def stream(
        self, request: backend.Request, cancel: threading.Event | None = None
    ) -> Iterator[backend.Event]: ...

    def measure(self, request: backend.Request) -> backend.Measured: ...


class Cancel(threading.Event):
    """Ends an answer once set. by_person: somebody pressed Stop, as opposed to the app being closed."""

    by_person = True


# --- asking: the path becomes a request ------------------------------------------------------------------


NOTHING: Laid = {}  # where no question has documents


def request(path: Sequence[Message], blobs: Blobs, laid: Laid = NOTHING) -> backend.Request:
    """The conversation up to its last question, and the answer as far as it came.

    path: as stored, ending in an answer, which is empty unless it is gone on with. laid: what of documents
    stands before the questions. Raises BadMedia if a stored file is gone.
    """
    return _asked(_turns(path, blobs, laid, path[-1]), read(path[-1].options))


def preview(path: Sequence[Message], blobs: Blobs, draft: Draft, laid: Laid = NOTHING) -> backend.Request:
    """What would be asked if the draft were sent now, but for its documents; nothing is copied or stored.

    path: as stored, its answers over. laid: as in request. Raises BadDraft for a file that cannot be sent,
    BadMedia if a stored file is gone.
    """
    content = [_said(part, blobs) for part in draft.kept if part.type != "document"]
    for file, look in zip(draft.files, looks_of(draft), strict=True):
        part = file_part(file, StoredBlob("", media_type(file), 0), look)
        content += [_medium(part, file)] if part.type != "document" else []
    if text := draft.text.strip():
        content.append(backend.Text(text))
    asked = backend.Message("user", tuple(content), draft.choices.thinking)
    return _asked([*_turns(path, blobs, laid), asked], draft.choices)


def kept(path: Sequence[Message], unfinished: Message | None = None) -> list[Message]:
    """The path without questions that failed for what they hold. unfinished: the answer that is to come."""
    pairs = zip(path[::2], path[1::2], strict=True)
    return [m for pair in pairs if pair[1] is unfinished or not left_out(pair[1]) for m in pair]


def _turns(
    path: Sequence[Message], blobs: Blobs, laid: Laid, unfinished: Message | None = None
) -> list[backend.Message]:
    """unfinished: the answer that is to come or to be gone on with."""
    messages: list[backend.Message] = []
    path = kept(path, unfinished)
    for question, answer in zip(path[::2], path[1::2], strict=True):
        thinking = bool(answer.options.get("thinking", True))
        content = [_said(part, blobs) for part in question.parts if part.type != "document"]
        messages.append(backend.Message("user", (*laid.get(question.id, ()), *content), thinking))
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
    kinds["citation"] = backend.Text  # as the model wrote it: the prompt is what was computed
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
    reads: intake.Reads | None = None,
) -> None:
    """Ask the engine and keep its answer; returns when the answer's last state is stored. Never raises.

    cancel: set it to stop. publish: called with every new state, from this thread. reads: how documents are
    read, see intake.take_in.
    """
    answering = Answering(publish)
    path: Sequence[Message] = ()
    problem: Part | None = None
    try:
        path = store.path(begun.conversation_id)
        answering = Answering(publish, path[-1].parts if path else (), library.highest(path))
        publish(answering.live)
        _take_in(store, blobs, begun, path, cancel, publish, reads)
        path = _with_documents(store, blobs, engine, begun, path, cancel)
        answering.highest = library.highest(path)
        laid = library.lay(store, blobs, begun.conversation_id, path)
        asked = request(path, blobs, laid)
        _keep(store, begun.answer_id, engine.stream(asked, cancel), answering, cancel)
    except BackendError as error:
        problem = Part("error", error.message, None, {"kind": type(error).__name__})
    except Exception:
        log.exception("a turn failed")
        problem = Part("error", UNEXPECTED, None, {"kind": "unexpected"})
    parts = answering.parts()
    try:
        parts = library.checked(store, path, parts)
    except Exception:
        log.exception("quotations could not be checked")  # they stay as they were written, not verified
    _finish(store, begun.answer_id, answering, parts, problem, cancel)


def _take_in(
    store: Store,
    blobs: Blobs,
    begun: Begun,
    path: Sequence[Message],
    cancel: Cancel,
    publish: Callable[[Live], None],
    reads: intake.Reads | None,
) -> None:
    shown = path[-1].parts

    def told(name: str, done: int, total: int) -> None:
        publish(Live(shown, Opening(name, done, total)))

    intake.take_in(store, blobs, begun.conversation_id, path[-2], told, cancel.is_set, reads)


def _with_documents(
    store: Store,
    blobs: Blobs,
    engine: Streaming,
    begun: Begun,
    path: Sequence[Message],
    cancel: Cancel,
) -> list[Message]:
    """The path, with what of the conversation's documents belongs to its last question."""
    sent = kept(path, path[-1])
    if not cancel.is_set() and library.undecided(store, begun.conversation_id, sent):
        laid = library.lay(store, blobs, begun.conversation_id, sent)
        before = _asked(_turns(sent[:-2], blobs, laid), read(path[-1].options))
        library.choose(store, engine, begun.conversation_id, sent, before, cancel)
        path = store.path(begun.conversation_id)
    return kept(path, path[-1])


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


def _finish(
    store: Store,
    answer_id: str,
    answering: Answering,
    parts: tuple[Part, ...],
    problem: Part | None,
    cancel: Cancel,
) -> None:
    done = answering.done
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
