"""Files that were attached in the window and not stored yet.

Knows: when nobody needs one any more. Does not know: Gradio, which puts them there, how a file is stored.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path


class Uploads:
    """The folder that Gradio puts attached files into, each in a folder named by its content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def sent(self, files: Iterable[Path]) -> None:
        """They have been stored: theirs goes. Files that lie elsewhere stay."""
        for file in (file.resolve() for file in files):  # what a page names may lead out again
            if self._folder in file.parent.parents:
                file.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # another file of the same content
                    file.parent.rmdir()

    def clear(self) -> None:
        """No page is open, so none can send what was attached."""
        for file in self._folder.iterdir() if self._folder.exists() else ():
            shutil.rmtree(file, ignore_errors=True)
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
