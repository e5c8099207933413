"""The words of the composer say what was measured, and a moment that is typed is understood or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ui import sizes
from mlx_backend import Shown, Status

PHOTO = Shown("photo.jpg", False, (4032, 3024), 1372, 1036, 1813)
SMALL = Shown("small.png", False, (640, 360), 644, 364, 299)
ICON = Shown("icon.png", False, (16, 16), 112, 112, 16)
EXACT = Shown("exact.png", False, (280, 280), 280, 280, 100)
CLIP = Shown("walk.mp4", True, (1920, 1080), 644, 364, 299 * 12, tuple(float(n) for n in range(12)), 12.4)


def plain(words: str) -> str:
    return words.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("65", 65), (" 1:05 ", 65), ("0:05", 5), ("2.5", 2.5), ("2,5", 2.5), ("1:02:03", 3723), ("90:00", 5400)],
)
def test_a_moment_may_be_typed_in_every_usual_way(words: str, seconds: float) -> None:
    assert sizes.moment(words) == seconds


@pytest.mark.parametrize("words", ["", "soon", "-5", "1:75", "1:60:00", "1::5", "1e3", "inf", "9" * 40])
def test_what_is_no_moment_is_refused(words: str) -> None:
    with pytest.raises(ValueError):
        sizes.moment(words)


@given(st.integers(0, 10 * 3600))
def test_what_the_clock_says_is_read_back(seconds: int) -> None:
    assert sizes.moment(sizes.clock(seconds)) == seconds


def test_only_what_was_chosen_is_kept_of_a_look() -> None:
    assert sizes.look({"fps": "", "from": "", "to": ""}) == {}
    assert sizes.look({"fps": "0.5", "from": "0:00", "to": "1:05"}) == {"fps": 0.5, "end": 65.0}
    assert sizes.look({"fps": 4, "from": "10", "to": None}) == {"fps": 4.0, "start": 10.0}


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "x",
        [],
        {"fps": "many"},
        {"fps": "nan"},
        {"fps": "-1"},
        {"fps": [1]},
        {"from": 7, "to": {}},
        {"fps": 10**400},
    ],
)
def test_what_no_page_of_ours_sends_is_the_whole_clip(raw: object) -> None:
    assert sizes.look(raw) == {}


def test_rates_are_brought_into_their_bounds() -> None:
    assert (sizes.look({"fps": "1000"}), sizes.look({"fps": "0.001"})) == ({"fps": 8.0}, {"fps": 0.1})


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"from": "soon"}, "begins at a time like 0:05"),
        ({"to": "later"}, "ends at a time like 0:05"),
        ({"from": "0:05", "to": "0:03"}, "ends at 0:03, which is not after 0:05"),
        ({"to": "0"}, "ends at 0:00, which is not after 0:00"),
    ],
)
def test_a_range_that_cannot_be_meant_is_told_in_words(raw: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sizes.look(raw)


def test_a_chip_says_both_sizes_and_whether_it_is_shrunk() -> None:
    told = sizes.chip(PHOTO, {})
    assert plain(told["size"]) == "4032 × 3024 → 1372 × 1036"
    assert (told["change"], told["cost"]) == ("shrunk", "1,813 tokens")
    # the grid alone is neither: 640 x 360 becomes 644 x 364
    assert (plain(sizes.chip(SMALL, {})["size"]), sizes.chip(SMALL, {})["change"]) == (
        "640 × 360 → 644 × 364",
        "",
    )
    assert sizes.chip(ICON, {})["change"] == "enlarged"
    assert plain(sizes.chip(EXACT, {})["size"]) == "280 × 280"


def test_a_video_says_length_frames_and_rate() -> None:
    assert sizes.chip(CLIP, {})["cost"] == "3,588 tokens · 0:12.4 · 24 frames · 2 a second"
    still = Shown("still.mp4", True, (64, 64), 112, 112, 16, (0.0,), 0.5)
    assert sizes.chip(still, {})["cost"] == "16 tokens · 0:00.5 · 2 frames"
    slow = Shown("slow.mp4", True, (64, 64), 112, 112, 48, (0.0, 8.0, 16.0), 24.0)
    assert sizes.clip(slow, {}).endswith("· 0.25 a second")
    assert sizes.clip(slow, {"start": 8.0, "end": 90.0}).startswith("0:08–0:24 / 0:24 · 6 frames")


def test_detail_is_told_with_all_sizes_and_one_sum() -> None:
    assert plain(sizes.detail((PHOTO, SMALL))) == "1372 × 1036, 644 × 364 · 2,112 tokens"
    assert sizes.bound(256) == "at most 256 tokens a picture"
    assert sizes.bound(None) == "as the model was made for"


def test_the_meter_counts_message_and_conversation() -> None:
    assert sizes.fills(1240, 1970, 65_536) == (
        "This message: 1,240 tokens; the conversation then fills 3 % of 65,536"
    )
    assert "1 token; the conversation then fills less than 1 % of" in sizes.fills(1, 20, 65_536)
    assert "fills 99 %" in sizes.fills(9, 65_535, 65_536)  # not 100: it still fits


@pytest.mark.parametrize(
    ("seconds", "status", "words"),
    [
        (0.2, Status("idle"), " · first word in about 1 s"),
        (12.4, Status("idle"), " · first word in about 12 s"),
        (130, Status("idle"), " · first word in about 2 min"),
        (3900, Status("idle"), " · first word in about 1 h 5 min"),
        (12, Status("stopped"), " · first word in about 12 s once the model is loaded"),
        (12, Status("busy"), " · first word in about 12 s once the answer under way is finished"),
    ],
)
def test_the_first_word_is_told_with_what_else_is_waited_for(
    seconds: float, status: Status, words: str
) -> None:
    assert sizes.first_word(seconds, status) == words


def test_what_does_not_fit_says_by_how_much_and_what_helps() -> None:
    helps = sizes.helps((PHOTO, CLIP), (CLIP,), "full", follows=True)
    assert sizes.too_long(65_540, 65_536, helps) == (
        "This does not fit: 65,540 tokens, 5 too many of 65,536. What helps: "
        "lower picture detail, fewer frames of the video, fewer files or a new chat."
    )
    assert sizes.helps((PHOTO,), (), "low", follows=True) == ["a new chat"]
    assert sizes.helps((CLIP,), (), "full", follows=False) == ["lower picture detail"]
    assert sizes.helps((), (), "full", follows=False) == ["a shorter message"]


@pytest.mark.parametrize(
    ("original", "final", "said"),
    [
        ((640, 360), (644, 364), ""),
        ((650, 378), (644, 364), ""),
        ((4000, 3000), (1204, 896), "shrunk"),
        ((40, 3000), (56, 1500), "shrunk"),
        ((20, 20), (112, 112), "enlarged"),
    ],
)
def test_a_change_of_size_is_called_so_beyond_rounding(
    original: tuple[int, int], final: tuple[int, int], said: str
) -> None:
    assert sizes.change(original, final) == said
