"""The bundle and its zip, looked at as macOS would: keys, bits, icons, the head of the Mac's uv."""

from __future__ import annotations

import hashlib
import plistlib
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from asking import ROOT
from bundle.build import PROJECT, PYTHON, build, digest, pack, version_of
from bundle.helper import PIN, NotFetched, fetch_uv, install_for_mac, mach_o
from PIL import Image

BUNDLE = ROOT / "scripts" / "bundle"
SHELL = [BUNDLE / "launcher", BUNDLE / "uninstall", ROOT / "GLM-Chat.command"]
RUNS = {"Contents/MacOS/GLM Chat", "Contents/Helpers/uv", "Contents/Resources/uninstall"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with a few bytes in place of uv."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "uv").write_bytes(b"not a program")
    return build(folder / "uv", folder)


@pytest.fixture(scope="module")
def unzipped(app: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle after a way through the zip, as a download takes it."""
    folder = tmp_path_factory.mktemp("unzipped")
    pack(app, folder / "app.zip")
    if shutil.which("unzip") is None:
        pytest.skip("no unzip here, and Python's own does not keep the bits")
    subprocess.run(["unzip", "-q", folder / "app.zip", "-d", folder], check=True)
    return folder / app.name


def test_what_macos_reads_of_the_bundle(app: Path) -> None:
    info = plistlib.loads((app / "Contents" / "Info.plist").read_bytes())
    assert info["CFBundlePackageType"] == "APPL"
    assert (app / "Contents" / "MacOS" / info["CFBundleExecutable"]).is_file()
    assert (app / "Contents" / "Resources" / f"{info['CFBundleIconFile']}.icns").is_file()
    assert info["CFBundleIdentifier"] == "local.glm-chat"
    assert info["CFBundleShortVersionString"] == version_of(ROOT)
    assert info["LSMinimumSystemVersion"] == "14.0"
    assert info["LSArchitecturePriority"] == ["arm64"]
    assert info["LSRequiresNativeExecution"] is info["LSUIElement"] is info["NSHighResolutionCapable"] is True
    assert (app / "Contents" / "PkgInfo").read_bytes() == b"APPL????"


def test_the_bits_survive_the_zip(unzipped: Path, app: Path) -> None:
    modes = {
        file.relative_to(unzipped).as_posix(): file.stat().st_mode & 0o777
        for file in unzipped.rglob("*")
        if file.is_file()
    }
    assert {name for name, mode in modes.items() if mode & 0o111} == RUNS
    assert set(modes.values()) == {0o755, 0o644}
    assert digest(unzipped) == digest(app)


def test_the_same_files_give_the_same_zip(app: Path, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        pack(app, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_the_bundle_holds_what_a_person_needs_and_no_more(app: Path) -> None:
    project = app / "Contents" / "Resources" / "project"
    assert {path.name for path in project.iterdir()} == set(PROJECT)
    names = [path.relative_to(project).as_posix() for path in project.rglob("*")]
    assert {"app/__main__.py", "mlx_backend/worker.py", "assets/demo-model/config.json", "uv.lock"} <= set(
        names
    )
    unneeded = re.compile(r"__pycache__|\.pyc$|\.pyi$|/\.|screenshots|\.icns$")
    assert [name for name in names if unneeded.search(name)] == []


def test_a_build_is_known_by_its_content(app: Path, tmp_path: Path) -> None:
    project = app / "Contents" / "Resources" / "project"
    stated = (app / "Contents" / "Resources" / "build-id").read_text()
    assert stated == digest(project) and re.fullmatch("[0-9a-f]{16}", stated)
    changed = tmp_path / "project"
    shutil.copytree(project, changed)
    assert digest(changed) == stated
    (changed / "app" / "fold.py").rename(changed / "app" / "folded.py")
    assert digest(changed) != stated


def test_nobody_of_this_computer_is_in_it(app: Path) -> None:
    """No path, no user, no server of the computer it was built on."""
    servers = re.compile(rb"https?://([\w.-]+)")
    for file in (file for file in app.rglob("*") if file.is_file()):
        content = file.read_bytes()
        assert str(ROOT).encode() not in content and str(Path.home()).encode() + b"/" not in content, file
        if file.name == "uv.lock":
            assert set(servers.findall(content)) == {b"pypi.org", b"files.pythonhosted.org"}


@pytest.mark.parametrize("script", SHELL, ids=[script.name for script in SHELL])
def test_shellcheck_and_dash_find_nothing(script: Path) -> None:
    checker = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([checker, "--shell=sh", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert script.read_bytes().startswith(b"#!/bin/sh")
    assert script.stat().st_mode & 0o111
    if dash := shutil.which("dash"):
        assert subprocess.run([dash, "-n", script]).returncode == 0


# --- the icon --------------------------------------------------------------------------------------------


def entries(icns: bytes) -> dict[str, bytes]:
    """The parts of an .icns: type -> content. Source: the container's four-letter types and lengths."""
    assert icns[:4] == b"icns" and struct.unpack(">I", icns[4:8])[0] == len(icns)
    found, at = {}, 8
    while at < len(icns):
        kind, length = struct.unpack_from(">4sI", icns, at)
        found[kind.decode()] = icns[at + 8 : at + length]
        at += length
    return found


def test_the_icon_has_every_size_of_a_mac(app: Path) -> None:
    parts = entries((app / "Contents" / "Resources" / "AppIcon.icns").read_bytes())
    sizes = {kind: Image.open(BytesIO(png)).size[0] for kind, png in parts.items()}
    singles = {"icp4": 16, "icp5": 32, "ic07": 128, "ic08": 256, "ic09": 512}
    doubles = {"ic11": 32, "ic12": 64, "ic13": 256, "ic14": 512, "ic10": 1024}
    assert sizes == singles | doubles
    for png in parts.values():
        picture = Image.open(BytesIO(png))
        assert (picture.format, picture.mode) == ("PNG", "RGBA")
        assert picture.getpixel((0, 0)) == (0, 0, 0, 0)  # outside the tile
    with Image.open(app / "Contents" / "Resources" / "AppIcon.icns") as read:  # by another reader
        assert (1024, 1024) in {
            (width * scale, height * scale) for width, height, scale in read.info["sizes"]
        }


def test_the_icon_in_the_repository_is_what_its_script_draws(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "make_icon", tmp_path], check=True)
    for drawn, kept in ((tmp_path / "icon.png", ROOT / "assets" / "icon.png"),):
        one, two = (np.asarray(Image.open(file).convert("RGBA"), dtype=int) for file in (drawn, kept))
        assert one.shape == two.shape and abs(one - two).max() <= 2
    assert set(entries((tmp_path / "icon.icns").read_bytes())) == set(
        entries((ROOT / "assets" / "icon.icns").read_bytes())
    )


# --- what comes from the package index -------------------------------------------------------------------


def skip_where_offline(error: NotFetched) -> None:
    """Where no package index can be reached; anything else that went wrong is a failure."""
    if re.search(r"dns error|error sending request|tcp connect error|timed out", str(error), re.I):
        pytest.skip(f"no package index can be reached here: {str(error).strip().splitlines()[-1]}")


@pytest.fixture(scope="module")
def macs_uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("uv") is None:
        pytest.skip("no uv here to fetch the Mac's with")
    try:
        return fetch_uv(tmp_path_factory.mktemp("uv"))
    except NotFetched as error:
        skip_where_offline(error)
        raise


def test_the_macs_uv_is_a_program_for_apple_silicon(macs_uv: Path) -> None:
    head = mach_o(macs_uv)
    assert head is not None and head.arm64
    assert head.oldest <= (14, 0)
    assert head.signature > 0  # Apple silicon runs nothing that is not signed
    assert macs_uv.stat().st_mode & 0o111


def test_a_wheel_with_another_content_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tmp_path / "uv.txt"
    wrong.write_text(re.sub("sha256:.{8}", "sha256:00000000", PIN.read_text()))
    monkeypatch.setattr("bundle.helper.PIN", wrong)
    with pytest.raises(NotFetched, match="Nothing was built"):
        fetch_uv(tmp_path)


def test_one_uv_is_meant_everywhere() -> None:
    setup = (ROOT / "scripts" / "setup").read_text()
    assert set(re.findall(r"uv==([\d.]+)", setup)) == set(re.findall(r"^uv==([\d.]+)", PIN.read_text(), re.M))


@pytest.mark.parametrize(
    "content", [b"", b"#!/bin/sh\n", b"\xcf\xfa\xed\xfe", bytes(64), Path(sys.executable)], ids=range(5)
)
def test_other_files_are_no_mac_program(tmp_path: Path, content: bytes | Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    assert mach_o(file) is None or sys.platform == "darwin"


def test_the_lock_needs_no_compiler_on_a_mac(tmp_path: Path) -> None:
    """Every package of uv.lock has a wheel for macOS 14 on Apple silicon with the launcher's Python."""
    if shutil.which("uv") is None:
        pytest.skip("no uv here")
    assert f"--python {PYTHON}" in (BUNDLE / "launcher").read_text()
    try:
        told = install_for_mac(ROOT, tmp_path, python=PYTHON, only_try=True)
    except NotFetched as error:
        skip_where_offline(error)
        raise
    would = set(re.findall(r"^ \+ ([\w.-]+)==", told, re.M))
    assert {"mlx", "mlx-metal", "gradio", "mlx-vlm"} <= would and "mlx-cpu" not in would


def test_build_app_from_the_command_line(macs_uv: Path, tmp_path: Path) -> None:
    command = [ROOT / "scripts" / "build_app", "--out", tmp_path, "--uv", macs_uv]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    zipped = tmp_path / f"GLM-Chat-{version_of(ROOT)}-macos-arm64.zip"
    with zipfile.ZipFile(zipped) as archive:
        inside = archive.read("GLM Chat.app/Contents/Helpers/uv")
        assert b"MIT License" in archive.read("GLM Chat.app/Contents/Resources/licences/uv-LICENSE-MIT")
    assert hashlib.sha256(inside).digest() == hashlib.sha256(macs_uv.read_bytes()).digest()
    assert str(zipped) in done.stdout


# --- for those who cloned --------------------------------------------------------------------------------


def test_the_command_file_runs_the_app(tmp_path: Path) -> None:
    """Finder gives its full path and the home folder."""
    command = [ROOT / "GLM-Chat.command", "ask", "What?", "--model", "fake", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "") and '"answer"' in done.stdout


def test_the_command_file_keeps_an_error_to_be_read(tmp_path: Path) -> None:
    command = [ROOT / "GLM-Chat.command", "ask", "What?", "--image", "none.png", "--model", "fake"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, input="\n")
    assert done.returncode == 1
    assert "none.png: there is no such file" in done.stderr and "Press Return" in done.stdout
