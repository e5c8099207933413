"""Names for files that every system takes, made from titles that anybody may have written.

Knows: what macOS, Windows and Linux refuse in a file name, and that some of them see two names as one.
Does not know: what the files hold.
"""

from __future__ import annotations

import re
import unicodedata

MAX_BYTES = 200  # of 255 that file systems take: room for a number and for an ending
_REFUSED = re.compile(r'[/\\:*?"<>|]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def safe(wanted: str, otherwise: str) -> str:
    """A name without an ending: no path, no device, not hidden, no longer than MAX_BYTES in UTF-8."""
    seen = (" " if char.isspace() else char for char in unicodedata.normalize("NFC", wanted))
    plain = "".join(char for char in seen if unicodedata.category(char)[0] != "C")
    name = " ".join(_REFUSED.sub(" ", plain).split())
    name = name.encode()[:MAX_BYTES].decode(errors="ignore").strip(". ")
    if _DEVICES.fullmatch(name):
        name = f"_{name}"
    return name or otherwise


class Names:
    """The names of one folder, none given twice, also where capitals or accents are not told apart."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def give(self, wanted: str, otherwise: str, ending: str) -> str:
        """A safe name with an ending (no dot), numbered where it was given before."""
        name, number = safe(wanted, otherwise), 1
        found = f"{name}.{ending}"
        while _key(found) in self._taken:
            number += 1
            found = f"{name} ({number}).{ending}"
        self._taken.add(_key(found))
        return found


def _key(name: str) -> str:
    return unicodedata.normalize("NFKD", name).casefold()
