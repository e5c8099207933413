"""The file to pass on: what helps is in it, and a secret planted wherever a person's words lie is not."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import logs, turn
from app.blobs import Blobs
from app.config import PROJECT, Config
from app.report import NoReport, harmless, write_report
from app.store import Store
from app.turn import Cancel, Draft
from mlx_backend import Answer, FakeEngine, Reasoning

SECRET = "Zanzibar"  # a word that no code, package or finding contains
TRACEBACK = f'''\
Traceback (most recent call last):
  File "{PROJECT}/app/turn.py", line 12, in run
    value = find("{SECRET}")
            ^^^^^^^^^^^^^^^^
  File "/home/{SECRET}/plugin.py", line 3, in {SECRET}
    {SECRET}()
  File "{os.__file__}", line 215, in makedirs
    mkdir(name, mode)
  File "{PROJECT}/../{SECRET}.py", line 1, in <module>
FileNotFoundError: [Errno 2] No such file or directory: '/Users/{SECRET}/holiday.png'

During handling of the above exception, another exception occurred:

mlx_backend.errors.BadMedia: {SECRET}.png: it is not a picture.
{SECRET}Error: {SECRET}
ValueError: {SECRET}
2026-11-20 10:00:00,123 WARNING app.turn: {SECRET} could not be stored
2026-11-20 10:00:01,123 ERROR uvicorn.error {SECRET}
libc++abi: terminating due to uncaught exception of type std::runtime_error: {SECRET} [METAL] Command buffer \
execution failed: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory) {SECRET}
Fatal Python error: Aborted
Thread 0x00007f0d78159f20 (most recent call first):
  File "{PROJECT}/mlx_backend/worker.py", line 63 in _read
What is {SECRET}?
  - {SECRET}
'''


@pytest.fixture
def config(home: Path) -> Config:
    return Config()


@pytest.fixture
def lived_in(config: Config, tmp_path: Path) -> Config:
    """A home in which a secret lies wherever a person can put one."""
    store, blobs = Store(config.database), Blobs(config.blobs)
    file = tmp_path / f"{SECRET}.png"
    file.write_bytes(SECRET.encode())
    begun = turn.begin(store, blobs, None, Draft(SECRET, (file,)))
    engine = FakeEngine([Reasoning(SECRET), Answer(SECRET)])
    turn.run(store, blobs, engine, begun, Cancel(), lambda _: None)
    conversation = store.conversations(1)[0].id
    store.rename(conversation, SECRET)
    store.set_setting("choices", {"system": SECRET, "temperature": 0.25, "preset": "My own"})
    store.set_setting("prompts", [{"name": SECRET, "text": SECRET}])
    store.set_setting("last_conversation", SECRET)
    store.set_setting("titles", True)
    store.close()
    config.logs.mkdir(parents=True)
    for name in ("app.log", "worker.log", "measure.log", "launcher.log", "app.log.1", f"{SECRET}.log"):
        (config.logs / name).write_text(TRACEBACK, encoding="utf-8")
    return config


def words(file: Path) -> str:
    """Everything in the zip, names included."""
    with zipfile.ZipFile(file) as packed:
        assert packed.testzip() is None
        inside = {name: packed.read(name).decode() for name in packed.namelist()}
    return "\n".join([*inside, *inside.values()])


def test_no_planted_secret_is_in_it(
    lived_in: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLM_CHAT_MODEL", f"/models/{SECRET}")
    target = tmp_path / "report.zip"
    write_report(lived_in, [{"name": "disk", "state": "ok", "facts": {"free": 1}}], target)
    said = words(target)
    assert SECRET.lower() not in said.lower()
    assert SECRET.encode() not in target.read_bytes()
    assert str(lived_in.home) not in said and str(Path.home()) + "/" not in said
    assert str(PROJECT) not in said


def test_what_helps_is_in_it(lived_in: Config, tmp_path: Path) -> None:
    target = tmp_path / "report.zip"
    inside = write_report(lived_in, [{"name": "disk", "state": "ok", "facts": {"free": 1}}], target)
    with zipfile.ZipFile(target) as packed:
        assert packed.namelist() == inside
        settings = json.loads(packed.read("settings.json"))
        versions = json.loads(packed.read("versions.json"))
        log = packed.read("logs/worker.log").decode()
    assert settings["choices"]["temperature"] == 0.25 and settings["has_system_prompt"]
    assert versions["packages"]["gradio"] and versions["python"]
    for kept in (
        'File "app/turn.py", line 12, in run',
        'File "lib/os.py", line 215, in makedirs',
        "FileNotFoundError: [Errno 2]",
        "mlx_backend.errors.BadMedia: …",
        "ValueError: …",
        "2026-11-20 10:00:00,123 WARNING app.turn: …",
        "exception of type std::runtime_error: [METAL] Command buffer execution failed … Insufficient Memory "
        "(00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
        "Fatal Python error: Aborted",
        'File "mlx_backend/worker.py", line 63 in _read',
        "(2 lines left out)",
    ):
        assert kept in log, log


def test_nothing_is_overwritten_and_nothing_changed(lived_in: Config, tmp_path: Path) -> None:
    target = tmp_path / "report.zip"
    target.write_text("mine")
    with pytest.raises(NoReport, match="is there already"):
        write_report(lived_in, [], target)
    assert target.read_text() == "mine"
    with pytest.raises(NoReport, match="could not be written"):
        write_report(lived_in, [], tmp_path / "no" / "such" / "folder.zip")


def test_an_empty_home_gives_a_report_too(config: Config, tmp_path: Path) -> None:
    assert write_report(config, [], tmp_path / "r.zip") == [
        "READ ME.txt", "findings.json", "versions.json", "settings.json",
    ]  # fmt: skip
    assert not config.home.exists()


def test_ordinary_words_are_never_a_line_of_a_log() -> None:
    said = (
        "Paris: the capital",
        "Thread of mine",
        "app: hello",
        "secret.Plan: meet at nine",
        "http://x.example/?q=1",
    )
    assert list(harmless("\n".join(said))) == [f"({len(said)} lines left out)"]


# --- the app's own log ------------------------------------------------------------------------------------


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The log as it is for everybody else, afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_log_on_the_disk_holds_no_words_of_a_person(
    config: Config, root: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.begin(config.logs)
    try:
        raise ValueError(f"{SECRET}.png is no picture")
    except ValueError:
        logging.getLogger("app.turn").warning("%s could not be kept", SECRET, exc_info=True)
    logging.getLogger("uvicorn.error").error(f"{SECRET} came in")
    written = (config.logs / "app.log").read_text(encoding="utf-8")
    assert SECRET not in written
    assert "WARNING app.turn: %s could not be kept" in written and "ValueError: …" in written
    assert "ERROR uvicorn.error:" in written
    assert f"{SECRET} could not be kept" in capfd.readouterr().err


def test_a_log_that_cannot_be_made_is_told_of(
    config: Config, root: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    config.logs.parent.mkdir(parents=True)
    config.logs.write_text("a file lies where the folder should be")
    logs.begin(config.logs)
    logging.getLogger("app.turn").warning("one")
    said = capfd.readouterr().err
    assert said.count("app.log cannot be written (File exists). The app goes on") == 1
    assert "one" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_a_full_disk_is_told_of_once(
    config: Config, root: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    config.logs.mkdir(parents=True)
    (config.logs / "app.log").symlink_to("/dev/full")
    logs.begin(config.logs)
    for word in ("one", "two"):
        logging.getLogger("app.turn").warning(word)
    said = capfd.readouterr().err
    assert said.count("app.log cannot be written (No space left on device)") == 1
    assert "one" in said and "two" in said and "Traceback" not in said
    # what is still in its buffer cannot be written at its closing either
    with contextlib.suppress(OSError):
        root.handlers[-1].close()
