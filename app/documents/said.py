"""What a person is told about a file that could not be read, or not all of it.

Knows: the sentences. Does not know: files, processes.
"""

from __future__ import annotations

from .isolated import Ended
from .pages import Unreadable
from .reader.items import Refused

_PLAIN = {
    "empty": "There is nothing in it to read.",
    "password": "It is protected with a password, so nothing was read. "
    "Save it without one and add that copy.",
    "memory": "Reading it needs more memory than one file may have, so it was stopped and nothing was read. "
    "Split it, or save it anew as PDF.",
    "too-slow": "Reading it took too long, so it was stopped and nothing was read. "
    "Split it, or save it anew as PDF.",
    "stopped": "Reading was stopped. Nothing was kept.",
    "corrupt": "It is damaged and could not be read. Open it in the program it is from and save it anew.",
}
_AT = {
    "memory": "its next page needs more memory than one file may have",
    "too-slow": "it took too long",
    "stopped": "reading was stopped",
}


def refusal(refused: Refused) -> Unreadable:
    """Why nothing of the file is read, as the child found it."""
    code, what = refused.code, refused.detail
    if code == "bomb":
        return Unreadable(code, f"It is built to overload what opens it, so it was not opened: {what}.")
    if code == "unsupported" and what != "not a document":
        return Unreadable(code, f"This is {what}. Nothing was read.")
    if code == "unsupported":
        return Unreadable(code, "This is not a document that can be read here. Nothing was read.")
    if code == "too-large":
        return Unreadable(code, f"It holds {what}, which is more than can be read. Nothing was read.")
    if code == "password" and what == "rights":
        return Unreadable(code, "It is protected by the shop it is from, so nothing was read.")
    return Unreadable(code if code in _PLAIN else "corrupt", _PLAIN.get(code, _PLAIN["corrupt"]))


def ended(how: Ended) -> Unreadable:
    """Why nothing of the file is read, where its process did not live to say so."""
    return refusal(Refused(how if how in ("memory", "too-slow", "stopped") else "corrupt"))


def partly(readable: int, total: int, how: str) -> str:
    """That some pages were kept. how: what ended the reading; "" where single pages were lost."""
    share = f"{readable:,} of {total:,} pages" if total > readable else f"{readable:,} pages"
    kept = f"{share} are readable"
    if how in ("", "done"):
        return f"{kept}; the others are damaged."
    return f"{kept}; after them {_AT.get(how, 'the file is damaged')}."
