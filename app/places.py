"""The folders that hold models on this computer: ours, those a person chose, the model hub's cache.

Knows: where the list of chosen folders is kept, which place a name of a model is looked for in.
Does not know: how a model is fetched or checked, what a whole one is, argparse, Gradio.
"""

from __future__ import annotations

import os
from pathlib import Path

from app import kept
from mlx_backend import BackendError, Found, ModelMissing, disks, find_models, hub_cache, locate, look_at

LIST = "model-folders.json"


def own_place(home: Path) -> Path:
    """Where models go unless the person says otherwise."""
    return home / "models"


def places(home: Path) -> list[Path]:
    """Every folder that may hold models, ours first. One on a disk that is not connected stays in the
    list.
    """
    return [own_place(home), *remembered(home)]


def remembered(home: Path) -> list[Path]:
    """The folders a person chose, in the order they were chosen. A list that cannot be read is an empty
    one.
    """
    said = kept.read(home / LIST)
    return [Path(name) for name in said if isinstance(name, str)] if isinstance(said, list) else []


def remember(home: Path, place: Path) -> None:
    """Look for models in this folder from now on."""
    place = place.expanduser().absolute()
    if place in places(home):
        return
    _write(home, [*remembered(home), place])


def _write(home: Path, listed: list[Path]) -> None:
    kept.write(home / LIST, [str(place) for place in listed])


def to_download(home: Path) -> list[Path]:
    """The app's own folder, folders that a person chose and that can be written to, external disks."""
    folders = [*remembered(home), *(disk / "GLM models" for disk in disks())]
    usable = [one for one in folders if os.access(one if one.is_dir() else one.parent, os.W_OK)]
    apart = [one for one in usable if not (one / "config.json").exists()]  # not a model's own folder
    return list(dict.fromkeys([own_place(home), *apart]))


def expanded(name: str) -> Path:
    """With ~ as the person's own folder; somebody's who is not known here is taken as it is written."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def same(name: str, folder: Path) -> bool:
    """Whether a name leads to this folder, over links too."""
    return expanded(name).resolve() == folder.resolve()


def place_of(home: Path, folder: Path) -> Path | None:
    """The chosen folder in which this one lies, or which it is; None: it is found elsewhere."""
    return next((place for place in remembered(home) if folder == place or place in folder.parents), None)


def forget(home: Path, place: Path) -> None:
    """Look there no more. Nothing in it is touched."""
    _write(home, [one for one in remembered(home) if one != place])


def not_connected(home: Path) -> list[Path]:
    """Chosen folders that are not there now: on a disk that is unplugged, or deleted by hand."""
    return [place for place in remembered(home) if not place.is_dir()]


def here(home: Path) -> list[Found]:
    """Every model on this computer, half ones too."""
    return find_models(places(home), hub_cache())


def found(home: Path, name: str) -> Found | None:
    """The model that `name` means, a repository or a folder, in whatever state; None: it is not here."""
    folder = Path(name).expanduser().absolute()
    if folder.is_dir():
        return look_at(folder)
    return locate(name, places(home), hub_cache()) if name.count("/") == 1 else None


def whole(home: Path, repo: str) -> Path:
    """The folder of a model by its repository. Never asks the network.

    Raises BackendError with what to do where it is not here or not whole.
    """
    model = found(home, repo)
    if model is None:
        away = "".join(f" {place} is not connected; it may be there." for place in not_connected(home))
        raise BackendError(
            f"{repo} is not on this computer.{away} Nothing was downloaded. Fetch it with "
            f"`./scripts/run models download {repo}`, or name a folder."
        )
    usable(model)
    return model.folder


def usable(model: Found) -> None:
    """Raises BackendError for a model that is not whole, saying how far it is and how to complete it."""
    if model.state in ("unfinished", "damaged"):
        how = (
            f"{', '.join(model.missing[:3])} of it is damaged or gone"
            if model.state == "damaged"
            else f"{model.size / 1e9:.1f} of {model.total / 1e9:.1f} GB of it are here"
        )
        raise BackendError(
            f"{model.name} cannot be used yet: {how}. Nothing was loaded. "
            f"`./scripts/run models download {model.name}` fetches what is missing."
        )
    if model.state == "incomplete":
        raise ModelMissing(str(model.folder), model.missing)
