"""A folder as the source of a model: a disk that came by hand, another program's download. No network.

Knows: a model with our manifest, the hub's cache, any whole folder. Does not know: where the copy goes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mlx_backend import manifest as notes
from mlx_backend.errors import DownloadFailed, ModelMissing
from mlx_backend.manifest import PIECE, File, Manifest, choose


@dataclass(frozen=True)
class Offline:
    """Speaks as Remote does, out of a folder that holds one whole model.

    tell: told "checking" with done and total in bytes and a file's name, while checksums are computed.
    """

    folder: Path
    tell: Callable[..., None] = lambda *_, **__: None

    @property
    def endpoint(self) -> str:
        return str(self.folder)

    def manifest(self, repo: str, revision: str = "main") -> Manifest:
        """What is there. Checksums from its manifest, from the hub's cache, else of what lies there now.

        Raises ModelMissing where the folder holds no whole model, DownloadFailed where it is another one.
        """
        if missing := notes.lacking(self.folder):
            raise ModelMissing(str(self.folder), missing if self.folder.is_dir() else [])
        held = notes.read(self.folder)
        if held is None:
            return Manifest(repo, "", choose(self._summed()), "", self.endpoint)
        if held.repo != repo:
            raise DownloadFailed(
                "missing", f"{self.folder} holds {held.repo}, not {repo}. Nothing was copied."
            )
        return replace(held, source=held.source or self.endpoint)

    def _summed(self) -> Iterator[File]:
        """Every file with a checksum, computed where nobody knows one: minutes for 60 GB, so it is told."""
        files = _files(self.folder)
        unknown = {path for path in files if notes.wanted(path.name) and named(path) is None}
        total, before = sum(path.stat().st_size for path in unknown), 0
        for path in files:

            def told(done: int, path: Path = path, before: int = before) -> None:
                self.tell("checking", done=before + done, total=total, file=path.name)

            if path in unknown:
                file = summed(path, told)
                before += file.size
                yield file
            else:
                yield named(path) or File(path.name, path.stat().st_size)

    @contextmanager
    def stream(
        self, repo: str, commit: str, name: str, start: int = 0
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        with (self.folder / name).open("rb") as file:
            file.seek(start)
            yield start, iter(lambda: file.read(PIECE), b"")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def named(path: Path) -> File | None:
    """The checksum by which the hub's cache names the content that a link leads to; None: it is no such link.

    Source: the cache's layout, snapshots/COMMIT/NAME -> ../../blobs/ETAG, where an ETag is a SHA-256 for
    large files and a git blob id for small ones.
    """
    blob = path.resolve()
    if not path.is_symlink() or blob.parent.name != "blobs":
        return None
    form = {64: "sha256", 40: "git"}.get(len(blob.name))
    return File(path.name, blob.stat().st_size, **{form: blob.name}) if form else None


def summed(path: Path, told: Callable[[int], None]) -> File:
    """The file with the checksum of what lies there now. told: bytes read so far."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
            told(done := done + len(piece))
    return File(path.name, done, sha256=digest.hexdigest())
