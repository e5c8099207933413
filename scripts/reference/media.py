"""Golden values for pictures and videos from the reference, transformers 5.23.

Where each comes from:
- `pil`: patch rows of transformers' own Glm4vImageProcessorPil, run whole, under the Pillow of the app's lock
  (12.3). It has to be that one: Pillow 13 resizes down before across where a picture gets wider and lower,
  and this processor then differs from the reference's default one, below, by up to 27 levels.
- `torch`: the same by the steps of Glm4vImageProcessor, which needs torchvision; there is no CPU build of it
  for this torch. Its smart_resize and patchify are taken out of the installed source and run as they are;
  between them stand torch's bicubic antialiased interpolation of uint8, which torchvision's resize calls,
  and its fused normalisation (x - 255 mean) / (255 std).
- orientation: Pillow's exif_transpose, which transformers' load_image applies first.
- more than 8 bits: the reference is given the levels scaled to 8 bits, because its own conversion clips them.
- `indices`: Glm4vVideoProcessor.sample_frames out of the installed source.
- `seconds`: the numbers in the text that Glm4vProcessor.replace_video_token writes, run whole.
- video rows: smart_resize, interpolation, normalisation and patchify of Glm4vVideoProcessor as for `torch`.
"""

from __future__ import annotations

import ast
import math
import re
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image, ImageOps
from reference.pictures import (
    DEEP,
    PICTURES,
    SAMPLINGS,
    TINY_BUDGET,
    VIDEOS,
    deep,
    positions,
    sizes_compared,
    video_frames,
)
from transformers.image_transforms import convert_to_rgb
from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil, smart_resize
from transformers.models.glm4v.processing_glm4v import Glm4vProcessor
from transformers.video_utils import VideoMetadata

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1) * 255
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1) * 255
DEFAULTS = SimpleNamespace(max_duration=300, fps=2)
VIDEO_BOUNDS = {"min_pixels": 112 * 112, "max_pixels": 28 * 28 * 2 * 30000}


def source_of(module: str, *names: str) -> dict[str, Any]:
    """Functions and methods of a module that cannot be imported here, from its source text."""
    # Not find_spec of the module itself: that would import its package's requirements.
    folder = Path(find_spec("transformers").submodule_search_locations[0])
    tree = ast.parse((folder / "models" / "glm4v" / f"{module}.py").read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in names]
    for node in found:
        node.decorator_list = []
    future = ast.parse("from __future__ import annotations").body
    scope: dict[str, Any] = {"math": math, "np": np, "torch": torch}
    exec(compile(ast.Module(future + found, []), module, "exec"), scope)
    return {name: scope[name] for name in names}


IMAGE = source_of("image_processing_glm4v", "patchify")
VIDEO = source_of("video_processing_glm4v", "patchify", "sample_frames", "smart_resize")


def resized(levels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(N, 3, H, W) uint8 to float32, normalised."""
    small = torch.nn.functional.interpolate(levels, size, mode="bicubic", antialias=True)
    return (small.float() - MEAN) / STD


def prepared(name: str) -> np.ndarray:
    """(H, W, 3): what the reference makes of a picture before resizing."""
    if name in DEEP:
        wide = deep(DEEP[name]).astype(np.float64)
        grey = np.rint(wide * (255 if DEEP[name] == "F" else 255 / 65535)).astype(np.uint8)
        return convert_to_rgb(Image.fromarray(grey), return_numpy=True)
    return convert_to_rgb(ImageOps.exif_transpose(PICTURES[name]()), return_numpy=True)


def picture(name: str) -> dict[str, np.ndarray]:
    rgb = prepared(name)
    processed = Glm4vImageProcessorPil()(images=[Image.fromarray(rgb)], return_tensors="np")
    rows, grid = processed["pixel_values"], processed["image_grid_thw"].reshape(3)
    size = smart_resize(2, *rgb.shape[:2], min_pixels=112 * 112, max_pixels=28 * 28 * 15000)
    tensor = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].contiguous()
    by_torch = IMAGE["patchify"](None, resized(tensor, size), 14, 2, 2)[0][0].numpy()
    assert by_torch.shape == rows.shape
    at = positions(name, rows.shape)
    return {"grid": grid.astype(np.int32), "pil": rows[at], "torch": by_torch[at]}


def sampling(frames: int, fps: float, duration: float | None) -> dict[str, np.ndarray]:
    metadata = VideoMetadata(total_num_frames=frames, fps=fps, duration=duration)
    indices = VIDEO["sample_frames"](DEFAULTS, metadata)
    metadata.frames_indices = indices
    return {"indices": indices.astype(np.int32), "seconds": np.array(seconds(metadata), np.int32)}


def seconds(metadata: VideoMetadata) -> list[int]:
    writer = SimpleNamespace(
        video_processor=SimpleNamespace(merge_size=2),
        image_token="<|image|>",
        replace_frame_token_id=lambda *a, **k: Glm4vProcessor.replace_frame_token_id(writer, *a, **k),
    )
    grid = np.array([len(metadata.frames_indices) // 2, 2, 2])
    given = {"video_grid_thw": [grid], "video_metadata": [metadata]}
    text = Glm4vProcessor.replace_video_token(writer, given, 0)
    return [int(second) for second in re.findall(r"<\|end_of_image\|>(\d+)", text)]


def video(name: str) -> dict[str, np.ndarray]:
    frames, (count, width, height, fps) = video_frames(name), VIDEOS[name]
    sampled = sampling(count, fps, count / fps)
    stack = torch.from_numpy(np.stack([frames[i] for i in sampled["indices"]])).permute(0, 3, 1, 2)
    size = VIDEO["smart_resize"](len(stack), height, width, **VIDEO_BOUNDS)
    rows, pairs, down, across = VIDEO["patchify"](None, resized(stack.contiguous(), size)[None], 14, 2, 2)
    rows = rows[0].numpy()
    return {
        "rows": rows[positions(name, rows.shape)],
        "grid": np.array([pairs, down, across], np.int32),
        "seconds": sampled["seconds"],
    }


def sizes() -> np.ndarray:
    """(cases, bounds, 2) resized height and width, 0 where the reference refuses."""
    bounds = [{"max_pixels": 28 * 28 * 15000}, {"max_pixels": TINY_BUDGET}, VIDEO_BOUNDS]
    found = []
    for frames, height, width in sizes_compared():
        for bound in bounds:
            try:
                found.append(smart_resize(frames, height, width, **bound))
            except ValueError:
                found.append((0, 0))
    return np.array(found, np.int32).reshape(-1, len(bounds), 2)


def main(out: Path) -> None:
    """Write `out`/media.npz."""
    if not PIL.__version__.startswith("12."):
        raise SystemExit(f"Pillow {PIL.__version__} resizes in another order: install pillow==12.3.0.")
    arrays = {"sizes": sizes()}
    for name in PICTURES:
        arrays |= {f"picture/{name}/{key}": value for key, value in picture(name).items()}
    for index, triple in enumerate(SAMPLINGS):
        arrays |= {f"sampling/{index}/{key}": value for key, value in sampling(*triple).items()}
    for name in VIDEOS:
        arrays |= {f"video/{name}/{key}": value for key, value in video(name).items()}
    np.savez_compressed(out / "media.npz", **arrays)
    print(f"media.npz: {len(PICTURES)} pictures, {len(SAMPLINGS)} samplings, {len(VIDEOS)} videos")
