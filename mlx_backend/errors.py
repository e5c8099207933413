"""The exception tree of the backend. Every text is written for the person at the screen.

BackendError
├── ModelMissing      no folder, or files of it absent        .folder, .missing
├── ModelBroken       a file is damaged or not supported      .file
├── BadMedia          a picture or video cannot be used       .name, .problem
├── BadSchema         an answer cannot be held to a schema    .problem
├── ContextTooLong    the request exceeds the context         .tokens, .limit
├── OutOfMemory       predicted or real                       .needed, .available: bytes
│   └── NotEnoughMemory   refused before it was tried         .items, .remedy, .change
│       └── ModelTooLarge     a load, which may be forced
├── EngineStopped     the worker process is gone              .exit_code, .kind
└── DownloadFailed    a model could not be fetched or checked .kind
"""

from __future__ import annotations

from collections.abc import Sequence

from .explained import explain
from .sizes import Remedy


class BackendError(Exception):
    """Something the user can be told in the words of `str(error)`: what happened and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross from the worker by pickle: rebuild from attributes, not from a constructor call
        # whose arguments differ per class.
        return _rebuild, (type(self), self.__dict__)


def _rebuild(kind: type[BackendError], attributes: dict[str, object]) -> BackendError:
    error = kind.__new__(kind, attributes.get("message", ""))
    error.args = (attributes.get("message", ""),)
    error.__dict__.update(attributes)
    return error


class ModelMissing(BackendError):
    """No checkpoint there, or files of it are absent. folder: empty where none is chosen yet."""

    def __init__(self, folder: str, missing: Sequence[str] = ()) -> None:
        names = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        what = f"{names} is missing" if len(missing) == 1 else f"{len(missing)} files are missing ({names})"
        super().__init__(
            f"No usable model in {folder}: {what if missing else 'there is no such folder'}. "
            "Nothing was loaded. Download the model again or choose another folder."
            if folder
            else "No model is chosen. Choose one, then ask again."
        )
        self.folder = folder
        self.missing = list(missing)


class ModelBroken(BackendError):
    """A file of the checkpoint is damaged, or says something this app does not support."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file}: {problem} Nothing was loaded.")
        self.file = file
        self.problem = problem


class BadMedia(BackendError):
    """A picture or a video that cannot be used; the request was not run."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


class BadSchema(BackendError):
    """The JSON Schema an answer shall follow cannot be used; the request was not run."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The JSON schema cannot be used: {problem}. Nothing was asked; change it and ask again."
        )
        self.problem = problem


class ContextTooLong(BackendError):
    """The conversation is longer than the model can hold."""

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(
            f"This conversation needs {tokens:,} tokens and the model holds {limit:,}. Nothing was computed. "
            "Start a new conversation, or leave out a picture, a video or a document."
        )
        self.tokens = tokens
        self.limit = limit


class OutOfMemory(BackendError):
    """Predicted or real; bytes."""

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(
            f"This needs {needed / 1e9:.1f} GB and {available / 1e9:.1f} GB are available. Nothing was lost. "
            "Use a smaller model or a shorter conversation."
        )
        self.needed = needed
        self.available = available


class NotEnoughMemory(OutOfMemory):
    """Predicted: it was not tried. items: names and bytes of what it needs, the largest first.

    change: the first change that makes it fit, None where nothing does.
    """

    def __init__(
        self,
        what: str,
        needed: int,
        limit: int,
        items: Sequence[tuple[str, int]],
        kept: str,
        remedy: str,
        change: Remedy | None = None,
    ) -> None:
        """what: begins the sentence: a load or a request. kept: what became of it. remedy: sentences."""
        super().__init__(needed, limit)
        largest = ", ".join(f"{name} {_gb(size)}" for name, size in items[:3])
        self.message = (
            f"{what} needs {_gb(needed)} of memory and {_gb(limit)} may be used ({largest}). {kept} {remedy}"
        )
        self.args = (self.message,)
        self.items = list(items)
        self.remedy = remedy
        self.change = change


class ModelTooLarge(NotEnoughMemory):
    """A load was refused; no question is to blame, and the load may be forced."""


def _gb(size: int) -> str:
    """Small sizes in MB, so that two that differ do not read the same."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


class EngineStopped(BackendError):
    """The worker process is gone; the next request starts a new one.

    log: the end of what it said. kind: what it was, as explained.py names it.
    """

    def __init__(self, exit_code: int | None = None, doing: str = "", log: str = "") -> None:
        how = f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"
        during = f" while {doing}" if doing else ""
        found = explain(exit_code, log)
        why = f" {found.why}" if found.why else ""
        kept = f"What was answered so far is kept. {found.change}"
        super().__init__(f"The model process stopped{during} ({how}).{why} {kept}")
        self.exit_code = exit_code
        self.kind = found.kind


class DownloadFailed(BackendError):
    """A model could not be fetched, checked or deleted.

    kind: network or busy (again later), refused (by the hub), missing (there), disk (room or rights), damaged
    (wrong content), unsafe (what the hub says cannot be believed), stopped (the process is gone).
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def closing() -> BackendError:
    return BackendError("The app is closing. The question was not asked; nothing was lost.")
