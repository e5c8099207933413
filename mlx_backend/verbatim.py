"""An answer that is data: taken word for word, whatever tags it may spell.

Knows: that the thinking before it ends with one token, and that tokens may end within a character.
Does not know: what the answer must look like (constraint.py), how thinking is read (parse.py).
"""

from __future__ import annotations

import codecs

from .parse import Parser, Vocabulary
from .types import Answer, Event


class Verbatim:
    """Reads like a Parser, and with one while the model thinks. end_think: id of the token that ends that."""

    stopped = False  # no string ends this answer

    def __init__(self, parser: Parser, vocabulary: Vocabulary, thinking: bool, end_think: int) -> None:
        self._parser = parser
        self._vocabulary = vocabulary
        self._thinks = thinking
        self._end_think = end_think
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = False

    @property
    def thinking(self) -> bool:
        return self._thinks and self._parser.thinking

    @property
    def reasoning_tokens(self) -> int:
        return self._parser.reasoning_tokens

    def feed(self, token_id: int) -> list[Event]:
        if self._thinks:
            self._thinks = token_id != self._end_think
            return self._parser.feed(token_id)
        return self._say(self._decoder.decode(self._vocabulary.token_bytes(token_id)))

    def finish(self) -> list[Event]:
        """What was held back when the stream ends."""
        return self._parser.finish() if self._thinks else self._say(self._decoder.decode(b"", True))

    def _say(self, text: str) -> list[Event]:
        text = text if self._begun else text.lstrip()
        self._begun = self._begun or bool(text)
        return [Answer(text)] if text else []
