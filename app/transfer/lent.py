"""Documents of an imported conversation: read again, their evidence fitted, quotations checked against them.

Knows: that what an export says of pages and quotations is only said: pages are those that are read here, and
    a quotation is verified where its words stand on them.
Does not know: the export's format, where its files lie, SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app import intake, library
from app.blobs import Blobs
from app.documents.pages import PICTURED
from app.store import Held, Message, Node, Store, Tree
from app.store.held import cited, renamed


def read_again(
    store: Store, blobs: Blobs, held: Held, stopped: Callable[[], bool], told: intake.Told
) -> int | None:
    """The number of a document whose file lies among ours; None: it cannot be read, or it was stopped."""
    file = blobs.path(held.sha256)
    found = intake.kept(store, held.sha256, file, held.title, told, stopped, intake.read_file)
    return found.id if found is not None and found.status == "ready" else None


def believed(store: Store, tree: Tree, documents: Sequence[int | None]) -> Tree:
    """The tree with what of its evidence there is, and its quotations checked."""
    names = {place: one for place, one in enumerate(documents) if one is not None}
    if not names:
        return replace(tree, nodes=tuple(replace(node, evidence={}) for node in tree.nodes))
    known = {place: _Known(store, number) for place, number in names.items()}
    nodes = [replace(node, evidence=_fitted(node.evidence, known)) for node in tree.nodes]
    for at, node in enumerate(nodes):
        if any(part.type == "citation" for part in node.parts):
            nodes[at] = replace(node, parts=_checked(store, nodes, at, names))
    return replace(tree, nodes=tuple(nodes))


class _Known:
    """Which pages a document has, and whether they can be drawn."""

    def __init__(self, store: Store, number: int) -> None:
        document = store.document_numbered(number)
        self.pages = {page.number for page in store.pages(number)}
        self.pictured = document is not None and document.kind in PICTURED


def _fitted(evidence: Mapping[str, Any], known: Mapping[int, _Known]) -> dict[str, Any]:
    """Evidence without pages that are not there and pictures that cannot be drawn."""
    if not evidence:
        return {}
    places = [
        [number, document, page, int(picture and known[document].pictured), words]
        for number, document, page, picture, words in evidence["places"]
        if document in known and page in known[document].pages
    ]
    found = renamed({**evidence, "places": places}, {place: place for place in known})
    if not found.get("outlined"):
        found.pop("outlined", None)
    return found


def _checked(store: Store, nodes: Sequence[Node], at: int, names: Mapping[int, int]) -> tuple[Any, ...]:
    """The parts of an answer, its quotations checked as when it was answered."""
    path: list[Message] = []
    above: int | None = at
    while above is not None:
        node = nodes[above]
        path.insert(0, Message("", node.role, node.status, (), evidence=renamed(node.evidence, names)))
        above = node.parent
    if not library.numbers(path):
        return nodes[at].parts
    places = {number: place for place, number in names.items()}
    return tuple(cited(part, places) for part in library.checked(store, path, nodes[at].parts))
