"""The command `models` as a person or a script meets it, and what the app can do with what it fetched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import ROOT
from hub_server import Hub, serving, silent

from app.models import duration, progress_line
from app.offers import rows
from app.places import not_connected, own_place, places, remember, remembered
from mlx_backend import KNOWN, Transfer, headers, imagined, ladder, weigh_folder, weigh_headers
from mlx_backend.glm.config import read_config

REPO = "mlx-community/GLM-4.5V-4bit"
DEMO = ROOT / "assets" / "demo-model"
NEEDED = sum(file.stat().st_size for file in DEMO.iterdir() if file.name != "README.md")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that offers the demo model under the name of a real one."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    with serving(Hub(REPO, {file.name: file.read_bytes() for file in DEMO.iterdir()})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "app", *arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=environment(**more), capture_output=True, text=True, timeout=180
    )


def told(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_list_knows_exact_sizes_before_anything_is_here(hub: Hub) -> None:
    listed = told("models")
    assert {entry["name"]: entry["weight_bytes"] for entry in listed} == {
        "mlx-community/GLM-4.5V-3bit": 48_503_722_240,
        "mlx-community/GLM-4.5V-4bit": 61_857_173_760,
        "mlx-community/GLM-4.5V-5bit": 75_210_625_280,
        "mlx-community/GLM-4.5V-6bit": 88_564_076_800,
        "mlx-community/GLM-4.5V-8bit": 115_270_979_840,
        "mlx-community/GLM-4.6V-4bit": None,
    }
    assert [entry["name"] for entry in listed if entry["unsupported"]] == ["mlx-community/GLM-4.6V-4bit"]
    assert all(entry["licence"] == "MIT" and entry["here"] is None for entry in listed)
    assert hub.asked == []
    shown = run("models").stdout
    assert "GLM-4.5V-3bit" in shown and "48.5 GB" in shown
    assert "GLM-4.6V-4bit is not supported: " in shown


def test_download_verify_list_delete(hub: Hub, home: Path) -> None:
    done = run("models", "download", REPO)
    folder = home / "models" / REPO
    assert (done.returncode, done.stdout) == (0, f"{REPO} is here and whole, in {folder}.\n")
    assert "61.86 GB" in done.stderr.splitlines()[0]  # it would not fit here: said, not refused
    assert f"{REPO}: asking what belongs to it\n" in done.stderr
    [row] = [entry for entry in told("models", "list") if entry["name"] == REPO]
    assert (row["here"]["state"], row["here"]["size"]) == ("whole", NEEDED)
    again = run("models", "download", REPO)
    assert again.returncode == 0 and "is here already" in again.stdout
    assert told("models", "verify", REPO)["said"].startswith("All files")
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"rotten")
    bad = run("models", "verify", str(folder))
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "model.safetensors" in bad.stderr and "Traceback" not in bad.stderr
    assert run("ask", "Hello", "--model", REPO).returncode == 1
    assert "damaged" in run("models").stdout
    assert told("models", "download", REPO)["state"] == "whole"
    assert told("models", "delete", REPO)["freed_bytes"] == NEEDED
    assert not folder.exists()
    gone = run("models", "delete", REPO)
    assert (gone.returncode, "is not on this computer" in gone.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("download", "mlx-community/GLM-4.6V-4bit"), "nobody has proven"),
        (("download", "someone/else"), "is not on"),
        (("download", "nonsense"), "OWNER/NAME"),
        (("verify", "someone/else"), "is not on this computer"),
        (("download", REPO, "--from", "/none/such"), "no such folder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(hub: Hub, arguments: tuple[str, ...], words: str) -> None:
    done = run("models", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("download",), ("fetch", REPO), ("download", REPO, "--at", "x")])
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert run("models", *arguments).returncode == 2


def test_help_teaches() -> None:
    said = run("models", "--help").stdout
    for words in ("download mlx-community/GLM-4.5V-4bit", "--to", "--endpoint", "--from", "verify", "delete"):
        assert words in said


def test_ctrl_c_pauses_and_the_same_command_goes_on(hub: Hub, home: Path) -> None:
    hub.pace = 0.05  # seconds a piece: the whole takes far longer than an interrupt does
    process = subprocess.Popen(
        command("models", "download", REPO),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # whoever was started in the background ignores an interrupt, and so would this process
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while hub.sent < 500_000:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Paused" in err.splitlines()[-1] and "The same command goes on" in err
    half = run("ask", "Hello", "--model", REPO)
    assert half.returncode == 1 and "models download" in half.stderr
    assert "half here" in run("models").stdout
    hub.pace, hub.sent = 0, 0
    assert run("models", "download", REPO).returncode == 0
    assert hub.sent < NEEDED


def test_another_disk_is_remembered(hub: Hub, home: Path, tmp_path: Path) -> None:
    disk = tmp_path / "Big Disk" / "models"
    assert told("models", "download", REPO, "--to", str(disk))["folder"] == str(disk / REPO)
    assert remembered(home) == [disk]
    assert told("models", "verify", REPO)["state"] == "whole"
    disk.parent.rename(tmp_path / "unplugged")
    assert not_connected(home) == [disk]
    done = run("ask", "Hello", "--model", REPO)
    assert done.returncode == 1 and f"{disk} is not connected" in done.stderr
    assert f"{disk} is not connected" in run("models").stdout


def test_places_are_kept_once_and_a_broken_list_is_empty(home: Path, tmp_path: Path) -> None:
    for _ in range(2):
        remember(home, tmp_path / "a")
    remember(home, tmp_path / "b")
    remember(home, own_place(home))
    assert places(home) == [own_place(home), tmp_path / "a", tmp_path / "b"]
    (home / "model-folders.json").write_text("{broken")
    assert places(home) == [own_place(home)]


def test_rows_put_what_is_published_first_and_others_after(hub: Hub, home: Path) -> None:
    folder = home / "models" / "mine"
    folder.mkdir(parents=True)
    for file in DEMO.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    listed = rows(home)
    assert [row.name for row in listed] == [*(entry.repo for entry in KNOWN), "mine"]
    assert listed[-1].found and listed[-1].found.state == "whole"
    assert listed[-1].fit and listed[-1].fit.context > 0


def test_what_fits_and_what_is_best_comes_from_the_planner(hub: Hub, home: Path) -> None:
    best = {}
    for gib in (32, 64, 96, 128, 256):
        listed = rows(home, imagined(gib))
        best[gib] = [
            row.published.bits for row in listed if row.published and row.fit and row.fit.recommended
        ]
        assert all(row.fit is None for row in listed if row.unsupported)
    assert best == {32: [], 64: [3], 96: [4], 128: [6], 256: [8]}
    here = rows(home, imagined(32))
    assert all(row.fit and row.fit.context == 0 and row.fit.why for row in here if not row.unsupported)


def test_known_sizes_are_the_planners(hub: Hub) -> None:
    assert {entry.bits: entry.weight_bytes for entry in KNOWN if not entry.unsupported} == {
        int(weights.bits): weights.total for weights in ladder()
    }


def test_weights_are_exact_before_a_byte_of_them_is_here(hub: Hub) -> None:
    """From the headers that the hub hands out by range, as from the files themselves."""
    before = weigh_headers(headers(REPO), read_config(DEMO))
    assert before == weigh_folder(DEMO)
    assert hub.sent < 300_000 < before.total


def test_progress_is_said_in_numbers() -> None:
    now = Transfer("fetching", 12_000_000_000, 60_000_000_000, 50e6, 960.0, "a.safetensors")
    assert progress_line(now) == "downloading: 20.0 %, 12.0 GB of 60.0 GB, 50.0 MB/s, 16 min left"
    assert progress_line(Transfer("listing")) == "asking what belongs to it"
    assert [duration(s) for s in (5, 90, 3600, 11_100)] == ["5 s", "2 min", "1 h 0 min", "3 h 5 min"]


def test_a_terminal_sees_one_line(hub: Hub) -> None:
    import pty

    leader, follower = pty.openpty()
    with subprocess.Popen(
        command("models", "download", REPO), env=environment(), stdout=subprocess.PIPE, stderr=follower
    ) as process:
        os.close(follower)
        seen = b""
        while True:
            try:
                seen += os.read(leader, 4096)
            except OSError:
                break
    os.close(leader)
    assert process.returncode == 0
    warning, progress = seen.split(b"\n")
    assert b"does not fit" in warning
    assert b"\r" in progress


# --- without a network -----------------------------------------------------------------------------------

GUARD = """\
import os, socket
_connect = socket.socket.connect
def connect(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        open(os.environ["TRIED"], "a").write(f"{address}\\n")
        raise OSError(101, "Network is unreachable")
    return _connect(self, address)
socket.socket.connect = socket.socket.connect_ex = connect
def nowhere(name, *rest, **more):
    if name not in ("127.0.0.1", "::1", "localhost", None):
        open(os.environ["TRIED"], "a").write(f"{name}\\n")
        raise socket.gaierror(-3, "Temporary failure in name resolution")
    return _look_up(name, *rest, **more)
_look_up, socket.getaddrinfo = socket.getaddrinfo, nowhere
"""


def test_a_downloaded_model_answers_without_any_network(hub: Hub, tmp_path: Path) -> None:
    """Every socket but loopback is refused, in the app's process and in the model's, and every try is noted.

    Where the system lets us, the kernel takes the network away as well, native code included.
    """
    assert run("models", "download", REPO).returncode == 0
    hub.status = 500
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    tried = tmp_path / "tried"
    guarded = {"PYTHONPATH": f"{tmp_path / 'guard'}:{ROOT}", "TRIED": str(tried)}
    guarded["HF_ENDPOINT"] = "https://huggingface.co"
    check = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
    refused = subprocess.run([sys.executable, "-c", check], env=environment(**guarded), capture_output=True)
    assert refused.returncode == 1 and tried.read_text() == "192.0.2.1\n"  # the guard is there
    tried.unlink()
    alone = ["unshare", "-rn"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        alone = []
    done = subprocess.run(
        [*alone, *command("ask", "Hello", "--model", REPO, "--no-think", "--max-tokens", "8", "--seed", "1")],
        env=environment(**guarded),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert done.stdout.strip()
    assert not tried.exists()
    assert run("models", "verify", REPO, **guarded).returncode == 0
    assert not tried.exists()


def test_a_silent_hub_does_not_keep_the_list_waiting(hub: Hub) -> None:
    hub.faults = {"*": silent}
    assert run("models").returncode == 0
    assert hub.asked == []
