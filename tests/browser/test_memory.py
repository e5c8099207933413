"""The memory part of the models page with the real engine: the sum, a load, the button of a refusal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from app_process import App
from playwright.sync_api import Locator, Page, expect

from app.config import DEMO_MODEL
from app.savings import Weighed, ways
from app.switches import FILE, PLAIN, Switches
from app.weighed import of_folder
from mlx_backend import ModelTooLarge, this_machine
from mlx_backend.guard import LIMIT, Guard
from mlx_backend.sizes import GIB, Machine, Setup

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
SOON = 120_000


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    command: list[Any] = [sys.executable, "-m", "app", "serve", "--model", "demo", "--no-open", "--port"]
    app = App(tmp_path / "home", command)
    yield app
    app.stop()


def unfold(page: Page, models: str, memory: str) -> tuple[Locator, Locator]:
    page.locator("#top .model-name").click()
    dialog = page.get_by_role("dialog", name=models)
    first = dialog.locator(".model").first
    first.get_by_role("button", name=memory).click(timeout=SOON)
    panel = first.locator(".memory")
    expect(panel.locator(".sum")).to_be_visible(timeout=SOON)
    return dialog, panel


def way(panel: Locator, what: str, value: str) -> Locator:
    return panel.locator(f"[data-what={what}] [data-value='{value}']")


def takes(model: Weighed, switches: Switches) -> set[str]:
    """What the planner says, to the byte, by whichever limit is nearer now."""
    found = model.judge(switches)
    return {str(found.metal_peak), str(found.process)}


def test_switches_change_the_sum_and_the_next_load(app: App, open_page: Open, tmp_path: Path) -> None:
    page = open_page(app.start())
    _, panel = unfold(page, "Models", "Memory…")
    model = of_folder(tmp_path, DEMO_MODEL, this_machine())
    total = panel.locator(".sum")
    assert total.get_attribute("data-takes") in takes(model, PLAIN)
    lines = [int(node.get_attribute("data-bytes") or 0) for node in panel.locator(".sum li").all()]
    assert str(sum(lines)) == total.get_attribute("data-takes")
    eight = next(one for one in ways(model, PLAIN) if (one.what, one.value) == ("kv_bits", 8))
    expect(way(panel, "kv_bits", "8")).to_contain_text(f"saves {eight.saves / 1e6:,.1f} MB")
    way(panel, "kv_bits", "8").click()
    expect(way(panel, "kv_bits", "8")).to_have_attribute("aria-pressed", "true", timeout=SOON)
    expect(panel.locator("[data-what=kv_bits] .hint")).to_contain_text(
        "how much was not measured on GLM-4.5V"
    )
    assert total.get_attribute("data-takes") in takes(model, Switches(kv_bits=8))
    way(panel, "context", "4096").click()
    expect(way(panel, "context", "4096")).to_have_attribute("aria-pressed", "true", timeout=SOON)
    assert total.get_attribute("data-takes") in takes(model, Switches(kv_bits=8, context=4096))
    assert not (app.home / FILE).exists()  # nothing is changed before its button is pressed
    panel.get_by_role("button", name="Load again with these").click()
    expect(panel).to_contain_text("The model that answers now is run so.", timeout=SOON)
    page.keyboard.press("Escape")
    page.locator(".gauge summary").click()
    expect(page.locator(".gauge .parts")).to_contain_text("Keys and values in 8 bits", timeout=SOON)
    expect(page.locator(".gauge .parts")).to_contain_text("At most 4,096 tokens")
    expect(page.locator(".gauge .parts")).to_contain_text("Measure this computer", timeout=SOON)
    kept = json.loads((app.home / FILE).read_text())
    assert kept == {str(DEMO_MODEL.resolve()): {"kv_bits": 8, "late": False, "share": 1.0, "context": 4096}}


def test_a_refusal_in_chinese_offers_a_button_that_makes_it_fit(
    app: App, open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Machine("here", 64 * GIB, 64 * GIB, gpu=False)
    model = of_folder(tmp_path, DEMO_MODEL, here)
    with pytest.raises(ModelTooLarge) as least:
        Guard(model.shape, model.weights, Setup()).load(Machine("here", 64 * GIB, 1, gpu=False))
    bare = sum(size for name, size in least.value.items if "vision" not in name)
    monkeypatch.setenv(LIMIT, str(int((bare + 200_000) / 0.97)))
    page = open_page(app.start(), locale="zh-CN", viewport={"width": 390, "height": 844})
    dialog, panel = unfold(page, "模型", "内存…")
    way(panel, "kv_bits", "8").click()
    panel.get_by_role("button", name="按此重新载入").click(timeout=SOON)
    change = dialog.locator(".change")
    expect(change).to_contain_text("可行的办法：有图片时才从磁盘载入视觉部分。", timeout=SOON)
    expect(change).to_contain_text("也可以强行载入")
    button = change.get_by_role("button", name="视觉部分留在磁盘上载入")
    place = button.bounding_box() or {}
    assert place["x"] >= 0 and place["x"] + place["width"] <= 390
    button.click()
    expect(way(panel, "late", "true")).to_have_attribute("aria-pressed", "true", timeout=SOON)
    expect(panel).to_contain_text("当前回答的模型就是这样运行的。", timeout=SOON)
    kept = json.loads((app.home / FILE).read_text())[str(DEMO_MODEL.resolve())]
    assert (kept["kv_bits"], kept["late"]) == (8, True)


@pytest.mark.parametrize(
    "sent",
    [
        {"act": "weigh", "name": ["demo"]},
        {"act": "weigh", "name": "../../etc", "switches": {}},
        {"act": "weigh", "name": "demo", "switches": [1], "detail": {"a": 1}},
        {"act": "weigh", "name": "demo", "switches": {"context": 1e308, "share": -1, "kv_bits": "x"}},
        {"act": "choose", "name": "/etc", "switches": {"kv_bits": 4}, "detail": ["full"]},
        {"act": "prepare", "name": "/etc"},
        {"act": "prepare", "name": None},
        {"act": "remove", "name": "demo"},
        {"act": "download", "name": "demo", "to": "/etc"},
    ],
)
def test_what_a_page_makes_up_is_answered_and_does_nothing(hostile: Callable[[Any], Any], sent: Any) -> None:
    status, answer = hostile(sent)
    assert status == 200
    assert "told" in answer or answer["memory"]["takes"] > 0


@pytest.fixture(scope="module")
def hostile(
    tmp_path_factory: pytest.TempPathFactory, browser: Any
) -> Iterator[Callable[[Any], tuple[int, Any]]]:
    """Sends a body to a running app as its own page could, and gives its status and answer."""
    home = tmp_path_factory.mktemp("hostile") / "home"
    command: list[Any] = [sys.executable, "-m", "app", "serve", "--model", "demo", "--no-open", "--port"]
    app = App(home, command)
    page = browser.new_context().new_page()
    page.goto(app.start())

    def send(body: Any) -> tuple[int, Any]:
        script = """async (body) => {
          const headers = { 'content-type': 'application/json' };
          const answer = await fetch('/models', { method: 'POST', headers, body: JSON.stringify(body) });
          return [answer.status, await answer.json()]; }"""
        status, value = page.evaluate(script, body)
        return status, value

    yield send
    assert not (home / FILE).exists()
    assert not (home / "models").exists()
    page.context.close()
    app.stop()
