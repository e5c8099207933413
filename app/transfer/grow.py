"""Loose messages become a tree that the app can go on with: question, answer, question, answer.

Knows: the shape of a conversation here, and what to do with messages that have another one.
Does not know: where they come from, the database.

Every branch begins with a question and ends with an answer. What other apps tell in several messages of one
side (thoughts, a tool's output, the answer) becomes one; a question that nobody answered gets an answer that
says so; before an answer without a question stands one that says that. A tree that has this shape stays as it
is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.store import Node, Part, Tree
from app.transfer.loose import Broken, Chat, File, Said, flow

MAX_MESSAGES = 20_000
MAX_PARTS = 200_000  # of the whole tree; a beginning that several branches repeat counts as often
UNTITLED = "Untitled chat"
NO_QUESTION = Part("text", "[the conversation begins with an answer]")
NO_ANSWER = Part("error", "The imported file holds no answer to this question.", None, {"kind": "imported"})

Settle = Callable[[File], Part]


def grow(chat: Chat, settle: Settle) -> Tree:
    """The tree of a conversation. settle: puts a file away and returns its part, or a note if it cannot.

    Raises Broken where there is nothing to tell, the messages refer to each other in a circle, or there are
    more than anyone wrote.
    """
    said = {one.id: one for one in chat.said}
    if len(chat.said) > MAX_MESSAGES:
        raise Broken(
            f"it has {len(chat.said):,} messages, more than the {MAX_MESSAGES:,} that can be imported."
        )
    speaking = _speaking(said)
    growing = _Growing(chat, said, _below(said, speaking, chat.created_at or 0.0), settle)
    growing.run()
    nodes = tuple(growing.nodes)
    if not nodes:
        raise Broken("there are no messages in it.")
    start = _start(growing, speaking.get(chat.head or ""), nodes)
    created = chat.created_at if chat.created_at is not None else nodes[0].created_at
    updated = chat.updated_at if chat.updated_at is not None else max(node.created_at for node in nodes)
    title = chat.title or UNTITLED
    head = _leaf(nodes, start)
    return Tree(title, created, updated, head, nodes, chat.pinned, chat.folder, chat.documents)


def _speaking(said: dict[str, Said]) -> dict[str, str | None]:
    """For every message: itself if it says something, else the nearest one above it that does."""
    found: dict[str, str | None] = {}
    for first in said:
        way: dict[str, None] = {}  # in order
        at: str | None = first
        while at is not None and at in said and at not in found:
            if at in way:
                raise Broken("its messages refer to each other in a circle.")
            way[at] = None
            at = said[at].parent
        above = found.get(at) if at is not None else None
        for name in reversed(way):
            above = found[name] = name if said[name].role else above
    return found


def _below(
    said: dict[str, Said], speaking: dict[str, str | None], otherwise: float
) -> dict[str | None, list[str]]:
    """What follows each message, the oldest first; None: what begins the conversation."""
    below: dict[str | None, list[str]] = {}
    for one in said.values():
        if one.role:
            above = speaking.get(one.parent) if one.parent is not None else None
            below.setdefault(above, []).append(one.id)
    for names in below.values():
        names.sort(key=lambda name: _when(said[name], otherwise))
    return below


def _when(one: Said, otherwise: float) -> float:
    return one.created_at if one.created_at is not None else otherwise


@dataclass
class _Step:
    """A message to be told: what its side said just before, since when, and the node they all follow."""

    name: str
    held: list[Part | File]
    above: int | None
    since: float | None = None


class _Growing:
    """The nodes so far, and which of them tells which message."""

    def __init__(
        self, chat: Chat, said: dict[str, Said], below: dict[str | None, list[str]], settle: Settle
    ) -> None:
        self.nodes: list[Node] = []
        self.place: dict[str, int] = {}
        self.below = below
        self._said = said
        self._settle = settle
        self._otherwise = chat.created_at or 0.0
        self._pieces = chat.pieces
        self._left = MAX_PARTS

    def run(self) -> None:
        todo = [_Step(name, [], None) for name in reversed(self.below.get(None, []))]
        while todo:
            todo += reversed(list(self._take(todo.pop())))

    def _take(self, step: _Step) -> Iterator[_Step]:
        one = self._said[step.name]
        since = _when(one, self._otherwise) if step.since is None else step.since
        following = self.below.get(one.id, [])
        going_on = [name for name in following if self._said[name].role == one.role]
        answers = [name for name in following if self._said[name].role != one.role]
        self._count(len(one.parts))
        step.held += one.parts
        if answers or not going_on:
            place = self._emit(one, step, since)
            yield from (_Step(name, [], place) for name in answers)
        for name in going_on:
            alone = len(following) == 1  # otherwise every branch repeats the beginning
            self._count(0 if alone else len(step.held))
            yield _Step(name, step.held if alone else list(step.held), step.above, since)

    def _count(self, parts: int) -> None:
        self._left -= parts
        if self._left < 0:
            raise Broken("it branches far more than a conversation does.")

    def _emit(self, one: Said, step: _Step, since: float) -> int:
        above = step.above
        if above is None and one.role == "assistant":
            self.nodes.append(Node(None, "user", "complete", (NO_QUESTION,), since))
            above = len(self.nodes) - 1
        merged = len(step.held) > len(one.parts)
        parts = flow(step.held) if merged or self._pieces else step.held
        settled = tuple(self._settle(part) if isinstance(part, File) else part for part in parts)
        assert one.role is not None
        self.nodes.append(
            Node(
                above, one.role, one.status, settled, since, one.options, one.reason, one.stats, one.evidence
            )
        )
        place = self.place[one.id] = len(self.nodes) - 1
        if one.role == "user" and not self.below.get(one.id):
            self.nodes.append(Node(place, "assistant", "error", (NO_ANSWER,), since))
        return place


def _start(growing: _Growing, head: str | None, nodes: tuple[Node, ...]) -> int:
    """Where to begin looking for the head: the message that was looked at, else the newest one."""
    if head is None:
        return max(range(len(nodes)), key=lambda n: (nodes[n].created_at, n))
    while head not in growing.place:  # it went into what follows it
        head = growing.below[head][-1]
    return growing.place[head]


def _leaf(nodes: tuple[Node, ...], start: int) -> int:
    """The newest leaf at or below a node."""
    last = {node.parent: n for n, node in enumerate(nodes)}  # siblings are in order of time
    while start in last:
        start = last[start]
    return start
