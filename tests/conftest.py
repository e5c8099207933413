"""What every test stands on: a home of its own, the tiny checkpoint, a browser, a header that says what runs.

Knows: where data would go, how the tiny random checkpoint is made, how a Chromium is found.
Does not know: what any test is about.
"""

from __future__ import annotations

import contextlib
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import exports
import pytest
import tokenizers
from asking import ROOT, SLOW
from tiny_tokenizer import write_tokenizer

from app.blobs import Blobs
from app.store import Store
from mlx_backend import Engine
from mlx_backend.glm.tokenizer import Tokenizer


def pytest_report_header() -> str:
    return (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"MLX {version('mlx')}, mlx-vlm {version('mlx-vlm')}, Gradio {version('gradio')}"
    )


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of this test alone: no test ever touches a person's conversations or settings."""
    folder = tmp_path / "home"
    monkeypatch.setenv("GLM_CHAT_HOME", str(folder))
    monkeypatch.delenv("GLM_CHAT_MODEL", raising=False)
    return folder


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with contextlib.closing(Store(home / "chat.db")) as store:
        yield store


@pytest.fixture
def blobs(home: Path) -> Blobs:
    return Blobs(home / "blobs")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[exports.Home]:
    """A home to import into."""
    made = exports.home(tmp_path / "here")
    yield made
    made.store.close()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint of the real architecture, made once. Shared: damage only a copy."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    subprocess.run([sys.executable, ROOT / "scripts" / "make_tiny_model.py", folder], check=True, cwd=ROOT)
    return folder


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint's tokenizer and template alone. Shared: damage only a copy."""
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer(tokenizer_folder: Path) -> Tokenizer:
    return Tokenizer(tokenizer_folder)


@pytest.fixture(scope="session")
def whole(tokenizer_folder: Path) -> tokenizers.Tokenizer:
    """As other programs tokenize: spellings of control tokens become control tokens."""
    return tokenizers.Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; where none can be had the test is skipped and says so."""
    found = subprocess.run([ROOT / "scripts" / "browser"], capture_output=True, text=True).stdout.strip()
    if not found:
        pytest.skip("no Chromium here and none could be installed: see scripts/browser")
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What passes for a checkpoint with the slow stand-in."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").touch()
    return folder


@pytest.fixture
def slow(folder: Path, tmp_path: Path) -> Iterator[Engine]:
    with Engine(folder, log=tmp_path / "worker.log", responder=SLOW) as engine:
        yield engine
