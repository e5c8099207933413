"""Stored and live turns as the messages a Chatbot shows. Pure: values in, values out.

Knows: which words stand for a state, how untrusted text is kept from becoming markup.
Does not know: Gradio's components, events, where anything is stored.

Text goes in as {"type": "text"}: a plain string would be dedented by Gradio, which changes what is already on
screen, and everything here must only ever grow at its end (a change elsewhere resends the whole answer).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from app.answering import Live, Opening
from app.store import Message, Part
from app.turn import SELF_INFLICTED
from app.ui import boxes, sources
from mlx_backend import Progress

Shown = dict[str, Any]  # one message of a gr.Chatbot

# All that Markdown or a formula could take for markup; the fewer, the better a screen reader's label reads.
_MARKUP = re.compile(
    r"[\\`*_\[\]<>~|$&@]|:(?=//)|(?<=www)\.|(?<=\d)[.)](?=\s|$)|^[ \t]*[#+=-]+", re.MULTILINE | re.IGNORECASE
)
# The page styles links with these addresses as quiet notes; they lead nowhere.
STOPPED, PROBLEM = "#note-stopped", "#note-problem"
LEFT_OUT = "The model does not see this question in what follows."


def literal(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no formula, no link, line breaks and indents kept."""
    lines = _MARKUP.sub(_entities, text).split("\n")
    return "\n".join(re.sub(r"^[ \t]+", _hard_spaces, line) for line in lines)


def _entities(found: re.Match[str]) -> str:
    return "".join(char if char.isspace() else f"&#{ord(char)};" for char in found[0])


def _hard_spaces(indent: re.Match[str]) -> str:
    return "&nbsp;" * len(indent[0].expandtabs(4))


def exchanges(path: Sequence[Message], media: str) -> list[Shown]:
    """Finished messages. media: the address that a file's content name is appended to, with a slash."""
    shown: list[Shown] = []
    for message in path:
        shown += question(message, media) if message.role == "user" else answer(message, media)
    return shown


def question(message: Message, media: str) -> list[Shown]:
    """Files and words in one message, so that they form one group."""
    content: list[Shown] = []
    for part in message.parts:
        if part.sha256 is not None:
            content.append(_file(part, media))
        elif part.text:
            content.append({"type": "text", "text": literal(part.text)})
    return [{"role": "user", "content": content}] if content else []


def answer(message: Message, media: str) -> list[Shown]:
    """A stored answer with its mark if it did not end well."""
    return [*_said(message.parts, media, over=True), *_ending(message)]


def arriving(live: Live, media: str) -> list[Shown]:
    """An answer on its way."""
    return _said(live.parts, media, over=False)


def waiting(live: Live) -> str:
    """What is being waited for, in words; empty once words arrive."""
    if live.parts:
        return ""
    if live.progress is None:
        return "Getting ready…"
    if isinstance(live.progress, Opening):
        return opening(live.progress)
    soon = live.left is None or live.left < 1.5 or live.progress.stage == "queue"
    return progress(live.progress) + ("" if soon else f", about {duration(round(live.left or 0))}")


def opening(at: Opening) -> str:
    """How far a document is read."""
    if not at.total:
        return f"Opening {at.name}…"
    return f"Opening {at.name}… page {at.done:,} of {at.total:,}"


def progress(at: Progress) -> str:
    """One line for a person. The units are those of Progress."""
    if at.stage == "queue":
        return f"Waiting for {at.done} other {'answer' if at.done == 1 else 'answers'} to finish…"
    if at.stage == "load":
        share = f" {at.done / at.total:.0%}" if at.total else ""
        return f"Loading the model…{share}"
    if at.stage == "images":
        return f"Looking at the pictures… {at.done} of {at.total}"
    return f"Reading… {at.done:,} of {at.total:,} tokens"


def _said(parts: Sequence[Part], media: str, over: bool) -> list[Shown]:
    """Thoughts first, then one message of words and files; files are in answers of other apps."""
    thoughts = [_thought(part, over) for part in parts if part.type == "reasoning"]
    content: list[Shown] = []
    places = {id(part): boxes.marks(first, len(part.data["boxes"])) for part, first in boxes.numbered(parts)}
    quoted = [part for part in parts if part.type == "citation"]
    places |= {id(part): sources.mark(part, over, at) for at, part in enumerate(quoted)}
    for part in parts:
        if part.sha256 is not None:
            content.append(_file(part, media))
        elif part.type in ("text", "box"):
            if not content or content[-1]["type"] != "text":
                content.append({"type": "text", "text": ""})
            content[-1]["text"] += places.get(id(part), part.text)
        elif part.type == "citation" and content and content[-1]["type"] == "text":
            content[-1]["text"] += places[id(part)]
    content = [piece for piece in content if piece["type"] != "text" or piece["text"].strip()]
    return [*thoughts, *([{"role": "assistant", "content": content}] if content else [])]


def _thought(part: Part, over: bool) -> Shown:
    seconds = float(part.data.get("seconds") or 0.0)
    over = over or bool(part.data.get("over"))
    title = f"Thought for {duration(seconds)}" if over else f"Thinking… {seconds:.0f} s"
    return {
        "role": "assistant",
        "content": [{"type": "text", "text": part.text}],
        "metadata": {"title": title, "status": "done" if over else "pending"},
    }


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds} s" if isinstance(seconds, int) else f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def _ending(message: Message) -> list[Shown]:
    notes = [_note(PROBLEM, _problem(part)) for part in message.parts if part.type == "error"]
    if message.status == "interrupted":
        by_person = message.reason == "cancelled"
        notes.append(_note(STOPPED, "You stopped this answer." if by_person else _CLOSED))
    elif message.reason in _CUT:
        notes.append(_note(STOPPED, _CUT[message.reason]))
    return notes


def _problem(part: Part) -> str:
    return f"{part.text} {LEFT_OUT}" if part.data.get("kind") in SELF_INFLICTED else part.text


_CLOSED = "Interrupted: the app was closed before this answer was finished. What had arrived is kept."
_CUT = {
    "length": "The answer reached its length limit here.",
    "repetition": "The answer was repeating itself and was ended here.",
}


def _note(address: str, words: str) -> Shown:
    return {"role": "assistant", "content": [{"type": "text", "text": f"[{literal(words)}]({address})"}]}


def _file(part: Part, media: str) -> Shown:
    name = str(part.data.get("name", "attachment"))
    address = f"{media}{part.sha256}"
    # With an absolute address Gradio passes the file on as it is: no copy, no hash of a video per repaint.
    file = {
        "path": address,
        "url": address,
        "orig_name": name,
        "mime_type": part.data.get("media_type"),
        "meta": {"_type": "gradio.FileData"},
    }
    return {"type": "file", "file": file, "alt_text": name}
