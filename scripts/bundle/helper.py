"""What the bundle needs from the package index: the Mac's uv, and how large the Mac's packages are.

Knows: how wheels for another computer are fetched with the uv of this one, and how a Mac program begins.
Does not know: where in the bundle uv goes, what a double-click does.
"""

from __future__ import annotations

import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

PIN = Path(__file__).resolve().parent / "uv.txt"
# Mach-O, 64 bit, as in <mach-o/loader.h> and <mach/machine.h>
MAGIC, ARM64, EXECUTABLE = 0xFEEDFACF, 0x0100000C, 2
BUILD_VERSION, CODE_SIGNATURE = 0x32, 0x1D
MACOS = 1
MAC = ["--python-platform", "aarch64-apple-darwin", "--no-deps", "--only-binary", ":all:"]


class NotFetched(Exception):
    """The package index did not give what was asked for; the text says what that means."""


@dataclass(frozen=True)
class Program:
    """What the head of a Mac program says. oldest: (major, minor) of macOS; signature: bytes, 0 for none."""

    arm64: bool
    oldest: tuple[int, int]
    signature: int


def fetch_uv(scratch: Path) -> Path:
    """The uv program for macOS on Apple silicon, in folder `scratch`. Raises NotFetched.

    The package index is the one this computer uses; the pinned hash says that the wheel is the one we mean.
    """
    command = ["uv", "pip", "install", "--quiet", *MAC, "--require-hashes", "-r", str(PIN)]
    done = subprocess.run([*command, "--target", str(scratch / "uv")], capture_output=True, text=True)
    if done.returncode:
        raise NotFetched(
            f"The Mac's uv could not be fetched from the package index. Nothing was built.\n{done.stderr}"
        )
    program = scratch / "uv" / "bin" / "uv"
    head = mach_o(program)
    if head is None or not head.arm64:
        raise NotFetched(f"{program} is no program for Apple silicon. Nothing was built.")
    return program


def install_for_mac(project: Path, scratch: Path, *, python: str, only_try: bool) -> str:
    """Put every package that a Mac needs, wheels only, into scratch/cache, as uv keeps it on the Mac.

    project: where uv.lock lies. python: its version. only_try: resolve and fetch nothing.
    Returns what uv tells, a line ` + name==version` for each package. Raises NotFetched.
    """
    wanted = scratch / "requirements.txt"
    export = [
        "uv",
        "export",
        "--quiet",
        "--frozen",
        "--no-dev",
        "--no-emit-project",
        "--project",
        str(project),
    ]
    subprocess.run([*export, "-o", str(wanted)], check=True, stdout=subprocess.DEVNULL)
    command = ["uv", "pip", "install", *MAC, "--python-version", python, "-r", str(wanted)]
    command += ["--target", str(scratch / "packages"), *(["--dry-run"] if only_try else [])]
    # without the first uv takes the Mac for one with macOS 13, for which there is no MLX
    settings = {"MACOSX_DEPLOYMENT_TARGET": "14.0", "UV_CACHE_DIR": str(scratch / "cache")}
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
    if done.returncode:
        raise NotFetched(f"The packages for macOS could not be resolved from wheels alone.\n{done.stderr}")
    return done.stderr


def mach_o(file: Path) -> Program | None:
    """The head of a 64-bit Mach-O executable; None where the file is something else.

    Source: struct mach_header_64, build_version_command and linkedit_data_command of <mach-o/loader.h>.
    """
    data = file.read_bytes()
    if len(data) < 32:
        return None
    magic, cpu, _, kind, commands, *_ = struct.unpack_from("<8I", data)
    if (magic, kind) != (MAGIC, EXECUTABLE):
        return None
    oldest, signature, offset = (0, 0), 0, 32
    for _ in range(commands):
        command, size = struct.unpack_from("<2I", data, offset)
        if command == BUILD_VERSION:
            platform, version = struct.unpack_from("<2I", data, offset + 8)
            oldest = (version >> 16, version >> 8 & 0xFF) if platform == MACOS else oldest
        elif command == CODE_SIGNATURE:
            signature = struct.unpack_from("<2I", data, offset + 8)[1]
        offset += size
    return Program(cpu == ARM64, oldest, signature)
