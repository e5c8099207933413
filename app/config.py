"""Where everything lies, and which checkpoint a name means.

Knows: the data and log folders of each system, the environment variables, the names a model may be given by.
Does not know: how a model is loaded or downloaded, what is in the database, Gradio.

GLM_CHAT_HOME moves all data, logs included, to another folder. GLM_CHAT_MODEL replaces the default model.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.chosen import broken, chosen
from app.places import usable, whole
from app.switches import PLAIN, Switches, switches_of
from mlx_backend import BackendError, ModelMissing, look_at

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
    """Where the command line names none: the variable, the one chosen in the window, the demo model."""
    return os.environ.get("GLM_CHAT_MODEL") or chosen(data_folder()) or "demo"


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
    switches: Switches = PLAIN  # how that model is run
    told: str = ""  # what the person is told in the window at this start

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


def startable(config: Config) -> Config:
    """With the demo model in place of one that was chosen in the window and cannot be used now.

    That is one that is not there, and one that could not be loaded and has not changed since; its choice is
    kept. One that was named otherwise is tried. Raises BackendError where it is not there.
    """
    by_choice = config.model == chosen(config.home) and not os.environ.get("GLM_CHAT_MODEL")
    words = ""
    try:
        folder = None if config.model == "fake" else find_model(config.model)
        if folder and folder != DEMO_MODEL and by_choice and (why := broken(config.home, folder)):
            words = f"The model in {folder} could not be loaded: {why}"
    except BackendError as error:
        if not by_choice:
            raise
        words = str(error)
    if not words:
        return config
    told = f"{words} The demo model answers until you choose another under Models."
    return replace(config, model="demo", told=told)


def kept_switches(config: Config) -> Switches:
    """How the model of this run is run, as a person chose. Raises as find_model does."""
    return PLAIN if config.model == "fake" else switches_of(config.home, find_model(config.model))


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
