"""The launcher with the real uv and a real package index: its options are uv's, its words are understood.

Where no index or no Python 3.12 is at hand these tests are skipped and say so. The project is a small one:
what is shown is that uv does what the launcher asks, not that our packages install.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import ROOT
from bundle.build import build
from bundle.helper import PIN
from launching import Index, Mac

PYPROJECT = """\
[project]
name = "small"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["idna"]
[dependency-groups]
dev = ["iniconfig"]
[tool.uv]
package = false
"""
# The app as the launcher sees it: it writes run.json, hands out links, and ends when it is told to.
APP = """\
import http.server, json, os, pathlib, idna
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        good = self.headers["authorization"] == "Bearer owner" and self.path == "/link"
        self.send_response(200 if good else 401)
        self.end_headers()
        self.wfile.write(b"token")
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"ok": true}')
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
home = pathlib.Path.home() / "Library" / "Application Support" / "GLM Chat"
(home / "run.json").write_text(json.dumps({"port": server.server_port, "owner": "owner"}))
server.serve_forever()
"""


@pytest.fixture(scope="module")
def real_uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uv that the bundle carries, for this computer."""
    if shutil.which("uv") is None or sys.platform != "linux":
        pytest.skip("needs a uv to fetch another one with, and Linux")
    version = re.findall(r"^(uv==[\d.]+)", PIN.read_text(), re.M)[0]
    target = tmp_path_factory.mktemp("uv")
    command = ["uv", "pip", "install", "--quiet", "--only-binary", ":all:", "--target", target, version]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no package index can be reached here: {done.stderr.strip().splitlines()[-1]}")
    return target / "bin" / "uv"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, real_uv: Path) -> Path:
    """A bundle of a small project with the real uv."""
    project = tmp_path_factory.mktemp("project")
    for folder in ("app", "mlx_backend", "assets"):
        (project / folder).mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT)
    (project / "app" / "__main__.py").write_text(APP)
    shutil.copy(ROOT / "assets" / "icon.icns", project / "assets")
    for name in ("README.md", "LICENSE"):
        (project / name).touch()
    subprocess.run([real_uv, "lock", "--quiet", "--project", project], check=True)
    return build(real_uv, project, project)


def python_312() -> tuple[str, str] | None:
    """Where a Python 3.12 of this computer lies, and its version; None if there is none that runs."""
    code = "import platform, sys; print(sys.base_prefix, platform.python_version(), sep='\\n')"
    versions = sorted(Path.home().glob(".pyenv/versions/3.12.*/bin/python3.12"))
    for program in ("python3.12", "/usr/bin/python3.12", "/usr/local/bin/python3.12", *versions):
        try:
            done = subprocess.run([program, "-c", code], capture_output=True, text=True)
        except OSError:
            continue
        if done.returncode == 0:
            prefix, version = done.stdout.split("\n")[:2]
            return prefix, version
    return None


@pytest.fixture
def mac(tmp_path: Path, small: Path) -> Iterator[Mac]:
    """With a Python that counts as uv's own: the place uv fetches Pythons from may be out of reach."""
    if (python := python_312()) is None:
        pytest.skip("no Python 3.12 here that could stand for the one uv fetches")
    mac = Mac(tmp_path, small, index := Index())
    place = mac.support / "python" / f"cpython-{python[1]}-linux-x86_64-gnu"
    (place / "bin").mkdir(parents=True)
    shutil.copy2(Path(python[0]) / "bin" / "python3.12", place / "bin")  # its folder is its home
    (place / "lib").symlink_to(Path(python[0]) / "lib")
    yield mac
    mac.close()
    index.close()


def test_uv_does_what_the_launcher_asks(mac: Mac) -> None:
    nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    assert mac.opened(**nowhere, UV_HTTP_RETRIES="0") == 1
    assert mac.status()["kind"] == '"network"', mac.status()

    ours = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "SSL_"))}
    if mac.opened(**ours) == 1 and mac.status()["kind"] == '"network"':
        pytest.skip("the package index cannot be reached from a home without settings")
    assert mac.healthy(), (mac.logs / "install.log").read_text()
    (environment,) = mac.environments()
    installed = {path.name for path in (mac.support / environment / "venv").glob("lib/*/site-packages/*")}
    assert "idna" in installed and "iniconfig" not in installed
    mac.quit()
    assert mac.opened(**nowhere, UV_HTTP_RETRIES="0") == 0  # nothing is asked of any network
    assert mac.healthy()


def test_without_a_python_it_is_fetched_and_not_one_of_the_system_taken(mac: Mac) -> None:
    shutil.rmtree(mac.support / "python")
    nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    assert mac.opened(**nowhere, UV_HTTP_RETRIES="0") == 1
    assert mac.status()["kind"] == '"network"'
    assert "cpython-3.12" in (mac.logs / "install.log").read_text()
