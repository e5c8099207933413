"""Charts and diagrams of Office files as words: what a program stored of them, not how they look.

Knows: the cached values of a chart, the texts of a diagram (SmartArt), how both are referred to.
Does not know: where in a document they stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from .rows import line

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
POINTS = 1000  # of a series that are told
SERIES = 50
_NAMES = {C + "chart": "id", DGM + "relIds": "dm"}


def refers(element: Any) -> bool:
    """Whether the element stands for a chart or a diagram in a part of its own."""
    return element.tag in _NAMES and element.get(R + _NAMES[element.tag]) is not None


def told(element: Any, part: Any) -> str:
    """The chart or diagram that the element of this part refers to; empty where it is not there."""
    relation = part.rels.get(element.get(R + _NAMES[element.tag]))
    if relation is None or relation.is_external:
        return ""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    kind, lines_of = ("chart", _chart) if element.tag == C + "chart" else ("diagram", _diagram)
    try:
        lines = [text for text in lines_of(etree.fromstring(relation.target_part.blob, parser)) if text]
    except (etree.XMLSyntaxError, ValueError):
        return ""  # it costs the chart
    return "\n".join([f"[{kind}] {lines[0]}", *lines[1:]]) if lines else ""


def _diagram(root: Any) -> Iterator[str]:
    for point in root.iter(DGM + "pt"):
        yield " ".join("".join(text.text or "" for text in point.iter(A + "t")).split())


def _chart(root: Any) -> Iterator[str]:
    """Its title, then a table: a row for each category, a column for each series."""
    for title in root.iter(C + "title"):
        yield " ".join("".join(text.text or "" for text in title.iter(A + "t", C + "v")).split())
    series = list(root.iter(C + "ser"))[:SERIES]
    names = [next(iter(_values(one.find(C + "tx")).values()), "") for one in series]
    across = next((found for one in series if (found := _axis(one, "cat", "xVal"))), {})
    columns = [_axis(one, "val", "yVal") for one in series]
    yield line(["", *names])
    for at in sorted({at for column in columns for at in column})[:POINTS]:
        yield line([across.get(at, str(at + 1)), *(column.get(at, "") for column in columns)])


def _axis(series: Any, *names: str) -> dict[int, str]:
    return next((_values(found) for name in names if (found := series.find(C + name)) is not None), {})


def _values(element: Any) -> dict[int, str]:
    """Cached values by their place; of categories in several levels the innermost."""
    if element is None:
        return {}
    inside = element.find(f".//{C}lvl")
    inside = element if inside is None else inside
    points = {int(point.get("idx") or 0): point for point in inside.iter(C + "pt")}
    found = {at: "".join(text.text or "" for text in point.iter(C + "v")) for at, point in points.items()}
    return found or {0: "".join(text.text or "" for text in inside.iter(C + "v"))}
