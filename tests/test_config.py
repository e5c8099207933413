"""Where data goes, and which folder the name of a model means."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from asking import ROOT

from app import config
from app.config import Config, data_folder, find_model, log_folder
from mlx_backend import BackendError, ModelMissing


def test_everything_lies_in_the_home_that_was_named(home: Path) -> None:
    config = Config()
    assert data_folder() == home
    for place in config.home, config.logs, config.database, config.blobs, config.worker_log:
        assert place.is_relative_to(home)
    assert config.model == "demo"


def test_without_a_name_it_is_where_the_system_keeps_such_things(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GLM_CHAT_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert (data_folder(), log_folder()) == (tmp_path / "glm-chat", tmp_path / "glm-chat" / "logs")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert data_folder() == Path.home() / ".local" / "share" / "glm-chat"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert data_folder() == Path.home() / "Library" / "Application Support" / "GLM Chat"
    assert log_folder() == Path.home() / "Library" / "Logs" / "GLM Chat"


def test_the_default_model_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLM_CHAT_MODEL", "org/name")
    assert Config().model == "org/name"


def test_a_folder_is_a_model_when_it_has_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelMissing, match=r"config\.json"):
        find_model(str(tmp_path))
    (tmp_path / "config.json").touch()
    assert find_model(str(tmp_path)) == tmp_path
    monkeypatch.chdir(tmp_path.parent)
    assert find_model(tmp_path.name) == tmp_path


@pytest.mark.parametrize("name", ["/none/such", "./none", "none", "a/b/c", "~/none-such-folder"])
def test_no_such_folder_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no such folder"):
        find_model(name)


def test_a_repository_is_looked_up_in_the_cache_other_tools_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "models--org--name" / "snapshots" / "0123"
    shutil.copytree(config.DEMO_MODEL, snapshot)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert find_model("org/name") == snapshot
    (snapshot / "tokenizer.json").unlink()
    with pytest.raises(ModelMissing, match=r"tokenizer\.json"):
        find_model("org/name")


def test_a_repository_that_is_not_there_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BackendError, match="models download nobody/such-a-model"):
        find_model("nobody/such-a-model")


def test_demo_is_the_model_that_comes_with_the_app() -> None:
    assert find_model("demo") == find_model(Config().model) == ROOT / "assets" / "demo-model"
    assert (find_model("demo") / "config.json").exists()


def test_the_demo_model_is_known_by_every_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "link").symlink_to(config.DEMO_MODEL)
    for name in "demo", "assets/demo-model", str(config.DEMO_MODEL), str(tmp_path / "link"):
        assert Config(model=name).is_demo
    for name in "fake", "org/name", "demo-model", str(tmp_path), "assets":
        assert not Config(model=name).is_demo
