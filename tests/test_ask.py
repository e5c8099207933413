"""`ask` as a person or a script meets it: a real process, its two outputs, its exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from asking import ROOT
from media import write_video
from PIL import Image as Pillow

from app.__main__ import parser
from app.ask_line import request_of
from mlx_backend import Image, Message, Sampling, Text, Video

COMMAND = [sys.executable, "-P", "-m", "app"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "GLM_CHAT_MODEL": "fake"}


def run(*arguments: str, cwd: Path | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        input=stdin,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """400 x 200 pixels in the file, lying on its side: 200 x 400 for whoever looks at it."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.new("RGB", (400, 200), "red").save(tmp_path / "a.jpg", exif=exif)
    return tmp_path / "a.jpg"


def test_the_answer_and_nothing_else_is_on_standard_output() -> None:
    done = run("ask", "What is this?")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("You asked: *What is this?*\n")
    assert done.stdout.endswith("it always says `this`.\n")


def test_json_is_one_object_with_boxes_in_pixels_of_the_upright_picture(picture: Path) -> None:
    done = run("ask", "What is this?", "--image", "a.jpg", "--json", cwd=picture.parent)
    assert (done.returncode, done.stderr) == (0, "")
    told: dict[str, Any] = json.loads(done.stdout)
    assert set(told) == {"model", "reasoning", "answer", "saw", "boxes", "tool_calls", "reason", "stats"}
    assert told["boxes"] == [
        {
            "image": 0,
            "name": "a.jpg",
            "label": "The middle of the picture:",
            "boxes": [[250, 250, 750, 750]],
            "pixels": [[50, 100, 150, 300]],
        }
    ]
    assert [(shown["name"], shown["tokens"]) for shown in told["saw"]] == [("a.jpg", 100)]
    assert told["reason"] == "stop" and told["model"] == "fake"
    assert told["reasoning"].startswith("The question") and "**not a model**" in told["answer"]
    assert told["stats"]["output_tokens"] == 40


def test_boxes_in_pixels_of_a_phone_s_picture_and_of_a_huge_one(tmp_path: Path) -> None:
    """HEIC, 96 x 160 upright; and more pixels than Pillow would open by itself. Only headers are read."""
    Pillow.new("1", (20_000, 10_000)).save(tmp_path / "huge.png")
    for file, pixels in (
        (ROOT / "tests" / "reference" / "phone.heic", [24, 40, 72, 120]),
        (tmp_path / "huge.png", [5000, 2500, 15_000, 7500]),
    ):
        done = run("ask", "What is this?", "--image", str(file), "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["boxes"][0]["pixels"] == [pixels]


def test_the_question_may_come_from_standard_input() -> None:
    assert "*from a pipe*" in run("ask", "-", stdin="from a pipe\n").stdout


def test_no_think_leaves_no_reasoning() -> None:
    assert json.loads(run("ask", "Hello", "--no-think", "--json").stdout)["reasoning"] == ""


def test_the_request_carries_everything_in_the_order_given(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("a.png", "v.mp4", "b.png")]
    for name in names:
        Path(name).touch()
    media = ["--image", names[0], "--video", names[1], "--image", names[2]]
    numbers = (
        "--temperature 0.5 --top-p 0.9 --seed 3 --max-tokens 9 --thinking-budget 0 --max-image-tokens 50"
    )
    rest = [*numbers.split(), "--system", "Be brief.", "--stop", "END", "--stop", "\n\n"]
    request = request_of(parser().parse_args(["ask", "Compare.", *media, *rest]))
    a, v, b = (Path(name) for name in names)
    parts = (Image(a, names[0]), Video(v, names[1]), Image(b, names[2]), Text("Compare."))
    assert request.messages == (Message("system", (Text("Be brief."),)), Message("user", parts))
    assert request.sampling == Sampling(temperature=0.5, top_p=0.9, seed=3)
    assert (request.max_tokens, request.thinking_budget, request.max_image_tokens) == (9, 0, 50)
    assert (request.thinking, request.stop) == (True, ("END", "\n\n"))


def test_how_a_video_is_looked_at_stands_behind_it(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.png", "d.mp4"):
        (tmp_path / name).touch()
    a, b, c, d = (str(tmp_path / name) for name in ("a.mp4", "b.mp4", "c.png", "d.mp4"))
    media = ["--video", a, "--video", b, "--fps", "1", "--from", "10", "--to", "1:20.5", "--image", c]
    more = ["--video", d, "--to", "1:00:01"]
    content = request_of(parser().parse_args(["ask", "?", *media, *more])).messages[0].content
    assert content == (
        Video(Path(a), a),
        Video(Path(b), b, fps=1.0, start=10.0, end=80.5),
        Image(Path(c), c),
        Video(Path(d), d, end=3601.0),
        Text("?"),
    )


@pytest.mark.slow
def test_a_part_of_a_video_is_answered_and_what_was_shown_is_told(tiny_model: Path, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "v.mp4", 300)
    options = ["--model", str(tiny_model), "--max-tokens", "2", "--no-think", "--json"]
    done = run("ask", "?", "--video", str(clip), "--fps", "1", "--from", "4", "--to", "8", *options)
    assert (done.returncode, done.stderr) == (0, "")
    (shown,) = json.loads(done.stdout)["saw"]
    assert (shown["moments"], shown["length"], shown["original"]) == ([4.0, 6.0], 10.0, [128, 96])
    done = run("ask", "?", "--video", "v.mp4", "--from", "0:20", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "v.mp4: it lasts 10.0 s, so there is no part from 20 s to its end.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "Hello", "--fps", "1"],
        ["ask", "Hello", "--from", "1", "--video", "v.mp4"],
        ["ask", "Hello", "--image", "a.png", "--to", "1"],
        ["ask", "Hello", "--video", "v.mp4", "--fps", "0"],
        ["ask", "Hello", "--video", "v.mp4", "--fps", "nan"],
        ["ask", "Hello", "--video", "v.mp4", "--from", "soon"],
        ["ask", "Hello", "--video", "v.mp4", "--from", "-1"],
        ["plant"],
        ["ask"],
        ["ask", "Hello", "--documents", "a.pdf"],
        ["ask", "Hello", "--max-tokens", "0"],
        ["ask", "Hello", "--max-tokens", "many"],
        ["ask", "Hello", "--top-p", "1.5"],
        ["ask", "Hello", "--temperature", "nan"],
        ["ask", "Hello", "--temp", "1"],
        ["--port", "none"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--image", "none.png"], "none.png: there is no such file"),
        (["--model", "/none"], "No usable model in /none"),
        (["--model", "nobody/nothing"], "nobody/nothing is not on this computer"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_1(arguments: list[str], words: str) -> None:
    done = run("ask", "Hello", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_home_that_cannot_be_is_one_sentence(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GLM_CHAT_HOME", str(tmp_path / "file" / "home"))
    done = run("ask", "Hello", "--model", str(tiny_model))
    assert (done.returncode, done.stdout) == (1, "")
    assert str(tmp_path / "file") in done.stderr and len(done.stderr.splitlines()) == 1


def test_help_teaches_by_example() -> None:
    assert './scripts/run ask "What is this?" --image a.png' in run("--help").stdout
    assert "--json" in run("ask", "--help").stdout


LONG = "word " * 10_000  # the scripted answer repeats it, so that there is a middle


def test_ctrl_c_keeps_what_was_answered() -> None:
    with subprocess.Popen(
        [*COMMAND, "ask", LONG], env=environment(), stdout=-1, stderr=-1, text=True
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.read(4) == "You "
        process.send_signal(signal.SIGINT)
        rest, error = process.stdout.read(), process.stderr.read()
    assert (process.returncode, error) == (130, "")
    assert rest.endswith("\n") and "it always says" not in rest


def test_ctrl_c_with_json_gives_the_object_so_far() -> None:
    ours, theirs = pty.openpty()  # its progress tells when the answer has begun
    with subprocess.Popen(
        [*COMMAND, "ask", LONG, "--json"], env=environment(), stdout=-1, stderr=theirs
    ) as process:
        os.close(theirs)
        assert process.stdout
        shown = b""
        while b"The question" not in shown:
            shown += _read(ours)
        process.send_signal(signal.SIGINT)
        told = json.loads(process.stdout.read())
    os.close(ours)
    assert process.returncode == 130
    assert told["reason"] == "cancelled" and told["reasoning"].startswith("The question")


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    with subprocess.Popen(
        [*COMMAND, "ask", "Hello"], env=environment(), stdout=-1, stderr=-1, text=True
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_terminal_shows_reasoning_dimmed_and_is_not_steered_by_the_answer() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "ask", "\x1b]0;title\x07red"],
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    text = shown.decode()
    assert "\x1b[2mThe question is short." in text
    assert "loading the model 100 %" in text
    assert "\x1b]0;" not in text and "]0;titlered" in text


def _read(descriptor: int) -> bytes:
    """The other end of a terminal being closed is an error on Linux and an end elsewhere."""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


@pytest.mark.slow
def test_the_real_model_answers_a_picture(tiny_model: Path, picture: Path) -> None:
    options = ["--model", str(tiny_model), "--max-tokens", "8", "--temperature", "0", "--json"]
    done = run("ask", "What is this?", "--image", str(picture), *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["stats"]["prompt_tokens"] > 0


def test_an_answer_that_follows_a_schema_is_data_and_nothing_else(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
    (tmp_path / "receipt.json").write_text(json.dumps(schema))
    (tmp_path / "page.txt").write_text("The total is 7.")
    for more in ([], ["--document", "page.txt"]):
        done = run("ask", "Read it.", "--schema", "receipt.json", *more, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) == {"total": 1}


def test_the_model_reads_the_schema_it_is_held_to(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('\ufeff{"type": "null"}', encoding="utf-8")
    asked = request_of(parser().parse_args(["ask", "Read it.", "--schema", str(tmp_path / "a.json")]))
    assert asked.schema == '{"type": "null"}'
    assert asked.messages[-1].content[-1].text.startswith("Read it.\n")
    assert asked.messages[-1].content[-1].text.endswith(asked.schema)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such file"), (b"[]", "schema"), (b"\xff\xfe", "UTF-8"), (b" " * 1_000_001, "too large")],
)
def test_a_schema_that_is_none_is_told_in_one_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    done = run("ask", "Read it.", "--schema", "a.json", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert words in done.stderr
