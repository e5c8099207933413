"""The real app without a browser: doors, stored media, one per home, an orderly end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import server
from app.blobs import Blobs
from app.store import Store, backups
from app.turn import Draft, begin

ROOT = Path(__file__).resolve().parent.parent
SERVE = [sys.executable, str(ROOT / "tests" / "browser" / "scripted_app.py"), "4700"]


class Client:
    """A browser without a screen: keeps cookies, follows redirects, uses no proxy."""

    def __init__(self) -> None:
        jar = urllib.request.HTTPCookieProcessor()
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)

    def get(self, url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        try:
            with self._opener.open(urllib.request.Request(url, headers=headers), timeout=10) as got:
                return got.status, {k.lower(): v for k, v in got.headers.items()}, got.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, {}, refused.read()


@contextlib.contextmanager
def running(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The app in its own process, and the address it printed; ended with SIGTERM, which must end it well."""
    env = {**os.environ, "GLM_CHAT_HOME": str(home)}
    with subprocess.Popen(SERVE, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
        assert code == 0


MEDIA = {"a.png": b"png bytes", "a.mp4": b"0123456789", "a.svg": b"<svg onload='alert(1)'/>"}


@dataclass
class Rig:
    home: Path
    url: str
    client: Client
    names: dict[str, str]  # file name -> content name

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        return self.client.get(self.url + path, **headers)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A running app whose database holds one question with three files."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("files")
    for name, content in MEDIA.items():
        (folder / name).write_bytes(content)
    store = Store(home / "glmchat.db")
    begun = begin(store, Blobs(home / "blobs"), None, Draft("look", tuple(folder / name for name in MEDIA)))
    names = {part.data["name"]: str(part.sha256) for part in store.path(begun.conversation_id)[0].parts[:3]}
    store.close()
    with running(home) as (_, link):
        client = Client()
        assert client.get(link)[0] == 200
        yield Rig(home, link.split("/?")[0], client, names)


def test_the_window_and_nothing_else_is_served(rig: Rig) -> None:
    assert b"GLM Chat" in rig.get("/")[2]
    assert rig.get("/healthz")[2] == b'{"ok":true}'
    assert rig.get("/docs")[0] == 404
    assert Client().get(rig.url + "/")[0] == 401


def test_stored_pictures_come_with_their_type_and_parts_of_videos(rig: Rig) -> None:
    status, headers, content = rig.get(f"/media/{rig.names['a.png']}")
    assert (status, content, headers["content-type"]) == (200, MEDIA["a.png"], "image/png")
    assert "immutable" in headers["cache-control"]
    status, _, content = rig.get(f"/media/{rig.names['a.mp4']}", range="bytes=2-4")
    assert (status, content) == (206, b"234")


def test_pictures_that_could_run_script_are_only_downloads(rig: Rig) -> None:
    _, headers, _ = rig.get(f"/media/{rig.names['a.svg']}")
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == "attachment"


@pytest.mark.parametrize("name", ["0" * 64, "../glmchat.db", "..%2fglmchat.db", "%2e%2e/glmchat.db", "x"])
def test_only_stored_media_are_served(rig: Rig, name: str) -> None:
    assert rig.get(f"/media/{name}")[0] == 404


@pytest.mark.parametrize("name", ["glmchat.db", "run.json", "app.lock"])
def test_gradio_serves_no_file_of_ours(rig: Rig, name: str) -> None:
    assert (rig.home / name).exists()
    assert rig.get(f"/gradio_api/file={rig.home / name}")[0] == 403


def test_what_a_crash_left_is_marked_at_start(rig: Rig) -> None:
    with sqlite3.connect(rig.home / "glmchat.db") as db:
        assert db.execute("select status from messages where role = 'assistant'").fetchone() == (
            "interrupted",
        )
    db.close()


NAMES = """
import asyncio
from pathlib import Path
from app.ui.quiet import enclose, prepare
prepare(Path({folder!r}))
import gradio as gr
from app.server import calm
from app.ui import layout
with gr.Blocks() as demo:
    pass
assert {{"sleep_when_free", "progress_update_sleep_when_free"}} <= vars(demo._queue).keys()
calm(demo)
assert (demo._queue.sleep_when_free, demo._queue.progress_update_sleep_when_free) == (0.02, 0.1)
assert gr.utils.get_upload_folder() == {folder!r}
assert gr.component_meta.create_or_modify_pyi() is None
assert demo.has_launched is False and gr.processing_utils.async_ssrf_protected_download
enclose(demo)
assert demo.has_launched is True
try:
    asyncio.run(gr.File().async_move_resource_to_block_cache("http://93.184.215.14/leak"))
except ValueError as refused:
    assert "nothing is fetched" in str(refused)
else:
    raise AssertionError("an address was fetched")
"""


def test_gradio_still_has_the_private_names_we_set(tmp_path: Path) -> None:
    folder = str(tmp_path / "uploads")
    before = set((ROOT / "app").rglob("*.pyi"))
    got = subprocess.run(
        [sys.executable, "-c", NAMES.format(folder=folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert got.returncode == 0, got.stderr
    assert set((ROOT / "app").rglob("*.pyi")) == before


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with server.listening(port) as listener:
            assert listener is not None and port < listener.getsockname()[1] < port + server.PORTS_TRIED


def test_one_holder_of_the_lock(tmp_path: Path) -> None:
    with server.only_one(tmp_path / "lock") as first, server.only_one(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with server.only_one(tmp_path / "lock") as again:
        assert again


@pytest.mark.slow
def test_a_second_start_opens_the_first_ones_window(home: Path) -> None:
    with running(home) as (_, first):
        assert {stat.S_IMODE((home / name).stat().st_mode) for name in ("", "uploads", "blobs")} == {0o700}
        assert {stat.S_IMODE((home / name).stat().st_mode) for name in ("glmchat.db", "run.json")} == {0o600}
        second = subprocess.run(SERVE, cwd=ROOT, capture_output=True, text=True)
        assert second.returncode == 0, second.stderr
        other = second.stdout.split("\n")[0].split()[-1]
        assert other != first and other.split("?")[0] == first.split("?")[0]
        assert [Client().get(link)[0] for link in (first, other, first)] == [200, 200, 401]
    assert not (home / "run.json").exists()
    assert [copy.kind for copy in backups(home / "glmchat.db")] == ["daily"]


@pytest.mark.slow
def test_a_newer_database_is_told_in_words(home: Path) -> None:
    home.mkdir()
    with sqlite3.connect(home / "glmchat.db") as db:
        db.execute("pragma user_version = 99")
    db.close()
    got = subprocess.run(SERVE, cwd=ROOT, capture_output=True, text=True)
    assert (got.returncode, got.stdout) == (1, "")
    assert "written by a newer GLM Chat" in got.stderr and "Traceback" not in got.stderr
