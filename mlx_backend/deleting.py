"""Models deleted from a disk, and what was fetched of one that is not whole.

Knows: what may be deleted: what the app or the model hub's own tools put there, and nothing else.
Does not know: who asks, downloads under way but for their lock.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from mlx_backend import manifest as notes
from mlx_backend.errors import DownloadFailed
from mlx_backend.finding import ASIDE, aside_of, look_at
from mlx_backend.locks import locked
from mlx_backend.manifest import MANIFEST, UNFINISHED


def forget(repo: str, place: Path) -> int:
    """Throw away what was fetched of a model that is not whole. Returns the bytes that are free again."""
    aside = aside_of(place, repo)
    if not aside.is_dir():
        return 0
    with _alone(aside, repo):
        freed = sum(path.stat().st_size for path in aside.iterdir() if path.is_file())
        shutil.rmtree(aside)
    return freed


def delete_model(folder: Path) -> int:
    """Delete the model in this folder. Returns the bytes that are free again.

    Only what the app or the model hub's own tools put there: a folder of anybody else, and files that
    somebody put beside a model, stay. Raises DownloadFailed with the reason where it was not deleted.
    """
    try:
        return _delete(folder)
    except OSError as error:
        raise DownloadFailed(
            "disk",
            f"{folder} could not be deleted as a whole ({error.strerror or error}). What is left of it is no "
            "model any more. Try again.",
        ) from error


def _delete(folder: Path) -> int:
    found = look_at(folder)
    if folder.parent.name == "snapshots":
        return _delete_cached(folder)
    note = notes.read(folder, UNFINISHED) or notes.read(folder)
    if not found.ours or note is None:
        raise _not_ours(folder)
    place = folder.parents[1]
    if folder.parent.name == ASIDE:
        return forget(note.repo, place)
    (place / ASIDE).mkdir(exist_ok=True)
    with _alone(aside_of(place, note.repo), note.repo):
        freed = _delete_files(folder, note)
    return freed + forget(note.repo, place)


def _not_ours(folder: Path) -> DownloadFailed:
    return DownloadFailed(
        "refused", f"{folder} was not put there by this app, so it was not deleted. Delete it by hand."
    )


def _delete_files(folder: Path, note: notes.Manifest) -> int:
    # First the note that it is whole: a deletion that is cut short must not leave half a model that looks
    # whole.
    notes.write(folder, note, UNFINISHED)
    (folder / MANIFEST).unlink(missing_ok=True)
    freed = 0
    for file in note.files:
        with suppress(FileNotFoundError):
            freed += (folder / file.name).stat().st_size
            (folder / file.name).unlink()
    (folder / UNFINISHED).unlink()
    for empty in (folder, folder.parent):
        with suppress(OSError):  # something else lies there
            empty.rmdir()
    return freed


def _delete_cached(folder: Path) -> int:
    from huggingface_hub import CacheNotFound, scan_cache_dir  # seconds to import

    try:
        cache = scan_cache_dir(folder.parents[2])
    except CacheNotFound:
        raise _not_ours(folder) from None
    held = (revision for repo in cache.repos for revision in repo.revisions)
    if not any(revision.snapshot_path == folder.resolve() for revision in held):
        raise _not_ours(folder)
    plan = cache.delete_revisions(folder.name)
    plan.execute()
    return plan.expected_freed_size


@contextmanager
def _alone(aside: Path, repo: str) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(locked(aside.with_name(f"{aside.name}.lock"), None))
        except BlockingIOError:
            busy = f"{repo} is being downloaded now. Pause that first."
            raise DownloadFailed("busy", busy) from None
        yield
