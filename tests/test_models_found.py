"""Models are found whatever lies beside them; what another attempt left is no part of one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from mlx_backend import Download, DownloadFailed, Verification, delete_model, find_models

REPO = "someone/GLM-4.5V-tiny"


def cached(cache: Path, name: str, model: Path, commit: str) -> Path:
    """As the hub's own tools lay it out."""
    folder = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(model, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    return folder


def test_a_cache_in_disorder_hides_no_model(tiny_model: Path, tmp_path: Path) -> None:
    commit, cache = "89ab" * 10, tmp_path / "cache"
    for name in ("a/going", "b/garbled", "c/elsewhere", "d/unnamed", "e/fine"):
        cached(cache, name, tiny_model, commit)
    going = cache / "models--a--going" / "snapshots"
    shutil.rmtree(going / commit)
    (going / "left").symlink_to(going / "gone")
    (cache / "models--b--garbled" / "refs" / "main").write_bytes(b"\xff\x00")
    (cache / "models--c--elsewhere" / "refs" / "main").write_text("../../models--e--fine/snapshots/" + commit)
    (cache / "models--d--unnamed" / "refs" / "main").write_text("")
    found = {model.name: model.folder for model in find_models([], cache)}
    assert set(found) == {"b/garbled", "c/elsewhere", "d/unnamed", "e/fine"}
    assert found["c/elsewhere"] == cache / "models--c--elsewhere" / "snapshots" / commit


def test_a_job_whose_process_cannot_be_started_has_failed(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Verification(tiny_model)
    with monkeypatch.context() as without:
        without.setattr(sys, "executable", str(tmp_path / "no python"))
        job.start()
    ended = job.wait(10)
    assert (ended.state, ended.kind) == ("failed", "stopped")
    assert "could not be started (No such file or directory)" in ended.error
    job.start()
    assert job.wait(60).state == "done"


def test_what_is_left_of_another_attempt_is_no_part_of_the_model(tiny_model: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    aside = place / ".unfinished" / REPO.replace("/", "--")
    aside.mkdir(parents=True)
    strays = (
        "model-00009-of-00009.safetensors",
        "model-00008-of-00009.safetensors.part",
        ".glm-chat.json.123",
    )
    for name in strays:
        (aside / name).write_bytes(b"of another commit")
    job = Download(REPO, place, offline=tiny_model, reserve=0)
    job.start()
    assert job.wait(60).state == "done"
    assert not any((place / REPO / name).exists() for name in strays)
    assert [model.state for model in find_models([place])] == ["whole"]


def test_only_what_is_in_a_cache_is_deleted_as_such(tiny_model: Path, tmp_path: Path) -> None:
    kept = cached(tmp_path / "cache", "e/fine", tiny_model, "89ab" * 10) / "snapshots" / ("89ab" * 10)
    mine = tmp_path / "holidays" / "snapshots" / "2026"
    shutil.copytree(tiny_model, mine)
    with pytest.raises(DownloadFailed, match="was not put there by this app"):
        delete_model(mine)
    assert (mine / "config.json").exists()
    assert delete_model(kept) > 0
    assert not kept.exists()


def test_a_deletion_that_fails_is_told_and_leaves_no_model(tiny_model: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    job = Download(REPO, place, offline=tiny_model, reserve=0)
    job.start()
    assert job.wait(60).state == "done"
    in_the_way = place / REPO / "tokenizer.json"
    in_the_way.unlink()
    in_the_way.mkdir()  # what is no file cannot be deleted as one
    with pytest.raises(
        DownloadFailed, match=r"could not be deleted as a whole \(.+\)\. What is left"
    ) as failed:
        delete_model(place / REPO)
    assert failed.value.kind == "disk"
    assert "whole" not in [model.state for model in find_models([place])]
    in_the_way.rmdir()
    assert delete_model(place / REPO) > 0
    assert find_models([place]) == []
