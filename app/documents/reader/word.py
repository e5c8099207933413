"""Word documents (DOCX): paragraphs, tables and what hangs on them in their order, cut at headings.

Knows: python-docx, styles that mean a heading, where notes, headers and footers lie.
Does not know: how an element becomes words (wording.py); pages as printed, for a DOCX has none until a
    program lays it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx
from docx.document import Document as Docx
from docx.opc.constants import RELATIONSHIP_TYPE as RELATION
from docx.oxml.parser import parse_xml

from . import archive
from .items import Item, Note, Opened, Refusal
from .numbering import Numbers, W
from .sections import Block, pages
from .wording import MC, Wording, note, style_id

_NOTES = {"footnote": RELATION.FOOTNOTES, "endnote": RELATION.ENDNOTES, "comment": RELATION.COMMENTS}
_PICTURES = (
    "{http://schemas.openxmlformats.org/drawingml/2006/picture}pic",
    "{urn:schemas-microsoft-com:vml}imagedata",
)


def read(path: Path, kind: str) -> Iterator[Item]:
    archive.opened(path).close()
    try:
        document = docx.Document(str(path))
    except ValueError as error:  # macros or a template: another content type
        raise Refusal("unsupported", "a Word template or a document with macros; save it as DOCX") from error
    yield Opened(kind, document.core_properties.title or "")
    wording = Wording(document.part, _notes(document), _numbers(document))
    yield from pages(_blocks(document, wording))
    yield from _left(document.element.body, wording.hidden)


def _left(body: Any, hidden: int) -> Iterator[Note]:
    """What of it is not read."""
    drawn = sum(not _old(picture) for picture in body.iter(*_PICTURES))
    if drawn:
        things = "1 picture" if drawn == 1 else f"{drawn} pictures"
        yield Note(f"It holds {things}, which are not read. To have them seen, save it as PDF.")
    if any(True for _ in body.iter(W + "object", W + "altChunk")):
        yield Note("It holds other files, which are not read. Save them by themselves and add them.")
    if hidden:
        yield Note("Text that is hidden in it is not read.")


def _old(element: Any) -> bool:
    """Whether it is the same thing once more, for programs that do not know the first."""
    return next(element.iterancestors(MC + "Fallback"), None) is not None


def _blocks(document: Docx, wording: Wording) -> Iterator[Block]:
    levels = _levels(document)
    edges = "\n".join(_edges(document))
    if edges:
        yield 0, edges
    for paragraph, (words, beside) in wording.blocks(document.element.body):
        level = 0 if paragraph is None else levels.get(style_id(paragraph), 0)
        if level and words.strip():
            yield level, words
            words = ""
        yield 0, "\n".join((words, *beside) if words else beside)


def _levels(document: Docx) -> dict[str, int]:
    """The level of every style that is, or is based on, a heading; by the style's id."""
    levels = {}
    for style in document.styles.element.style_lst:
        name = (style.name_val or "").lower()
        if name == "title":
            levels[style.styleId] = 1
        elif name.startswith("heading ") and name[8:].isdigit():
            levels[style.styleId] = min(6, int(name[8:]))
    for style in document.styles.element.style_lst:
        base = style.basedOn_val if hasattr(style, "basedOn_val") else None
        if base in levels:
            levels.setdefault(style.styleId, levels[base])
    return levels


def _notes(document: Docx) -> dict[tuple[str, str], str]:
    """Footnotes, endnotes and comments by kind and id."""
    found: dict[tuple[str, str], str] = {}
    for kind, relation in _NOTES.items():
        for part in _parts(document, relation):
            wording = Wording(part, {})
            for element in parse_xml(part.blob).iter(W + kind):
                if words := note(kind, element, wording.flat(element)):
                    found[kind, str(element.get(W + "id"))] = words
    return found


def _numbers(document: Docx) -> Numbers:
    roots = (parse_xml(part.blob) for part in _parts(document, RELATION.NUMBERING))
    return Numbers(next(roots, None), document.styles.element)


def _parts(document: Docx, relation: str) -> Iterator[Any]:
    for one in document.part.rels.values():
        if one.reltype == relation and not one.is_external:
            yield one.target_part


def _edges(document: Docx) -> Iterator[str]:
    """Headers and footers that some page shows, each once; a page's number alone says nothing."""
    seen: dict[str, None] = {}
    even = document.settings.odd_and_even_pages_header_footer
    for section in document.element.body.iter(W + "sectPr"):
        first = section.find(W + "titlePg") is not None
        for edge in ("header", "footer"):
            for reference in section.findall(f"{W}{edge}Reference"):
                kind = reference.get(W + "type", "default")
                if (kind == "first" and not first) or (kind == "even" and not even):
                    continue
                seen |= dict.fromkeys(_edge(document, edge, reference))
    yield from seen


def _edge(document: Docx, edge: str, reference: Any) -> Iterator[str]:
    relation = document.part.rels.get(
        reference.get("{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id")
    )
    if relation is None or relation.is_external:
        return
    part = relation.target_part
    words = Wording(part, {}).flat(parse_xml(part.blob))
    if any(char.isalpha() for char in words):
        yield f"[{edge}] {words}"
