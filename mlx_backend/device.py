"""What this computer is, asked live: its name, its memory, what the GPU may hold, what other programs use.

Knows: sysctl and vm_stat of macOS, /proc of Linux, the facts that MLX tells of a GPU.
Does not know: MLX itself (whoever has it passes its facts), models, what fits.

The working set is never derived for the computer at hand. For a computer that is not here (`imagined`) it is
what was observed on such Macs, with the source.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .sizes import GIB, Machine

# Working sets seen on recent macOS, in bytes by GiB of memory. Source: what programs logged on such Macs.
OBSERVED: Mapping[int, tuple[int, str]] = {
    32: (26_800_600_000, "observed (ollama #16030)"),
    48: (40_200_900_000, "observed (llama.cpp #16634)"),
    64: (55_662_790_000, "observed (LM Studio #2017; older macOS: 49.2 GB)"),
    128: (115_448_730_000, "observed (ds4 #893)"),
    192: (int(161.28 * GIB), "observed (mlxstudio #114, 161.3 GiB)"),
    256: (int(225.28 * GIB), "observed (oMLX #3350, 225.28 GiB)"),
    512: (498_216_210_000, "observed (a public log)"),
}
# Fractions of memory where nothing was observed: those of the nearest size above which something was.
ASSUMED = ((36, 0.78), (48, 0.78), (96, 0.81), (128, 0.84), (192, 0.84), (256, 0.88), (10**6, 0.9063))
MACS = (32, 36, 48, 64, 96, 128, 192, 256, 512)
# What the app told its worker that other programs hold, bytes; None: it is asked here. See hear().
_told: int | None = None
# What Metal's facts are called by MLX.
WORKING_SET, MEMORY, NAME = "max_recommended_working_set_size", "memory_size", "device_name"


def this_machine(facts: Mapping[str, object] | None = None, ours: int = 0) -> Machine:
    """The computer we run on.

    facts: mx.device_info(), where a worker has told it; without it macOS is asked for a limit that was set by
    hand, and the working set is otherwise only assumed. ours: bytes that our own processes hold.
    Raises nothing: what cannot be asked is taken as 0 used and said in `source`.
    """
    return _mac(facts or {}, ours) if sys.platform == "darwin" else _linux(facts or {}, ours)


def hear(others: int) -> None:
    """Other programs hold so many bytes: taken from now on where a command would have to be run to know.

    The app tells its worker: a process of 60 GB must not be forked before every question.
    """
    global _told
    _told = others


def imagined(gib: int) -> Machine:
    """A Mac with so many GiB of memory and nothing else running, with the working set seen on such Macs."""
    physical = gib * GIB
    size, source = OBSERVED.get(gib) or (int(physical * _fraction(gib)), "assumed from Macs of other sizes")
    return Machine(f"Mac with {gib} GB", physical, size, 0, source)


def _fraction(gib: float) -> float:
    return next(fraction for limit, fraction in ASSUMED if gib <= limit)


# --- macOS -----------------------------------------------------------------------------------------------


def _mac(facts: Mapping[str, object], ours: int) -> Machine:
    physical = _int(facts.get(MEMORY)) or _int(_said("sysctl", "-n", "hw.memsize"))
    name = str(facts.get(NAME) or _said("sysctl", "-n", "machdep.cpu.brand_string") or "Mac")
    size, source = _working_set(facts, physical)
    others = max(0, used_on_mac(_said("vm_stat")) - ours) if _told is None else _told
    return Machine(name, physical, size, others, source)


def _working_set(facts: Mapping[str, object], physical: int) -> tuple[int, str]:
    if told := _int(facts.get(WORKING_SET)):
        return told, "asked live"
    if wired := _int(_said("sysctl", "-n", "iogpu.wired_limit_mb")):
        return wired * 2**20, "iogpu.wired_limit_mb, set by hand"
    guess = imagined(round(physical / GIB))
    return guess.working_set, f"{guess.source}; Metal tells it once a model is loaded"


def used_on_mac(vm_stat: str) -> int:
    """Bytes in use that cannot be given back at once, from the output of vm_stat; 0 where it has none.

    As Activity Monitor's "memory used": pages of programs less purgeable ones, wired and compressed pages.
    """
    size = re.search(r"page size of (\d+) bytes", vm_stat)
    pages = {
        name.strip('" '): int(n) for name, n in re.findall(r"^(.+?):\s+(\d+)\.?$", vm_stat, re.MULTILINE)
    }
    used = pages.get("Anonymous pages", 0) - pages.get("Pages purgeable", 0)
    used += pages.get("Pages wired down", 0) + pages.get("Pages occupied by compressor", 0)
    return max(0, used) * int(size[1]) if size else 0


def _said(*command: str) -> str:
    """What a system command prints; nothing where there is no such command or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


# --- Linux -----------------------------------------------------------------------------------------------


def _linux(facts: Mapping[str, object], ours: int) -> Machine:
    memory = meminfo(_read("/proc/meminfo"))
    physical = min(memory.get("MemTotal", 0) or _sysconf(), _cgroup("memory.max") or 2**62)
    others = memory.get("MemTotal", 0) - memory.get("MemAvailable", 0) - ours
    found = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    name = found[1] if found else str(facts.get(NAME) or "this computer")
    return Machine(name, physical, physical, max(0, others), "no GPU here: all of the memory", gpu=False)


def meminfo(text: str) -> dict[str, int]:
    """Bytes by name, from the text of /proc/meminfo."""
    return {name: int(n) * 1024 for name, n in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}


def _cgroup(name: str) -> int:
    return _int(_read(f"/sys/fs/cgroup/{name}"))


def _sysconf() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _int(value: object) -> int:
    """0 for whatever is no number: the limit "max", an empty answer."""
    text = str(value).strip()
    return int(text) if text.isdigit() else 0
