"""Search terms by the model: what it is asked, and that its reply can do no harm."""

from __future__ import annotations

import pytest
from asked_pages import BOOKS
from hypothesis import given, settings
from hypothesis import strategies as st

from app.documents import rewriting
from app.documents.pages import Page
from app.documents.search import query
from mlx_backend import Answer, FakeEngine, Message, OutOfMemory, Reasoning, Request, Text

BEFORE = (Message("user", (Text("Hello"),)), Message("assistant", (Text("Hi."),)))
BOOK = (("Harbour handbook", "English"), ("宿舍管理手册", "Chinese"))


def test_the_model_is_asked_at_the_end_of_the_conversation() -> None:
    asked = rewriting.request(Request(BEFORE, go_on=True), " When do the gates close? ", BOOK)
    assert asked.messages[:2] == BEFORE and len(asked.messages) == 3
    (words,) = asked.messages[-1].content
    assert isinstance(words, Text)
    listed = 'Documents: "Harbour handbook" (English); "宿舍管理手册" (Chinese)'
    assert words.text.endswith(f"{listed}\n\nQuestion: When do the gates close?")
    assert (asked.thinking, asked.sampling.temperature, asked.max_tokens) == (False, 0.0, 120)


def test_its_lines_become_terms() -> None:
    engine = FakeEngine([Answer("1. gate closing time\n- Tor Schließ"), Answer("ung\n\n* 大门 关闭时间\n")])
    found = rewriting.rewritten(engine, rewriting.request(Request(()), "When?", BOOK))
    assert found == ("gate", "closing", "time", "tor", "schliessung", "大门", "关闭", "闭时", "时间")
    assert query("When?", found).startswith('"gate" OR "closing"')


@pytest.mark.parametrize("script", [[OutOfMemory(2, 1)], [], [Reasoning("hm")], [Answer(" \n!")]])
def test_without_a_reply_there_are_no_terms(script: list) -> None:
    assert rewriting.rewritten(FakeEngine(script), rewriting.request(Request(()), "When?", BOOK)) == ()


@settings(deadline=None)
@given(st.text(max_size=300))
def test_a_reply_is_words_and_not_too_many(reply: str) -> None:
    found = rewriting.read(reply)
    assert len(found) <= rewriting.MOST_TERMS == 40
    assert all(term and '"' not in term and not any(map(str.isspace, term)) for term in found)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The water falls, and boats of some size touch the ground.", "English"),
        ("Der Hafen und die Mole werden nicht mit Licht versehen.", "German"),
        ("Les bateaux qui sont dans le port pour une nuit", "French"),
        ("データを保存する方法について", "Japanese"),
        ("데이터를 저장하는 방법", "Korean"),
        ("Как сохранить данные", "Russian"),
        ("1 2 3 4", "English"),
    ],
)
def test_languages(text: str, name: str) -> None:
    assert rewriting.language((Page(1, "page 1", text),)) == name


def test_languages_of_the_handbooks() -> None:
    assert [rewriting.language(book) for book in BOOKS.values()] == ["English", "Chinese", "Japanese"]
