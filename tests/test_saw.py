"""What the model saw as the page tells it: which file is which, which moments, what is not believed."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import Any

import pytest

from app.store import Message, Part
from app.ui import acts, saw
from mlx_backend import Shown

PICTURE = Part("image", "", "aa" * 32, {"name": "a.png"})
CLIP = Part("video", "", "bb" * 32, {"name": "b.webm"})
SHOWN = asdict(Shown("a.png", False, (4000, 3000), 1204, 896, 1376))
PLAYED = asdict(Shown("b.webm", True, (320, 240), 336, 252, 432, (0.0, 0.5333333, 1.0), 3.2))


def question(*parts: Part) -> Message:
    return Message("q", "user", "complete", (*parts, Part("text", "?")), variants=("q",))


def answer(name: str, shown: Any, *parts: Part, **stats: Any) -> Message:
    told = {**({} if shown is None else {"saw": shown}), **stats}
    return Message(name, "assistant", "complete", parts or (Part("text", "!"),), {}, "stop", told, (name,))


def seen(shown: Any, *files: Part, **stats: Any) -> dict[str, Any] | None:
    return saw.seen([question(*files), answer("1", shown, **stats)]).get("1")


def test_each_thing_is_told_with_its_file() -> None:
    found = seen([SHOWN, PLAYED], PICTURE, CLIP, prompt_tokens=2000)
    assert found is not None
    picture, clip = found["media"]
    assert (picture["src"], clip["src"]) == ("/media/" + "aa" * 32, "/media/" + "bb" * 32)
    assert (picture["original"], picture["size"], picture["change"]) == ([4000, 3000], [1204, 896], "shrunk")
    assert (clip["moments"], clip["pairs"], clip["length"]) == ([0.0, 0.533, 1.0], 3, 3.2)
    assert (found["tokens"], found["text"]) == (1808, 192)


def test_an_answer_tells_of_earlier_questions_as_well_but_not_of_those_left_out() -> None:
    bad = answer("2", None, Part("error", "Bad.", None, {"kind": "BadMedia"}))
    path = [
        *(question(PICTURE), answer("1", [SHOWN])),
        *(question(PICTURE), bad),
        *(question(CLIP), answer("3", [SHOWN, PLAYED])),
    ]
    found = saw.seen(path)
    assert sorted(found) == ["1", "3"]
    assert [one["src"][-2:] for one in found["3"]["media"]] == ["aa", "bb"]
    assert [message.id for message, _ in saw.given(path)] == ["1", "2", "3"]
    assert list(saw.given(path))[-1][1] == [PICTURE, CLIP]


def test_what_does_not_fit_the_files_is_told_without_them() -> None:
    found = seen([PLAYED, SHOWN], PICTURE, CLIP)
    assert found is not None and [one["src"] for one in found["media"]] == ["", ""]
    found = seen([SHOWN], PICTURE, CLIP)
    assert found is not None and found["media"][0]["src"] == ""


def test_of_many_moments_some_are_chosen_evenly() -> None:
    assert saw.evenly([0.0, 1.0], 60) == [0.0, 1.0]
    chosen = saw.evenly([n / 2 for n in range(300)], 60)
    assert (len(chosen), chosen[0], chosen[-1]) == (60, 0.0, 149.5)
    steps = {round(after - before, 1) for before, after in pairwise(chosen)}
    assert steps <= {2.5, 3.0}
    found = seen([{**PLAYED, "moments": [n / 2 for n in range(300)]}], CLIP)
    assert found is not None and (len(found["media"][0]["moments"]), found["media"][0]["pairs"]) == (60, 300)


@pytest.mark.parametrize("prompt", [None, 3, -1, True, "9", float("nan"), float("inf"), 10**400])
def test_the_rest_is_not_guessed(prompt: Any) -> None:
    found = seen([SHOWN], PICTURE, prompt_tokens=prompt)
    assert found is not None and found["text"] is None


@pytest.mark.parametrize(
    "nonsense",
    [
        *(None, [], "saw", 7, {"0": SHOWN}, [None], [[]], [{}], [SHOWN, {}]),
        *([{**SHOWN, "name": name}] for name in (None, 7, ["a"])),
        *([{**SHOWN, "video": value}] for value in (None, 1, "yes")),
        *([{**SHOWN, "original": value}] for value in (None, 7, [1], [1, 2, 3], ["1", 2], [-1, 2], [1.5, 2])),
        *([{**SHOWN, "tokens": value}] for value in (None, -1, "9", True, 10**400, 1e3)),
        *(
            [{**PLAYED, "moments": value}]
            for value in (None, 7, "0", [-1], [float("nan")], [None], [10**400])
        ),
        *([{**PLAYED, "length": value}] for value in (None, -1, float("inf"), "3")),
    ],
)
def test_nonsense_is_not_told(nonsense: Any) -> None:
    assert seen(nonsense, PICTURE) is None


def test_it_is_offered_with_the_other_things_of_an_answer() -> None:
    asked, said = acts.offered([question(PICTURE), answer("1", [SHOWN], prompt_tokens=1400)], str)
    assert asked["saw"] is None
    assert said["saw"]["text"] == 24


def test_places_are_on_a_picture_the_model_was_given() -> None:
    """A question that was left out does not shift the pictures of later ones."""
    bad = answer("1", None, Part("error", "Bad.", None, {"kind": "BadMedia"}))
    other = Part("image", "", "cc" * 32, {"name": "c.png"})
    box = Part("box", "[[1,2,3,4]]", None, {"image": 0, "boxes": [[1, 2, 3, 4]], "label": ""})
    offered = acts.offered([question(PICTURE), bad, question(other), answer("2", None, box)], str)
    assert [figure["name"] for figure in offered[-1]["figures"]] == ["c.png"]
