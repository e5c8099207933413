"""The script that takes GLM Chat off a Mac asks before each part; conversations need their own word."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle.build import digest
from launching import Index, Mac, make_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def used(tmp_path: Path, bundle: Path) -> Iterator[Mac]:
    """A Mac on which the app was set up half and there are conversations."""
    mac = Mac(tmp_path, bundle, index := Index())
    index.left = 2
    assert mac.opened() == 1
    (mac.support / "glmchat.db").write_text("conversations")
    yield mac
    mac.close()
    index.close()


def uninstall(mac: Mac, answers: str) -> subprocess.CompletedProcess[str]:
    script = mac.app / "Contents" / "Resources" / "uninstall"
    return subprocess.run(["sh", script], input=answers, env=mac.environment, capture_output=True, text=True)


def test_uninstalling_keeps_conversations_unless_told(used: Mac) -> None:
    done = uninstall(used, "yes\ny\n")
    assert done.returncode == 0
    assert [path.name for path in used.support.iterdir()] == ["glmchat.db"]
    assert not used.caches.exists() and not used.logs.exists()
    assert "Kept" in done.stdout


def test_uninstalling_may_take_everything(used: Mac) -> None:
    assert uninstall(used, "yes\ndelete\n").returncode == 0
    assert not used.support.exists()


def test_models_are_asked_for_by_themselves(used: Mac) -> None:
    (used.support / "models" / "someone").mkdir(parents=True)
    assert uninstall(used, "yes\nyes\ndelete\n").returncode == 0
    assert [path.name for path in used.support.iterdir()] == ["models"]
    assert uninstall(used, "\nmodels\n\n").returncode == 0
    assert not (used.support / "models").exists()


def test_uninstalling_needs_the_word(used: Mac) -> None:
    before = digest(used.home)
    assert uninstall(used, "\n\n").returncode == 0
    assert uninstall(used, "").returncode == 0  # no terminal to ask at
    assert digest(used.home) == before


def test_a_running_app_is_not_taken_away(used: Mac) -> None:
    server = Index()
    (used.support / "run.json").write_text(f'{{"port": {server.url.rsplit(":", 1)[1]}, "owner": "x"}}')
    done = uninstall(used, "yes\ndelete\n")
    assert done.returncode == 1 and "Quit it" in done.stderr
    assert used.environments()
    server.close()
