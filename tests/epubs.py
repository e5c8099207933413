"""EPUB books and other ZIP files, made part by part, so that any part can be wrong."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

CONTAINER = """<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="text/book.opf"
media-type="application/oebps-package+xml"/></rootfiles></container>"""


def package(hrefs: Sequence[str], head: str = "") -> str:
    items = "".join(f'<item id="c{at}" href="{href}"/>' for at, href in enumerate(hrefs))
    spine = "".join(f'<itemref idref="c{at}"/>' for at in range(len(hrefs)))
    return (
        f'{head}<package xmlns="http://www.idpf.org/2007/opf"><metadata>'
        f'<title xmlns="http://purl.org/dc/elements/1.1/">Harbour</title></metadata>'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )


def chapter(title: str, text: str) -> str:
    return (
        f"<?xml version='1.0'?><!DOCTYPE html><html xmlns='http://www.w3.org/1999/xhtml'><head><title>{title}"
        f"</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"
    )


def book(
    chapters: Mapping[str, str], hrefs: Sequence[str] | None = None, more: Mapping[str, str] = {}
) -> bytes:
    """A book of files (name to XHTML), read in the order of hrefs (that of the files)."""
    hrefs = list(chapters) if hrefs is None else hrefs
    parts = {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER}
    parts |= {"text/book.opf": package(hrefs)}
    parts |= {f"text/{name}": text for name, text in chapters.items()} | dict(more)
    return packed(parts)


def packed(parts: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()
