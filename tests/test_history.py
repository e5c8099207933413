"""What a person does with conversations: branches, names, folders, the trash, search."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fold import fold, marked, query, runs
from app.store import Begun, Part, StillAnswering, Store, UnknownMessage


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "chat.db")
    yield store
    store.close()


def ask(store: Store, words: str, answer: str = "Yes.", conversation: str | None = None) -> Begun:
    begun = store.begin_turn(conversation, words, (Part("text", words),))
    store.finish(begun.answer_id, (Part("text", answer),), "complete", "stop")
    return begun


def said(store: Store, conversation: str) -> list[str]:
    return [message.parts[0].text if message.parts else "" for message in store.path(conversation)]


# --- branches --------------------------------------------------------------------------------------------


def test_an_edited_question_is_a_branch_and_the_old_one_stays(store: Store) -> None:
    first = ask(store, "one")
    second = ask(store, "two", conversation=first.conversation_id)
    third = store.begin_turn(
        first.conversation_id, "", (Part("text", "two, better"),), instead_of=second.question_id
    )
    store.finish(third.answer_id, (Part("text", "Better."),), "complete", "stop")
    assert said(store, first.conversation_id) == ["one", "Yes.", "two, better", "Better."]
    question = store.path(first.conversation_id)[2]
    assert question.variants == (second.question_id, third.question_id)
    store.select(first.conversation_id, second.question_id)
    assert said(store, first.conversation_id) == ["one", "Yes.", "two", "Yes."]


def test_the_first_question_can_be_edited_too(store: Store) -> None:
    first = ask(store, "one")
    again = store.begin_turn(first.conversation_id, "", (Part("text", "uno"),), instead_of=first.question_id)
    store.finish(again.answer_id, (), "complete", "stop")
    question = store.path(first.conversation_id)[0]
    assert question.variants == (first.question_id, again.question_id)


def test_a_second_answer_stands_beside_the_first(store: Store) -> None:
    first = ask(store, "one", "A")
    again = store.begin_again(first.conversation_id, first.answer_id, {"thinking": False})
    assert store.path(first.conversation_id)[-1].status == "streaming"
    store.finish(again.answer_id, (Part("text", "B"),), "complete", "stop")
    answer = store.path(first.conversation_id)[-1]
    assert (answer.parts[0].text, answer.options) == ("B", {"thinking": False})
    assert answer.variants == (first.answer_id, again.answer_id)
    later = ask(store, "and?", "C", first.conversation_id)
    store.select(first.conversation_id, first.answer_id)
    assert said(store, first.conversation_id) == ["one", "A"]
    store.select(first.conversation_id, again.answer_id)  # its newest leaf is what came after it
    assert store.path(first.conversation_id)[-1].id == later.answer_id


@pytest.mark.parametrize(
    ("status", "reason", "may"),
    [
        ("interrupted", "cancelled", True),
        ("interrupted", None, True),
        ("complete", "length", True),
        ("error", None, True),
        ("complete", "stop", False),
    ],
)
def test_only_an_answer_that_was_cut_can_go_on(
    store: Store, status: str, reason: str | None, may: bool
) -> None:
    begun = store.begin_turn(None, "t", (Part("text", "Tell me."),))
    store.finish(begun.answer_id, (Part("text", "Once up"),), status, reason)  # type: ignore[arg-type]
    if not may:
        with pytest.raises(UnknownMessage):
            store.go_on(begun.conversation_id, begun.answer_id)
        assert store.path(begun.conversation_id)[-1].status == status
        return
    assert store.go_on(begun.conversation_id, begun.answer_id) == begun
    answer = store.path(begun.conversation_id)[-1]
    assert (answer.status, answer.parts) == ("streaming", (Part("text", "Once up"),))


def test_nothing_branches_while_an_answer_arrives(store: Store) -> None:
    begun = store.begin_turn(None, "t", (Part("text", "Tell me."),))
    for change in (
        lambda: store.begin_again(begun.conversation_id, begun.answer_id, {}),
        lambda: store.go_on(begun.conversation_id, begun.answer_id),
        lambda: store.select(begun.conversation_id, begun.question_id),
    ):
        with pytest.raises(StillAnswering):
            change()


def test_a_message_of_another_conversation_is_unknown(store: Store) -> None:
    one, two = ask(store, "one"), ask(store, "two")
    for change in (
        lambda: store.begin_again(one.conversation_id, two.answer_id, {}),
        lambda: store.begin_again(one.conversation_id, one.question_id, {}),
        lambda: store.go_on(one.conversation_id, two.answer_id),
        lambda: store.select(one.conversation_id, two.question_id),
        lambda: store.begin_turn(one.conversation_id, "", (), instead_of=two.question_id),
    ):
        with pytest.raises(UnknownMessage):
            change()
    assert said(store, one.conversation_id) == ["one", "Yes."]


# --- the sidebar -----------------------------------------------------------------------------------------


def test_pinned_conversations_come_first(store: Store) -> None:
    old, new = ask(store, "old"), ask(store, "new")
    store.pin(old.conversation_id, True)
    assert [c.title for c in store.conversations()] == ["old", "new"]
    store.pin(old.conversation_id, False)
    assert [c.id for c in store.conversations()] == [new.conversation_id, old.conversation_id]


def test_names_are_one_line_and_never_empty(store: Store) -> None:
    begun = ask(store, "t")
    store.rename(begun.conversation_id, "  a\n\tb  ")
    assert store.conversations()[0].title == "a b"
    store.rename(begun.conversation_id, " \n ")
    assert store.conversations()[0].title == "a b"
    store.rename("nobody", "x")


def test_folders_hold_conversations_and_vanish_when_empty(store: Store) -> None:
    one, two = ask(store, "one"), ask(store, "two")
    store.file_under(one.conversation_id, "Work")
    store.file_under(two.conversation_id, "Work")
    assert store.folders() == ("Work",)
    assert {c.title for c in store.conversations(folder="Work")} == {"one", "two"}
    store.file_under(one.conversation_id, None)
    store.throw_away(two.conversation_id)
    assert store.folders() == () and store.conversations(folder="Work") == ()


def test_the_trash_gives_back_until_it_is_emptied(store: Store) -> None:
    begun = ask(store, "secret plans")
    store.throw_away(begun.conversation_id)
    assert store.conversations() == () and store.search("secret") == ()
    assert [c.title for c in store.trash()] == ["secret plans"]
    store.take_back(begun.conversation_id)
    assert [c.title for c in store.conversations()] == ["secret plans"] and store.trash() == ()
    store.throw_away(begun.conversation_id)
    assert store.empty_trash() == 0  # not 30 days old yet
    assert store.empty_trash(older_than_days=0) == 1
    assert store.conversation(begun.conversation_id) is None and store.search("secret") == ()


# --- search ----------------------------------------------------------------------------------------------


def test_search_finds_titles_questions_and_answers_in_any_language(store: Store) -> None:
    ask(store, "Where is the café?", "Next to the Straße.")
    ask(store, "发票总额是多少", "发票总额为人民币八百元。")
    ask(store, "猫はどこ", "東京都にいます")
    for words, title in {
        "cafe": "Where is the café?",
        "STRASSE": "Where is the café?",
        "whe caf": "Where is the café?",
        "总额": "发票总额是多少",
        "人民币": "发票总额是多少",
        "元": "发票总额是多少",
        "京都": "猫はどこ",
        "猫": "猫はどこ",
    }.items():
        assert [found.conversation.title for found in store.search(words)] == [title], words
    assert store.search("") == store.search("!?\"*'") == store.search("dog") == ()
    assert store.search('cafe" OR "dog') == ()  # no syntax of FTS5 gets through


def test_every_word_must_be_there(store: Store) -> None:
    ask(store, "red circle")
    ask(store, "red square")
    assert [found.conversation.title for found in store.search("red squ")] == ["red square"]
    assert len(store.search("red")) == 2


def test_a_found_message_shows_its_words(store: Store) -> None:
    begun = ask(store, "t", f"{'so much before it ' * 40} the invoice total is 800 {'and behind ' * 40}")
    (found,) = store.search("invoice tot")
    assert found.message_id == begun.answer_id
    assert list(found.words[1::2]) == ["invoice", "tot"]
    assert found.words[0].startswith("…") and found.words[-1].endswith("…")
    assert len("".join(found.words)) < 200


def test_a_changed_title_is_found_and_the_old_one_is_not(store: Store) -> None:
    begun = store.begin_turn(None, "apple", ())
    store.rename(begun.conversation_id, "pear")
    assert store.search("apple") == ()
    assert store.search("pear")[0].words == ()


def test_what_a_crash_cut_off_is_found_too(store: Store) -> None:
    begun = store.begin_turn(None, "t", ())
    store.checkpoint(begun.answer_id, (Part("text", "half a zebra"),))
    store.mark_interrupted()
    assert store.search("zebra")[0].message_id == begun.answer_id


@given(st.text(max_size=60), st.text(max_size=20))
def test_folding_never_fails_and_a_query_is_only_words(text: str, asked: str) -> None:
    assert all(term == term.casefold() for term in fold(text).split())
    assert re.fullmatch(r'("[^"*\s]+"\*( (?!$))?)*', query(asked)), query(asked)
    pieces = marked(text, runs(asked), width=1000)
    assert "".join(pieces).split() == text.split()


@given(st.text(min_size=1, max_size=40))
def test_a_text_is_found_by_each_of_its_words(text: str) -> None:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.execute(
        "create virtual table t using fts5(x, tokenize='unicode61 remove_diacritics 2', prefix='1 2 3')"
    )
    connection.execute("insert into t values (?)", [fold(text)])
    for run in runs(text):
        if asked := query(run):
            assert connection.execute("select count(*) from t where x match ?", [asked]).fetchone()[0] == 1, (
                run
            )
    connection.close()


# --- long lists and titles -------------------------------------------------------------------------------


def test_every_conversation_is_reached_once_in_pieces(store: Store) -> None:
    ids = [ask(store, f"talk {n}").conversation_id for n in range(23)]
    with store._lock:  # several of one instant: their ids decide
        store._db.execute("update conversations set updated_at = 5 where rowid % 3 = 0")
    for n in (2, 3, 20):
        store.pin(ids[n], True)
    store.throw_away(ids[7])
    found = list(store.conversations(5))
    while piece := store.conversations(5, after=found[-1]):
        found += piece
    assert found == list(store.conversations(1000)) and len(found) == store.count() == 22
    assert [one.pinned for one in found] == [True] * 3 + [False] * 19
    store.delete_conversation(found[9].id)  # the last line of a window may be gone meanwhile
    assert store.conversations(3, after=found[9]) == tuple(found[10:13])


def test_a_title_is_replaced_only_while_it_is_what_it_was(store: Store) -> None:
    conversation = ask(store, "first words").conversation_id
    assert store.retitle(conversation, "first words", "A fox")
    assert [hit.conversation.title for hit in store.search("fox")] == ["A fox"]
    assert not store.retitle(conversation, "first words", "A cat")
    assert not store.retitle("nobody", "A fox", "A cat")
    assert store.conversations()[0].title == "A fox" and store.search("cat") == ()


def test_a_conversation_may_begin_without_a_word(store: Store) -> None:
    conversation = store.begin_conversation("Empty")
    assert store.path(conversation) == ()
    begun = store.begin_turn(conversation, "ignored", (Part("text", "hello"),))
    assert begun.conversation_id == conversation and store.conversations()[0].title == "Empty"
