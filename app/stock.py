"""The models while the app runs: which one answers, which is being loaded, what is fetched or checked.

Knows: the list of models (offers.py), the jobs under way, how the engine changes its model, what is kept.
Does not know: how it is shown (ui/models.py), how bytes come, what fits, Gradio.

Names come from a page: each is looked up in the list before it is used. Nothing here blocks but delete.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from app import places
from app.chosen import choose
from app.config import DEMO_MODEL
from app.offers import Row, rows
from app.savings import Weighed
from app.switches import PLAIN, Switches, keep, switches_of
from app.weighed import of_folder, of_published
from mlx_backend import (
    BackendError,
    Download,
    Job,
    Machine,
    Progress,
    Remedy,
    Setup,
    Status,
    Transfer,
    Verification,
    delete_model,
    find_models,
    is_repacked,
)
from mlx_backend.errors import NotEnoughMemory

log = logging.getLogger(__name__)

DEMO = "demo"
BUSY = "A model is being loaded. Wait until it answers, then choose another."


class Loading(Protocol):
    """What is asked of an engine here."""

    def load(self, model: Path, setup: Setup, force: bool = False) -> Iterator[Progress]: ...

    def status(self) -> Status: ...

    def unload(self) -> None: ...


@dataclass(frozen=True)
class Switch:
    """A change of the model. done, total: bytes. words: why it was refused or failed.

    switches: how it is to be run. change: what would make a refused one fit, None where nothing does.
    """

    name: str
    state: Literal["waiting", "loading", "done", "refused", "failed"] = "waiting"
    done: int = 0
    total: int = 0
    words: str = ""
    switches: Switches = PLAIN
    change: Remedy | None = None

    @property
    def under_way(self) -> bool:
        return self.state in ("waiting", "loading")


class Refused(Exception):
    """What a page asked for was not done; the text is for the person."""


def key(row: Row) -> str:
    """What a page calls a model: its repository where it is a published one, else its folder."""
    return row.name if row.published or not row.found else str(row.found.folder)


class Stock:
    """One per run of the app.

    answering: the model that answers, named as config.find_model reads it. running: how it is run.
    """

    def __init__(self, home: Path, engine: Loading, answering: str, running: Switches = PLAIN) -> None:
        self.home, self._engine, self.answering, self.running = home, engine, answering, running
        self.switch: Switch | None = None
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._returning = False  # to what answered before a load that failed

    # --- what there is ---------------------------------------------------------------------------------

    def rows(self, machine: Machine | None = None) -> list[Row]:
        return rows(self.home, machine)

    def transfer(self, name: str) -> Transfer | None:
        """How far what was begun with this model is, or how it ended; None: nothing was."""
        job = self._jobs.get(name)
        return job.progress if job else None

    def is_checked(self, name: str) -> bool:
        """Whether what was begun last is a check, and not a download."""
        return isinstance(self._jobs.get(name), Verification)

    @property
    def is_demo(self) -> bool:
        return self.answering == DEMO or places.same(self.answering, DEMO_MODEL)

    def status(self) -> Status:
        return self._engine.status()

    def answers(self, row: Row) -> bool:
        """Whether this is the model that answers."""
        return self.is_answering(key(row), row.found.folder if row.found else None)

    def is_answering(self, name: object, folder: Path | None) -> bool:
        """The same by what a page calls it, or by its folder: a command names it in several ways."""
        if name == DEMO:
            return self.is_demo
        return self.answering == name or (folder is not None and places.same(self.answering, folder))

    def weighed(self, name: object, machine: Machine) -> tuple[Weighed, Path | None]:
        """A model of the list for a computer, and its folder, None where it is not here.

        Raises Refused, ModelMissing or ModelBroken.
        """
        if name == DEMO:
            return of_folder(self.home, DEMO_MODEL, machine), DEMO_MODEL
        row = self._row(name)
        if row.found is not None and row.found.state == "whole":
            return of_folder(self.home, row.found.folder, machine), row.found.folder
        model = of_published(self.home, row.name, machine)
        if model is None:
            raise Refused(f"{row.title} cannot be weighed: it is not whole, or not supported.")
        return model, None

    def answering_folder(self) -> Path | None:
        """Of the model that answers; None where none does."""
        model = self._engine.status().model
        return Path(model) if model else None

    def _row(self, name: object) -> Row:
        row = next((row for row in self.rows() if key(row) == name), None)
        if row is None:
            raise Refused("This model is not in the list any more. Open the list again.")
        return row

    # --- download, check, delete -----------------------------------------------------------------------

    def download(self, name: object, to: object = None) -> None:
        """Begin, or go on with what was paused, broken off or begun by an earlier run. Raises Refused.

        to: one of places.to_download; None: the app's own folder.
        """
        row = self._row(name)
        chosen = next((place for place in places.to_download(self.home) if str(place) == to), None)
        if row.unsupported or (row.published is None and not (row.found and row.found.ours)):
            raise Refused(row.unsupported or "Only models of the list can be downloaded here.")
        with self._lock:
            job = self._jobs.get(key(row))
            if not isinstance(job, Download) or job.progress.over:
                ours = row.found and row.found.ours
                place = row.found.folder.parents[1] if row.found and ours else chosen
                place = place or places.own_place(self.home)
                if place == chosen:
                    places.remember(self.home, place)
                self._jobs[key(row)] = job = Download(row.name, place)
        job.start()

    def remove(self, name: object) -> str:
        """Look no more for models where this one of somebody's own lies; the folder. Raises Refused."""
        row = self._row(name)
        if row.found is None or not (place := places.place_of(self.home, row.found.folder)):
            raise Refused(f"{row.title} is not in a folder that you added. Nothing was changed.")
        beside = [
            one for one in self.rows() if one.found and place in (one.found.folder, *one.found.folder.parents)
        ]
        if answering := next((one for one in beside if self.answers(one)), None):
            raise Refused(f"{answering.title} answers now. Choose another model first.")
        places.forget(self.home, place)
        return str(place)

    def pause(self, name: object) -> None:
        if job := self._jobs.get(str(name)):
            job.pause()

    def cancel(self, name: object) -> None:
        """End it; of a download nothing is kept."""
        if job := self._jobs.get(str(name)):
            job.cancel()
            self._jobs.pop(str(name), None)

    def verify(self, name: object) -> None:
        """Read every file again. Raises Refused."""
        row = self._row(name)
        if row.found is None or row.found.state != "whole":
            raise Refused(f"{row.title} is not whole, so there is nothing to verify yet. Download it first.")
        with self._lock:
            if (job := self._jobs.get(key(row))) and job.progress.running:
                raise Refused(f"{row.title} is in use by a download or a check. Wait until it ends.")
            self._jobs[key(row)] = job = Verification(row.found.folder)
        job.start()

    def delete(self, name: object) -> int:
        """Returns the bytes that are free again. Raises Refused or BackendError."""
        row = self._row(name)
        under_way = self.switch is not None and self.switch.under_way and self.switch.name == key(row)
        if self.answers(row) or under_way:
            raise Refused(f"{row.title} answers now. Choose another model first, then delete it.")
        if row.found is None:
            raise Refused(f"{row.title} is not on this computer. Nothing was deleted.")
        self.cancel(key(row))
        return delete_model(row.found.folder)

    def add(self, folder: object) -> str:
        """Look for models in a folder from now on; the name of the first one. Raises Refused."""
        place = places.expanded(str(folder).strip())
        if not place.is_absolute():
            raise Refused("Give the whole path of the folder, as /Volumes/Disk/GLM-4.5V-4bit.")
        if not os.path.isdir(place):  # noqa: PTH112  # unlike Path.is_dir it never raises, however long the name
            raise Refused(f"There is no folder {place}. Is its disk connected?")
        found = find_models([place])
        if not found:
            raise Refused(f"No GLM-4.5V lies in {place}: a model's folder holds config.json and weights.")
        places.remember(self.home, place)
        return found[0].name

    # --- which one answers -----------------------------------------------------------------------------

    def choose(self, name: object, force: bool = False, switches: Switches | None = None) -> None:
        """Load a model and let it answer from then on, also after the next start. Raises Refused.

        force: although it is not expected to fit; the person was told what that may do. switches: how it is
        run from then on; None: as it was kept.
        """
        title, kept, folder = self._target(name)
        switches = self.switches(folder) if switches is None else switches
        if switches.share < 1 and not is_repacked(folder):
            raise Refused(f"{title} is not prepared for slow mode. Nothing was changed.")
        with self._lock:
            if self._returning or (self.switch is not None and self.switch.under_way):
                raise Refused(BUSY)
            self.switch = Switch(str(name), switches=switches)
        work = (self.switch, kept, folder, force)
        self._thread = threading.Thread(target=self._load, args=work, name=f"load {title}", daemon=True)
        self._thread.start()

    def _target(self, name: object) -> tuple[str, str, Path]:
        """Title, what is remembered, folder. Raises Refused."""
        if name == DEMO:
            return "the demo model", DEMO, DEMO_MODEL
        row = self._row(name)
        if row.unsupported:
            raise Refused(row.unsupported)
        if row.found is None:
            raise Refused(f"{row.title} is not on this computer. Download it first.")
        try:
            places.usable(row.found)
        except BackendError as error:
            raise Refused(str(error)) from error
        return row.title, key(row), row.found.folder

    def switches(self, folder: Path) -> Switches:
        """How the model in this folder is run, as a person chose."""
        return switches_of(self.home, folder)

    def _load(self, asked: Switch, kept: str, folder: Path, force: bool) -> None:
        before, switches = self._engine.status().model, asked.switches
        try:
            for progress in self._engine.load(folder, switches.setup, force=force):
                self._follow(progress)
            words = self._kept(kept, folder, switches)
            self.running = switches
            # in this order: whoever sees that it answers may choose another at once
            self.switch, self.answering = replace(asked, state="done", words=words), kept
        except NotEnoughMemory as error:
            self.switch = replace(asked, state="refused", words=str(error), change=error.change)
        except BackendError as error:
            # First: another load that began before this return ended would be undone by it.
            self._returning = True
            self.switch = replace(asked, state="failed", words=str(error))
            self._back_to(before)
        except Exception:
            words = "Something unexpected went wrong. It is in the log."
            self.switch = replace(asked, state="failed", words=words)
            log.exception("a model was not chosen")

    def _kept(self, name: str, folder: Path, switches: Switches) -> str:
        """What is to be told where it cannot be kept for the next start."""
        try:
            choose(self.home, name)
            keep(self.home, folder, switches)
        except OSError as error:
            return f"It answers now, but could not be kept for the next start: {error.strerror}."
        return ""

    def _follow(self, progress: Progress) -> None:
        if self.switch is not None and progress.stage == "load":
            self.switch = replace(self.switch, state="loading", done=progress.done, total=progress.total)

    def _back_to(self, before: str | None) -> None:
        """What answered until now answers on."""
        try:
            for _ in self._engine.load(Path(before), self.running.setup) if before else ():
                pass
        except BackendError as error:
            log.warning("the model before could not be loaded either: %s", type(error).__name__)
        finally:
            self._returning = False

    def rest(self) -> None:
        """Give the model's memory back now; the next question loads it again."""
        threading.Thread(target=self._engine.unload, name="unload", daemon=True).start()

    def close(self) -> None:
        """Pause what is being fetched: the next run goes on with it."""
        for job in list(self._jobs.values()):
            if job.progress.running:
                job.pause()
