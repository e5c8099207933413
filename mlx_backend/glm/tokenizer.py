"""Text into token ids and back, with a wall between what a person wrote and what steers the model.

Knows: tokenizer.json, byte-level BPE, the tokens GLM-4.5V is steered with, by their text.
Does not know: any id before it has looked, prompts, the model.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers

from mlx_backend.errors import ModelBroken, ModelMissing

# What the tokenizer must have: attribute of Control -> text of the token.
CONTROL_TEXT = {
    "gmask": "[gMASK]",
    "sop": "<sop>",
    "endoftext": "<|endoftext|>",
    "system": "<|system|>",
    "user": "<|user|>",
    "assistant": "<|assistant|>",
    "observation": "<|observation|>",
    "begin_image": "<|begin_of_image|>",
    "image": "<|image|>",
    "end_image": "<|end_of_image|>",
    "begin_video": "<|begin_of_video|>",
    "video": "<|video|>",
    "end_video": "<|end_of_video|>",
    "begin_box": "<|begin_of_box|>",
    "end_box": "<|end_of_box|>",
    "nothink": "/nothink",
    "think": "<think>",
    "end_think": "</think>",
    "tool_call": "<tool_call>",
    "end_tool_call": "</tool_call>",
    "arg_key": "<arg_key>",
    "end_arg_key": "</arg_key>",
    "arg_value": "<arg_value>",
    "end_arg_value": "</arg_value>",
    "tool_response": "<tool_response>",
    "end_tool_response": "</tool_response>",
}


@dataclass(frozen=True)
class Control:
    """The ids of the tokens that steer the model, as this checkpoint numbers them."""

    gmask: int
    sop: int
    endoftext: int
    system: int
    user: int
    assistant: int
    observation: int
    begin_image: int
    image: int
    end_image: int
    begin_video: int
    video: int
    end_video: int
    begin_box: int
    end_box: int
    nothink: int
    think: int
    end_think: int
    tool_call: int
    end_tool_call: int
    arg_key: int
    end_arg_key: int
    arg_value: int
    end_arg_value: int
    tool_response: int
    end_tool_response: int

    @cached_property
    def ids(self) -> frozenset[int]:
        """All of them."""
        return frozenset(getattr(self, field.name) for field in fields(self))


class Tokenizer:
    """A checkpoint's tokenizer.

    added: every added token by its text. control: those that steer the model. stop_ids: the tokens that end
    an answer. size: one more than the largest id that has a text; rows of the vocabulary from there on are
    padding. Raises ModelMissing or ModelBroken naming the file.
    """

    def __init__(self, folder: Path) -> None:
        file = folder / "tokenizer.json"
        rules = _read(file)
        try:
            self.added: dict[str, int] = {t["content"]: t["id"] for t in rules.get("added_tokens", [])}
            self._plain = _without_added(rules, set(self.added))
            self._words: dict[int, str] = {v: k for k, v in self._plain.get_vocab().items()}
        except Exception as error:  # the tokenizers package raises bare Exception for whatever it cannot read
            raise ModelBroken(str(file), f"is not a tokenizer this app can read ({_line(error)}).") from error
        self._texts = {id: text for text, id in self.added.items()}
        self.control = _control(self.added, file)
        self.size = 1 + max([*self._words, *self._texts])
        self.stop_ids = frozenset(
            {self.control.endoftext, self.control.user, self.control.observation} | _eos(folder)
        )

    def encode(self, text: str) -> list[int]:
        """Ids of words from outside: no id of an added token ever, whatever the text spells.

        The model still reads what was written: `<|user|>` arrives as the letters it consists of. For text
        without such a spelling the result is that of the whole tokenizer.
        """
        try:
            text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, as JSON may carry it, is no character
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def split(self, text: str) -> list[str | int]:
        """Text of the template, never of a person: cut at the added tokens it spells, those as their ids."""
        pieces = self._spelling.split(text)
        return [self.added.get(piece, piece) for piece in pieces if piece]

    def token_bytes(self, id: int) -> bytes:
        """What a token adds to the text, in UTF-8, possibly a part of a character. b"" for padding."""
        if id in self._texts:
            return self._texts[id].encode()
        return b"".join(_BYTES.get(c) or c.encode() for c in self._words.get(id, ""))

    @cached_property
    def _spelling(self) -> re.Pattern[str]:
        longest_first = sorted(self.added, key=len, reverse=True)
        return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")


def _read(file: Path) -> dict[str, Any]:
    if not file.parent.is_dir():
        raise ModelMissing(str(file.parent))
    if not file.is_file():
        raise ModelMissing(str(file.parent), [file.name])
    try:
        rules = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelBroken(str(file), f"is damaged ({_line(error)}).") from error
    if not isinstance(rules, dict):
        raise ModelBroken(str(file), "is not a JSON object.")
    return rules


def _without_added(rules: dict[str, Any], added: set[str]) -> tokenizers.Tokenizer:
    """The same tokenizer for text alone: it has never heard of the added tokens.

    Truncation and padding, which a tokenizer.json may carry, would cut or lengthen a prompt.
    """
    vocab = {text: id for text, id in rules["model"]["vocab"].items() if text not in added}
    model = rules["model"] | {"vocab": vocab}
    text_only = rules | {"added_tokens": [], "model": model, "truncation": None, "padding": None}
    return tokenizers.Tokenizer.from_str(json.dumps(text_only | {"post_processor": None}))


def _control(added: dict[str, int], file: Path) -> Control:
    for text in CONTROL_TEXT.values():
        if text not in added:
            raise ModelBroken(str(file), f"has no token {text}, so it is not the tokenizer of GLM-4.5V.")
    return Control(**{name: added[text] for name, text in CONTROL_TEXT.items()})


def _eos(folder: Path) -> set[int]:
    """The ids that end an answer as the checkpoint's files say; absent files say nothing."""
    found: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        file = folder / name
        if not file.is_file():
            continue
        config = _read(file)
        for level in (config, config.get("text_config")):
            ids = level.get("eos_token_id") if isinstance(level, dict) else None
            found.update(id for id in (ids if isinstance(ids, list) else [ids]) if isinstance(id, int))
    return found


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _byte_characters() -> dict[str, bytes]:
    """The printable character that stands for each byte in a byte-level vocabulary.

    Source: GPT-2. Printable Latin-1 stands for itself, the other bytes for U+0100 onwards in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): bytes([byte]) for byte in printable}
    return table | {chr(0x100 + n): bytes([byte]) for n, byte in enumerate(others)}


_BYTES = _byte_characters()
