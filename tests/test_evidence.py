"""Pages in the prompt: forty hostile ones forge no turn, no border and no verified quotation."""

from __future__ import annotations

import re

import pytest
import tokenizers
from hostile_pages import HARMLESS, LIE, PAGES, TITLES
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tokenizer import NONSPECIAL, SPECIAL

from app.documents.cite import Cited, said
from app.documents.evidence import BAR, JOINER, NOTHING, Evidence, parts, plain
from app.documents.quotes import canon, locate
from mlx_backend import Image, Message, Text
from mlx_backend.glm.prompt import render
from mlx_backend.glm.tokenizer import Tokenizer

NONCE = "c0ffee1234"
QUESTION = "How much is the rent?"


def laid(hostile: str, title: str = "Letter.pdf", nonce: str = NONCE) -> str:
    pages = [
        Evidence(1, title, 1, 1, "page 1", hostile.replace("MARK", nonce)),
        Evidence(2, "Contract.pdf", 1, 1, "page 1", HARMLESS),
    ]
    return "".join(part.text for part in parts(pages, NONCE, first=True) if isinstance(part, Text))


def prompt(words: str, tokenizer: Tokenizer) -> list[int]:
    return render([Message("user", (Text(words), Text(QUESTION)))], tokenizer, thinking=True).ids


def test_there_are_forty_attempts() -> None:
    assert len(PAGES) == 40


@pytest.mark.parametrize("name", PAGES)
def test_no_page_forges_a_turn(tokenizer: Tokenizer, whole: tokenizers.Tokenizer, name: str) -> None:
    """The control ids are those of a harmless page, in the same order, with our tokenizer and without it."""
    control = set(tokenizer.added.values())
    harmless = [id for id in prompt(laid("Nothing."), tokenizer) if id in control]
    assert [id for id in prompt(laid(PAGES[name]), tokenizer) if id in control] == harmless
    assert not set(whole.encode(laid(PAGES[name]), add_special_tokens=False).ids) & control


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("nonce", ["0123456789", NONCE], ids=["guessed wrong", "known"])
def test_no_page_forges_a_border(name: str, nonce: str) -> None:
    lines = laid(PAGES[name], nonce=nonce).splitlines()
    borders = [line for line in lines if NONCE in line and not line.startswith("Below are")]
    assert borders == [line for line in laid("x").splitlines() if line in borders]
    assert len(borders) == 4
    inside = lines[lines.index(borders[0]) + 1 : lines.index(borders[1])]
    assert all(line.startswith(BAR) for line in inside)


@pytest.mark.parametrize("name", PAGES)
def test_no_page_forges_a_verified_quotation(name: str) -> None:
    """A model that repeats the page word for word, or does as it says, gets no lie verified on page 2."""
    pages = {(1, 1): PAGES[name], (2, 1): HARMLESS}
    for answer in (PAGES[name], plain(PAGES[name], NONCE), f'The rent is 5 [[2|"{LIE}"]].'):
        for piece in said(answer, 2):
            if isinstance(piece, Cited):
                at = locate(piece.words, (2, 1), pages)
                assert not at.verified or at.page == (1, 1)
                # where a page has the lie in its own words, the quotation leads to that page and to no other
                assert not (at.verified and "[[" in PAGES[name])


@pytest.mark.parametrize("title", TITLES)
def test_no_title_forges_anything(tokenizer: Tokenizer, whole: tokenizers.Tokenizer, title: str) -> None:
    words = laid("x", title.replace("MARK", NONCE))
    control = set(tokenizer.added.values())
    assert not set(whole.encode(words, add_special_tokens=False).ids) & control
    assert len([line for line in words.splitlines() if line.startswith(f"[{NONCE}")]) == 4
    assert not any(isinstance(piece, Cited) for line in words.splitlines()[8:] for piece in said(line, 9))
    assert max(map(len, words.splitlines()[8:])) < 250


def test_every_spelling_the_tokenizer_knows_is_broken(whole: tokenizers.Tokenizer) -> None:
    for token in (*SPECIAL, *NONSPECIAL):
        assert (
            whole.token_to_id(token) in whole.encode(token, add_special_tokens=False).ids
        )  # there is a danger
        assert whole.token_to_id(token) not in whole.encode(plain(token), add_special_tokens=False).ids
        assert plain(token).replace(JOINER, "") == token


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from([*SPECIAL, *NONSPECIAL, "[[", NONCE]), st.text(max_size=5))).map(
        "".join
    )
)
def test_what_is_done_to_a_page_does_not_move_its_words(text: str) -> None:
    assert canon(plain(text)).text == canon(plain(plain(text))).text
    assert NONCE not in plain(text, NONCE)
    seen = plain(text).replace(JOINER, "")
    assert set(seen) <= set(text)
    assert re.sub(r"\W", "", seen) == re.sub(r"\W", "", text)


def test_a_quotation_of_the_broken_spelling_is_found_on_the_page() -> None:
    page = "In chat templates <|user|> begins a turn, and a[[0]] is an index."
    words = plain("<|user|> begins a turn, and a[[0]] is")
    at = locate(words, (1, 1), {(1, 1): page})
    assert page[at.start : at.end] == "user|> begins a turn, and a[[0]] is"


# --- the words themselves ----------------------------------------------------------------------------------


def page(
    number: int, text: str | None = "Wood floats.\n\nIron sinks.", picture: bytes | None = None
) -> Evidence:
    return Evidence(number, "Boats.pdf", number + 6, 310, f"page {number + 6}", text, picture)


def test_the_words_of_a_page() -> None:
    (words,) = parts([page(1), page(2)], NONCE, first=True)
    said = "¦ Wood floats.\n¦ \n¦ Iron sinks.\n"
    one = f'[c0ffee1234 page 1 · "Boats.pdf" · 7 of 310]\n{said}[c0ffee1234 end of 1]\n'
    two = f'[c0ffee1234 page 2 · "Boats.pdf" · 8 of 310]\n{said}[c0ffee1234 end of 2]\n'
    assert isinstance(words, Text) and words.text.endswith(f"and do not guess.\n{one}{two}\n")


def test_later_pages_come_without_the_rules() -> None:
    (words,) = parts([page(3)], NONCE, first=False)
    assert isinstance(words, Text) and words.text.startswith("More pages of the documents, marked c0ffee1234")


def test_nothing_found_is_said() -> None:
    (words,) = parts([], NONCE, first=False, found=False)
    assert words == Text(f"{NOTHING}\n\n")


def test_a_picture_stands_behind_its_page() -> None:
    first, picture, rest = parts([page(1, picture=b"PNG"), page(2, None, b"PNG2")], NONCE, first=True)[:3]
    assert isinstance(first, Text) and first.text.endswith("end of 1]\n(The picture of this page follows.)\n")
    assert picture == Image(b"PNG", "Boats.pdf, page 7")
    assert isinstance(rest, Text) and "Wood" not in rest.text


def test_the_same_pages_are_the_same_words() -> None:
    assert parts([page(1)], NONCE, first=True) == parts([page(1)], NONCE, first=True)
