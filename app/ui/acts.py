"""What can be done with each message on the page: edit, answer again, go on, look at another variant.

Knows: which messages offer what, what an action from the page means.
Does not know: Gradio's components, how messages are drawn, SQL.

Everything an action carries was chosen by the client: ids are looked up before they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.choices import Choices
from app.jobs import Jobs
from app.store import CUT, Message, Store
from app.turn import Draft
from app.ui.boxes import figures
from app.ui.saw import seen
from app.ui.sources import Address, by_answer


def offered(path: Sequence[Message], address: Address) -> list[dict[str, Any]]:
    """For each message in order what acts.js draws under it.

    {id, role, variants: ids, at: its index among them, text: of a question, more: whether an answer can go
    on, cost: of an answer, in words, figures: the pictures an answer points at, see boxes.py, saw: what the
    model was shown for it, see saw.py, or None, sources: what it read and quoted, see sources.py, or None}.
    address: of a document's id what its pages are asked for by.
    """
    drawn, shown, quoted = figures(path), seen(path), by_answer(path, address)
    return [
        {
            "id": message.id,
            "role": message.role,
            "variants": list(message.variants),
            "at": message.variants.index(message.id),
            "text": _words(message) if message.role == "user" else "",
            "more": message is path[-1] and can_go_on(message),
            "cost": cost(message),
            "figures": drawn.get(message.id, []),
            "saw": shown.get(message.id),
            "sources": quoted.get(message.id),
        }
        for message in path
        if message.status != "streaming"
    ]


def can_go_on(answer: Message) -> bool:
    """Whether an answer ended before its own end, with something to go on from."""
    cut = answer.status in ("interrupted", "error") or answer.reason in CUT
    return answer.role == "assistant" and cut and any(part.type != "error" for part in answer.parts)


def cost(answer: Message) -> str:
    """What an answer took, in one line: empty where it is not known."""
    stats = answer.stats
    if not stats.get("output_tokens"):
        return ""
    words = [f"{stats['output_tokens']:,.0f} tokens"]
    if stats.get("decode_rate"):
        words.append(f"{stats['decode_rate']:.1f} a second")
    if stats.get("first_token_seconds"):
        words.append(f"first word after {stats['first_token_seconds']:.1f} s")
    if stats.get("prompt_tokens"):
        reused = (
            f", {stats.get('cached_tokens', 0):,.0f} of them reused" if stats.get("cached_tokens") else ""
        )
        words.append(f"read {stats['prompt_tokens']:,.0f}{reused}")
    if stats.get("peak_bytes") and stats.get("predicted_bytes"):
        words.append(
            f"memory {stats['peak_bytes'] / 1e9:.2f} GB of {stats['predicted_bytes'] / 1e9:.2f} GB planned"
        )
    return " · ".join(words)


def act(event: Any, store: Store, jobs: Jobs, conversation: str, choices: Choices) -> None:
    """Do what an action says. Unknown actions do nothing.

    Raises what the store and jobs.start raise; then nothing was written.
    """
    action, target = getattr(event, "action", None), getattr(event, "id", None)
    if not isinstance(target, str):
        return
    if action == "again":
        jobs.again(conversation, target, choices.options())
    elif action == "more":
        jobs.go_on(conversation, target)
    elif action == "look":
        store.select(conversation, target)
    elif action == "edit" and isinstance(text := getattr(event, "text", None), str):
        question = next((m for m in store.path(conversation) if m.id == target and m.role == "user"), None)
        if question is not None:
            kept = tuple(part for part in question.parts if part.sha256 is not None)
            jobs.start(conversation, Draft(text, choices=choices, kept=kept, instead_of=target))


def _words(question: Message) -> str:
    return "".join(part.text for part in question.parts if part.type == "text")
