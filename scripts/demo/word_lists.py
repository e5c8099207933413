"""The lists in words/: names, cities, words to print, questions from outside the world.

Knows: where they lie. Their order is part of the recipe: a seed chooses by it.
"""

from pathlib import Path

FOLDER = Path(__file__).with_name("words")


def line_list(name: str) -> list[str]:
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def word_list(name: str) -> list[str]:
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split()
