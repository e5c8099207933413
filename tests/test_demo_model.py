"""The shipped demo model: its answers are right or wrong, so what another way of computing costs is counted.

The questions are the first of those that `scripts/bench demo` asks. Limits lie below the scores in the model
card by what so few questions may scatter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from asking import ROOT
from demo.exam import Answer, Mark, attach, grade, items
from demo.variants import anew, quantized

from mlx_backend.reply import Reply
from mlx_backend.respond import Responder
from mlx_backend.sizes import Setup
from mlx_backend.types import Message, Request, Sampling, Text

DEMO = ROOT / "assets" / "demo-model"
NUMBER = 24  # questions of each skill
MIXED = ("describe", "count", "locate", "change", "video", "chat", "quote")
FEW = 8  # of each skill in MIXED, asked of every other way of computing

# Right answers of NUMBER.
AT_LEAST = {
    "describe": 22, "count": 23, "locate": 21, "read": 22, "change": 22, "video": 23, "chat": 21, "quote": 23,
    "outside": 20,
}  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def responder() -> Responder:
    return Responder(DEMO)


def sit(answer: Answer, clips: Path, skills: Sequence[str] = MIXED, number: int = FEW) -> list[Mark]:
    return [grade(item, answer, clips) for skill in skills for item in items(skill, number)]


def right(marks: Sequence[Mark]) -> int:
    return sum(mark.right for mark in marks)


def said(marks: Sequence[Mark]) -> list[str]:
    return [mark.said for mark in marks]


@pytest.fixture(scope="module")
def plain(responder: Responder, clips: Path) -> list[Mark]:
    """The model as it is, on the questions that every other way is asked."""
    return sit(responder.respond, clips)


@pytest.mark.parametrize("skill", AT_LEAST)
def test_it_can_do_what_its_card_says(skill: str, responder: Responder, clips: Path) -> None:
    marks = sit(responder.respond, clips, [skill], NUMBER)
    assert right(marks) >= AT_LEAST[skill], [(m.item.ask.question, m.said) for m in marks if not m.right]
    assert all(not mark.reasoning for mark in marks if not mark.item.thinking)


def test_with_thinking_on_it_reasons_and_then_answers(responder: Responder, clips: Path) -> None:
    marks = sit(responder.respond, clips, ["think"], NUMBER)
    assert all(mark.well_formed for mark in marks)
    assert sum(bool(mark.true_reasoning) for mark in marks) >= 20


def test_in_8_bits_it_knows_as_much(plain: list[Mark], clips: Path, tmp_path: Path) -> None:
    """Within one per cent: of so few questions, at most one."""
    marks = sit(Responder(quantized(DEMO, 8, tmp_path / "8")).respond, clips)
    assert abs(right(marks) - right(plain)) <= 1


def test_fewer_bits_keep_less(plain: list[Mark], clips: Path, tmp_path: Path) -> None:
    scores = {
        b: right(sit(Responder(quantized(DEMO, b, tmp_path / f"{b}")).respond, clips)) for b in (6, 5, 4, 3)
    }
    print(f"right answers of {len(plain)}: as it is {right(plain)}, by bits {scores}")
    slack = len(plain) // 20
    assert scores[6] >= right(plain) - slack
    assert scores[3] <= scores[4] + slack <= scores[6] + 2 * slack


def test_keys_and_values_in_8_bits_cost_next_to_nothing(plain: list[Mark], clips: Path) -> None:
    marks = sit(Responder(DEMO, setup=Setup(kv_bits=8)).respond, clips)
    assert abs(right(marks) - right(plain)) <= 2


@pytest.mark.parametrize("chunk", [7, 64])
def test_how_the_prompt_is_cut_changes_no_answer(chunk: int, plain: list[Mark], clips: Path) -> None:
    assert said(sit(Responder(DEMO, setup=Setup(chunk=chunk)).respond, clips)) == said(plain)


def test_reuse_changes_no_answer(responder: Responder, clips: Path) -> None:
    """Three turns about one picture: kept between the turns, and computed anew for each."""
    kept = sit(responder.respond, clips, ["chat"], NUMBER)
    assert said(sit(anew(responder), clips, ["chat"], NUMBER)) == said(kept)


@pytest.mark.parametrize("skill", ["describe", "think"])
def test_an_answer_cut_anywhere_goes_on_to_the_same_end(
    skill: str, responder: Responder, clips: Path
) -> None:
    item = next(items(skill, 1))
    question = Message("user", (*(attach(medium, clips) for medium in item.media), Text(item.ask.question)))
    whole = hear(responder, (question,), item.thinking)
    assert whole.done is not None and whole.done.reason == "stop"
    for tokens in range(1, whole.done.stats.output_tokens, 3):
        cut = hear(responder, (question,), item.thinking, tokens)
        assert cut.done is not None and cut.done.reason == "length"
        begun = Message("assistant", cut.parts(), reasoning=cut.reasoning)
        rest = hear(responder, (question, begun), item.thinking)
        assert cut.reasoning + rest.reasoning == whole.reasoning, tokens
        assert cut.answer + rest.answer == whole.answer, tokens


def hear(responder: Responder, messages: tuple[Message, ...], thinking: bool, most: int = 300) -> Reply:
    reply = Reply()
    go_on = messages[-1].role == "assistant"
    for event in responder.respond(Request(messages, thinking, Sampling(temperature=0), most, go_on=go_on)):
        reply.add(event)
    return reply


def test_it_is_small_and_of_the_published_form() -> None:
    config = json.loads((DEMO / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "glm4v_moe"
    assert sum(file.stat().st_size for file in DEMO.rglob("*")) <= 12_000_000
