"""What the tests of import and export share: a home, pictures, zips of exports written by hand.

Knows: how a zip is put together. Does not know: any format of conversations.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from app.blobs import Blobs
from app.store import Message, Store, Tree
from app.transfer import Imported, import_file


@dataclass
class Home:
    store: Store
    blobs: Blobs

    def trees(self) -> list[Tree]:
        found = (self.store.whole(conversation) for conversation in self.store.every_conversation())
        return [tree for tree in found if tree is not None]

    def take(self, file: Path) -> Imported:
        return import_file(self.store, self.blobs, file)

    def only(self) -> tuple[Message, ...]:
        """The visible path of the one conversation that is there."""
        (conversation,) = self.store.every_conversation()
        return self.store.path(conversation)


def home(folder: Path) -> Home:
    return Home(Store(folder / "chat.db"), Blobs(folder / "blobs"))


def picture(colour: str = "red", kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (6, 4), colour).save(out, kind)
    return out.getvalue()


def packed(file: Path, entries: dict[str, Any], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip; what is not bytes is written as JSON."""
    with zipfile.ZipFile(file, "w", compression) as out:
        for name, content in entries.items():
            out.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return file


def written(file: Path, document: Any) -> Path:
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def texts(message: Message) -> list[str]:
    return [part.text for part in message.parts]
