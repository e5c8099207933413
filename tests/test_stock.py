"""The models while the app runs: the real list, real folders and jobs, a scripted engine."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import until

from app import places
from app.chosen import choose, chosen, note_broken
from app.config import DEMO_MODEL, Config, default_model, startable
from app.controls import _told
from app.minding import Minding
from app.stock import DEMO, Refused, Stock
from app.ui import models
from app.ui.gauge import Gauge
from mlx_backend import (
    BackendError,
    Download,
    FakeEngine,
    Machine,
    Message,
    ModelBroken,
    Progress,
    Request,
    Setup,
    Text,
    imagined,
    this_machine,
)
from mlx_backend.errors import NotEnoughMemory

GB = 10**9


class Picky(FakeEngine):
    """Refuses a folder called large unless forced, and fails with one called broken."""

    loaded: list[str]

    def load(self, model: Path, setup: Setup = Setup(), force: bool = False) -> Iterator[Progress]:  # noqa: B008
        if model.name == "broken":
            raise ModelBroken(str(model / "config.json"), "cannot be read.")
        if model.name == "large" and not force:
            raise NotEnoughMemory(
                "Loading this model", 90 * GB, 20 * GB, [("weights", 88 * GB)], "Kept.", "Less."
            )
        self.loaded = [*getattr(self, "loaded", []), model.name]
        yield from super().load(model)


@pytest.fixture
def engine() -> Iterator[Picky]:
    with Picky() as engine:
        list(engine.load(DEMO_MODEL))
        yield engine


@pytest.fixture
def stock(home: Path, engine: Picky) -> Stock:
    home.mkdir()
    return Stock(home, engine, DEMO)


def model(folder: Path) -> Path:
    """A whole checkpoint of somebody's own."""
    shutil.copytree(DEMO_MODEL, folder)
    return folder


def settled(stock: Stock) -> str:
    until(lambda: stock.switch and not stock.switch.under_way)
    assert stock.switch is not None
    return stock.switch.state


def test_a_local_folder_is_found_chosen_and_remembered(stock: Stock, home: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "my own")
    assert stock.add(str(folder)) == "my own"
    stock.choose(str(folder))
    assert settled(stock) == "done"
    assert stock.answering == str(folder) and not stock.is_demo
    assert (chosen(home), default_model()) == (str(folder), str(folder))
    line = next(line for line in models.value(stock, imagined(64))["lines"] if line["title"] == "my own")
    assert line["answers"] and line["can"] == ["memory"] and line["fits"] == "yes"
    with pytest.raises(Refused, match="answers now"):
        stock.delete(str(folder))
    stock.choose(DEMO)
    assert settled(stock) == "done" and stock.is_demo and chosen(home) == DEMO


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("", "whole path"),
        ("relative/path", "whole path"),
        ("/no/such/folder", "no folder"),
        ("/proc/self", "No GLM-4.5V"),
        ("~nobody-of-this-name/models", "whole path"),
        ("/" + "a" * 5000, "no folder"),
        ("/tmp/\0", "no folder"),
    ],
)
def test_a_folder_without_a_model_is_refused_in_words(stock: Stock, folder: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        stock.add(folder)
    assert places.remembered(stock.home) == []


def test_a_list_that_cannot_be_written_is_told(stock: Stock, tmp_path: Path) -> None:
    mine = model(tmp_path / "mine")
    (stock.home / places.LIST).mkdir()
    told = _told(stock, {"act": "add", "name": str(mine)})
    assert told.startswith("The list of folders could not be written: ") and "Nothing was changed" in told


@pytest.mark.parametrize("name", [None, "", 7, "../../etc", "/etc", "org/unknown", ["demo"], {"a": 1}])
def test_a_name_that_is_not_in_the_list_does_nothing(stock: Stock, name: object) -> None:
    for act in (stock.download, stock.verify, stock.delete, stock.choose, stock.remove):
        with pytest.raises(Refused):
            act(name)
    stock.pause(name)
    stock.cancel(name)
    assert stock.switch is None and stock.is_demo


def shown(stock: Stock, title: str) -> dict[str, Any] | None:
    """The line of a model as the page gets it."""
    return next((line for line in models.value(stock, imagined(64))["lines"] if line["title"] == title), None)


def test_a_local_folder_is_taken_off_the_list_and_stays_where_it_is(stock: Stock, tmp_path: Path) -> None:
    folder = model(tmp_path / "disk" / "mine")
    stock.add(str(tmp_path / "disk"))
    line = shown(stock, "mine")
    assert line is not None and "remove" in line["can"] and "delete" not in line["can"]
    stock.choose(str(folder))
    assert settled(stock) == "done"
    with pytest.raises(Refused, match="mine answers now"):
        stock.remove(str(folder))
    stock.choose(DEMO)
    assert settled(stock) == "done"
    assert stock.remove(str(folder)) == str(tmp_path / "disk")
    assert shown(stock, "mine") is None and places.remembered(stock.home) == []
    assert sorted(file.name for file in folder.iterdir()) == sorted(f.name for f in DEMO_MODEL.iterdir())


def test_a_folder_that_holds_also_the_model_that_answers_stays_in_the_list(
    stock: Stock, tmp_path: Path
) -> None:
    other, folder = model(tmp_path / "disk" / "other"), model(tmp_path / "disk" / "mine")
    stock.add(str(tmp_path / "disk"))
    stock.choose(str(folder))
    assert settled(stock) == "done"
    with pytest.raises(Refused, match="mine answers now"):
        stock.remove(str(other))
    assert shown(stock, "mine") is not None and places.remembered(stock.home) == [tmp_path / "disk"]


def test_what_the_app_itself_fetched_is_not_taken_off_the_list(stock: Stock) -> None:
    folder = model(places.own_place(stock.home) / "someone" / "mine")
    line = shown(stock, "someone/mine")
    assert line is not None and "remove" not in line["can"]
    with pytest.raises(Refused, match="not in a folder that you added"):
        stock.remove(str(folder))
    assert shown(stock, "someone/mine") is not None


def test_a_download_goes_to_the_disk_that_was_chosen_and_nowhere_else(
    stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody is asked
    disk, name = tmp_path / "Big Disk", "mlx-community/GLM-4.5V-4bit"
    disk.mkdir()
    places.remember(stock.home, disk)
    assert models.value(stock, imagined(64))["places"][:2] == [str(places.own_place(stock.home)), str(disk)]
    stock.download(name, str(disk))
    assert target(stock, name) == disk
    for to in (str(tmp_path), f"{disk}/..", "", None, 7, ["x"]):  # none of the places there are
        stock.cancel(name)
        stock.download(name, to)
        assert target(stock, name) == places.own_place(stock.home)
    assert str(tmp_path) not in map(str, places.remembered(stock.home))


def target(stock: Stock, name: str) -> Path:
    job = stock._jobs[name]
    job.pause()
    assert isinstance(job, Download)
    return job.into


def test_what_does_not_fit_is_refused_until_it_is_forced(stock: Stock, engine: Picky, tmp_path: Path) -> None:
    large = str(model(tmp_path / "large"))
    stock.add(large)
    stock.choose(large)
    assert settled(stock) == "refused" and stock.is_demo
    assert stock.switch is not None and "90.00 GB" in stock.switch.words
    assert chosen(stock.home) == ""
    stock.choose(large, force=True)
    assert settled(stock) == "done" and engine.loaded[-1] == "large"


def test_after_a_load_that_failed_the_one_before_answers_on(
    stock: Stock, engine: Picky, tmp_path: Path
) -> None:
    broken = str(model(tmp_path / "broken"))
    stock.add(broken)
    stock.choose(broken)
    assert settled(stock) == "failed"
    until(lambda: engine.loaded == [DEMO_MODEL.name, DEMO_MODEL.name] and not stock._returning)
    assert stock.is_demo and stock.switch is not None and "cannot be read" in stock.switch.words


def test_while_the_one_before_comes_back_nothing_else_is_loaded(
    stock: Stock, engine: Picky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its return would otherwise come after the load that was asked for last, and undo it."""
    broken, mine = model(tmp_path / "broken"), model(tmp_path / "mine")
    stock.add(str(broken))
    stock.add(str(mine))
    coming, come = threading.Event(), threading.Event()
    real = engine.load

    def load(folder: Path, setup: Setup = Setup(), force: bool = False) -> Iterator[Progress]:  # noqa: B008
        if folder == DEMO_MODEL:
            coming.set()
            come.wait(30)
        yield from real(folder, setup, force)

    monkeypatch.setattr(engine, "load", load)
    stock.choose(str(broken))
    assert coming.wait(30)
    with pytest.raises(Refused, match="is being loaded"):
        stock.choose(str(mine))
    come.set()
    until(lambda: not stock._returning)
    stock.choose(str(mine))
    assert settled(stock) == "done" and Path(engine.status().model or "") == mine


def test_what_answers_is_known_by_its_folder_too(home: Path, engine: Picky) -> None:
    """As `serve --model FOLDER` names it, also through a link: it is neither deleted nor offered."""
    home.mkdir()
    folder = model(places.own_place(home) / "mlx-community" / "GLM-4.5V-4bit")
    (home / "link").symlink_to(folder)
    for named in (str(folder), str(home / "link"), "mlx-community/GLM-4.5V-4bit"):
        stock = Stock(home, engine, named)
        line = next(
            one for one in models.value(stock, imagined(64))["lines"] if one["name"].endswith("V-4bit")
        )
        assert line["answers"] and "choose" not in line["can"] and "delete" not in line["can"]
        with pytest.raises(Refused, match="answers now"):
            stock.delete("mlx-community/GLM-4.5V-4bit")
    assert folder.is_dir()


def test_half_a_model_is_not_loaded(stock: Stock, tmp_path: Path) -> None:
    folder = model(tmp_path / "half")
    stock.add(str(folder))
    next(folder.glob("*.safetensors")).unlink()
    with pytest.raises(Refused, match="missing"):
        stock.choose(str(folder))
    assert stock.switch is None


def test_glm_46v_is_shown_with_its_reason_and_nothing_can_be_done(stock: Stock) -> None:
    line = next(line for line in models.value(stock, imagined(128))["lines"] if "4.6V" in line["name"])
    assert line["unsupported"] and line["can"] == [] and "nobody has proven" in line["words"]
    for act in (stock.download, stock.choose):
        with pytest.raises(Refused, match="nobody has proven"):
            act(line["name"])


@pytest.mark.parametrize(
    ("memory", "best"), [(32, ""), (64, "3-bit"), (96, "4-bit"), (128, "6-bit"), (256, "8-bit")]
)
def test_one_model_is_marked_as_the_best(stock: Stock, memory: int, best: str) -> None:
    lines = models.value(stock, imagined(memory))["lines"]
    assert [line["name"] for line in lines if line.get("best")] == (
        [f"mlx-community/GLM-4.5V-{best.replace('-', '')}"] if best else []
    )
    for line in lines:
        assert line["fits"] != "no" or line.get("unsupported") or "Does not fit" in line["words"]


# --- the next start -----------------------------------------------------------------------------------------


def test_a_chosen_model_whose_disk_is_gone_gives_way_to_the_demo(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    choose(home, str(tmp_path / "unplugged" / "model"))
    config = startable(Config())
    assert config.is_demo and "The demo model answers until" in config.told
    with pytest.raises(BackendError):
        startable(Config(model=str(tmp_path / "named on the command line")))


def test_a_chosen_model_that_broke_gives_way_to_the_demo_until_it_is_repaired_or_chosen_again(
    home: Path, tmp_path: Path
) -> None:
    """A real engine meets the fault; the choice itself is never lost."""
    home.mkdir()
    folder = model(tmp_path / "mine")
    whole = (folder / "config.json").read_bytes()
    choose(home, str(folder))
    (folder / "config.json").write_text("{")
    request = Request((Message("user", (Text("hi"),)),))
    assert startable(Config()).model == str(folder)  # nobody has met it yet
    with Minding(home, folder) as engine, pytest.raises(ModelBroken, match="under Models, or download"):
        list(engine.stream(request))
    config = startable(Config())
    assert config.is_demo and chosen(home) == str(folder)
    assert str(folder) in config.told and "The demo model answers until you choose" in config.told
    choose(home, str(folder))  # as after a load, or `models use`
    assert startable(Config()).model == str(folder)
    with Minding(home, folder) as engine, pytest.raises(ModelBroken):
        engine.measure(request)
    assert startable(Config()).is_demo
    (folder / "config.json").write_bytes(whole)
    assert startable(Config()).model == str(folder)


def test_a_model_named_on_the_command_line_is_tried_although_it_is_known_to_be_broken(
    home: Path, tmp_path: Path
) -> None:
    home.mkdir()
    folder = model(tmp_path / "mine")
    note_broken(home, folder, "Broken.")
    assert startable(Config(model=str(folder))).model == str(folder)


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"model": 7}), json.dumps({"other": "x"})])
def test_a_file_that_cannot_be_read_chooses_nothing(home: Path, content: str) -> None:
    home.mkdir()
    (home / "model.json").write_text(content)
    assert chosen(home) == "" and default_model() == DEMO


# --- the gauge ----------------------------------------------------------------------------------------------


def test_the_gauge_adds_up(stock: Stock) -> None:
    value = Gauge(stock).value()
    assert value["demo"] and value["model"] == "Demo model" and value["state"] == "idle"
    total = sum(part["share"] for part in value["parts"])
    machine: Machine = this_machine()
    assert f"{total * machine.physical / GB:.1f} of" in value["words"] and 0 < total <= 1.01
    assert value["words"].endswith(f"of {machine.physical / GB:.1f} GB")
    assert [part["name"] for part in value["parts"]] == [
        "Weights",
        "Conversation",
        "Working",
        "Cache",
        "Other programs",
    ]
