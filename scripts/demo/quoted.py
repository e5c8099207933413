"""Numbered lines of evidence, and questions that one of them answers.

Knows: the sentences, the form of a citation.
Does not know: pictures, tokens, training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from demo.word_lists import word_list

UNKNOWN = "The evidence does not say."

FIRST = word_list("first_names")
LAST = word_list("last_names")
CITIES = word_list("cities")
THINGS = word_list("things")
MAKES = word_list("makes")
JOBS = word_list("jobs")
HOUSES = word_list("houses")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Fact:
    """line: a sentence without its full stop; question and its answer; key: what must differ among lines."""

    line: str
    question: str
    answer: str
    key: str


@dataclass(frozen=True)
class Evidence:
    """lines: numbered from 1. number: of the line that answers, 0 where none does."""

    lines: tuple[str, ...]
    question: str
    number: int
    fact: str

    @property
    def prompt(self) -> str:
        numbered = "\n".join(f"[{n}] {line}." for n, line in enumerate(self.lines, 1))
        return f"Evidence:\n{numbered}\n\n{self.question}"

    @property
    def answer(self) -> str:
        if not self.number:
            return UNKNOWN
        return f'{self.fact} [[{self.number}|"{self.lines[self.number - 1]}"]]'

    @property
    def reasoning(self) -> str:
        return f"Line {self.number} says it." if self.number else "No line says it."


def _name(rng: Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def _thing(rng: Random) -> str:
    return f"{rng.choice(MAKES)} {rng.choice(THINGS)}"


def _price(rng: Random) -> Fact:
    thing, euros = _thing(rng), rng.randint(2, 990)
    return Fact(
        f"The {thing} costs {euros} euros", f"How much does the {thing} cost?", f"{euros} euros.", thing
    )


def _weight(rng: Random) -> Fact:
    thing, grams = _thing(rng), rng.randint(2, 990)
    return Fact(f"The {thing} weighs {grams} grams", f"How heavy is the {thing}?", f"{grams} grams.", thing)


def _home(rng: Random) -> Fact:
    name, city = _name(rng), rng.choice(CITIES)
    return Fact(f"{name} lives in {city}", f"Where does {name} live?", f"{city}.", name)


def _work(rng: Random) -> Fact:
    name, job = _name(rng), rng.choice(JOBS)
    return Fact(f"{name} works as a {job}", f"What does {name} work as?", f"A {job}.", name)


def _birth(rng: Random) -> Fact:
    name, year = _name(rng), rng.randint(1850, 2020)
    return Fact(f"{name} was born in {year}", f"When was {name} born?", f"In {year}.", name)


def _train(rng: Random) -> Fact:
    city, time = rng.choice(CITIES), f"{rng.randint(5, 23)}:{rng.randint(10, 59)}"
    return Fact(
        f"The train to {city} leaves at {time}", f"When does the train to {city} leave?", f"At {time}.", city
    )


def _hours(rng: Random) -> Fact:
    house, hour = rng.choice(HOUSES), rng.randint(6, 12)
    day = rng.choice(DAYS)
    return Fact(
        f"On {day} the {house} opens at {hour}",
        f"When does the {house} open on {day}?",
        f"At {hour}.",
        f"{house} {day}",
    )


def _room(rng: Random) -> Fact:
    thing, room = _thing(rng), rng.randint(100, 599)
    return Fact(
        f"The {thing} is kept in room {room}", f"Where is the {thing} kept?", f"In room {room}.", thing
    )


KINDS = (_price, _weight, _home, _work, _birth, _train, _hours, _room)


def facts(rng: Random, count: int, kinds: Sequence[Callable[[Random], Fact]] = KINDS) -> list[Fact]:
    """No two with one key, so that each question has one answer. Fewer kinds look more alike."""
    found: dict[str, Fact] = {}
    while len(found) < count:
        fact = rng.choice(kinds)(rng)
        found.setdefault(fact.key, fact)
    return list(found.values())


def evidence(
    rng: Random,
    known: list[Fact],
    answered: bool = True,
    kinds: Sequence[Callable[[Random], Fact]] = KINDS,
) -> Evidence:
    """All of `known` as lines, and a question about one of them, or about something they do not say."""
    lines = tuple(fact.line for fact in known)
    if answered:
        chosen = rng.randrange(len(known))
        return Evidence(lines, known[chosen].question, chosen + 1, known[chosen].answer)
    keys = {fact.key for fact in known}
    other = next(fact for fact in iter(lambda: rng.choice(kinds)(rng), None) if fact.key not in keys)
    return Evidence(lines, other.question, 0, "")
