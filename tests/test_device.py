"""What this computer is: read from the real one here, and from texts as macOS prints them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import mlx.core as mx
import pytest

from mlx_backend.calibration import FILE, key_of, store_calibration, stored_calibration
from mlx_backend.device import MACS, OBSERVED, imagined, meminfo, this_machine, used_on_mac
from mlx_backend.published import published_shape
from mlx_backend.sizes import GIB, Calibration

VM_STAT = """\
Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               12345.
Pages active:                            600000.
Pages wired down:                        200000.
Pages purgeable:                           5000.
"Translation faults":                1234567890.
File-backed pages:                       300000.
Anonymous pages:                         400000.
Pages occupied by compressor:            100000.
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_this_computer_is_asked_live() -> None:
    machine = this_machine(mx.device_info())
    told = dict(re.findall(r"^(\w+):\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE))
    assert machine.physical <= int(told["MemTotal"]) * 1024
    assert 0 < machine.others < machine.physical
    assert not machine.gpu
    assert machine.name
    assert this_machine(ours=2**60).others == 0


def test_meminfo() -> None:
    assert meminfo("MemTotal:       1000 kB\nMemAvailable:  400 kB\nHugePages_Total: 3\n") == {
        "MemTotal": 1_024_000,
        "MemAvailable": 409_600,
    }


def test_memory_other_programs_use_on_a_mac() -> None:
    assert used_on_mac(VM_STAT) == (400_000 - 5000 + 200_000 + 100_000) * 16_384
    assert used_on_mac("") == 0


@pytest.mark.parametrize("gib", MACS)
def test_macs_that_are_not_here(gib: int) -> None:
    mac = imagined(gib)
    assert mac.physical == gib * GIB
    assert 0.6 < mac.working_set / mac.physical < 0.92
    assert ("observed" in mac.source) == (gib in OBSERVED)


def test_what_was_measured_is_kept_by_chip_version_and_model(tmp_path: Path) -> None:
    mac, found = imagined(64), Calibration(0.9, 1.2)
    assert stored_calibration(tmp_path, mac) is None
    store_calibration(tmp_path, mac, None, found, "2026-11-21")
    store_calibration(tmp_path, mac, published_shape(), Calibration(0.5, 0.6, fused=False), "2026-11-22")
    kept = stored_calibration(tmp_path, mac)
    assert kept == Calibration(0.9, 1.2, source="measured here on 2026-11-21")
    assert stored_calibration(tmp_path, imagined(96)) is None
    assert "MLX 0." in key_of(mac)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"Mac with 64 GB | MLX 0.32.4": {"prefill": 900}}'])
def test_a_damaged_file_counts_as_nothing_measured(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    assert stored_calibration(tmp_path, imagined(64)) is None
