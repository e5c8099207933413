"""Words in shapes that lie over a sheet of a workbook, which openpyxl leaves out where it streams.

Knows: how a sheet refers to its drawing, where a shape has its words.
Does not know: cells, charts (their values are in the cells), pictures.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any
from zipfile import ZipFile

from lxml import etree

from .charts import A
from .wording import MC

XDR = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


def told(package: ZipFile, sheet: str) -> str:
    """The words of every box, the lowest first. sheet: its name in the package."""
    drawing = next(_drawings(package, sheet), None)  # a sheet has one
    found = _boxes(_root(package, drawing)) if drawing else ()
    return "\n".join(f"[text box] {words}" for words in found if words)


def _drawings(package: ZipFile, sheet: str) -> Iterator[str]:
    folder, name = posixpath.split(sheet)
    root = _root(package, f"{folder}/_rels/{name}.rels")
    for one in root.iter(RELATION) if root is not None else ():
        if one.get("Type", "").endswith("/drawing") and one.get("TargetMode") != "External":
            yield posixpath.normpath(posixpath.join("/", folder, one.get("Target", ""))).lstrip("/")


def _boxes(root: Any) -> Iterator[str]:
    for body in root.iter(XDR + "txBody") if root is not None else ():
        again = next(body.iterancestors(MC + "Fallback"), None)  # the same once more, for old programs
        if again is None:
            lines = ("".join(text.text or "" for text in one.iter(A + "t")) for one in body.iter(A + "p"))
            yield "\n".join(line for line in lines if line.strip())


def _root(package: ZipFile, name: str) -> Any:
    """None where there is no such part, or a damaged one: it costs the boxes."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    try:
        return etree.fromstring(package.read(name), parser)
    except (KeyError, etree.XMLSyntaxError, ValueError):
        return None
