"""A conversation as a page of Markdown: what is seen in the window, to be read anywhere.

Knows: CommonMark, and how a message is kept from hiding the ones that follow it.
Does not know: zips, where media lie, the database.

Messages are Markdown already and stay as they are, but for two things that would swallow the rest of the
page: an HTML tag or comment outside of code loses its «<», and a code block left open is closed. Headings
that a message writes itself cannot be taken for a turn's: those are numbered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from urllib.parse import quote

from app.store import Node, Part, Tree

ROLES = {"user": "You", "assistant": "Answer"}
# What begins HTML (CommonMark 6.6), an address between angle brackets excepted.
_HTML = re.compile(r"<(?=[A-Za-z/!?])(?!https?://[^\s<>`]*>)")
_OPENING = re.compile(r"( *)(`{3,}(?=[^`]*$)|~{3,}).*")  # a line that opens a block of code, if it is a line
_FENCE = re.compile(r"`{3,}|~{3,}")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")


def page(tree: Tree, names: Mapping[str, str], zone: tzinfo | None = None) -> str:
    """The visible path of a conversation.

    names: file names under media/ by content (SHA-256); a file that has none is said to be missing.
    zone: of the times, this computer's if None.
    """
    lines = [f"# {_inline(tree.title)}", "", f"*{_when(tree.created_at, zone)}*"]
    for number, node in enumerate(visible(tree), 1):
        lines += ["", "---", "", f"## {number}. {ROLES[node.role]}"]
        lines += [f"\n{block}" for block in _blocks(node, names)]
    return "\n".join(lines) + "\n"


def visible(tree: Tree) -> tuple[Node, ...]:
    """From the first question down to the head."""
    found: list[Node] = []
    at: int | None = tree.head
    while at is not None:
        found.append(tree.nodes[at])
        at = tree.nodes[at].parent
    return tuple(reversed(found))


def _blocks(node: Node, names: Mapping[str, str]) -> list[str]:
    blocks, spoken = list[str](), ""
    for part in node.parts:
        if part.type in ("text", "box"):  # a box is written in the middle of a sentence
            spoken += part.text
            continue
        if part.type == "citation":
            spoken += _quotation(part)
            continue
        blocks += [contained(spoken), _block(part, names)]
        spoken = ""
    blocks.append(contained(spoken))
    if node.status in ("interrupted", "streaming"):
        blocks.append("*(This answer was not finished.)*")
    return [block for block in blocks if block.strip()]


def _quotation(part: Part) -> str:
    """A quotation of a document in the middle of a sentence, with its place if it was found there."""
    words, data = _inline(str(part.data.get("words") or "")), part.data
    if not data.get("verified"):
        return f" (“{words}”, not found in the documents)"
    place = _inline(f"{data.get('title')}, {data.get('label') or data.get('page')}")
    return f" (“{words}”, {place})"


def _block(part: Part, names: Mapping[str, str]) -> str:
    if part.type == "reasoning":
        return f"<details>\n<summary>Reasoning</summary>\n\n{contained(part.text)}\n\n</details>"
    if part.type == "error":
        return f"> **Error:** {_inline(part.text)}"
    called = _inline(str(part.data.get("name") or part.type))
    if part.sha256 is None or part.sha256 not in names:
        return f"*({called}: this file is missing.)*"
    mark = "!" if part.type == "image" else ""
    return f"{mark}[{called}](media/{quote(names[part.sha256])})"


def _inline(text: str) -> str:
    """Words of a person in one line of ours: nothing in them is Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#!|~&$])", r"\\\1", " ".join(text.split()))


def _when(seconds: float, zone: tzinfo | None) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def contained(text: str) -> str:
    """A message that ends where it ends: no tag, comment or code block of it goes on behind it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n")
    told: list[str] = []
    paragraph: list[str] = []
    at, doubtful = 0, False
    while at < len(lines):
        line = lines[at]
        block = [] if doubtful else _code(lines, at, any("`" in before for before in paragraph))
        if block:
            told += [*_disarmed(paragraph), *block]
            paragraph, at = [], at + len(block)
            continue
        # a fence behind a list's mark, say: where such a block ends only a whole parser knows
        doubtful = doubtful or bool(_FENCE.search(_SPAN.sub("", line)))
        paragraph.append(line)
        if not line.strip():
            told += _disarmed(paragraph)
            paragraph = []
        at += 1
    return "\n".join([*told, *_disarmed(paragraph)]) + (_closing(text) if doubtful else "")


def _code(lines: Sequence[str], at: int, backticks: bool) -> list[str]:
    """The code block that begins at a line, closed where it was left open; empty where none certainly does.

    Behind blanks it may lie in a list or not; it is certain where both mean the same: every line of it stands
    as far right, and so does the fence that closes it. From four blanks on it may be words of a paragraph, in
    which only backticks make code, and only if none stand before (`backticks`).
    """
    opened = _OPENING.fullmatch(lines[at])
    if not opened or (len(opened[1]) > 3 and (backticks or opened[2][0] != "`")):
        return []
    for n in range(at + 1, len(lines)):
        line = lines[n]
        if _closes(line, opened):
            certain = not opened[1] or line.startswith(opened[1] + opened[2][0])
            return list(lines[at : n + 1]) if certain else []
        if opened[1] and line.strip() and (not line.startswith(opened[1]) or "```" in line):
            return []
    return [] if opened[1] else [*lines[at:], opened[2]]


def _closes(line: str, opened: re.Match[str]) -> bool:
    blanks, mark = len(opened[1]), opened[2]
    return bool(re.fullmatch(rf" {{0,{blanks + 3}}}{mark[0]}{{{len(mark)},}}[ \t]*", line))


def _disarmed(paragraph: Sequence[str]) -> list[str]:
    """No HTML begins outside of code. Where a backtick is left over or escaped nothing is taken for code."""
    left_over = any("`" in _SPAN.sub("", line) or "\\`" in line for line in paragraph)
    return [_HTML.sub("&lt;", line) if left_over else _outside_code(line) for line in paragraph]


def _outside_code(line: str) -> str:
    told, at = "", 0
    for span in _SPAN.finditer(line):
        cut = "|" in span.group()  # a table may be cut there, and the code with it
        told += _HTML.sub("&lt;", line[at : span.start()])
        told += _HTML.sub("&lt;", span.group()) if cut else span.group()
        at = span.end()
    return told + _HTML.sub("&lt;", line[at:])


def _closing(text: str) -> str:
    """Lines after which no code block is open, whatever was open before.

    A fence with words behind it opens a block where none is open and is text in one that is; the bare fence
    of the same length then closes the block in both cases. Longer than any in the text, once for either kind.
    """
    longest = max(len(run) for run in re.findall(r"`+|~+", text))
    pairs = (mark * (longest + 1) for mark in "`~" if mark * 3 in text)
    return "".join(f"\n\n{fence} end\n{fence}" for fence in pairs)
