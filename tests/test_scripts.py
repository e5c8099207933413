"""The project's scripts: correct sh, right from any folder, and clear when they cannot work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from asking import ROOT

FILES = [
    file for folder in (".ci", "scripts") for file in sorted((ROOT / folder).iterdir()) if file.is_file()
]
FIRST = {str(file.relative_to(ROOT)): file.read_bytes().split(b"\n", 1)[0] for file in FILES}
SHELL = [
    name for name, line in FIRST.items() if line in (b"#!/bin/sh", b"#!/bin/sh -e", b"# shellcheck shell=sh")
]


def test_the_scripts_are_found() -> None:
    assert {
        ".ci/run",
        "scripts/run",
        "scripts/test",
        "scripts/check",
        "scripts/setup",
        "scripts/browser",
    } <= set(SHELL)


@pytest.mark.parametrize("script", SHELL)
def test_shellcheck_finds_nothing(script: str) -> None:
    checker = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([checker, script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("script", [name for name, line in FIRST.items() if line.startswith(b"#!")])
def test_a_script_can_be_started(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


def test_run_takes_file_names_from_the_callers_folder(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    (tmp_path / "json.py").write_text("raise SystemExit('a file of the person is not a module of ours')")
    command = [ROOT / "scripts" / "run", "ask", "What?", "--image", "a.png", "--model", "fake", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"name": "a.png"' in done.stdout


def test_without_python_tools_or_network_the_setup_says_what_is_needed(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(ROOT / "scripts", project / "scripts")
    poor = tmp_path / "bin"
    poor.mkdir()
    (poor / "python3").write_text("#!/bin/sh\necho No module named $2 >&2\nexit 1\n")
    (poor / "python3").chmod(0o755)
    environment = {"PATH": f"{poor}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run([project / "scripts" / "run"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "uv could not be installed" in done.stderr and "3.11" in done.stderr


def test_browser_prints_the_one_that_was_named(tmp_path: Path) -> None:
    named = tmp_path / "my chromium"
    named.write_text("#!/bin/sh\n")
    named.chmod(0o755)
    shown = subprocess.run(
        [ROOT / "scripts" / "browser"],
        env={**os.environ, "CHROMIUM": str(named)},
        capture_output=True,
        text=True,
    )
    assert (shown.returncode, shown.stdout.strip()) == (0, str(named))


def test_the_browser_that_is_found_runs(chromium: str) -> None:
    shown = subprocess.run([chromium, "--version", "--no-sandbox"], capture_output=True, text=True)
    assert "Chrom" in shown.stdout


@pytest.mark.slow
@pytest.mark.browser
def test_the_windows_benchmark_runs(chromium: str) -> None:
    """That it runs and prints its figures; how large they are is for people to judge."""
    command = [sys.executable, ROOT / "scripts" / "bench_ui.py", "--small"]
    environment = {**os.environ, "CHROMIUM": chromium}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line[:3] for line in done.stdout.splitlines() if line.startswith("(")] == [
        "(a)",
        "(b)",
        "(c)",
        "(d)",
        "(e)",
    ]
