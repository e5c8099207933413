"""What a model is made of, file by file with checksums, and whether a folder holds all of it.

Knows: which files of a repository are needed, which names are safe, the two notes that lie beside the
weights. Does not know: the network, where models are kept, MLX.

glm-chat.json    the manifest: every file, its size and checksum. Written last, when each of them was checked.
unfinished.json  the same list while files are still missing or one was found damaged. A folder with this note
                 is never whole, whatever else lies in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mlx_backend.errors import BackendError, DownloadFailed, ModelBroken, ModelMissing
from mlx_backend.glm.checkpoint import find_tensors

MANIFEST = "glm-chat.json"
UNFINISHED = "unfinished.json"
NEEDED = (
    r"config\.json|generation_config\.json|.*\.safetensors|model\.safetensors\.index\.json"
    r"|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json"
    r"|(video_)?preprocessor_config\.json|processor_config\.json|chat_template\.(jinja|json)|LICEN[CS]E.*"
)
# A name comes from the network and becomes a file here: one plain name, no folder, no leading dot, no
# surprise.
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
PIECE = 4 << 20  # bytes hashed between two reports


@dataclass(frozen=True)
class File:
    """One file of a model. size: bytes. sha256 of its content, or git: SHA-1 of it as a git blob."""

    name: str
    size: int
    sha256: str = ""
    git: str = ""


@dataclass(frozen=True)
class Manifest:
    """All files of one commit of a repository. source: the hub it came from. damaged: names found damaged."""

    repo: str
    commit: str
    files: tuple[File, ...]
    licence: str = ""
    source: str = ""
    damaged: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def is_repo(name: str) -> bool:
    """Whether a name is one of a repository: OWNER/NAME, and nothing that leads elsewhere on a disk."""
    return REPO.fullmatch(name) is not None and ".." not in name


def wanted(name: str) -> bool:
    """Whether a file of this name belongs to a model and may be written under it."""
    return bool(SAFE.fullmatch(name) and re.fullmatch(NEEDED, name))


def choose(files: Iterable[File]) -> tuple[File, ...]:
    """Of all files in a repository those a model needs, in the order they are fetched: small ones first.

    Raises DownloadFailed for names that would become one file on a Mac's disk, for an absurd size or a
    missing checksum, and where it is no MLX checkpoint. Files in folders and of unsafe names are never
    needed.
    """
    chosen = [f for f in files if wanted(f.name)]
    names = [f.name for f in chosen]
    if len({name.lower() for name in names}) < len(names):
        raise DownloadFailed(
            "unsafe", "Two files of this repository differ only in case. Nothing was fetched."
        )
    for file in chosen:
        if not 0 <= file.size < 1 << 44 or not _checksummed(file):
            raise DownloadFailed(
                "unsafe", f"The hub gives no usable size or checksum of {file.name}. Nothing was fetched."
            )
    absent = [name for name in ("config.json", "tokenizer.json") if name not in names]
    if absent or not any(name.endswith(".safetensors") for name in names):
        what = absent[0] if absent else "a safetensors file"
        raise DownloadFailed("missing", f"This repository holds no MLX model: {what} is missing in it.")
    return tuple(sorted(chosen, key=lambda f: (f.size, f.name)))


def _checksummed(file: File) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{64}", file.sha256) or re.fullmatch(r"[0-9a-f]{40}", file.git))


# --- on disk ---------------------------------------------------------------------------------------------


def write(folder: Path, manifest: Manifest, name: str = MANIFEST) -> None:
    """Put the note into the folder; after this returns it survives a power cut."""
    draft = folder / f".{name}.{os.getpid()}"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / name)
    sync(folder)


def read(folder: Path, name: str = MANIFEST) -> Manifest | None:
    """The note in the folder; None where there is none that can be believed."""
    try:
        said = json.loads((folder / name).read_text(encoding="utf-8"))
        files = tuple(File(f["name"], int(f["size"]), f["sha256"], f["git"]) for f in said["files"])
        damaged = tuple(str(name) for name in said.get("damaged", ()))
        manifest = Manifest(said["repo"], said["commit"], files, said["licence"], said["source"], damaged)
        return replace(manifest, files=choose(files)) if is_repo(manifest.repo) else None
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return None
    except BackendError:
        return None  # its list of files is none that `choose` lets through


def sync(folder: Path) -> None:
    """Make names in the folder survive a power cut, where the disk can do that."""
    with suppress(OSError):  # some external disks refuse it for folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def lacking(folder: Path) -> list[str]:
    """Names of files without which the folder is no whole model; empty: it is whole.

    Judged by the manifest where there is one, else by the index and the headers of the weight files. Sizes
    are compared, contents are not read: that is what `verify` is for.
    """
    if (folder / UNFINISHED).exists():
        left = read(folder, UNFINISHED)
        return [f.name for f in left.files if not _there(folder, f)] or [UNFINISHED] if left else [UNFINISHED]
    if (folder / MANIFEST).exists():
        held = read(folder)
        return [f.name for f in held.files if not _there(folder, f)] if held else [MANIFEST]
    return lacking_by_itself(folder)


def lacking_by_itself(folder: Path) -> list[str]:
    """The same without any note: what its own index and headers say is not there."""
    absent = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    return absent + _weights_lacking(folder)


def _there(folder: Path, file: File) -> bool:
    with suppress(OSError):
        return (folder / file.name).stat().st_size == file.size
    return False


def _weights_lacking(folder: Path) -> list[str]:
    try:
        files = {tensor.file.name for tensor in find_tensors(folder).values()}
    except ModelMissing as error:
        return error.missing or ["model.safetensors"]
    except ModelBroken as error:
        return [Path(error.file).name]
    return sorted(_shards(files) - files)


def _shards(names: Iterable[str]) -> set[str]:
    """The whole series where one is named model-00003-of-00013.safetensors, for folders without an index."""
    found = (re.fullmatch(r"(.*-)\d{5}-of-(\d{5})\.safetensors", name) for name in names)
    series = {(m[1], int(m[2])) for m in found if m and int(m[2]) < 10_000}
    return {f"{head}{n:05}-of-{total:05}.safetensors" for head, total in series for n in range(1, total + 1)}


# --- checksums -------------------------------------------------------------------------------------------


def intact(path: Path, file: File, told: Callable[[int], None] = lambda _: None) -> bool:
    """Whether the file on disk has the size and the checksum it should have. told: bytes read so far.

    Source of the second form: git's hash-object, SHA-1 of "blob SIZE" and a zero byte, then the content.
    """
    if path.stat().st_size != file.size:
        return False
    digest = (
        hashlib.sha256() if file.sha256 else hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    )
    done = 0
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
            told(done := done + len(piece))
    return digest.hexdigest() == (file.sha256 or file.git)
