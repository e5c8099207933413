"""What is traded for memory: kept, named on the command line, summed as the planner sums, and really so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from asking import answer, question, until

from app.__main__ import main, parser
from app.chores import Chores
from app.chosen import chosen
from app.config import DEMO_MODEL, Config, kept_switches
from app.savings import SHARES, Weighed, recommended, ways
from app.stock import DEMO, Stock, Switch
from app.switches import FILE, PLAIN, Switches, keep, read, switches_of
from app.switches_line import switched, words
from app.ui import memory
from app.ui.gauge import Gauge
from app.weighed import of_folder, of_published
from mlx_backend import (
    Engine,
    ModelTooLarge,
    imagined,
    judge,
    ladder,
    named,
    published_shape,
    stored_calibration,
)
from mlx_backend.guard import LIMIT, Guard
from mlx_backend.sizes import GB, GIB, Machine, Setup
from mlx_backend.sums import kv_bytes

FRUGAL = Switches(kv_bits=8, late=True, context=4096)


# --- the value ---------------------------------------------------------------------------------------------


def test_what_was_kept_comes_back_for_each_model(home: Path, tmp_path: Path) -> None:
    assert switches_of(home, tmp_path) == PLAIN
    keep(home, tmp_path / "a", FRUGAL)
    keep(home, tmp_path / "b", Switches(share=0.25))
    assert switches_of(home, tmp_path / "b" / ".." / "a") == FRUGAL
    keep(home, tmp_path / "b", PLAIN)
    assert list(json.loads((home / FILE).read_text())) == [str(tmp_path / "a")]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "[" * 9999, '{"FOLDER": 7}', '{"FOLDER": {"kv_bits": 3, "late": 1}}']
)
def test_a_damaged_file_trades_nothing(text: str, home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / FILE).write_text(text.replace("FOLDER", str(tmp_path)))
    assert switches_of(home, tmp_path) == PLAIN


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ({"kv_bits": 8.0, "late": True, "share": 0.5, "context": 5000.7}, Switches(8, True, 0.5, 5000)),
        ({"kv_bits": "8", "late": "yes", "share": None, "context": -4}, PLAIN),
        ({"kv_bits": True, "share": float("nan"), "context": float("inf")}, PLAIN),
        ({"share": -3, "context": 10**40, "other": [1]}, Switches(share=0.01, context=2**20)),
        ({"share": 10**400, "context": 10**400, "kv_bits": 10**400}, Switches(context=2**20)),
        ([], PLAIN),
        ({"kv_bits": [8], "context": {"a": 1}}, PLAIN),
    ],
)
def test_what_a_page_sends_is_brought_into_bounds(sent: object, meant: Switches) -> None:
    found = read(sent)
    assert found == meant
    assert found.kv_bits is None or isinstance(found.kv_bits, int)  # "8.0 bits" is nothing to show


# --- the command line --------------------------------------------------------------------------------------


def test_options_stand_before_what_was_kept() -> None:
    given = ["--vision", "at-once", "--slow", "25%", "--context", "0"]
    for command in (["serve"], ["ask", "Hello"], ["models", "use", "demo"]):
        assert switched(FRUGAL, parser().parse_args([*command, *given])) == Switches(kv_bits=8, share=0.25)
        assert switched(FRUGAL, parser().parse_args([*command, "--kv-bits", "16"])).kv_bits is None
        assert switched(FRUGAL, parser().parse_args(command)) == FRUGAL
    for wrong in ("0%", "200%", "x", "-1"):
        with pytest.raises(SystemExit):
            parser().parse_args(["serve", f"--slow={wrong}"])
    with pytest.raises(SystemExit):
        parser().parse_args(["serve", "--context", "12"])


def test_models_use_is_for_the_next_start(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "use", "demo", "--kv-bits", "8", "--vision", "late", "--context", "4096"]) == 0
    said = capsys.readouterr().out
    assert words(FRUGAL) in said and "It fits." in said
    assert (chosen(home), kept_switches(Config())) == ("demo", FRUGAL)
    assert main(["models", "use", "demo", "--slow", "50%"]) == 1
    assert "models prepare demo FOLDER" in capsys.readouterr().err
    assert kept_switches(Config()) == FRUGAL


def test_plan_says_what_each_saves_and_why_there_are_two_limits(capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "--memory", "128", "--model", "4-bit"])
    said = capsys.readouterr().out
    model = Weighed(published_shape(), named("4-bit") or pytest.fail(), imagined(128))
    for way in ways(model, PLAIN):
        if way.saves > 0:
            assert f"{way.saves / 1e9:>9.2f} GB" in said and f"({way.cost})" in said
    assert "Two limits: 112.0 GB" in said and "97 % of what the GPU may hold" in said
    assert "for the system" in said


# --- the sums ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detail", ["full", "low"])
@pytest.mark.parametrize("gib", [64, 96, 512])
def test_a_saving_is_the_difference_of_two_sums_of_the_planner(gib: int, detail: str) -> None:
    shape, weights = published_shape(), named("3-bit")
    assert weights is not None
    model = Weighed(shape, weights, imagined(gib), apart=True)
    now = Switches(kv_bits=8)
    for way in ways(model, now, detail):
        patches = {"full": 24_576, "low": 1024, "medium": 5120}
        setup = Setup(
            kv_bits=way.value if way.what == "kv_bits" else 8,  # type: ignore[arg-type]
            vision=not (way.what == "late" and way.value),
            context=way.value or 65_536 if way.what == "context" else 65_536,  # type: ignore[arg-type]
            experts_share=way.value if way.what == "share" else 1.0,  # type: ignore[arg-type]
            patches=patches[str(way.value) if way.what == "pictures" else detail],
        )
        found = judge(shape, weights, imagined(gib), setup)
        if not found.fits:  # then a model is loaded with smaller caches, if that makes it fit
            careful = replace(setup, chunk=512, kept=GB // 4, cache_limit=GB // 4)
            careful_found = judge(shape, weights, imagined(gib), careful)
            found = careful_found if careful_found.fits else found
        assert (way.takes, way.fits) == (found.metal_peak, found.fits)
    bits = {way.value: way for way in ways(model, PLAIN) if way.what == "kv_bits"}
    assert kv_bytes(shape, 65_536) - kv_bytes(shape, 65_536, 8) == 65_536 * (188_416 - 100_096)
    assert bits[None].takes - bits[8].takes == bits[8].saves
    every = [way for way in ways(model, PLAIN) if way.what == "share"]
    assert [way.value for way in every] == [1.0, *SHARES]
    assert every[3].saves - every[2].saves == pytest.approx(weights.experts / 4, abs=1)


def test_what_is_recommended_fits_and_is_the_planners_best() -> None:
    four = named("4-bit")
    assert four is not None
    assert recommended(Weighed(published_shape(), four, imagined(128))) == (PLAIN, "full")
    for gib in (32, 48, 64):
        three = named("3-bit")
        assert three is not None
        model = Weighed(published_shape(), three, imagined(gib), apart=gib < 64)
        found = recommended(model)
        assert found is not None
        assert model.longest(*found) >= 4096
        assert model.judge(*found).fits  # by the very sum that the window shows for it
        assert (found[0].share < 1) == (gib < 64)
    assert recommended(Weighed(published_shape(), four, imagined(32))) is None


def test_every_recommendation_fits_by_the_sum_that_is_shown() -> None:
    """The planner counts on smaller caches where memory is short; the sum shown has to do the same."""
    for weights in ladder():
        for gib in (32, 48, 64, 96, 128, 192, 256, 512):
            model = Weighed(published_shape(), weights, imagined(gib))
            if found := recommended(model):
                assert model.judge(*found).fits, (weights.name, gib)


# --- really so ---------------------------------------------------------------------------------------------


def test_the_worker_tells_that_it_is_run_so(home: Path, tmp_path: Path, tiny_model: Path) -> None:
    """8-bit keys and values to the byte, no tower in memory, a shorter conversation."""
    with Engine(tiny_model, setup=FRUGAL.setup, log=tmp_path / "worker.log") as engine:
        assert engine.measure(question()).limit == 4096
        answer(engine, question())
        status = engine.status()
        model = of_folder(home, tiny_model, Machine("here", 64 * GIB, 64 * GIB, gpu=False))
        room = -(-status.cached_tokens // 256) * 256
        assert status.setup is not None
        assert (status.setup.kv_bits, status.setup.vision, status.setup.context) == (8, False, 4096)
        assert status.kv_bytes == kv_bytes(model.shape, room, 8) != kv_bytes(model.shape, room)
        assert status.weight_bytes == model.weights.text
        stock = Stock(home, engine, str(tiny_model), FRUGAL)
        told = Gauge(stock).value()["run"]
        assert told == ["Keys and values in 8 bits", "Vision tower on the disk", "At most 4,096 tokens"]


def test_a_refused_load_offers_the_step_that_makes_it_fit(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the tower left on the disk it fits, and the button says so; pressed, it is kept."""
    home.mkdir()
    model = of_folder(home, DEMO_MODEL, imagined(64))
    guard = Guard(replace(model.shape, item=4), of_folder(home, DEMO_MODEL, CPU).weights, Setup())
    with pytest.raises(ModelTooLarge) as least:
        guard.load(replace(CPU, working_set=1))
    bare = sum(size for name, size in least.value.items if "vision" not in name)
    monkeypatch.setenv(LIMIT, str(int((bare + 200_000) / 0.97)))
    with Engine(log=home / "worker.log") as engine:
        stock = Stock(home, engine, DEMO)
        stock.choose(DEMO)
        assert settled(stock).state == "refused"
        offered = memory.step(stock, settled(stock))
        assert offered is not None
        assert (offered["label"], offered["act"]) == ("Load it with the vision tower on the disk", "choose")
        stock.choose(offered["name"], switches=read(offered["switches"]))
        assert settled(stock).state == "done"
        assert stock.running == switches_of(home, DEMO_MODEL) == Switches(late=True)


CPU = Machine("here", 64 * GIB, 64 * GIB, gpu=False)


def settled(stock: Stock) -> Switch:
    until(lambda: stock.switch is not None and not stock.switch.under_way)
    assert stock.switch is not None
    return stock.switch


def test_this_computer_is_measured_alone_and_once(home: Path, tiny_model: Path) -> None:
    home.mkdir()
    with Engine(tiny_model, log=home / "worker.log") as engine:
        chores, machine = Chores(home, engine), Machine("here", 64 * GIB, 64 * GIB, gpu=False)
        assert not chores.worth_measuring(tiny_model, machine)  # nothing was loaded yet
        answer(engine, question())
        assert chores.worth_measuring(tiny_model, machine)
        chores.measure(tiny_model, machine)
        until(lambda: chores.measuring.state == "running")
        assert engine.status().state == "stopped"
        chores.stop_measuring()
        until(lambda: chores.measuring.state == "stopped")
        shape = of_folder(home, tiny_model, machine).shape
        assert stored_calibration(home, machine, shape) is None
        chores.measure(tiny_model, machine)
        until(lambda: chores.measuring.over)
        assert (chores.measuring.state, chores.measuring.error) == ("done", "")
        assert stored_calibration(home, machine, shape) is not None
        answer(engine, question())
        assert not chores.worth_measuring(tiny_model, machine)


def test_a_copy_for_slow_mode_is_made_and_stopped(home: Path, tiny_model: Path) -> None:
    home.mkdir()
    with Engine(log=home / "worker.log") as engine:
        chores = Chores(home, engine)
        chores.copy(tiny_model)
        chores.close()
        assert chores.copying(tiny_model).state == "stopped"
        assert list((home / "models").iterdir()) == []
        chores.copy(tiny_model)
        until(lambda: chores.copying(tiny_model).over)
        assert chores.copying(tiny_model).error == ""
        copy = chores.copy_of(tiny_model)
        model = of_folder(home, copy, CPU)
        assert model.apart and model.weights.experts > 0
        stock = Stock(home, engine, DEMO)
        row = next(row for row in stock.rows() if row.found and row.found.folder == copy)
        stock.choose(str(copy), switches=Switches(share=0.5))
        assert settled(stock).state == "done", settled(stock).words
        setup = engine.status().setup
        assert setup is not None and setup.experts_share <= 0.5 and row.fit is not None


def test_weights_of_the_list_are_known_before_a_download(home: Path) -> None:
    model = of_published(home, "mlx-community/GLM-4.5V-4bit", imagined(96))
    assert model is not None and model.weights.total == 61_857_173_760
    assert of_published(home, "someone/else", imagined(96)) is None
