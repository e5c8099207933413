"""Where everything lies, and which checkpoint a name means.

Knows: the data and log folders of each system, the environment variables, the names a model may be given by.
Does not know: how a model is loaded or downloaded, what is in the database, Gradio.

GLM_CHAT_HOME moves all data, logs included, to another folder. GLM_CHAT_MODEL replaces the default model.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from app.places import usable, whole
from mlx_backend import ModelMissing, look_at

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
    def uploads(self) -> Path:
        """For files that were attached and not yet sent."""
        return self.home / "uploads"

    @property
    def worker_log(self) -> Path:
        return self.logs / "worker.log"

    @property
    def is_demo(self) -> bool:
        """Whether `model` is the demo model, and not a model for real work."""
        return self.model == "demo" or Path(self.model).expanduser().resolve() == DEMO_MODEL.resolve()


def find_model(name: str) -> Path:
    """The folder of the checkpoint that `name` means: `demo`, a folder, or a repository already downloaded.

    Never asks the network. Raises BackendError with what to do when there is no such checkpoint here, or when
    its download is not finished. What else is wrong with a folder is told when it is loaded.
    """
    if name == "demo":
        return DEMO_MODEL
    folder = Path(name).expanduser().absolute()
    if folder.is_dir():
        if (model := look_at(folder)).state in ("unfinished", "damaged"):
            usable(model)
        if (folder / "config.json").exists():
            return folder
        raise ModelMissing(str(folder), ["config.json"])
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return whole(data_folder(), name)
    raise ModelMissing(str(folder))
