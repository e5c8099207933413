"""Does our rendering agree with the checkpoint's own chat template? Asked once, when a model is loaded.

Knows: the template's language and the form in which it takes messages, a handful of telling conversations.
Does not know: how to render a prompt for the model; a template only ever judges, it is not run for answers.

A template file is a program from the internet: it runs in Jinja's sandbox, on our own sentences only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mlx_backend.glm.prompt import Size, render
from mlx_backend.glm.tokenizer import Tokenizer
from mlx_backend.types import Boxed, Image, Message, Part, Text, ToolCall, Video

# A video of one pair of frames at second 0, as the processor writes it where the template has a placeholder.
ONE_PAIR = "<|begin_of_image|><|image|><|end_of_image|>0"


@dataclass(frozen=True)
class Case:
    """A conversation and how it is asked."""

    name: str
    messages: tuple[Message, ...]
    thinking: bool = True
    tools: tuple[str, ...] = ()


def _user(*parts: Part) -> Message:
    return Message("user", parts)


_PICTURE, _CLIP = Image(b""), Video(Path("clip.mp4"))
_WEATHER = '{"type": "function", "function": {"name": "weather", "description": "Wetter für einen Ort"}}'
_CALL = Message(
    "assistant", (), reasoning="I ask.", tool_calls=(ToolCall("weather", {"place": "Köln", "n": 2}),)
)

CASES = (
    Case("a question", (_user(Text("Hello\nthere ")),)),
    Case(
        "a system turn, thinking off", (Message("system", (Text("Be brief."),)), _user(Text("Hello"))), False
    ),
    Case("pictures in place", (_user(Text("Compare "), _PICTURE, Text(" and "), _PICTURE, Text("!")),)),
    Case("a video", (_user(_CLIP, Text("\nWhat happens?")),), False),
    Case(
        "a later turn",
        (
            _user(_PICTURE, Text("Where?")),
            Message("assistant", (Text("Here: "), Boxed("[[1,2,3,4]]"), Text(" \n")), reasoning="Left."),
            _user(Text("And now?")),
        ),
        False,
    ),
    Case(
        "tools",
        (
            _user(Text("Weather?")),
            _CALL,
            Message("tool", (Text("rain"),)),
            Message("tool", (Text("sun"),)),
            Message("assistant", (Text("Both."),), reasoning="Two results."),
        ),
        tools=(_WEATHER,),
    ),
)


def compare_with_template(folder: Path, tokenizer: Tokenizer, cases: Sequence[Case] = CASES) -> str | None:
    """One line on the first difference between the folder's template and our rendering, for the log.

    None when they agree, or when the folder has no template.
    """
    source = _template(folder)
    if source is None:
        return None
    full = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for case in cases:
        try:
            text = render_template(source, case)
        except Exception as error:  # the template is a program of someone else: it may raise anything
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            return f"The model's chat template cannot be rendered for {case.name} ({reason})."
        theirs = full.encode(text.replace("<|video|>", ONE_PAIR), add_special_tokens=False).ids
        ours = _ours(case, tokenizer)
        if ours != theirs:
            return (
                f"The model's chat template differs for {case.name}: {_difference(ours, theirs, tokenizer)}"
            )
    return None


def render_template(source: str, case: Case) -> str:
    """The text a template gives for a conversation, with the settings Hugging Face renders templates with.

    Raises jinja2.TemplateError, or what the template's own code raises.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols], autoescape=False
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise
    return environment.from_string(source).render(
        messages=[_as_mapping(message) for message in case.messages],
        tools=[json.loads(tool) for tool in case.tools] or None,
        enable_thinking=case.thinking,
        add_generation_prompt=True,
    )


def _template(folder: Path) -> str | None:
    """The template's source: a file of its own, or in older checkpoints an entry of tokenizer_config.json."""
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        pass  # most often it is not there; one that cannot be read has no say either
    try:
        entry = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return entry if isinstance(entry, str) else None


def _ours(case: Case, tokenizer: Tokenizer) -> list[int]:
    parts = [part for message in case.messages for part in message.content]
    sizes: list[Size] = [[(1, 0)] for part in parts if isinstance(part, Image | Video)]
    return render(case.messages, tokenizer, thinking=case.thinking, tools=case.tools, media=sizes).ids


def _as_mapping(message: Message) -> dict[str, Any]:
    calls = [
        {"type": "function", "function": {"name": c.name, "arguments": c.arguments}}
        for c in message.tool_calls
    ]
    entry: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.role == "assistant":
        entry |= {"reasoning_content": message.reasoning, "tool_calls": calls}
    return entry


def _content(message: Message) -> str | list[dict[str, str]]:
    """Tool results of words alone as a string: templates of this family differ in what else they take."""
    if message.role == "tool" and all(isinstance(part, Text) for part in message.content):
        return "".join(part.text for part in message.content if isinstance(part, Text))
    return [_part(part) for part in message.content]


def _part(part: Part) -> dict[str, str]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Boxed):
        return {"type": "text", "text": f"<|begin_of_box|>{part.text}<|end_of_box|>"}
    return {"type": "image" if isinstance(part, Image) else "video"}


def _difference(ours: list[int], theirs: list[int], tokenizer: Tokenizer) -> str:
    pairs = enumerate(zip(ours, theirs, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(ours), len(theirs)))

    def around(ids: list[int]) -> str:
        text = b"".join(tokenizer.token_bytes(id) for id in ids[max(0, at - 4) : at + 6])
        return repr(text.decode("utf-8", "replace"))

    return f"it writes {around(theirs)} at token {at}, this app {around(ours)}."


def _tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    # Jinja's own filter escapes for HTML; Hugging Face replaces it by plain JSON.
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _raise(message: str) -> None:
    raise TemplateError(message)
