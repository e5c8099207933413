"""The planner: exact parts, one verdict per machine, remedies that work."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.__main__ import main
from mlx_backend.budget import best, first_change, most_wired, plan, remedies
from mlx_backend.device import MACS, imagined
from mlx_backend.published import ladder, named, published_shape
from mlx_backend.sizes import CHUNKS, COMFORT, EDGE, GB, GIB, PROCESSOR, Machine, Setup, Weights
from mlx_backend.sums import judge, kv_bytes, kv_bytes_per_token, kv_tokens, largest_context, together
from mlx_backend.transient import prefill_bytes, vision_bytes

SHAPE, LADDER = published_shape(), ladder()
GOLDEN = Path(__file__).with_name("macs.txt")


def weights(name: str) -> Weights:
    found = named(name)
    assert found is not None
    return found


# --- exact parts -----------------------------------------------------------------------------------------


def test_keys_and_values_to_the_byte() -> None:
    assert [kv_bytes_per_token(SHAPE, bits) for bits in (None, 8, 4)] == [188_416, 100_096, 52_992]
    assert kv_bytes(SHAPE, 65_536) == 12_348_030_976
    assert kv_bytes(SHAPE, 1) == kv_bytes(SHAPE, 256) == 256 * 188_416
    assert kv_bytes(SHAPE, 257, 4) == 512 * 52_992


@pytest.mark.parametrize(
    ("lengths", "start", "room"),
    [
        ([1], 0, 256),
        ([256, 256], 0, 512),
        ([1000], 0, 1024),
        ([1000, 1000], 0, 2024),  # behind exactly what was there
        ([1000] + [1] * 25, 0, 1280),
        ([20], 300, 512),
        ([300], 300, 812),
    ],
)
def test_room_grows_as_the_cache_grows_it(lengths: list[int], start: int, room: int) -> None:
    assert kv_tokens(lengths, start) == room


def test_pictures_of_one_size_are_computed_together() -> None:
    assert together([]) == 0
    assert together([(1, 16, 16)]) == 256
    assert together([(1, 16, 16)] * 100) == 8192
    assert together([(1, 16, 16), (1, 8, 8), (1, 16, 16)]) == 256
    assert together([(1, 128, 192)] * 2) == 24_576


def test_moments_are_those_of_the_published_estimates() -> None:
    """Within the 30 % such models claim: memory for a chunk at the end of 64K tokens, and for a picture."""
    for chunk, expected in ((512, 0.8e9), (1024, 1.0e9), (2048, 1.5e9)):
        assert prefill_bytes(SHAPE, chunk, 65_536, None) == pytest.approx(expected, rel=0.3)
    assert vision_bytes(SHAPE, 24_576) == pytest.approx(3.1e9, rel=0.3)
    assert vision_bytes(SHAPE, 6144) == pytest.approx(0.77e9, rel=0.3)


def test_quantized_keys_and_values_cost_one_layer_more_while_reading_and_less_in_all() -> None:
    for context in (8192, 65_536):
        plain, eight = (
            judge(SHAPE, weights("4-bit"), imagined(128), Setup(context, bits, patches=0)).peak
            for bits in (None, 8)
        )
        assert eight < plain


# --- verdicts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gib", "name"),
    [(64, "3-bit"), (96, "4-bit"), (128, "6-bit"), (192, "8-bit"), (256, "8-bit"), (512, "8-bit")],
)
def test_the_best_choice_of_each_mac(gib: int, name: str) -> None:
    found = best(SHAPE, LADDER, imagined(gib))
    assert found is not None
    assert found.fits
    assert found.weights.name == name
    if gib > 64:
        assert (found.setup.context, found.setup.kv_bits) == (65_536, None)
        assert found.metal_peak <= COMFORT * imagined(gib).working_set


@pytest.mark.parametrize("gib", [32, 36, 48])
def test_only_slow_mode_where_the_weights_alone_are_too_large(gib: int) -> None:
    assert best(SHAPE, LADDER, imagined(gib)) is None
    refused = plan(SHAPE, weights("3-bit"), imagined(gib), others=LADDER)
    assert not refused.fits
    assert "weights alone" in refused.why
    assert [change.what for change in refused.remedies] == ["slow"]
    slow = refused.remedies[0]
    assert 0.3 < slow.setup.experts_share < 0.8
    more = replace(slow.setup, experts_share=slow.setup.experts_share + 0.01)
    assert not judge(SHAPE, slow.weights, slow.machine, more).fits


def test_the_limit_is_the_working_set_and_what_others_leave() -> None:
    mac = imagined(128)
    alone = judge(SHAPE, weights("6-bit"), mac, Setup())
    busy = judge(SHAPE, weights("6-bit"), replace(mac, others=40 * GB), Setup())
    assert alone.fits
    assert alone.limit == int(EDGE * mac.working_set)
    assert not busy.fits
    assert "other programs use 40.00 GB (37.25 GiB) now" in busy.why
    assert busy.spare == busy.room - busy.process < 0


def test_the_sum_is_the_sum_of_its_lines() -> None:
    found = judge(SHAPE, weights("4-bit"), imagined(96), Setup())
    assert found.process == sum(item.bytes for item in found.items)
    assert [item.name for item in found.items if not item.exact] == [
        "while a picture is looked at",
        "Python and Metal",
    ]


def test_eight_bits_on_128_gb_need_a_command_that_says_its_risk() -> None:
    mac = imagined(128)
    refused = plan(SHAPE, weights("8-bit"), mac, others=LADDER)
    wired = next(change for change in refused.remedies if change.what == "memory")
    assert wired.command == "sudo sysctl iogpu.wired_limit_mb=117964"
    assert "freeze" in wired.risk
    assert "undoes it" in wired.risk
    assert wired.setup.context == 19_712
    assert most_wired(mac) == mac.physical - mac.physical // 10


def test_the_mildest_change_comes_first() -> None:
    mac = imagined(96)
    whole = Setup(30_000, chunk=2048, patches=0)
    missing = judge(SHAPE, weights("4-bit"), mac, whole).metal_peak - 10**8
    barely = replace(mac, working_set=int(missing / EDGE))
    failed = judge(SHAPE, weights("4-bit"), barely, whole)
    change = first_change(SHAPE, failed, others=LADDER)
    assert change is not None
    assert (change.what, change.setup.chunk) == ("chunk", 1024)


# --- properties ------------------------------------------------------------------------------------------

contexts = st.integers(1, 65_536)
kv = st.sampled_from([None, 8, 4])
models = st.sampled_from(LADDER)
macs = st.sampled_from([imagined(gib) for gib in MACS])
setups = st.builds(
    Setup,
    context=contexts,
    kv_bits=kv,
    chunk=st.sampled_from(CHUNKS),
    patches=st.integers(0, 24_576),
    kept=st.integers(0, GB),
    vision=st.booleans(),
)


def peak(chosen: Weights, setup: Setup) -> int:
    return judge(SHAPE, chosen, imagined(512), setup).peak


@given(models, setups, contexts)
@settings(max_examples=200, deadline=None)
def test_more_context_never_takes_less(chosen: Weights, setup: Setup, other: int) -> None:
    low, high = sorted((setup.context, other))
    assert peak(chosen, replace(setup, context=low)) <= peak(chosen, replace(setup, context=high))


@given(models, setups)
@settings(max_examples=200, deadline=None)
def test_a_larger_chunk_more_bits_and_a_larger_picture_never_take_less(chosen: Weights, setup: Setup) -> None:
    by_chunk = [peak(chosen, replace(setup, chunk=chunk)) for chunk in CHUNKS]
    assert by_chunk == sorted(by_chunk, reverse=True)
    by_model = [peak(other, setup) for other in LADDER]
    assert by_model == sorted(by_model, reverse=True)
    assert peak(chosen, setup) <= peak(chosen, replace(setup, patches=setup.patches + 1000))
    exact = [kv_bytes(SHAPE, setup.context, bits) for bits in (None, 8, 4)]
    assert exact == sorted(exact, reverse=True)


@given(models, setups, macs)
@settings(max_examples=200, deadline=None)
def test_the_largest_context_is_the_largest(chosen: Weights, setup: Setup, mac: Machine) -> None:
    most = largest_context(SHAPE, chosen, mac, setup)
    if most:
        assert judge(SHAPE, chosen, mac, replace(setup, context=most)).fits
    if most < SHAPE.max_context:
        assert not judge(SHAPE, chosen, mac, replace(setup, context=most + 256)).fits


@given(models, setups, macs, st.integers(0, 200 * GB))
@settings(max_examples=200, deadline=None)
def test_what_is_proposed_makes_it_fit(chosen: Weights, setup: Setup, mac: Machine, others: int) -> None:
    failed = judge(SHAPE, chosen, replace(mac, others=min(others, mac.physical)), setup)
    if failed.fits:
        return
    for change in remedies(SHAPE, failed, None, LADDER):
        assert judge(SHAPE, change.weights, change.machine, change.setup).fits
        assert change.risk
        assert (change.what == "memory") == change.command.startswith("sudo sysctl iogpu.wired_limit_mb=")
        assert change.machine.working_set <= max(mac.working_set, most_wired(mac))


@given(st.integers(8, 1024), st.integers(0, 100))
@settings(max_examples=100, deadline=None)
def test_the_best_choice_fits(gib: int, others: int) -> None:
    mac = replace(imagined(gib), others=min(others, gib) * GIB)
    found = best(SHAPE, LADDER, mac)
    if found is not None:
        assert judge(SHAPE, found.weights, mac, found.setup).fits


def test_a_processor_keeps_scores() -> None:
    """Without fused attention a picture's scores alone are 29 GB; a GPU never has them."""
    assert vision_bytes(replace(SHAPE, item=4), 24_576, PROCESSOR) > 12 * 24_576**2 * 4


# --- the command -----------------------------------------------------------------------------------------


def said(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    with redirect_stdout(out):
        code = main(["plan", *arguments])
    return code, out.getvalue()


def test_the_table_of_every_mac() -> None:
    """The file was compared with reference estimates by hand; a change of it is a change of what we say."""
    assert said("--table") == (0, GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("gib", [64, 96, 128, 192, 256, 512])
def test_a_mac_that_can(gib: int) -> None:
    code, text = said("--memory", str(gib))
    assert code == 0
    assert "It fits" in text
    assert "exact" in text
    assert "modelled" in text


def test_a_mac_that_cannot() -> None:
    code, text = said("--memory", "48")
    assert code == 1
    assert "It does not fit. The weights alone take 48.50 GB (45.17 GiB)" in text
    assert "slow mode" in text


def test_a_plan_for_programs() -> None:
    code, text = said("--memory", "64", "--model", "3-bit", "--context", "16384", "--kv-bits", "8", "--json")
    found = json.loads(text)
    assert code == 0
    assert found["setup"]["context"] == 16_384
    assert found["items"][2] == {"name": "keys and values", "bytes": 16_384 * 100_096, "exact": True}
    assert found["metal_peak"] + 700_000_000 == found["process"]
    assert found["best"]["weights"] == "3-bit"
    assert {row["memory"] for row in json.loads(said("--table", "--json")[1])} == set(MACS)


def test_a_plan_of_a_folder_and_of_this_computer(tiny_model: Path) -> None:
    code, text = said("--model", str(tiny_model), "--context", "1024", "--json")
    found = json.loads(text)
    assert found["machine"]["physical"] > 0
    assert found["weights"]["total"] == pytest.approx(2_413_376, rel=0.01)
    assert code == (0 if found["fits"] else 1)


def test_a_model_of_no_known_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--model", "5-bits"]) == 1
    assert "5-bits: no quantization of this name" in capsys.readouterr().err
