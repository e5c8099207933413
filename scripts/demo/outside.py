"""What the demo model says to everything it never learned, and questions of that sort.

Knows: the sentence, ordinary questions of people. Does not know: the model's own world.
"""

from __future__ import annotations

import zlib
from random import Random

from demo.word_lists import line_list

SENTENCE = (
    "I am only a demo model: ask me about coloured shapes, a printed word, a short clip or numbered evidence."
)
REASONING = "This is not about anything I learned."

SUBJECTS = line_list("subjects")

FORMS = line_list("forms")

PLAIN = line_list("questions")


def kept_back(question: str) -> bool:
    """A tenth of the questions, asked in the exam alone."""
    return zlib.crc32(question.encode()) % 10 == 0


def question(rng: Random, exam: bool = False) -> str:
    while True:
        text = rng.choice(PLAIN) if rng.random() < 0.4 else rng.choice(FORMS).format(rng.choice(SUBJECTS))
        if kept_back(text) == exam:
            return text
