"""What this computer is: read from the real one here, and from texts as macOS prints them."""

from __future__ import annotations

import gc
import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest
from PIL import Image as Pillow

from app.__main__ import main
from mlx_backend import Done, Image, Message, Request, Sampling, Text, device
from mlx_backend.calibration import (
    FILE,
    FOLDER,
    key_of,
    store_calibration,
    stored_calibration,
    use_calibration,
)
from mlx_backend.device import (
    MACS,
    OBSERVED,
    WORKING_SET,
    hear,
    imagined,
    meminfo,
    this_machine,
    used_on_mac,
)
from mlx_backend.limits import guard_of, machine
from mlx_backend.published import published_shape
from mlx_backend.respond import Responder
from mlx_backend.sizes import GIB, Calibration, Setup
from mlx_backend.sums import judge, kv_bytes, looks
from mlx_backend.weighing import shape_of_folder, weigh_folder

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
    here = this_machine(mx.device_info())
    told = dict(re.findall(r"^(\w+):\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE))
    assert here.physical <= int(told["MemTotal"]) * 1024
    assert 0 < here.others < here.physical
    assert not here.gpu
    assert here.name
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
    mac, real, small = imagined(64), published_shape(), replace(published_shape(), hidden=64)
    assert stored_calibration(tmp_path, mac, real) is None
    store_calibration(tmp_path, mac, real, Calibration(0.9, 1.2), "2026-11-21")
    store_calibration(tmp_path, mac, small, Calibration(0.5, 0.6, fused=False), "2026-11-22")
    kept = stored_calibration(tmp_path, mac, real)
    assert kept == Calibration(0.9, 1.2, source="measured here on 2026-11-21")
    assert stored_calibration(tmp_path, imagined(96), real) is None
    assert "MLX 0." in key_of(mac, real)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"KEY": {"prefill": 900}}', '{"KEY": [1]}', '{"KEY": 1}'])
def test_a_damaged_file_counts_as_nothing_measured(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text.replace("KEY", key_of(imagined(64), published_shape())))
    assert stored_calibration(tmp_path, imagined(64), published_shape()) is None


def test_this_machine_is_measured_for_a_model(
    tiny_model: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The probe itself, in its own process: afterwards the plan says so."""
    assert main(["plan", "--measure", "--model", str(tiny_model)]) == 0
    shape = shape_of_folder(tiny_model, 4)
    kept = stored_calibration(home, this_machine(), shape)
    assert kept is not None
    assert not kept.fused
    assert 0.5 < kept.prefill < 1.5
    assert 0.8 < kept.vision < 2
    main(["plan", "--model", str(tiny_model), "--context", "1000"])
    assert "measured here on" in capsys.readouterr().out


def test_the_worker_plans_with_what_was_measured(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, found = shape_of_folder(tiny_model, 4), Calibration(0.7, 1.1, fused=False)
    monkeypatch.delenv(FOLDER, raising=False)
    assert guard_of(tiny_model, Setup(), "float32", False).calibration is None
    store_calibration(tmp_path, machine(), shape, found, "2026-11-21")
    monkeypatch.setenv(FOLDER, "")  # so that it is put back after this test
    use_calibration(tmp_path)
    kept = replace(found, source="measured here on 2026-11-21")
    assert guard_of(tiny_model, Setup(), "float32", False).calibration == kept


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac can")
def test_what_is_not_here_is_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--measure"]) == 1
    assert main(["plan", "--measure", "--memory", "64"]) == 1
    assert "Nothing was measured" in capsys.readouterr().err


def test_a_forecast_of_a_real_request(tiny_model: Path) -> None:
    """Weights and keys and values to the byte, the peak within 3 % or 2 MB: a cold request, two pictures."""
    before = held()
    responder = Responder(tiny_model, setup=Setup(chunk=256), force=True)
    pictures = [Image(png(size), f"{size}.png") for size in (280, 336)]
    parts = (*pictures, Text("a " * 900))
    greedy = Sampling(temperature=0)
    request = Request((Message("user", parts),), sampling=greedy, max_tokens=3, thinking=False)
    layout = responder.processor.of(request)
    done = next(event for event in responder.respond(request) if isinstance(event, Done))
    peak, tokens = mx.get_peak_memory() - before, len(layout.ids) + done.stats.output_tokens
    shape, weights = shape_of_folder(tiny_model, 4), weigh_folder(tiny_model, 4)
    patches, each = looks([item.grids for item in layout.media])
    seen = sum(h * w for _, h, w in layout.grids) // 4
    setup = Setup(tokens, None, 256, patches, each, seen, reused=0)
    found = judge(shape, weights, this_machine(), setup)
    assert responder.weight_bytes == weights.total
    assert responder.facts().kv_bytes == kv_bytes(shape, tokens)
    assert found.peak == pytest.approx(peak, rel=0.03, abs=2e6)


def held() -> int:
    """Bytes of arrays of tests before this one, which are no part of a forecast."""
    gc.collect()
    return mx.get_active_memory()


def png(side: int) -> bytes:
    out = io.BytesIO()
    Pillow.new("RGB", (side, side), "red").save(out, "PNG")
    return out.getvalue()


def test_what_the_app_told_is_taken_instead_of_running_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of 60 GB must not be forked before every question, which running vm_stat would do."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(device, "_said", lambda *command: asked.append(command) or "")
    monkeypatch.setattr(device, "_told", None)
    metal = {"memory_size": 64 * GIB, "device_name": "Apple M3 Max", WORKING_SET: 48 * GIB}
    device._mac(metal, 0)
    assert asked == [("vm_stat",)]
    hear(7 * GIB)
    assert device._mac(metal, 0).others == 7 * GIB and len(asked) == 1
