"""Videos: the reference's frames, seconds and values; the right frame anywhere; bad files by name."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media import KINDS, number, numbered, write_video
from PIL import Image
from reference.pictures import SAMPLINGS, VIDEOS, positions, video_frames

from mlx_backend.errors import BadMedia
from mlx_backend.glm import frames as frames_module
from mlx_backend.glm.frames import VideoFile, open_clip
from mlx_backend.glm.images import MediaRules
from mlx_backend.glm.video import PICTURES, sample_indices, video_grids, video_pairs, video_patches

GOLDEN = np.load(Path(__file__).parent / "reference" / "media.npz")
VFR = Path(__file__).parent / "reference" / "variable_rate.mp4"
RULES = MediaRules(max_pixels=47_040_000)
ROOT = Path(__file__).resolve().parent.parent


# --- against the reference -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", range(len(SAMPLINGS)))
def test_indices_and_seconds_equal_reference(case: int) -> None:
    frames, fps, duration = SAMPLINGS[case]
    indices = sample_indices(frames, fps, duration)
    assert indices == GOLDEN[f"sampling/{case}/indices"].tolist()
    assert [int(i / fps) for i in indices[::2]] == GOLDEN[f"sampling/{case}/seconds"].tolist()


@pytest.mark.parametrize("name", VIDEOS)
def test_video_equals_reference(name: str, tmp_path: Path) -> None:
    count, _, _, fps = VIDEOS[name]
    drawn = [Image.fromarray(frame) for frame in video_frames(name)]
    path = (
        tmp_path / "clip.png"
    )  # an animated PNG: the one film OpenCV and Pillow write without loss of colour
    drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=1000 / fps)
    rows, grids, seconds = video_patches(path, RULES)
    pairs, down, across = GOLDEN[f"video/{name}/grid"]
    assert grids == [(1, down, across)] * pairs
    # A still picture says no rate; both sides then call its one moment second 0.
    assert seconds == GOLDEN[f"video/{name}/seconds"].tolist()
    at = positions(name, rows.shape)
    one_level = 1 / (255 * np.array(RULES.std))[at[1] // (2 * 14 * 14)]
    assert np.abs((rows[at] - GOLDEN[f"video/{name}/rows"]) / one_level).max() <= 2
    assert count >= 1


@given(st.integers(1, 500_000), st.floats(0.1, 240), st.one_of(st.none(), st.floats(0.01, 20_000)))
def test_sampled_frames_exist_and_come_in_pairs(frames: int, fps: float, duration: float | None) -> None:
    indices = sample_indices(frames, fps, duration)
    assert len(indices) % 2 == 0
    assert indices[0] >= 0 and indices[-1] < frames
    assert indices == sorted(indices)
    assert len(set(indices)) >= len(indices) - 1
    assert len(indices) <= 600


def test_sampling_refuses_nonsense() -> None:
    for frames, fps in [(0, 30.0), (-5, 30.0), (10, 0.0), (10, -1.0), (10, float("nan"))]:
        with pytest.raises(ValueError, match="frames"):
            sample_indices(frames, fps)


# --- the right frame -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("codec", "container"), KINDS)
def test_seeking_gives_the_frame_that_decoding_gives(codec: str, container: str, tmp_path: Path) -> None:
    clip = open_clip(write_video(tmp_path / f"v.{container}", 400, codec=codec))
    assert clip.frames == 400
    assert clip.fps == pytest.approx(30)
    assert isinstance(clip, VideoFile)
    assert len(clip.times) == 400  # its times are trusted, so that seeking is what is tested here
    assert [number(frame) for frame in clip.read(range(400))] == list(range(400))
    rng = np.random.default_rng(5)
    for wanted in ([399], [0, 399], [200, 200, 201], *(sorted(rng.integers(0, 400, 5)) for _ in range(6))):
        assert [number(frame) for frame in clip.read([int(i) for i in wanted])] == [int(i) for i in wanted]


def test_frames_of_variable_length_and_out_of_order() -> None:
    """H.264 with B-frames and five frame durations: OpenCV's own frame numbers are wrong here."""
    clip = open_clip(VFR)
    assert isinstance(clip, VideoFile)
    assert clip.frames == 200
    spans = np.diff(clip.times)
    assert spans.max() > 5 * spans.min()
    assert [number(frame) for frame in clip.read(range(200))] == list(range(200))
    for first in range(0, 60, 7):
        wanted = list(range(first, 200, 47))
        assert [number(frame) for frame in clip.read(wanted)] == wanted
    # What makes the care necessary: asked for a frame by number, OpenCV gives others.
    capture = cv2.VideoCapture(str(VFR), cv2.CAP_FFMPEG)
    given = []
    for index in range(20, 200, 20):
        capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        given.append(number(capture.read()[1]))
    assert given != list(range(20, 200, 20))


def test_a_container_with_false_times_is_counted(tmp_path: Path) -> None:
    clip = open_clip(write_video(tmp_path / "v.mpg", 120, codec="PIM1"))
    assert isinstance(clip, VideoFile)
    assert len(clip.times) == 0
    assert clip.frames == 120
    assert [number(frame) for frame in clip.read([0, 50, 119])] == [0, 50, 119]


def test_a_seek_that_lands_behind_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = open_clip(write_video(tmp_path / "v.mp4", 400))
    real = frames_module._capture

    class Overshooting:
        """OpenCV's reader, but every seek goes 150 frames too far."""

        def __init__(self, capture: cv2.VideoCapture) -> None:
            self._capture = capture

        def set(self, prop: int, value: float) -> bool:
            return bool(self._capture.set(prop, value + 150))

        def __getattr__(self, name: str) -> object:
            return getattr(self._capture, name)

    monkeypatch.setattr(frames_module, "_capture", lambda path, *o: Overshooting(real(path, *o)))
    assert [number(frame) for frame in clip.read([10, 200, 390])] == [10, 200, 390]


def test_grids_are_those_of_the_patches(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 95, size=(160, 96))
    rows, grids, seconds = video_patches(path, RULES)
    assert (grids, seconds) == video_grids(path, RULES)
    assert len(rows) == sum(h * w for _, h, w in grids)
    assert seconds == [0, 1, 2]
    pairs = list(video_pairs(path, RULES))
    assert np.array_equal(np.concatenate([part for part, _, _ in pairs]), rows)
    assert [(grid, second) for _, grid, second in pairs] == list(zip(grids, seconds, strict=True))


def test_colours_come_in_the_right_order(tmp_path: Path) -> None:
    blue = np.broadcast_to(np.array([255, 0, 0], np.uint8), (96, 128, 3)).copy()  # BGR
    path = write_video(tmp_path / "v.avi", 0, codec="FFV1", drawn=iter([blue] * 10))
    red, green, blue_level = next(iter(open_clip(path).read([3]))).getpixel((60, 40))
    assert blue_level > 240
    assert max(red, green) < 15


def test_rotation_is_applied(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 40)
    data = bytearray(path.read_bytes())
    matrix = data.find(b"tkhd") + 44  # past the box's name, version, times, id, duration, layer, volume
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    clip = open_clip(path)
    assert (clip.width, clip.height) == (96, 128)
    turned = next(iter(clip.read([5])))
    assert turned.size == (96, 128)
    assert number(np.asarray(turned).transpose(1, 0, 2)) == 5


def test_a_pair_takes_no_more_tokens_than_a_picture_may(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 120, size=(320, 240))
    free = max(h * w // 4 for _, h, w in video_grids(path, RULES)[0])
    assert video_grids(path, RULES, max_tokens=free) == video_grids(path, RULES)
    for limit in (free - 1, 25, 5, 2):
        grids = video_grids(path, RULES, max_tokens=limit)[0]
        assert limit // 2 <= max(h * w // 4 for _, h, w in grids) <= limit
        assert video_patches(path, RULES, max_tokens=limit)[1] == grids
    assert video_grids(path, RULES, max_tokens=1)[0] == [(1, 2, 2)] * 4  # a token per pair is the least


def test_a_long_video_takes_no_more_tokens_than_so_many_pictures_may(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 100, fps=1.0, size=(320, 240))
    grids = video_grids(path, RULES, max_tokens=20)[0]
    assert len(grids) == 50
    assert 0.5 * PICTURES * 20 < sum(h * w // 4 for _, h, w in grids) <= PICTURES * 20


# --- animations and stills -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_animated_pictures_play(form: str, tmp_path: Path) -> None:
    drawn = [Image.fromarray(numbered(index)) for index in range(30)]
    path = tmp_path / f"a.{form.lower()}"
    options = {"lossless": True} if form == "WEBP" else {}
    drawn[0].save(path, form, save_all=True, append_images=drawn[1:], duration=100, **options)
    clip = open_clip(path)
    assert (clip.frames, clip.fps) == (30, pytest.approx(10))
    assert [number(frame) for frame in clip.read([0, 0, 7, 29])] == [0, 0, 7, 29]
    assert video_grids(path, RULES)[1] == [0, 1, 2]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF"])
def test_a_still_picture_is_a_film_of_one_frame(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"still.{form.lower()}"
    Image.new("RGB", (100, 60), (200, 100, 50)).save(path, form)
    rows, grids, seconds = video_patches(path, RULES)
    assert (len(grids), seconds) == (1, [0])
    frame_values = rows.reshape(len(rows), 3, 2, 196)
    assert np.array_equal(frame_values[:, :, 0], frame_values[:, :, 1])


# --- files that lie, and bad files -----------------------------------------------------------------------


@pytest.mark.parametrize("announced", [0, 1, 5_000_000, 0xFFFFFFFF])
def test_a_false_frame_count_is_not_believed(announced: int, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 90, codec="MJPG")
    data = bytearray(path.read_bytes())
    for box, offset in ((b"avih", 24), (b"strh", 40)):
        at = data.find(box) + offset
        assert struct.unpack_from("<I", data, at)[0] == 90
        struct.pack_into("<I", data, at, announced)
    path.write_bytes(data)
    clip = open_clip(path)
    assert clip.frames == 90
    assert [number(frame) for frame in clip.read([0, 45, 89])] == [0, 45, 89]
    assert clip.fps == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize(("codec", "container"), [("MJPG", "avi"), ("VP90", "webm"), ("FFV1", "mkv")])
def test_a_cut_video_gives_the_frames_that_are_there(codec: str, container: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / f"v.{container}", 300, codec=codec)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    clip = open_clip(path)
    assert 100 < clip.frames < 200
    # All but the very last, which a coder may have filled up from half of its data.
    whole_frames = range(clip.frames - 1)
    assert [number(frame) for frame in clip.read(whole_frames)] == list(whole_frames)
    rows, grids, seconds = video_patches(path, RULES)
    assert (grids, seconds) == video_grids(path, RULES)
    assert np.isfinite(rows).all()


def test_a_hole_in_the_middle_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 300)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(data)
    with pytest.raises(BadMedia, match=r"v\.mp4: the video is damaged: frame \d+ of 300"):
        list(open_clip(path).read(range(300)))


def sound(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))


def headless(path: Path) -> None:
    """An mp4 cut before its index, which comes last."""
    write_video(path, 60)
    path.write_bytes(path.read_bytes()[:3000])


BAD = {
    "text": lambda path: path.write_text("hello, I am not a video\n" * 50),
    "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
    "empty": lambda path: path.write_bytes(b""),
    "sound": sound,
    "no index": headless,
    "no frames": lambda path: write_video(path, 0),
    "playlist": lambda path: path.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{VFR}\n#EXT-X-ENDLIST\n"
    ),
    "script": lambda path: path.write_text(f"ffconcat version 1.0\nfile '{VFR}'\n"),
    "missing": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "thin": lambda path: Image.new("RGB", (9000, 30)).save(path, "PNG"),
    "cut GIF": lambda path: path.write_bytes(gif()[:900]),
}


def gif() -> bytes:
    drawn = [Image.fromarray(numbered(index)) for index in range(9)]
    file = io.BytesIO()
    drawn[0].save(file, "GIF", save_all=True, append_images=drawn[1:], duration=50)
    return file.getvalue()


@pytest.mark.parametrize("kind", BAD)
def test_bad_video_is_told_by_name_and_without_noise(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "holiday.mp4"
    BAD[kind](path)
    capfd.readouterr()
    for ask in (video_grids, video_patches):
        with pytest.raises(BadMedia) as caught:
            ask(path, RULES, "holiday.mp4")
        assert caught.value.name == "holiday.mp4"
        assert str(caught.value).startswith("holiday.mp4: ")
    assert capfd.readouterr() == ("", "")


def test_a_terminal_stays_clean_of_ffmpeg(tmp_path: Path) -> None:
    """In a process of its own: FFmpeg takes its log level once, at its first use."""
    path = write_video(tmp_path / "v.avi", 60, codec="MJPG")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    code = (
        "import sys; from pathlib import Path\n"
        "from mlx_backend.errors import BadMedia\n"
        "from mlx_backend.glm.frames import open_clip\n"
        "try: list(open_clip(Path(sys.argv[1])).read(range(50)))\n"
        "except BadMedia as error: print(error)\n"
        "print([name for name in ('mlx', 'torch', 'transformers') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stdout.startswith("v.avi: the video is damaged")
