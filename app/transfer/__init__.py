"""Conversations in and out: pages of Markdown, our own JSON, and the exports of ChatGPT and Claude.

Knows: what a window or a command line calls. Does not know: how any of it is done.
"""

from __future__ import annotations

from app.transfer.incoming import Imported, import_file
from app.transfer.loose import BadImport
from app.transfer.outgoing import BadExport, Exported, export_archive, export_markdown

__all__ = [
    "BadExport",
    "BadImport",
    "Exported",
    "Imported",
    "export_archive",
    "export_markdown",
    "import_file",
]
