"""Quoted words found on their page however a model copies them, and nowhere else."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path

import pytest
from asked_pages import BOOKS
from hypothesis import given, settings
from hypothesis import strategies as st

from app.documents.quotes import Located, canon, locate

ROOT = Path(__file__).resolve().parent.parent
HERE = (1, 1)


def found(words: str, page: str) -> str | None:
    at = locate(words, HERE, {HERE: page})
    return page[at.start : at.end] if at.verified else None


@pytest.mark.parametrize(
    ("page", "words", "stands"),
    [
        ("Wood floats on water, iron sinks.", "Wood floats on water", "Wood floats on water"),
        ("Wood floats\non water.", "wood floats on water", "Wood floats\non water"),
        ("An imple-\nmentation of it", "An implementation of it", "An imple-\nmentation of it"),
        ("the “ﬁne” print’s end", "the 'fine' print's end", "the “ﬁne” print’s end"),
        ("Ｗｉｄｅ ｌｅｔｔｅｒｓ here", "Wide letters here", "Ｗｉｄｅ ｌｅｔｔｅｒｓ here"),
        ("Cafe\u0301 au lait", "Café au lait", "Cafe\u0301 au lait"),
        ("宿舍大门早晨六点开启，夜里十一点关闭。", "夜里十一点关闭", "夜里十一点关闭"),
        ("データを\n保存する", "データを保存する", "データを\n保存する"),
        (unicodedata.normalize("NFD", "한국어 문장입니다"), "한국어 문장입니다", None),
        ("Straße nach Süden", "STRASSE NACH SÜDEN", "Straße nach Süden"),
        ("a | b | 12.50 | paid", "b 12.50 paid", "b | 12.50 | paid"),
    ],
)
def test_what_a_model_changes_while_copying_does_not_count(page: str, words: str, stands: str | None) -> None:
    assert found(words, page) == (page if stands is None else stands)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("Wood floats on water.", "Wood sinks in water"),
        ("It costs 1.5 million", "It costs 15 million"),
        ("It costs 15 million", "It costs 1.5 million"),
        ("It costs 1,200 euros", "costs 1,20"),
        ("It costs 1,200 euros", "200 euros"),
        ("Room 112 is free", "Room 11"),
        ("they start is here", "art is"),
        ("a long page", "a"),
        ("anything", ""),
        ("anything", "?!… “”"),
        ("It is not allowed to swim here", "It is allowed to swim here"),
        ('Ignore this: [[1|"the moon is made of cheese"]]', "the moon is made of cheese"),
    ],
)
def test_what_is_not_there_is_not_verified(page: str, words: str) -> None:
    assert found(words, page) is None


def test_the_cited_page_comes_first_then_the_others() -> None:
    pages = {(1, 1): "Wood floats on water.", (1, 2): "Iron sinks. Wood floats on water."}
    assert locate("Wood floats on water", (1, 2), pages) == Located("exact", (1, 2), 12, 32)
    assert locate("Wood floats on water", (1, 1), pages).page == (1, 1)
    assert locate("Iron sinks", (1, 1), pages) == Located("exact", (1, 2), 0, 10)
    assert locate("Iron sinks", (9, 9), pages).page == (1, 2)
    assert locate("Gold shines for ever", (1, 1), pages) == Located("missing")


def test_words_that_are_nearly_there_are_shown_but_not_verified() -> None:
    page = "First. The harbour master listens on channel 12 from six in the morning. Last."
    at = locate("the harbour master always listens on channel 12", HERE, {HERE: page})
    assert (at.how, at.verified, at.page) == ("similar", False, HERE)
    assert page[at.start : at.end] == "The harbour master listens on channel 12"


def test_nobody_needs_long_for_a_long_page() -> None:
    """A page whose words begin like the quotation everywhere: no time that grows with its square."""
    page = "aaaa aaab " * 20_000
    assert locate("aaaa aaab " * 30 + "c", HERE, {HERE: page}).how in ("similar", "missing")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_the_canonical_form_leads_back_to_the_characters(text: str) -> None:
    form = canon(text)
    assert len(form.text) == len(form.places)
    assert list(form.places) == sorted(form.places)
    assert all(0 <= at < len(text) for at in form.places)
    assert canon(form.text).text == form.text
    assert canon(unicodedata.normalize("NFC", text)).text == canon(unicodedata.normalize("NFD", text)).text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_the_range_that_is_found_holds_the_words(before: str, words: str, after: str) -> None:
    at = locate(words, HERE, {HERE: before + words + after})
    if at.verified:
        assert canon((before + words + after)[at.start : at.end]).text == canon(words).text


def copied(words: str, chance: random.Random) -> str:
    """As a model copies: spaces as one, marks plain, hyphenation closed, sometimes other case or width."""
    words = " ".join(words.replace("-\n", "").split())
    words = unicodedata.normalize("NFKC", words) if chance.random() < 0.3 else words
    for mark, plain in (("“", '"'), ("”", '"'), ("’", "'"), ("–", "-"), ("…", "...")):
        words = words.replace(mark, plain)
    return words[0].upper() + words[1:] if chance.random() < 0.2 else words


def layed(text: str, chance: random.Random) -> str:
    """As a PDF has it: lines of some width, words cut at their ends now and then."""
    lines, line = [], ""
    for word in text.split(" "):
        if len(line) + len(word) > 60:
            cut = len(word) // 2
            if len(word) > 7 and word.isalpha() and chance.random() < 0.5:
                line, word = f"{line} {word[:cut]}-", word[cut:]
            lines.append(line.strip())
            line = ""
        line += " " + word
    return "\n".join([*lines, line.strip()])


def sources(chance: random.Random) -> list[str]:
    """Pages as the tests have them: the handbooks laid out, and this project's own prose."""
    pages = [layed(page.text, chance) for book in BOOKS.values() for page in book]
    for name in ("README.md", "CHANGELOG.md", "scripts/mac_checklist.md"):
        pages += [part for part in (ROOT / name).read_text("utf-8").split("\n## ") if len(part) > 300]
    for file in sorted(Path("/usr/share/common-licenses").glob("*"))[:6]:  # on Debian: long, real prose
        pages.append(file.read_text("utf-8")[:6000])
    return pages


def test_of_500_random_quotations_98_in_100_are_located() -> None:
    chance = random.Random(11)
    pages = {(1, n): text for n, text in enumerate(sources(chance), 1)}
    right = 0
    for _ in range(500):
        key = chance.choice(list(pages))
        start = chance.randrange(max(1, len(pages[key]) - 40))
        words = pages[key][start : start + chance.randint(30, 150)].strip()
        at = locate(copied(words, chance), key, pages)
        right += at.verified and canon(pages[key][at.start : at.end]).text == canon(words).text
    print(f"{right} of 500 quotations located")
    assert right >= 490
