"""EPUB books: XHTML files in the order of the spine.

Knows: where a book says what it holds and in which order, protected books.
Does not know: HTML (web.py), archives (archive.py).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

from lxml import etree

from . import web
from .archive import opened, part
from .items import TITLE, Item, Lost, Opened, Refusal
from .sections import Block, pages


def read(path: Path, kind: str) -> Iterator[Item]:
    with opened(path, entities=True) as archive:
        root = _xml(part(archive, "META-INF/container.xml"))
        at = next((e.get("full-path") for e in root.iter("{*}rootfile") if e.get("full-path")), None)
        if at is None:
            raise Refusal("corrupt", "a book without a list of its parts")
        package = _xml(part(archive, at))
        files = list(dict.fromkeys(_spine(package, posixpath.dirname(at))))
        if _is_protected(archive, files):
            raise Refusal("password", "rights")
        title = next((e.text or "" for e in package.iter("{*}title")), "")
        yield Opened(kind, " ".join(title.split())[:TITLE])
        lost: list[str] = []
        yield from pages(_blocks(archive, files, lost))
        yield from (Lost(name) for name in lost)


def _xml(data: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Refusal("corrupt", "a book with damaged lists") from error


def _spine(package: Any, folder: str) -> Iterator[str]:
    places = {item.get("id"): item.get("href") for item in package.iter("{*}item")}
    for reference in package.iter("{*}itemref"):
        if href := places.get(reference.get("idref")):
            yield posixpath.normpath(posixpath.join(folder, unquote(href)))


def _is_protected(archive: ZipFile, files: list[str]) -> bool:
    # Fonts may be scrambled in a free book; its text may not.
    if "META-INF/encryption.xml" not in archive.namelist():
        return False
    listed = _xml(archive.read("META-INF/encryption.xml")).iter("{*}CipherReference")
    return any(unquote(entry.get("URI") or "") in files for entry in listed)


def _blocks(archive: ZipFile, files: list[str], lost: list[str]) -> Iterator[Block]:
    names = set(archive.namelist())
    for name in files:
        if name not in names:  # also what points out of the archive: nothing but its own entries is ever read
            lost.append(name[:TITLE])
            continue
        try:
            yield from web.blocks(web.parsed(archive.read(name)))
        except etree.LxmlError:
            lost.append(name[:TITLE])
