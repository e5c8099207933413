"""Why a model process ended, and what to change: signals and the last words of its log, in sentences.

Knows: the messages of MLX and Metal, what the systems mean by a signal, what helps.
Does not know: processes, where a log lies, MLX itself. Importable without MLX, and imports nothing of ours.

Metal's errors are thrown where no Python can catch them, so the process aborts and its log ends with them.
Sources of the messages: MLX 0.32, backend/metal/allocator.cpp, device.cpp and eval.cpp; the names beginning
with kIOGPU are macOS's own. No Mac was here to provoke them: they are quoted from reports of people who had
them. What a signal means on Linux and macOS was tried with real processes.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "memory",  # of the graphics processor or of the computer
    "watchdog",
    "buffers",
    "too_large",
    "wired",
    "gpu_reset",
    "gpu_refuses",
    "gpu_memory",
    "no_gpu",
    "kernel",
    "installation",
    "killed",
    "aborted",
    "file",
    "native",
    "processor",
    "ended",
    "unknown",
]


@dataclass(frozen=True)
class Explanation:
    """why: a sentence, or "" where nothing is known. change: what to do, whole sentences."""

    kind: Kind
    why: str
    change: str


AGAIN = "Ask again: the model is loaded anew."
SMALLER = (
    "Lower the picture detail, begin a new conversation, choose a smaller model or close other programs; "
    "then ask again."
)
SHORTER = "Ask again with fewer or smaller pictures, or in a new conversation."
REPORT = (
    "Ask again. If it happens again, report it with the file that ./scripts/run doctor --bundle FILE.zip "
    "makes."
)
INSTALL = (
    "Quit the app, remove its Python environment, which ./scripts/run doctor names, and start it again: "
    "it is set up anew."
)

# A process says the first only as its end; the second may have been survived.
DYING = re.compile(r"libc\+\+abi: terminating|terminate called")
RAISED = "Traceback (most recent call last)"

# In the order of how much they say: after one error macOS refuses what was sent behind it with another.
MESSAGES: tuple[tuple[str, Explanation], ...] = (
    (
        r"kIOGPUCommandBufferCallbackErrorOutOfMemory|Insufficient Memory",
        Explanation("memory", "The graphics processor had no memory left.", SMALLER),
    ),
    (
        r"kIOGPUCommandBufferCallbackError(ImpactingInteractivity|Timeout|Hang)"
        r"|Impacting Interactivity|GPU (Timeout|Hang) Error",
        Explanation(
            "watchdog",
            "A computation kept the graphics processor to itself for too long, and macOS ended it.",
            SHORTER,
        ),
    ),
    (
        r"\[metal::malloc\] Resource limit",
        Explanation(
            "buffers",
            "Metal holds only so many pieces of memory at once, and there were too many, however small.",
            REPORT,
        ),
    ),
    (
        r"\[metal::malloc\] Attempting to allocate",
        Explanation(
            "too_large", "One piece of memory was larger than the graphics processor can hold.", SHORTER
        ),
    ),
    (
        r"\[malloc(_or_wait)?\] Unable to allocate|std::bad_alloc|MemoryError",
        Explanation("memory", "This computer had no memory left.", SMALLER),
    ),
    (
        r"set_wired_limit",
        Explanation(
            "wired",
            "More memory was to be kept for the graphics processor than this Mac allows it now.",
            "Set the limit back with sudo sysctl iogpu.wired_limit_mb=0, then ask again.",
        ),
    ),
    (
        r"metallib",
        Explanation(
            "installation",
            "The installation is not whole: MLX's library for the graphics processor is missing.",
            INSTALL,
        ),
    ),
    (
        r"Unable to (load|build) (kernel|function|metal library)",
        Explanation(
            "kernel",
            "MLX has no code that the graphics processor of this Mac takes.",
            "Bring macOS and this app up to date. If it stays, report it with the file that "
            "./scripts/run doctor --bundle FILE.zip makes.",
        ),
    ),
    (
        r"Failed to load device|No Metal device",
        Explanation(
            "no_gpu",
            "MLX found no graphics processor that it can use.",
            "The app needs a Mac with Apple silicon itself: in a virtual machine there is none.",
        ),
    ),
    (
        r"kIOGPUCommandBufferCallbackError(PageFault|InvalidResource)|Invalid Resource",
        Explanation("gpu_memory", "The graphics processor was given memory that was gone.", REPORT),
    ),
    (
        r"ModuleNotFoundError|ImportError|Library not loaded|symbol not found|cannot open shared object",
        Explanation(
            "installation",
            "The installation is not whole: a library is missing or does not fit this system.",
            INSTALL,
        ),
    ),
    (
        r"kIOGPUCommandBufferCallbackErrorInnocentVictim|victim of GPU error",
        Explanation("gpu_reset", "The graphics processor was reset because of another program.", AGAIN),
    ),
    (
        r"kIOGPUCommandBufferCallbackErrorSubmissionsIgnored|prior/excessive GPU errors",
        Explanation(
            "gpu_refuses",
            "After earlier errors macOS takes no more work for the graphics processor.",
            "Quit the app and start it again. If that does not help, restart the Mac.",
        ),
    ),
)

SIGNALS: dict[int, Explanation] = {
    signal.SIGKILL: Explanation("killed", "The system ended it, most often because memory ran out.", SMALLER),
    signal.SIGABRT: Explanation(
        "aborted", "MLX gave up on an error, most often because memory ran out.", SMALLER
    ),
    signal.SIGBUS: Explanation(
        "file",
        "A file of the model was changed while it was read, or its disk is gone.",
        "Connect the disk or verify the model, then ask again.",
    ),
    signal.SIGSEGV: Explanation("native", "It met an error in its own code.", REPORT),
    signal.SIGTRAP: Explanation("native", "It met an error in its own code.", REPORT),
    signal.SIGILL: Explanation(
        "processor",
        "It used an instruction that this processor does not have.",
        "The app needs a Mac with Apple silicon, or Linux on x86-64 with AVX2.",
    ),
    signal.SIGTERM: Explanation("ended", "It was told to end by another program.", AGAIN),
}
# Sent from outside: the log says nothing about them.
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM)
UNKNOWN = Explanation("unknown", "", AGAIN)


def explain(exit_code: int | None, log: str = "") -> Explanation:
    """Why a process ended.

    exit_code: negative for a signal, as Python has it; None where nobody knows. log: the end of what it said.
    """
    number = -exit_code if exit_code is not None and exit_code < 0 else 0
    said = None if number in FROM_OUTSIDE or exit_code == 0 else explain_message(_last_words(log))
    return said or SIGNALS.get(number, UNKNOWN)


def explain_message(text: str) -> Explanation | None:
    """What an error of MLX means. None: it is none that is known here."""
    return next((meaning for message, meaning in MESSAGES if re.search(message, text)), None)


def _last_words(log: str) -> str:
    if dying := DYING.search(log):
        return log[dying.start() :]
    return log[max(0, log.rfind(RAISED)) :]
