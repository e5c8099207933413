"""Pictures: equal to the reference's values, and every bad file told by name."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference.pictures import DEEP, PICTURES, TINY_BUDGET, levels, positions, sizes_compared

from mlx_backend.errors import BadMedia, ModelBroken
from mlx_backend.glm.images import MediaRules, image_grid, image_patches, open_image, patch_rows, smart_resize
from mlx_backend.glm.rules import fit_size

GOLDEN = np.load(Path(__file__).parent / "reference" / "media.npz")
RULES = MediaRules()
BOUNDS = [(12_544, 11_760_000), (12_544, TINY_BUDGET), (12_544, 47_040_000)]


def png(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


# --- against the reference -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PICTURES)
def test_picture_equals_reference(name: str) -> None:
    rows, grid = image_patches(open_image(PICTURES[name](), name), RULES)
    assert grid == tuple(GOLDEN[f"picture/{name}/grid"])
    assert rows.shape == (grid[1] * grid[2], 1176)
    assert rows.dtype == np.float32
    at = positions(name, rows.shape)
    colour = at[1] // (2 * 14 * 14)
    one_level = 1 / (255 * np.array(RULES.std))[colour]
    # The reference's Pillow processor to the last bits, its torchvision one within the two levels asked for.
    tolerance = 1 if name in DEEP else 1e-3  # rounding of a half may go either way when 16 bits become 8
    assert np.abs((rows[at] - GOLDEN[f"picture/{name}/pil"]) / one_level).max() <= tolerance
    assert np.abs((rows[at] - GOLDEN[f"picture/{name}/torch"]) / one_level).max() <= 2


def test_sizes_equal_reference() -> None:
    expected = GOLDEN["sizes"]
    refused = 0
    for (frames, height, width), row in zip(sizes_compared(), expected, strict=True):
        for (low, high), size in zip(BOUNDS, row, strict=True):
            if size[0] == 0:
                refused += 1
                with pytest.raises(ValueError, match="200"):
                    smart_resize(frames, height, width, low, high)
            else:
                assert smart_resize(frames, height, width, low, high) == tuple(size), (frames, height, width)
    assert refused > 0


def test_known_token_counts() -> None:
    family = MediaRules(max_pixels=TINY_BUDGET)
    grid = image_grid(1920, 1080, family)
    assert grid[1] * grid[2] == 10_764
    grid = image_grid(3840, 2160, family)
    assert grid[1] * grid[2] // 4 == 6_032


# --- properties ------------------------------------------------------------------------------------------

side = st.integers(1, 30_000)


@given(st.integers(1, 300), side, side, st.integers(1, 30_000), st.integers(1, 30_000))
def test_resized_sides_are_whole_tokens_within_bounds(
    pairs: int, h: int, w: int, low: int, more: int
) -> None:
    frames, min_pixels, max_pixels = 2 * pairs, low * 1568, (low + more) * 1568
    try:
        new_h, new_w = smart_resize(frames, h, w, min_pixels, max_pixels)
    except ValueError:
        assert max(h, w) / min(h, w) > 199
        return
    assert new_h % 28 == new_w % 28 == 0
    assert min(new_h, new_w) >= 28
    volume = frames * new_h * new_w
    # Above the bound only where one side is already as short as it may be, or growing to the lower bound
    # rounded up past the upper one. Shrinking never makes a side longer.
    assert volume <= max_pixels or min(new_h, new_w) == 28 or new_h > h or new_w > w
    assert volume >= min_pixels or volume * (1 + 28 / min(new_h, new_w)) ** 2 >= min_pixels


@given(side, side, st.integers(0, 7000))
def test_token_limit_is_kept(h: int, w: int, limit: int) -> None:
    try:
        grid = image_grid(w, h, RULES, limit)
    except BadMedia:
        assert max(h, w) / min(h, w) > 199
        return
    assert 1 <= grid[1] * grid[2] // 4 <= max(1, limit)


@given(st.integers(28, 4000), st.integers(28, 4000))
def test_a_limit_that_is_not_reached_changes_nothing(h: int, w: int) -> None:
    free = image_grid(w, h, RULES)
    assert image_grid(w, h, RULES, 7500) == free


@given(st.integers(28, 3000), st.integers(28, 3000), st.integers(8, 6000))
def test_a_limit_works_like_the_checkpoints_own_bound(h: int, w: int, limit: int) -> None:
    own = smart_resize(2, h, w, 12_544, limit * 1568)
    size = fit_size(2, h, w, RULES, limit)
    assert size == own or own[0] * own[1] > limit * 784


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_patch_rows_equal_a_plain_loop(pairs: int, down: int, across: int, seed: int) -> None:
    shape = (2 * pairs, 28 * down, 28 * across, 3)
    frames = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    expected = []
    for pair in range(pairs):
        for y, x in ((y, x) for y in range(down) for x in range(across)):
            for top, left in ((28 * y + dy, 28 * x + dx) for dy in (0, 14) for dx in (0, 14)):
                block = frames[2 * pair : 2 * pair + 2, top : top + 14, left : left + 14]
                values = (block / 255 - np.array(RULES.mean)) / np.array(RULES.std)  # (2, 14, 14, 3)
                expected.append(values.transpose(3, 0, 1, 2).ravel())
    np.testing.assert_allclose(patch_rows(frames, RULES), np.array(expected), atol=1e-6)


# --- opening ---------------------------------------------------------------------------------------------


def test_path_bytes_and_picture_are_the_same(tmp_path: Path) -> None:
    drawn = Image.fromarray(levels("same", 60, 50))
    file = tmp_path / "same.png"
    file.write_bytes(png(drawn))
    opened = [open_image(file), open_image(file.read_bytes()), open_image(drawn)]
    assert all(np.array_equal(np.asarray(image), np.asarray(drawn)) for image in opened)
    assert all(image.mode == "RGB" for image in opened)


def test_transparency_goes_over_white() -> None:
    clear = Image.new("RGBA", (30, 30), (10, 20, 30, 0))
    assert open_image(png(clear)).getpixel((3, 3)) == (255, 255, 255)
    half = Image.new("LA", (30, 30), (0, 128))
    assert open_image(png(half)).getpixel((3, 3)) == (127, 127, 127)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    wide = np.full((30, 30), 0x8080, np.uint16)
    assert open_image(png(Image.fromarray(wide))).getpixel((0, 0)) == (128, 128, 128)


def test_float_levels_of_every_scale() -> None:
    for top in (1.0, 255.0, 65535.0, 3e6):
        values = np.zeros((30, 30), np.float32)
        values[0, 0], values[1, 1], values[2, 2] = top, top / 2, np.nan
        image = open_image(Image.fromarray(values))
        assert [image.getpixel((i, i))[0] for i in range(3)] == [255, 128, 0]


def test_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP", "PNG"):
        file = io.BytesIO()
        options = {"lossless": True} if form == "WEBP" else {}
        frames[0].save(file, form, save_all=True, append_images=frames[1:], duration=100, **options)
        assert open_image(file.getvalue()).getpixel((5, 5)) == (255, 0, 0), form


def test_a_phone_s_heic_stands_upright() -> None:
    """160 x 96 pixels, red grows to the right and green downwards, stored to be turned clockwise."""
    image = open_image(Path(__file__).parent / "reference" / "phone.heic")
    y, x = np.mgrid[:96, :160]
    drawn = np.stack([x * 255 // 159, y * 255 // 95, np.full_like(x, 128)], -1)
    assert image.size == (96, 160)
    assert np.abs(np.asarray(image).astype(int) - np.rot90(drawn, -1)).mean() < 4


def test_broken_orientation_is_ignored() -> None:
    # An Exif block whose directory points outside of it.
    block = b"Exif\0\0MM\0*" + struct.pack(">I", 0xFFFFFF)
    file = io.BytesIO()
    Image.new("RGB", (40, 30)).save(file, "JPEG", exif=block)
    assert open_image(file.getvalue()).size == (40, 30)


def test_callers_picture_is_left_alone() -> None:
    drawn = Image.new("RGBA", (40, 30), (1, 2, 3, 4))
    open_image(drawn)
    assert drawn.mode == "RGBA"
    assert drawn.getpixel((0, 0)) == (1, 2, 3, 4)


# --- bad files -------------------------------------------------------------------------------------------


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header announces a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


WHOLE = png(Image.fromarray(levels("whole", 200, 150)))
BAD = {
    "text": (b"hello, I am not a picture", "not a picture"),
    "empty": (b"", "empty"),
    "cut": (WHOLE[: len(WHOLE) // 2], "damaged or cut off"),
    "cut in the header": (WHOLE[:20], "not a picture"),
    "bomb": (bomb(60_000, 60_000), "pixels"),
    "just over": (bomb(16_385, 16_384), "pixels"),
    "no width": (bomb(0, 100), "damaged"),
    "long": (png(Image.new("RGB", (20_100, 100))), "201 times"),
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(40), "not a picture"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a picture"),
    "noise": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "damaged"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_picture_is_told_by_name(kind: str, tmp_path: Path) -> None:
    data, problem = BAD[kind]
    file = tmp_path / "holiday.png"
    file.write_bytes(data)
    for source in (file, data):
        with pytest.raises(BadMedia, match=problem) as caught:
            open_image(source, "" if source is file else "holiday.png")
        assert caught.value.name == "holiday.png"
        assert str(caught.value).startswith("holiday.png: ")


def test_missing_file_folder_and_empty_picture(tmp_path: Path) -> None:
    with pytest.raises(BadMedia, match="no such file"):
        open_image(tmp_path / "gone.png")
    with pytest.raises(BadMedia, match="cannot be read"):
        open_image(tmp_path)
    with pytest.raises(BadMedia, match="0 x 5"):
        open_image(Image.new("RGB", (0, 5)))


def test_a_large_picture_is_no_bomb() -> None:
    # Above the size at which Pillow alone would warn, and a warning is an error in these tests.
    image = open_image(png(Image.new("1", (13_000, 11_000))))
    assert image.size == (13_000, 11_000)


def test_every_cut_of_every_format_is_an_answer_or_an_error() -> None:
    drawn = Image.fromarray(levels("cuts", 60, 50))
    cuts = {"HEIF": (Path(__file__).parent / "reference" / "phone.heic").read_bytes()}
    for form in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM", "TGA"):
        file = io.BytesIO()
        drawn.save(file, form)
        cuts[form] = file.getvalue()
    for whole in cuts.values():
        for end in range(0, len(whole), max(1, len(whole) // 23)):
            try:
                open_image(whole[:end])
            except BadMedia as error:
                assert error.problem


# --- a checkpoint's rules --------------------------------------------------------------------------------


def test_rules_from_files(tmp_path: Path) -> None:
    file = tmp_path / "preprocessor_config.json"
    assert MediaRules.from_file(file, 1, 2) == MediaRules(min_pixels=1, max_pixels=2)
    file.write_text(json.dumps({"size": {"shortest_edge": 12544, "longest_edge": TINY_BUDGET}}))
    assert MediaRules.from_file(file).max_pixels == TINY_BUDGET
    file.write_text(json.dumps({"min_pixels": 3136, "max_pixels": 50_000, "image_mean": [0.5, 0.5, 0.5]}))
    assert MediaRules.from_file(file) == MediaRules(3136, 50_000, mean=(0.5, 0.5, 0.5))


def test_rules_of_a_folder(tmp_path: Path) -> None:
    assert MediaRules.for_videos(tmp_path).max_pixels == 47_040_000
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"max_pixels": 50_000}))
    assert MediaRules.for_images(tmp_path).max_pixels == 50_000
    assert MediaRules.for_videos(tmp_path).max_pixels == 50_000
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps({"max_pixels": 60_000, "fps": 1}))
    assert MediaRules.for_videos(tmp_path) == MediaRules(max_pixels=60_000, sample_fps=1)
    nested = {
        "image_processor": {"size": {"longest_edge": 70_000}},
        "video_processor": {"max_pixels": 80_000},
    }
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    assert MediaRules.for_images(tmp_path).max_pixels == 70_000
    assert MediaRules.for_videos(tmp_path).max_pixels == 80_000


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"size": 5}', '{"patch_size": "x"}', '{"max_pixels": 5}', '{"image_mean": [1]}',
     '{"image_std": [0, 1, 1]}', '{"patch_size": 0}', '{"temporal_patch_size": 4}'],
)  # fmt: skip
def test_broken_rules_name_the_file(text: str, tmp_path: Path) -> None:
    file = tmp_path / "preprocessor_config.json"
    file.write_text(text)
    with pytest.raises(ModelBroken) as caught:
        MediaRules.from_file(file)
    assert caught.value.file == str(file)
