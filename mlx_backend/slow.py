"""A copy of a checkpoint for slow mode, its experts one by one: room for it, how far it is, its end.

Knows: how large it gets. Does not know: how it is written (glm/experts.py), MLX.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from .apart import is_repacked
from .chore import Chore, Pace
from .errors import BackendError

KEPT_FREE = 2 * 10**9  # bytes of the disk that stay free


class Preparation(Chore):
    """Write `folder` from the checkpoint `source`; stopped or failed, nothing of it is left.

    done, total: bytes. Raises BackendError where it cannot be begun.
    """

    def __init__(self, source: Path, folder: Path) -> None:
        self.source, self.folder = source, folder.expanduser().absolute()
        self._size = sum(file.stat().st_size for file in source.glob("*.safetensors"))
        super().__init__("mlx_backend.glm.experts", str(source), str(self.folder))

    def start(self) -> None:
        if is_repacked(self.source):
            raise BackendError(f"{self.source.name} is prepared for slow mode already. Nothing was written.")
        if self.folder.exists():
            raise BackendError(f"{self.folder} is there already. Nothing was written. Choose another folder.")
        near = next(one for one in self.folder.parents if one.exists())
        # mlx-vlm writes all experts once as they were and once apart before it drops the first.
        needed, free = 2 * self._size + KEPT_FREE, shutil.disk_usage(near).free
        if free < needed:
            raise BackendError(
                f"A copy for slow mode needs {needed / 1e9:.1f} GB of room in {near} while it is written, "
                f"and {free / 1e9:.1f} GB are free. Nothing was written."
            )
        super().start()

    @property
    def progress(self) -> Pace:
        now = super().progress
        done = self._size if now.state == "done" else min(self._written(), self._size)
        return replace(now, done=done, total=self._size)

    def tidy(self) -> None:
        shutil.rmtree(self._part, ignore_errors=True)

    def failed(self, code: int, words: str) -> str:
        return words.splitlines()[-1] if words else super().failed(code, words)

    @property
    def _part(self) -> Path:
        return self.folder.with_name(self.folder.name + ".part")

    def _written(self) -> int:
        try:
            return sum(file.stat().st_size for file in self._part.rglob("*") if file.is_file())
        except OSError:  # a file went away in between
            return 0


def prepare_slow(source: Path, folder: Path) -> None:
    """Write the copy and wait for it. Raises BackendError; then nothing of it is left."""
    copying = Preparation(source, folder)
    copying.start()
    try:
        ended = copying.wait()
    except BaseException:
        copying.stop()
        raise
    if ended.state != "done":
        raise BackendError(ended.error or "Stopped. Nothing of the copy was kept.")
