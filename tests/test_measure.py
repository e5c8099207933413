"""What a message will cost, before it is sent: exact, beside the model, and never the app's end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from asking import HANG, ROOT, answer, question, until
from media import write_video
from PIL import Image as Pillow

from mlx_backend import (
    BackendError,
    BadMedia,
    Boxed,
    Done,
    Engine,
    FakeEngine,
    Image,
    Measured,
    Message,
    ModelMissing,
    Request,
    Sampling,
    Saw,
    Text,
    Video,
)
from mlx_backend import measuring as measuring_module
from mlx_backend.errors import closing
from mlx_backend.process import Order


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    Pillow.new("RGB", (640, 480), "red").save(folder / "red.png")
    Pillow.new("RGB", (333, 777), "green").save(folder / "green.jpg")
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.new("RGB", (400, 200), "blue").save(folder / "turned.jpg", exif=exif)
    write_video(folder / "walk.mp4", 300)
    return folder


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Iterator[Engine]:
    with Engine(tiny_model) as engine:
        yield engine


def asked(*content: Text | Image | Video, **options: object) -> Request:
    greedy = Sampling(temperature=0)
    return Request((Message("user", content),), sampling=greedy, max_tokens=1, **options)  # type: ignore[arg-type]


def conversations(files: Path) -> dict[str, Request]:
    part = Video(files / "walk.mp4", "walk", fps=1.0, start=2.0, end=8.0)
    red, green = Image(files / "red.png", "red.png"), Image(files / "green.jpg", "green.jpg")
    turned, walk = Image((files / "turned.jpg").read_bytes(), "turned.jpg"), Video(files / "walk.mp4", "walk")
    hello = Text("What is this? 这是什么? <|image|> [gMASK]")
    past = (
        Message("system", (Text("Be brief."),)),
        Message("user", (red, Text("And this?"), walk), thinking=True),
        Message("assistant", (Text("A "), Boxed("[[1,2,3,4]]")), reasoning="Hm."),
        Message("user", (part, turned, Text("Compare.")), thinking=False),
    )
    pictures = asked(red, hello, green, turned)
    return {
        "words": asked(hello),
        "no thinking": asked(hello, thinking=False),
        "pictures": pictures,
        "low detail": replace(pictures, max_image_tokens=64),
        "the least detail": replace(pictures, max_image_tokens=1),
        "a video": asked(walk, hello),
        "its end": asked(replace(walk, start=7.5), hello, thinking=False),
        "three frames a second": asked(replace(walk, fps=3.0), hello),
        "a long conversation": replace(asked(), messages=past),
        "going on": replace(asked(), messages=past[:3], go_on=True, thinking=False),
        "tools": replace(asked(hello), tools=('{"type": "function", "function": {"name": "f"}}',)),
    }


NAMES = [
    "words", "no thinking", "pictures", "low detail", "the least detail", "a video", "its end",
    "three frames a second", "a long conversation", "going on", "tools",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_is_measured_is_what_it_costs_and_shows(engine: Engine, files: Path, name: str) -> None:
    request = conversations(files)[name]
    measured = engine.measure(request)
    events = answer(engine, request)
    (saw,) = [event for event in events if isinstance(event, Saw)]
    done = events[-1]
    assert isinstance(done, Done)
    assert measured.tokens == done.stats.prompt_tokens
    assert measured.shown == saw.media
    assert measured.limit == 65_536
    media = [part for m in request.messages for part in m.content if isinstance(part, Image | Video)]
    assert [(shown.name, shown.video) for shown in saw.media] == [
        (part.name, isinstance(part, Video)) for part in media
    ]
    work = [n for n, event in enumerate(events) if getattr(event, "stage", "") in ("images", "prefill")]
    assert events.index(saw) < work[0]


def test_what_is_shown_is_told_in_pixels_tokens_and_seconds(engine: Engine, files: Path) -> None:
    turned, walk = Image(files / "turned.jpg", "t"), Video(files / "walk.mp4", "w", start=2.0, end=6.0)
    picture, video = engine.measure(asked(turned, walk)).shown
    assert (picture.original, picture.width, picture.height) == ((200, 400), 196, 392)
    assert (picture.tokens, picture.moments, picture.length) == (7 * 14, (), 0.0)
    assert (video.original, video.moments, video.length) == ((128, 96), (2.0, 3.0, 4.0, 5.0), 10.0)
    assert video.tokens == 4 * (video.width // 28) * (video.height // 28)
    unnamed = engine.measure(asked(Image(files / "red.png"), Image((files / "red.png").read_bytes()))).shown
    assert [shown.name for shown in unnamed] == ["red.png", "the picture"]


# --- beside the model ------------------------------------------------------------------------------------


def test_it_needs_no_model_in_memory_and_starts_no_worker(tiny_model: Path) -> None:
    with Engine(tiny_model) as engine:
        assert engine._measuring.pid is None  # nothing is started before it is asked for
        assert engine.measure(question()).tokens > 0
        assert (engine.status().state, engine.status().pid) == ("stopped", None)
        first = engine._measuring.pid
        engine.measure(question("again"))
        assert engine._measuring.pid == first


def test_it_does_not_wait_for_an_answer_under_way(tiny_model: Path) -> None:
    with Engine(tiny_model) as engine:
        answer(engine, question())
        worker = engine.status().pid
        assert worker is not None
        os.kill(worker, signal.SIGSTOP)  # an answer that takes for ever
        try:
            running = ThreadPoolExecutor(1).submit(lambda: answer(engine, question()))
            until(lambda: engine.status().state != "idle")
            assert engine.measure(question()).tokens > 0
            assert not running.done()
        finally:
            os.kill(worker, signal.SIGCONT)
        assert isinstance(running.result(HANG)[-1], Done)


def test_many_at_once_get_their_own_answers(engine: Engine) -> None:
    requests = [question("word " * n) for n in range(1, 21)]
    alone = [engine.measure(request) for request in requests]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(engine.measure, requests)) == alone
    assert len({measured.tokens for measured in alone}) == 20


def test_another_model_is_measured_with_its_own_rules(tiny_model: Path, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_model, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 1234
    (other / "config.json").write_text(json.dumps(config))
    with Engine(tiny_model) as engine:
        limits = [engine.measure(question()).limit]
        for folder in other, tiny_model:
            engine._order = Order(folder)
            limits.append(engine.measure(question()).limit)
    assert limits == [65_536, 1234, 65_536]


def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    with Engine() as engine, pytest.raises(ModelMissing, match=r"No model is chosen\. Choose one"):
        engine.measure(question())
    with Engine(tmp_path / "nothing") as engine, pytest.raises(ModelMissing, match="nothing"):
        engine.measure(question())
    (tmp_path / "half").mkdir()
    with Engine(tmp_path / "half") as engine, pytest.raises(ModelMissing, match=r"config\.json"):
        engine.measure(question())


def test_neither_the_app_nor_the_measuring_process_loads_what_it_does_not_need(tiny_model: Path) -> None:
    def loaded(code: str) -> set[str]:
        code += "; import sys; print(*sys.modules)"
        run = [sys.executable, "-c", code]
        done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
        return {name.partition(".")[0] for name in done.stdout.split()}

    child = f"""from pathlib import Path; from mlx_backend import *; from mlx_backend.measurer import Measurer
Measurer().measure(Path({str(tiny_model)!r}), Request((Message("user", (Text("hi"),)),)), print)"""
    assert loaded("import mlx_backend") & {"mlx", "cv2", "numpy", "PIL", "tokenizers"} == set()
    found = loaded(child)
    assert "tokenizers" in found and found & {"mlx", "mlx_vlm", "torch", "transformers"} == set()


# --- files that cannot be used ---------------------------------------------------------------------------


def giant(path: Path) -> None:
    """A PNG of 40,000 x 40,000 pixels by its header."""
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    written = b"\x89PNG\r\n\x1a\n"
    for chunk in (b"IHDR" + header, b"IDAT" + zlib.compress(b""), b"IEND"):
        written += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(written)


def cut(path: Path) -> None:
    Pillow.effect_noise((300, 300), 90).save(path, "PNG")
    path.write_bytes(path.read_bytes()[:2000])


HOSTILE = {
    "giant.png": (giant, "pixels"),
    "cut.png": (cut, "damaged or cut off"),
    "text.png": (lambda path: path.write_text("hello"), "not a picture"),
    "empty.png": (lambda path: path.touch(), "empty"),
    "gone.png": (lambda path: None, "No such file"),
    "text.mp4": (lambda path: path.write_text("hello, no video\n" * 99), "not a video"),
    "giant.mp4": (giant, "pixels"),
    "empty.mp4": (lambda path: path.touch(), "empty"),
    "folder.mp4": (lambda path: path.mkdir(), "directory"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_named_and_the_next_is_measured(
    engine: Engine, files: Path, tmp_path: Path, name: str
) -> None:
    make, words = HOSTILE[name]
    make(tmp_path / name)
    medium = (Video if name.endswith("mp4") else Image)(tmp_path / name, name)
    before = engine.measure(question())
    process = engine._measuring.pid
    with pytest.raises(BadMedia, match=words) as caught:
        engine.measure(asked(Image(files / "red.png", "red.png"), medium, Text("?")))
    assert caught.value.name == name
    assert engine.measure(question()) == before
    assert engine._measuring.pid == process


def test_a_part_that_is_not_in_the_clip_is_told_before_it_is_sent(engine: Engine, files: Path) -> None:
    with pytest.raises(BadMedia, match=r"^walk\.mp4: it lasts 10\.0 s, so .* no part from 10 s to 20 s"):
        engine.measure(asked(Video(files / "walk.mp4", "walk.mp4", start=10.0, end=20.0)))


# --- when the process dies, hangs, or is left alone ------------------------------------------------------


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that takes for ever: whoever opens it waits for somebody who writes."""
    os.mkfifo(tmp_path / "endless.png")
    return tmp_path / "endless.png"


def measuring(engine: Engine, endless: Path) -> tuple[threading.Thread, list[Measured | BackendError]]:
    """A thread in the middle of measuring, and what will come of it."""
    told: list[Measured | BackendError] = []

    def measure() -> None:
        try:
            told.append(engine.measure(asked(Image(endless, "endless.png"))))
        except BackendError as error:
            told.append(error)

    thread = threading.Thread(target=measure)
    thread.start()
    until(lambda: engine._measuring.pid is not None)
    return thread, told


def opened(fifo: Path) -> None:
    """Wait until somebody has the file open: opening it to write fails before."""

    def reading() -> bool:
        try:
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    until(reading)


def test_killed_in_the_middle_is_told_with_the_file_and_the_next_works(
    tiny_model: Path, endless: Path
) -> None:
    with Engine(tiny_model) as engine:
        before = engine.measure(question())
        thread, told = measuring(engine, endless)
        process = engine._measuring.pid
        assert process is not None
        opened(endless)
        os.kill(process, signal.SIGKILL)
        thread.join(HANG)
        (error,) = told
        assert isinstance(error, BadMedia) and error.name == "endless.png"
        assert "signal 9" in error.problem and "Try again" in error.problem
        assert engine.measure(question()) == before
        assert engine._measuring.pid not in (None, process)


def test_killed_while_nobody_measures_is_no_error(tiny_model: Path) -> None:
    with Engine(tiny_model) as engine:
        before = engine.measure(question())
        process = engine._measuring.pid
        assert process is not None
        os.kill(process, signal.SIGKILL)
        until(lambda: engine._measuring.pid is None)
        assert engine.measure(question()) == before


def test_a_file_that_takes_for_ever_is_given_up(
    tiny_model: Path, endless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine(tiny_model) as engine:
        before = engine.measure(question())
        monkeypatch.setattr(measuring_module, "PATIENCE", 0.3)
        with pytest.raises(BadMedia, match=r"^endless\.png: it could not be read: that took longer"):
            engine.measure(asked(Image(endless, "endless.png")))
        monkeypatch.setattr(measuring_module, "PATIENCE", HANG)
        assert engine.measure(question()) == before


def test_closing_ends_whoever_measures(tiny_model: Path, endless: Path) -> None:
    with Engine(tiny_model) as engine:
        thread, told = measuring(engine, endless)
        opened(endless)
        process = engine._measuring.pid
        assert process is not None
        engine.close()
        thread.join(HANG)
        assert [str(error) for error in told] == [str(closing())]
        with pytest.raises(BackendError, match="closing"):
            engine.measure(question())
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_killed_app_leaves_no_measuring_process(tiny_model: Path, endless: Path) -> None:
    """Not even one that is deep inside a file."""
    code = f"""if True:
        import threading, time
        from pathlib import Path
        from mlx_backend import Engine, Image, Message, Request
        engine = Engine(Path({str(tiny_model)!r}))
        request = Request((Message("user", (Image(Path({str(endless)!r})),)),))
        threading.Thread(target=engine.measure, args=(request,), daemon=True).start()
        while engine._measuring.pid is None:
            time.sleep(0.01)
        print(engine._measuring.pid, flush=True)
        time.sleep(60)"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        process = int(app.stdout.readline())
        opened(endless)
        assert running(process)
        app.kill()
    until(lambda: not running(process))


def running(pid: int) -> bool:
    """Not gone and not a zombie: whose child it has become may be slow to collect it."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(shown.stdout.strip()) and not shown.stdout.startswith("Z")


# --- the fake --------------------------------------------------------------------------------------------


def test_the_fake_counts_words_pictures_and_pairs(files: Path) -> None:
    fake = FakeEngine()
    red, walk = Image(files / "red.png", "red.png"), Video(files / "walk.mp4", "w", fps=1.0, start=10, end=20)
    assert fake.measure(asked(Text("one two three"))) == Measured(6, 65_536)
    measured = fake.measure(asked(red, walk, Text("one two"), max_image_tokens=50))
    assert [shown.tokens for shown in measured.shown] == [50, 200]
    assert measured.tokens == 254
    assert measured.shown[1].moments == (10.0, 12.0, 14.0, 16.0, 18.0)
    told = [event for event in answer(fake, asked(red, walk)) if isinstance(event, Saw)]
    assert told == [Saw(fake.measure(asked(red, walk)).shown)]
    with pytest.raises(BadMedia, match=r"^gone\.png"):
        fake.measure(asked(Image(files / "gone.png", "gone.png")))
