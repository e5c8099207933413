"""What `doctor` finds: on a computer that is well, and on homes, models and ports that are not."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from asking import ROOT

from app import doctor
from app.chosen import note_broken
from app.config import DEMO_MODEL, Config
from app.doctor import LOOKS, Finding, looked
from app.store import Store, back_up


@pytest.fixture
def config(home: Path) -> Config:
    return Config()


def one(name: str, config: Config) -> Finding:
    """What is found of one thing, without looking at everything else."""
    look = next(look for look in LOOKS if look.__name__ == f"_{name}")
    (found,) = looked(look, config)
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "app", "doctor", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_the_command_says_each_thing_once_and_changes_nothing(home: Path) -> None:
    done = run("--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = {line["name"]: line for line in json.loads(done.stdout)["findings"]}
    assert list(found) == [look.__name__.strip("_") for look in LOOKS]
    assert found["answers"]["state"] == "ok" and found["answers"]["facts"]["seconds"] > 0
    assert found["memory"]["facts"]["physical"] > 10**9
    assert not home.exists()


def test_the_bundle_is_written_and_told(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "a report.zip"
    done = run("--bundle", str(target))
    assert done.returncode == 0 and str(target) in done.stdout
    with zipfile.ZipFile(target) as packed:
        states = {line["name"]: line["state"] for line in json.loads(packed.read("findings.json"))}
    assert states["answers"] == "ok"
    again = run("--bundle", str(target))
    assert again.returncode == 1 and "is there already" in again.stderr and "Traceback" not in again.stderr


def test_a_database_that_is_damaged_is_a_problem_and_stays_as_it_is(config: Config) -> None:
    assert one("database", config).words == "none yet"
    Store(config.database).close()
    back_up(config.database)
    assert one("database", config).state == "ok"
    with config.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    before = config.database.read_bytes()
    found = one("database", config)
    assert found.state == "problem" and "damaged" in found.words and "Start the app" in found.change
    assert config.database.read_bytes() == before


def test_an_old_copy_is_a_warning(config: Config) -> None:
    Store(config.database).close()
    os.utime(back_up(config.database).file, (1_000_000_000, 1_000_000_000))
    os.utime(config.database, (1_000_000_000, 1_000_000_000))
    assert one("database", config).state == "warning"


def test_a_home_that_others_can_read_is_told(config: Config) -> None:
    assert "not there yet" in one("data", config).words
    config.home.mkdir(mode=0o755)
    config.home.chmod(0o755)
    assert one("data", config).state == "warning"
    config.home.chmod(0o700)
    assert one("data", config).state == "ok"


def test_a_model_that_is_gone_is_named_to_the_person_alone(config: Config, tmp_path: Path) -> None:
    missing = Config(model=str(tmp_path / "a secret disk" / "model"))
    found = one("model", missing)
    assert found.state == "problem" and "a secret disk" in found.words
    assert "secret" not in json.dumps(doctor._impersonal(found))
    assert one("model", config).facts == {"kind": "demo", "there": True}


def test_a_model_that_could_not_be_loaded_is_a_problem(config: Config, tmp_path: Path) -> None:
    folder = tmp_path / "a secret disk" / "model"
    shutil.copytree(DEMO_MODEL, folder)
    config.home.mkdir(exist_ok=True)
    chosen = replace(config, model=str(folder))
    assert one("model", chosen).state == "ok"
    note_broken(config.home, folder, "config.json: it cannot be read.")
    found = one("model", chosen)
    assert found.state == "problem" and "cannot be read" in found.words and "Models" in found.change
    assert "secret" not in json.dumps(doctor._impersonal(found))


def test_a_model_process_that_cannot_begin_is_a_problem_with_a_sentence(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "model"
    shutil.copytree(DEMO_MODEL, broken)
    for file in broken.glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:1000])
    monkeypatch.setattr(doctor, "DEMO_MODEL", broken)
    found = one("answers", config)
    assert found.state == "problem" and found.words.endswith(".") and found.facts["kind"] == "ModelBroken"


def test_a_port_that_is_taken_is_no_problem(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = one("port", Config(port=port))
        assert found.state == "ok" and "the next one is used" in found.words
        home.mkdir()
        (home / "run.json").write_text(json.dumps({"port": port, "owner": "x"}))
    found = one("port", Config(port=port))
    assert found.state == "problem" and "does not answer" in found.words


def test_a_look_that_fails_is_a_finding_too(config: Config) -> None:
    def _weather(_: Config) -> None:
        raise RuntimeError("no window")

    (found,) = looked(_weather, config)  # type: ignore[arg-type]
    assert (found.name, found.state, found.facts) == ("weather", "problem", {"error": "RuntimeError"})
