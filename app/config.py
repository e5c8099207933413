"""Where everything lies, and which checkpoint a name means.

Knows: the data and log folders of each system, the environment variables, the names a model may be given by.
Does not know: how a model is loaded or downloaded, what is in the database, Gradio.

GLM_CHAT_HOME moves all data, logs included, to another folder. GLM_CHAT_MODEL replaces the default model.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from mlx_backend import BackendError, ModelMissing

PROJECT = Path(__file__).resolve().parent.parent
DEMO_MODEL = PROJECT / "assets" / "demo-model"
PORT = 4545


def data_folder() -> Path:
    if chosen := os.environ.get("GLM_CHAT_HOME"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "GLM Chat"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "glm-chat"


def log_folder() -> Path:
    if sys.platform == "darwin" and not os.environ.get("GLM_CHAT_HOME"):
        return Path.home() / "Library" / "Logs" / "GLM Chat"
    return data_folder() / "logs"


def default_model() -> str:
    return os.environ.get("GLM_CHAT_MODEL") or "demo"


@dataclass(frozen=True)
class Config:
    """What one run of the app was told.

    model: demo, a folder or a repository, as find_model reads it; or fake, for the scripted engine.
    """

    home: Path = field(default_factory=data_folder)
    logs: Path = field(default_factory=log_folder)
    model: str = field(default_factory=default_model)
    port: int = PORT
    open_browser: bool = True

    @property
    def database(self) -> Path:
        return self.home / "glmchat.db"

    @property
    def blobs(self) -> Path:
        return self.home / "blobs"

    @property
    def worker_log(self) -> Path:
        return self.logs / "worker.log"

    @property
    def is_demo(self) -> bool:
        """Whether `model` is the demo model, or what stands in for it, and not a model for real work."""
        own = (DEMO_MODEL, _tiny_folder(self.home))
        folder = Path(self.model).expanduser().resolve()
        return self.model == "demo" or folder in [place.resolve() for place in own]


def find_model(name: str, home: Path) -> Path:
    """The folder of the checkpoint that `name` means: `demo`, a folder, or a repository already downloaded.

    Never asks the network. Raises BackendError with what to do when there is no such checkpoint here.
    """
    if name == "demo":
        return DEMO_MODEL if (DEMO_MODEL / "config.json").exists() else tiny_model(home)
    folder = Path(name).expanduser().absolute()
    if (folder / "config.json").exists():
        return folder
    if folder.is_dir():
        raise ModelMissing(str(folder), ["config.json"])
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return downloaded(name)
    raise ModelMissing(str(folder))


def downloaded(repository: str) -> Path:
    """The snapshot of a repository in the local Hugging Face cache, which other tools share."""
    from huggingface_hub import snapshot_download  # slow to import, and only needed here

    try:
        folder = Path(snapshot_download(repository, local_files_only=True))
    except (OSError, ValueError):
        raise BackendError(
            f"{repository} is not on this computer, neither as a folder nor in the Hugging Face cache. "
            f"Nothing was downloaded. Fetch it with `hf download {repository}`, or name a folder."
        ) from None
    if not (folder / "config.json").exists():
        raise ModelMissing(str(folder), ["config.json"])
    return folder


def tiny_model(home: Path) -> Path:
    """A tiny random checkpoint of the real architecture, made once in the data folder.

    Made beside its place and renamed: a folder with this name is always whole.
    """
    folder = _tiny_folder(home)
    if (folder / "config.json").exists():
        return folder
    print(
        "Making a tiny random model (seconds). It answers nonsense: it never learned anything.",
        file=sys.stderr,
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
    script = PROJECT / "scripts" / "make_tiny_model.py"
    made = subprocess.run([sys.executable, script, fresh], cwd=PROJECT, capture_output=True, text=True)
    if made.returncode:
        raise BackendError(
            f"The tiny model could not be made: {(made.stderr.strip() or 'no reason given').splitlines()[-1]}"
        )
    try:
        fresh.rename(folder)
    except OSError:  # another process was first: its folder is as good
        if not (folder / "config.json").exists():
            raise
    return folder


def _tiny_folder(home: Path) -> Path:
    return home / "models" / "tiny-random"
