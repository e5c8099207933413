"""Claude's exports in their true shape, made by hand: blocks, thoughts, attachments, branches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exports import Home, packed, picture, texts, written
from hypothesis import given, settings
from hypothesis import strategies as st

from app.transfer import claude
from app.transfer.grow import NO_ANSWER, grow
from app.transfer.loose import Broken, note

ROOT = "00000000-0000-4000-8000-000000000000"


def message(sender: str, text: str, n: int, parent: str | None = None, **more: Any) -> dict[str, Any]:
    when = f"2026-03-29T07:06:{n:02}.084721Z"
    block = {"start_timestamp": when, "stop_timestamp": when, "type": "text", "text": text, "citations": []}
    made = {
        "uuid": f"m{n}", "text": text, "content": [block] if text else [], "sender": sender,
        "created_at": when, "updated_at": when, "attachments": [], "files": [],
    }  # fmt: skip
    return made | ({} if parent is None else {"parent_message_uuid": parent}) | more


def chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    about = {"uuid": "c", "name": "日历 tips", "summary": "", "account": {"uuid": "u"}}
    times = {"created_at": "2026-03-29T07:06:34.084721Z", "updated_at": "2026-03-29T12:59:41.658730Z"}
    return about | times | {"chat_messages": list(messages)} | more


def nodes_of(value: dict[str, Any]) -> list[tuple[Any, ...]]:
    tree = grow(claude.read(value), lambda file: note(file.name))
    return [(node.parent, node.role, *(part.text for part in node.parts)) for node in tree.nodes]


def test_an_export_comes_over(here: Home, tmp_path: Path) -> None:
    value = chat(message("human", "你好", 1), message("assistant", "Hello", 2), message("human", "Bye", 3))
    entries = {"conversations.json": [value], "users.json": [{"uuid": "u"}], "projects.json": []}
    file = packed(tmp_path / "data.zip", entries)
    assert here.take(file).conversations == 1
    assert [texts(one) for one in here.only()] == [["你好"], ["Hello"], ["Bye"], [NO_ANSWER.text]]
    (tree,) = here.trees()
    assert (tree.title, tree.created_at) == ("日历 tips", 1774767994.084721)
    assert tree.nodes[0].created_at == 1774767961.084721
    assert here.store.search("日历") and here.store.search("你好")
    assert here.take(file).already_there == 1


def test_blocks_thoughts_tools_and_artifacts() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Let me see.", "summaries": [], "cut_off": False},
        {"type": "text", "text": "First."},
        {"type": "tool_use", "name": "web_search", "input": {"query": "x"}},
        {"type": "tool_result", "name": "web_search", "content": [{"type": "text", "text": "result"}]},
        {"type": "tool_use", "name": "artifacts", "input": {
            "id": "a", "title": "Page", "command": "create", "language": "html", "content": "<b>`x`</b>"}},
        {"type": "token_budget"},
        {"type": "voice_note", "title": "v", "text": "Spoken."},
        {"type": "painting"},
    ]  # fmt: skip
    value = chat(message("human", "Q", 1), message("assistant", "First.", 2, content=blocks))
    assert nodes_of(value)[1] == (
        0,
        "assistant",
        "Let me see.",
        "First.\n\n[not imported: use of the tool web_search]\n\nPage:\n\n```html\n<b>`x`</b>\n```\n\nSpoken."
        "\n\n[not imported: painting]",
    )


def test_attachments_are_read_and_files_named(here: Home, tmp_path: Path) -> None:
    pasted = {"file_name": "", "file_type": "txt", "file_size": 4, "extracted_content": "long ``` text"}
    report = {"file_name": "report.pdf", "file_type": "pdf", "extracted_content": "Page one"}
    files = [
        {"file_uuid": "f1", "file_name": "photo.png"},
        {"file_name": "report.pdf"},
        {"file_name": "a.zip"},
    ]
    files += [{"file_name": "here.png"}]
    asked = message("human", "", 1, attachments=[pasted, report], files=files)
    value = chat(asked, message("assistant", "Only here", 2, content=[]))
    result = here.take(
        packed(tmp_path / "x.zip", {"conversations.json": [value], "files/here.png": picture()})
    )
    question, answer = here.only()
    assert question.parts[0].text == (
        "Pasted text:\n\n````\nlong ``` text\n````\n\nreport.pdf:\n\n```\nPage one\n```"
    )
    assert question.parts[1].text == "[not imported: photo.png, its file is not in the export]"
    assert question.parts[2].text == "[not imported: a.zip]"
    assert (question.parts[3].type, question.parts[3].data["name"]) == ("image", "here.png")
    assert texts(answer) == ["Only here"]
    assert (result.conversations, result.files) == (1, 1)


def test_branches_by_parent(here: Home, tmp_path: Path) -> None:
    value = chat(
        message("human", "Q", 1, ROOT),
        message("assistant", "old", 2, "m1"),
        message("assistant", "new", 3, "m1"),
        message("human", "edited", 4, ROOT),
        message("assistant", "other", 5, "m4"),
        current_leaf_message_uuid="m2",
    )
    here.take(written(tmp_path / "x.json", [value]))
    assert [(texts(one), len(one.variants)) for one in here.only()] == [(["Q"], 2), (["old"], 2)]
    del value["current_leaf_message_uuid"]
    assert grow(claude.read(value), lambda file: note("")).head == 4


def test_without_parents_the_order_counts_and_names_twice_are_two() -> None:
    first, second = message("human", "one", 1), message("assistant", "two", 2)
    again = message("human", "three", 1)
    assert nodes_of(chat(first, second, again)) == [
        (None, "user", "one"),
        (0, "assistant", "two"),
        (1, "user", "three"),
        (2, "assistant", NO_ANSWER.text),
    ]
    silent = message("system", "not shown", 3)
    assert len(nodes_of(chat(first, silent, second))) == 2


def test_one_conversation_alone_and_a_wrapped_list(here: Home, tmp_path: Path) -> None:
    one = chat(message("human", "a", 1), message("assistant", "b", 2))
    two = chat(message("human", "c", 3), message("assistant", "d", 4))
    here.take(written(tmp_path / "one", one))
    here.take(written(tmp_path / "two.txt", {"account": {}, "conversations": [two, {"name": "加载失败"}]}))
    assert len(here.trees()) == 2


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("m1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["uuid", "sender", "text", "content", "type", "thinking", "attachments", "files", "file_name", "name"]
    ), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        ANYTHING
        | st.fixed_dictionaries(
            {
                "uuid": st.sampled_from(["m1", "m2", "m3"]) | ANYTHING,
                "sender": st.sampled_from(["human", "assistant"]),
                "parent_message_uuid": st.sampled_from(["m1", "m2", "m3", ROOT]) | ANYTHING,
                "text": ANYTHING,
                "content": ANYTHING,
                "attachments": ANYTHING,
                "files": ANYTHING,
                "created_at": ANYTHING,
            }
        ),
        max_size=6,
    ),
    ANYTHING,
)
def test_anything_is_a_tree_or_is_broken(messages: list[Any], leaf: Any) -> None:
    value = {"chat_messages": messages, "current_leaf_message_uuid": leaf, "name": leaf, "created_at": leaf}
    try:
        tree = grow(claude.read(value), lambda file: note(file.name))
    except Broken:
        return
    assert tree.nodes[tree.head].role == "assistant"
    roles = [("assistant" if node.parent is None else tree.nodes[node.parent].role) for node in tree.nodes]
    assert all(node.role != above for node, above in zip(tree.nodes, roles, strict=True))
