"""The uv that goes into the bundle: the Mac's, taken out of its wheel, and looked at before it is used.

Knows: how a wheel for another computer is fetched with the uv of this one, and how a Mac program begins.
Does not know: where in the bundle it goes.
"""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

PIN = Path(__file__).resolve().parent / "uv.txt"
# Mach-O, 64 bit, as in <mach-o/loader.h> and <mach/machine.h>
MAGIC, ARM64, EXECUTABLE = 0xFEEDFACF, 0x0100000C, 2
BUILD_VERSION, CODE_SIGNATURE = 0x32, 0x1D
MACOS = 1


class NotFetched(Exception):
    """There is no uv to put into the bundle; the text says why and what to do."""


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
    command = ["uv", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--python-platform", "aarch64-apple-darwin", "--target", str(scratch / "uv"), "-r", str(PIN)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NotFetched(
            f"The Mac's uv could not be fetched from the package index. Nothing was built.\n{done.stderr}"
        )
    program = scratch / "uv" / "bin" / "uv"
    head = mach_o(program)
    if head is None or not head.arm64:
        raise NotFetched(f"{program} is no program for Apple silicon. Nothing was built.")
    return program


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
