"""Make `GLM Chat.app` and a zip of it, on Linux or a Mac, with the standard library alone.

Knows: what lies where in the bundle, its Info.plist, which files of the project a person needs, how a zip
keeps the bits that let a file be run.
Does not know: what a double-click does (launcher), where uv comes from (helper).

The bundle is not signed: its main program is a script, whose signature would lie in extended attributes,
which no zip keeps; and a bundle that is half signed is called damaged, without a way round.
"""

from __future__ import annotations

import argparse
import hashlib
import plistlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from bundle.helper import NotFetched, fetch_uv, install_for_mac

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NAME = "GLM Chat"
IDENTIFIER = "local.glm-chat"
OLDEST_MACOS = "14.0"  # the oldest that MLX's wheels run on
PYTHON = "3.12"  # the launcher asks uv for it
# What the first start brings, unpacked: 935 MB of packages for macOS (build_app --measure) and about 70 of
# Python. The splash page's bar is drawn against it, and twice as much must be free.
SETUP_MB = 1005
PROJECT = ("pyproject.toml", "uv.lock", "README.md", "LICENSE", "app", "mlx_backend", "assets")
NEEDLESS = shutil.ignore_patterns(
    "__pycache__", "*.pyc", "*.pyi", ".*", "screenshots", "icon.icns", "icon*.png"
)
EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip's first moment: the same files give the same zip


def info(version: str) -> dict[str, object]:
    return {
        "CFBundleName": NAME,
        "CFBundleDisplayName": NAME,
        "CFBundleIdentifier": IDENTIFIER,
        "CFBundleExecutable": NAME,
        "CFBundleIconFile": "AppIcon",
        "CFBundlePackageType": "APPL",
        "CFBundleInfoDictionaryVersion": "6.0",
        "CFBundleShortVersionString": version,
        "CFBundleVersion": version,
        "LSApplicationCategoryType": "public.app-category.productivity",
        "LSMinimumSystemVersion": OLDEST_MACOS,
        # a script has no architecture to read: without these macOS offers to install Rosetta
        "LSArchitecturePriority": ["arm64"],
        "LSRequiresNativeExecution": True,
        # no icon in the Dock: nothing here would answer its events, it would bounce and "not respond"
        "LSUIElement": True,
        "NSHighResolutionCapable": True,
    }


def build(uv: Path, out: Path, project: Path = ROOT) -> Path:
    """The bundle in folder `out`, in place of one that was there.

    uv: the program that makes the environment. project: where pyproject.toml, app/ and assets/ lie.
    """
    app = out / f"{NAME}.app"
    shutil.rmtree(app, ignore_errors=True)
    contents, resources = app / "Contents", app / "Contents" / "Resources"
    copy_project(project, resources / "project")
    (contents / "Info.plist").write_bytes(plistlib.dumps(info(version_of(project))))
    (contents / "PkgInfo").write_text("APPL????")
    (resources / "build-id").write_text(digest(resources / "project"))
    (resources / "setup-mb").write_text(str(SETUP_MB))
    copy(HERE / "splash.html", resources / "splash.html")
    copy(project / "assets" / "icon.icns", resources / "AppIcon.icns")
    copy(HERE / "launcher", contents / "MacOS" / NAME, runs=True)
    copy(HERE / "uninstall", resources / "uninstall", runs=True)
    copy(uv, contents / "Helpers" / "uv", runs=True)
    for licence in uv.parent.parent.glob("uv-*.dist-info/licenses/*"):  # where its wheel lays them
        copy(licence, resources / "licences" / f"uv-{licence.name}")
    return app


def copy_project(project: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for name in PROJECT:
        if (project / name).is_dir():
            shutil.copytree(project / name, target / name, ignore=NEEDLESS, copy_function=copy)
        else:
            copy(project / name, target / name)


def copy(source: Path | str, target: Path | str, *, runs: bool = False) -> None:
    """Content and nothing else: whose it was and how it was protected here is nobody's business there."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if runs else 0o644)


def version_of(project: Path) -> str:
    return str(tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def files(folder: Path) -> Iterable[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def digest(folder: Path) -> str:
    """16 hex digits over names and contents. Another one means another environment, made beside the old."""
    found = hashlib.sha256()
    for file in files(folder):
        content = file.read_bytes()
        found.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return found.hexdigest()[:16]


def pack(app: Path, target: Path) -> None:
    """Zip the bundle. The bits that let a file be run are kept only where external_attr carries them."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files(app):
            entry = zipfile.ZipInfo(file.relative_to(app.parent).as_posix(), EARLIEST)
            entry.create_system = 3  # Unix: else the bits are not looked at
            entry.external_attr = (0o100000 | (file.stat().st_mode & 0o777)) << 16
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def measure(project: Path, scratch: Path) -> int:
    """Megabytes of the packages for a Mac as uv keeps them, counted as the launcher counts them: by du."""
    install_for_mac(project, scratch, python=PYTHON, only_try=False)
    counted = subprocess.run(
        ["du", "-sk", scratch / "cache"], capture_output=True, text=True, check=True
    ).stdout
    return int(counted.split()[0]) * 1024 // 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser("./scripts/build_app", description=f"Make {NAME}.app and a zip of it.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder; default: dist")
    parser.add_argument("--uv", type=Path, help="this uv instead of the Mac's from the package index")
    parser.add_argument("--measure", action="store_true", help="only: how many MB a Mac's packages take")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            if options.measure:
                print(f"{measure(ROOT, Path(scratch))} MB of packages")
                return 0
            options.out.mkdir(parents=True, exist_ok=True)
            app = build(options.uv or fetch_uv(Path(scratch)), options.out)
        except NotFetched as error:
            print(error, file=sys.stderr)
            return 1
    zipped = options.out / f"GLM-Chat-{version_of(ROOT)}-macos-arm64.zip"
    pack(app, zipped)
    for made in (app, zipped):
        size = sum(file.stat().st_size for file in files(made)) if made.is_dir() else made.stat().st_size
        print(f"{made}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
