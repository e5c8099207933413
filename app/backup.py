"""The command `backup`: copy all conversations now, list the copies, bring one back.

Knows: what a person is told about copies in the terminal.
Does not know: how a copy is made and checked (store/backups.py), argparse.
"""

from __future__ import annotations

import sys
from pathlib import Path

from app.config import Config
from app.migrations import DatabaseTooNew
from app.store import Backup, BackupFailed, back_up, backups
from app.store import restore as bring_back
from app.store.backups import at, folder_of

MEANINGS = {
    "daily": "daily",
    "by-hand": "made by hand",
    "version": "before an update",
    "replaced": "replaced by another",
}


def backup(config: Config, listing: bool, chosen: str | None) -> int:
    """Bring back the copy `chosen`, a name from the list or a path; or list them; or make one.

    Returns an exit code. What cannot be done is told on standard error, and nothing was changed.
    """
    try:
        if chosen is not None:
            restore(config, chosen)
        elif listing:
            show(config)
        else:
            make(config)
    except (BackupFailed, DatabaseTooNew) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def make(config: Config) -> None:
    """Copy the database and say where the copy lies. Raises BackupFailed."""
    if not config.database.exists():
        raise BackupFailed(f"There is nothing to copy: {config.database} does not exist. Nothing was done.")
    print(f"Everything that was said is now also in {back_up(config.database).file}")


def show(config: Config) -> None:
    """One line per copy, the newest first."""
    copies = backups(config.database)
    print("\n".join(map(_line, copies)) or f"There is no copy in {folder_of(config.database)} yet.")


def _line(copy: Backup) -> str:
    return f"{at(copy.when)}  {copy.bytes / 1e6:8.1f} MB  {MEANINGS[copy.kind]:20}{copy.file}"


def restore(config: Config, name: str) -> None:
    """Put a copy in the place of the database. name: as in the list, or a path.

    Raises BackupFailed or DatabaseTooNew, with nothing changed; also where the app is running.
    """
    from app.server import only_one  # takes a second to import, and only this needs it

    chosen = _find(config, name)
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_one(config.home / "app.lock") as alone:
        if not alone:
            raise BackupFailed(
                "GLM Chat is running. Nothing was changed. Quit it first, then bring the copy back."
            )
        aside = bring_back(config.database, chosen)
    print(f"The conversations of {chosen} are back.")
    if aside is not None:
        print(f"Those that were there before lie in {aside}")
        print(f"To have them again: ./scripts/run backup --restore {aside.name}")


def _find(config: Config, name: str) -> Path:
    """The file of that name: among the copies, or else as a path seen from where the person is."""
    among, path = folder_of(config.database) / name, Path(name).expanduser().absolute()
    found = next((file for file in (among, path) if file.is_file()), None)
    if found is None:
        raise BackupFailed(f"There is no copy {name}. Nothing was changed. See: ./scripts/run backup --list")
    if found == config.database:
        raise BackupFailed(f"{found} is what is in use, not a copy of it. Nothing was changed.")
    return found
