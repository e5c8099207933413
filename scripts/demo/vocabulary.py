"""The demo model's tokenizer: GLM's form and added tokens, merges learned from its own lessons.

Knows: what text the merges are learned from. Does not know: pictures, training.
Capitals stay single letters, so that reading a printed word is spelling it; digits never merge.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import tokenizers
from tiny_tokenizer import CORPUS, write_tokenizer

from demo import outside
from demo.lessons import change_lesson, clip_lesson, quote_lesson, scene_lesson
from demo.quoted import CITIES, FIRST, JOBS, LAST
from mlx_backend.types import Boxed, Text

SIZE = 1000  # bytes and merges; the added tokens come on top


def corpus(seed: int = 11) -> list[str]:
    rng = Random(seed)
    lines = [*outside.PLAIN, *CORPUS.splitlines(), outside.SENTENCE, outside.REASONING] * 3
    lines += [form.format(subject) for form in outside.FORMS for subject in outside.SUBJECTS[::5]]
    lines += [f" {name}" for name in (*FIRST, *LAST, *CITIES, *JOBS)] * 4
    for _ in range(400):
        seen = scene_lesson(rng, 5, 5, 4, 4), change_lesson(rng, 5, 5), clip_lesson(rng, 4, 4)
        lessons = (*seen, quote_lesson(rng, 2))
        for lesson in lessons:
            for turn in lesson.turns:
                parts = [part.text for part in turn.ask.answer if isinstance(part, Text | Boxed)]
                lines += [turn.ask.question, turn.ask.reasoning, *parts]
    return ["".join(" " if c.isdigit() else c for c in line) for line in lines]


def size(folder: Path) -> int:
    """The number of tokens of a tokenizer that was written before; 0 where there is none."""
    file = folder / "tokenizer.json"
    return tokenizers.Tokenizer.from_file(str(file)).get_vocab_size() if file.exists() else 0


def write(folder: Path) -> int:
    """The tokenizer's files and the chat template; returns the number of tokens."""
    return write_tokenizer(folder, corpus(), SIZE)
