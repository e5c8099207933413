"""Why the model's process ended: real processes that die in every way, and what Metal says as it dies."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from asking import SLOW, answer, question

from mlx_backend import BackendError, Engine, EngineStopped
from mlx_backend.explained import AGAIN, MESSAGES, SIGNALS, explain, explain_message

METAL = "[METAL] Command buffer execution failed: "
# As people reported them: what a Mac says, and what it was.
SAID = {
    METAL + "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)": "memory",
    METAL + "Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)": "watchdog",
    METAL + "Caused GPU Hang Error (00000003:kIOGPUCommandBufferCallbackErrorHang)": "watchdog",
    METAL
    + "Impacting Interactivity (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)": "watchdog",
    METAL
    + "Discarded (victim of GPU error/recovery) (00000005:kIOGPUCommandBufferCallbackErrorInnocentVictim)": (
        "gpu_reset"
    ),
    METAL + "Ignored (for causing prior/excessive GPU errors) "
    "(00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored)": "gpu_refuses",
    METAL + "Invalid Resource (00000009:kIOGPUCommandBufferCallbackErrorInvalidResource)": "gpu_memory",
    "[metal::malloc] Resource limit (499000) exceeded.": "buffers",
    "[metal::malloc] Attempting to allocate 77309411328 bytes which is greater than the maximum allowed "
    "buffer size of 38654705664 bytes.": "too_large",
    "[malloc] Unable to allocate 1073741824 bytes.": "memory",
    "[metal::set_wired_limit] Setting a wired limit larger than the maximum working set size is not "
    "allowed.": "wired",
    "Failed to load the default metallib. library not found library not found": "installation",
    "[metal::Device] Unable to load kernel affine_gather_qmm_rhs": "kernel",
    "ImportError: dlopen(core.so): Library not loaded: @rpath/libmlx.dylib": "installation",
}


def aborting(words: str) -> str:
    """The end of a process whose C++ throws where nobody catches, as macOS's library words it."""
    return (
        "import os, sys\n"
        f"print('libc++abi: terminating due to uncaught exception of type std::runtime_error: {words}',\n"
        "      file=sys.stderr, flush=True)\n"
        "os.abort()"
    )


def died(program: str, log: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and log of a real process, with the dump of its threads that the worker has too."""
    with log.open("wb") as out:
        command = [sys.executable, "-X", "faulthandler", "-c", program, *arguments]
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    return code, log.read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize(("words", "kind"), SAID.items())
def test_what_metal_says_as_it_dies(words: str, kind: str, tmp_path: Path) -> None:
    code, log = died(aborting(words), tmp_path / "worker.log")
    assert code == -signal.SIGABRT
    assert explain(code, log).kind == kind
    told = explain_message(f"RuntimeError: {words}")
    assert told is not None and told.kind == kind


def test_every_message_and_signal_has_sentences() -> None:
    for meaning in [meaning for _, meaning in MESSAGES] + list(SIGNALS.values()):
        for words in (meaning.why, meaning.change):
            assert words[0].isupper() and words.endswith(".") and "  " not in words


def test_the_first_error_is_the_reason_and_not_those_behind_it(tmp_path: Path) -> None:
    first = (
        METAL + "Impacting Interactivity (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)"
    )
    behind = METAL + "Ignored (for causing prior/excessive GPU errors)"
    code, log = died(
        "import sys\n" + f"sys.stderr.write({behind!r} + chr(10))\n" + aborting(first), tmp_path / "l"
    )
    assert explain(code, log + behind).kind == "watchdog"


def test_what_was_survived_is_not_the_reason(tmp_path: Path) -> None:
    survived = (
        "import traceback\n"
        "try: raise RuntimeError('[metal::malloc] Resource limit (499000) exceeded.')\n"
        "except RuntimeError: traceback.print_exc()\n"
    )
    insufficient = METAL + "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)"
    code, log = died(survived + aborting(insufficient), tmp_path / "one")
    assert explain(code, log).kind == "memory"
    code, log = died(survived + "import os; os.kill(os.getpid(), 9)", tmp_path / "two")
    assert "Resource limit" in log and explain(code, log).kind == "killed"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (signal.SIGKILL, "killed"),
        (signal.SIGABRT, "aborted"),
        (signal.SIGSEGV, "native"),
        (signal.SIGILL, "processor"),
        (signal.SIGTERM, "ended"),
    ],
)
def test_signals_without_a_word(number: signal.Signals, kind: str, tmp_path: Path) -> None:
    code, log = died(f"import os; os.kill(os.getpid(), {int(number)})", tmp_path / "worker.log")
    assert (code, explain(code, log).kind) == (-number, kind)


def test_a_mapped_file_that_is_cut_is_a_bus_error(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"x" * mmap.PAGESIZE * 4)
    program = (
        "import mmap, os, sys\n"
        "with open(sys.argv[1], 'r+b') as file:\n"
        "    mapped = mmap.mmap(file.fileno(), 0)\n"
        "    os.truncate(sys.argv[1], 0)\n"
        "    mapped[-1]"
    )
    code, log = died(program, tmp_path / "worker.log", str(weights))
    assert (code, explain(code, log).kind) == (-signal.SIGBUS, "file")


def test_memory_that_is_refused(tmp_path: Path) -> None:
    limit = 2 << 30
    program = f"import resource\nresource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))\nb'x' * {limit}"
    code, log = died(program, tmp_path / "worker.log")
    assert (code, explain(code, log).kind) == (1, "memory")


def test_what_nobody_knows_is_not_guessed() -> None:
    for code, log in ((None, ""), (0, "ImportError"), (1, ""), (3, "no such words"), (-signal.SIGUSR1, "")):
        assert (explain(code, log).why, explain(code, log).change) == ("", AGAIN)


# --- the engine tells it ---------------------------------------------------------------------------------


def stopped(engine: Engine, words: str) -> EngineStopped:
    with pytest.raises(EngineStopped) as raised:
        answer(engine, question(words))
    return raised.value


def test_the_engine_says_why_its_worker_died_and_answers_again(slow: Engine) -> None:
    first = stopped(slow, "metal: " + next(iter(SAID)))
    assert first.kind == "memory"
    assert str(first) == (
        "The model process stopped while reading the conversation (signal 6). The graphics processor had no "
        "memory left. What was answered so far is kept. Lower the picture detail, begin a new conversation, "
        "choose a smaller model or close other programs; then ask again."
    )
    # the log is appended to: what an earlier worker said is not the reason of a later one's end
    second = stopped(slow, "abort")
    assert second.kind == "aborted" and "MLX gave up on an error" in str(second)
    assert answer(slow, question("hello"))


def test_a_worker_that_cannot_even_begin_says_why(tmp_path: Path, folder: Path) -> None:
    log = tmp_path / "worker.log"
    with Engine(folder, log=log, responder="no_such_module:Responder") as engine:
        assert stopped(engine, "hello").kind == "installation"


def test_without_a_log_it_is_the_signal_that_speaks(folder: Path) -> None:
    with Engine(folder, responder=SLOW) as engine:
        assert stopped(engine, "abort").kind == "aborted"


def test_an_error_that_the_worker_survives_is_explained_too(slow: Engine) -> None:
    with pytest.raises(BackendError, match="only so many pieces of memory") as raised:
        answer(slow, question("raise: [metal::malloc] Resource limit (499000) exceeded."))
    assert not isinstance(raised.value, EngineStopped)
    assert answer(slow, question("hello"))


def test_killed_from_outside_while_it_answers(slow: Engine) -> None:
    assert answer(slow, question("hello"))
    pid = slow.status().pid
    assert pid is not None
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(EngineStopped) as raised:
        answer(slow, question("hello", 10_000))
    assert raised.value.kind == "killed"
