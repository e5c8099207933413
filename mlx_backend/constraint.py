"""Which token may come next, so that an answer is one JSON value under a schema.

Knows: llguidance, which makes a grammar of a schema and a mask over the vocabulary of a grammar; where the
    thinking ends and the value begins.
Does not know: MLX, logits, events, what a request is.

Imported only when an answer is held to a schema: the library, and the tree it makes of the vocabulary, cost
time and memory that no other answer needs. It counts its own steps and ends them, whatever the schema; the
one rule found to escape that, a large multipleOf, is refused here. Reads no file, opens no connection.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any

import llguidance
import numpy as np
from llguidance.numpy import fill_next_token_bitmask
from numpy.typing import NDArray

from .errors import BackendError, BadSchema
from .glm.tokenizer import CONTROL_TEXT, Tokenizer
from .schema import inside, read

Allowed = NDArray[np.uint8]  # (rows,): 1 for a token that may come next, else 0

# One line, as json.dumps writes it: a third fewer tokens than with a line for each property, and a model that
# is unsure what comes next cannot put it off by writing space.
OPTIONS = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": False,
    "coerce_one_of": False,
}
LIMITS = llguidance.LLParserLimits(verbose_errors=False)
# Telling the multiples of n takes n states, which the library does not count.
LARGEST_STEP = 10_000
UNKNOWN = "Unimplemented keys:"  # how llguidance begins to name the rules that it does not know
END_THINK = CONTROL_TEXT["end_think"].encode()


class Constraints:
    """Holds answers to schemas. rows: length of the logits, the padding behind the vocabulary included."""

    def __init__(self, tokenizer: Tokenizer, rows: int) -> None:
        self.tokenizer = tokenizer
        self.rows = rows
        words = _Words(tokenizer)
        wrapped = llguidance.TokenizerWrapper(words)
        self._vocabulary = llguidance.LLTokenizer(wrapped, tokenizer.size, sorted(tokenizer.stop_ids))
        words.tokens = wrapped.tokens = []  # it has made a tree of them; this list is several times as large
        self._last = "", llguidance.LLMatcher(self._vocabulary, "")

    def under(self, schema: str, thinking: bool) -> Constraint:
        """For one answer. Raises BadSchema for rules that cannot be held to, or that nothing can follow."""
        if self._last[0] != schema:
            self._last = schema, self._matcher(read(schema))
        return Constraint(self, self._last[1].deep_copy(), thinking)

    def only(self, ids: Iterable[int]) -> Allowed:
        allowed = np.zeros(self.rows, np.uint8)
        allowed[list(ids)] = 1
        return allowed

    def bits(self) -> NDArray[np.int32]:
        """Room for one mask as the library writes it: a bit for each token of the vocabulary."""
        return np.zeros((1, -(-self._vocabulary.vocab_size // 32)), np.int32)

    @cached_property
    def thoughts(self) -> Allowed:
        """While thinking: everything but the end of the answer and the padding."""
        allowed = np.ones(self.rows, np.uint8)
        allowed[self.tokenizer.size :] = 0
        allowed[sorted(self.tokenizer.stop_ids)] = 0
        return allowed

    @cached_property
    def spellings(self) -> list[list[int]]:
        """Ids of ordinary tokens that begin with the closing tag from its n-th letter on, for every n."""
        known: list[list[int]] = [[] for _ in END_THINK]
        for id in set(range(self.tokenizer.size)) - {self.tokenizer.control.end_think}:
            word = self.tokenizer.token_bytes(id)
            for n in range(len(END_THINK)) if word[:1] in END_THINK else ():
                if word.startswith(END_THINK[n:]):
                    known[n].append(id)
        return known

    def _matcher(self, schema: Mapping[str, Any]) -> llguidance.LLMatcher:
        _check_steps(schema)
        rules = json.dumps({name: rule for name, rule in schema.items() if name != "x-guidance"})
        try:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(rules, overrides=OPTIONS)  # type: ignore[arg-type]
        except ValueError as error:
            raise BadSchema(_worded(str(error))) from error
        matcher = llguidance.LLMatcher(self._vocabulary, grammar, log_level=0, limits=LIMITS)
        if not matcher.is_error():
            fill_next_token_bitmask(matcher, self.bits())
        if matcher.is_error():
            raise BadSchema(_worded(matcher.get_error()))
        return matcher


class Constraint:
    """One answer: `take` every token that was chosen, `allowed` says what may be chosen next.

    thinking: the value has not begun. complete: it is whole and nothing can follow it. A number may be whole
    and go on: there the tokens that end an answer are allowed beside the digits.
    """

    def __init__(self, home: Constraints, matcher: llguidance.LLMatcher, thinking: bool) -> None:
        self.complete = False
        self._home = home
        self._matcher = matcher
        self._bits = home.bits()
        self._due = deque([home.tokenizer.control.think] if thinking else ())  # what must come next
        self.thinking = thinking
        self._tail = b""  # of the thinking, as long as a closing tag

    def allowed(self) -> Allowed:
        """Never nothing at all. Raises BackendError where the grammar has grown out of bounds."""
        if self._due:
            return self._home.only([self._due[0]])
        if self.complete:
            return self._home.only(self._home.tokenizer.stop_ids)
        if self.thinking:
            return self._free()
        fill_next_token_bitmask(self._matcher, self._bits)
        self._check()
        allowed = self._home.only(())
        known = min(len(allowed), self._home.tokenizer.size)
        allowed[:known] = np.unpackbits(self._bits.view(np.uint8)[0], count=known, bitorder="little")
        return allowed

    def take(self, token: int) -> None:
        """Raises BackendError where the grammar has grown out of bounds."""
        tokenizer = self._home.tokenizer
        if self._due:
            self._due.popleft()
        elif self.thinking:
            self._tail = (self._tail + tokenizer.token_bytes(token))[1 - len(END_THINK) :]
            if token == tokenizer.control.end_think:
                self.thinking = False
                self._due.extend(tokenizer.encode("\n"))  # as the model was trained to begin an answer
        elif token in tokenizer.stop_ids:
            self.complete = True
        else:
            self._matcher.consume_token(token)
            self._check()
            self.complete = self._matcher.is_stopped()

    def _free(self) -> Allowed:
        """The closing tag is one token here: spelled out, its end could hold the value's first letters."""
        allowed = self._home.thoughts.copy()
        for n, ids in enumerate(self._home.spellings):
            if self._tail.endswith(END_THINK[:n]):
                allowed[ids] = 0
        return allowed

    def _check(self) -> None:
        if self._matcher.is_error():
            raise BackendError(
                "The answer could not be held to its JSON schema any longer: it leaves too much open "
                f"({_first_line(self._matcher.get_error())}). What was answered so far is kept. Use fewer "
                "optional properties, fewer alternatives or simpler patterns."
            )


class _Words:
    """What llguidance asks of a tokenizer. Added tokens are no words: none of them can stand in a value."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.eos_token_id = tokenizer.control.endoftext
        self.bos_token_id = None
        self.tokens = [tokenizer.token_bytes(id) for id in range(tokenizer.size)]
        self.special_token_ids = sorted(tokenizer.added.values())
        self._tokenizer = tokenizer

    def __call__(self, text: bytes | str) -> list[int]:
        return self._tokenizer.encode(text if isinstance(text, str) else text.decode("utf-8", "replace"))


def _check_steps(schema: Mapping[str, Any]) -> None:
    step = 1
    for number in _steps(schema):
        step = math.lcm(step, Fraction(str(number)).numerator or 1)
        if step > LARGEST_STEP:
            raise BadSchema(f"multipleOf {number} needs more steps than {LARGEST_STEP:,}")


def _steps(schema: Mapping[str, Any]) -> Iterator[int | float]:
    todo: list[Any] = [schema]
    while todo:
        node = todo.pop()
        step = node.get("multipleOf") if isinstance(node, dict) else None
        if isinstance(step, int | float) and step is not True and math.isfinite(step):
            yield step
        todo += inside(node)


def _worded(error: str) -> str:
    line = _first_line(error)
    if line.startswith("NoExtension"):
        return "no value can follow it"
    if line.startswith(UNKNOWN):
        names = line.removeprefix(UNKNOWN).strip(" []").replace('"', "")
        return f"an answer cannot be held to {names}; leave it out"
    return f"an answer cannot be held to it ({line.rstrip('.')})"


def _first_line(error: str) -> str:
    """What it says; of a pattern that does not parse the reason, which comes below a drawing of the place."""
    first, *others = error.split("<state>")[0].strip().splitlines() or ["no reason given"]
    reason = "".join(line.removeprefix("error:") for line in others if line.startswith("error:"))
    return (first + reason)[:200]
