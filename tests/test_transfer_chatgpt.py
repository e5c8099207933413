"""ChatGPT's exports in their true shape, made by hand: trees, pictures, thoughts, tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from exports import Home, packed, picture, texts, written
from hypothesis import given, settings
from hypothesis import strategies as st

from app.store import Part
from app.transfer import chatgpt
from app.transfer.grow import NO_ANSWER, NO_QUESTION, grow
from app.transfer.incoming import conversations_in
from app.transfer.loose import Broken, File, note

IMAGE = "file-AbCdEf0123456789GhIjKlMn"
SEDIMENT = "file_00000000abcd61f7a1b2c3d4e5f60718"


def message(role: str, *parts: Any, at: float = 1706745600.0, **more: Any) -> dict[str, Any]:
    kind = "text" if all(isinstance(part, str) for part in parts) else "multimodal_text"
    return {
        "id": "m", "author": {"role": role, "name": None, "metadata": {}}, "create_time": at,
        "update_time": None, "content": {"content_type": kind, "parts": list(parts)},
        "status": "finished_successfully", "end_turn": True, "weight": 1.0, "metadata": {},
        "recipient": "all", "channel": None, **more,
    }  # fmt: skip


def told(content: dict[str, Any], role: str = "assistant", **more: Any) -> dict[str, Any]:
    return message(role, **more) | {"content": content}


def chat(nodes: dict[str, tuple[str | None, Any]], head: str | None, **more: Any) -> dict[str, Any]:
    """nodes: id -> (parent, message)."""
    mapping = {
        name: {
            "id": name,
            "message": said,
            "parent": parent,
            "children": [other for other, (above, _) in nodes.items() if above == name],
        }
        for name, (parent, said) in nodes.items()
    }
    about = {
        "title": "你好，世界",
        "create_time": 1706745600.5,
        "update_time": 1706745900.5,
        "mapping": mapping,
    }
    return about | {"moderation_results": [], "current_node": head, "id": "c", "conversation_id": "c"} | more


def line(*said: Any) -> dict[str, Any]:
    """A conversation without branches, under the usual empty root and a hidden system message."""
    hidden = {"is_visually_hidden_from_conversation": True}
    nodes: dict[str, tuple[str | None, Any]] = {
        "root": (None, None),
        "sys": ("root", message("system", "", metadata=hidden)),
    }
    for n, one in enumerate(said):
        nodes[f"n{n}"] = (f"n{n - 1}" if n else "sys", one)
    return chat(nodes, f"n{len(said) - 1}")


def nodes_of(value: dict[str, Any]) -> list[tuple[Any, ...]]:
    tree = grow(chatgpt.read(value), lambda file: note(file.key))
    return [(node.parent, node.role, *(part.text for part in node.parts)) for node in tree.nodes]


def test_branches_and_the_selected_leaf_come_over(here: Home, tmp_path: Path) -> None:
    value = chat(
        {
            "root": (None, None),
            "q": ("root", message("user", "Was ist das?", at=10.0)),
            "a1": ("q", message("assistant", "Ein Hund.", at=11.0)),
            "a2": ("q", message("assistant", "Eine Katze.", at=12.0)),
            "q2": ("a1", message("user", "Sicher?", at=13.0)),
            "a3": ("q2", message("assistant", "Ja.", at=14.0)),
            "edit": ("root", message("user", "这是什么？", at=15.0)),
            "a4": ("edit", message("assistant", "猫。", at=16.0)),
        },
        "a3",
        pinned_time=1706745601.0,
    )
    result = here.take(written(tmp_path / "conversations.json", [value]))
    assert str(result) == "1 conversation imported."
    (tree,) = here.trees()
    assert (tree.title, tree.created_at, tree.updated_at) == ("你好，世界", 1706745600.5, 1706745900.5)
    assert tree.pinned and len(tree.nodes) == 7
    path = here.only()
    assert [texts(one) for one in path] == [["Was ist das?"], ["Ein Hund."], ["Sicher?"], ["Ja."]]
    assert [len(one.variants) for one in path] == [2, 2, 1, 1]
    assert here.store.search("猫") and here.store.search("世界")
    assert here.take(tmp_path / "conversations.json").already_there == 1


def test_newer_exports_in_pieces_without_children(here: Home, tmp_path: Path) -> None:
    entries: dict[str, Any] = {"chat.html": b"<html>", "user.json": {"id": "u"}, "export_manifest.json": {}}
    for n in range(3):
        value = line(message("user", f"q{n}", at=n + 1.0), message("assistant", f"a{n}", at=n + 2.0))
        for node in value["mapping"].values():
            del node["children"]
        entries[f"conversations-{n:03}.json"] = [value]
    entries["__MACOSX/._conversations-000.json"] = b"\0\5\x16\7"
    assert here.take(packed(tmp_path / "export.zip", entries)).conversations == 3
    assert sorted(tree.nodes[0].parts[0].text for tree in here.trees()) == ["q0", "q1", "q2"]


def test_pictures_are_found_under_every_name_they_had(here: Home, tmp_path: Path) -> None:
    pointers = [f"file-service://{IMAGE}", f"sediment://{SEDIMENT}", "file-service://file-Gone0000"]
    shown = [{"content_type": "image_asset_pointer", "asset_pointer": p, "width": 6} for p in pointers]
    made = {
        "content_type": "image_asset_pointer",
        "asset_pointer": "sediment://file_00aa",
        "metadata": {"dalle": {"prompt": "a red fox", "seed": 1}},
    }
    attachments = [
        {"id": IMAGE, "name": "猫.png", "mime_type": "image/png"},
        {"id": "file-Pdf", "name": "报告.pdf", "mime_type": "application/pdf"},
    ]
    value = line(
        message("user", *shown, "What is it?", metadata={"attachments": attachments}),
        message("tool", made, author={"role": "tool", "name": "dalle.text2im"}),
        message("assistant", "Here."),
    )
    entries = {
        "conversations.json": [value],
        f"{IMAGE}-猫.png": picture("red"),
        f"{SEDIMENT}.dat": picture("green", "JPEG"),
        "dalle-generations/file_00aa-9b2d.webp": picture("blue", "WEBP"),
        "conversation_asset_file_names.json": {f"{SEDIMENT}.dat": "holiday photo.jpeg"},
    }
    result = here.take(packed(tmp_path / "export.zip", entries))
    asked, answered = here.only()
    assert [(part.type, part.data.get("name"), part.data.get("media_type")) for part in asked.parts[1:3]] == [
        ("image", "猫.png", "image/png"),
        ("image", "holiday photo.jpeg", "image/jpeg"),
    ]
    assert asked.parts[0].text == "[not imported: 报告.pdf]"
    gone = "[not imported: a picture or video, its file is not in the export]"
    assert texts(asked)[3:] == [gone, "What is it?"]
    assert [part.type for part in answered.parts] == ["image", "text"]
    assert answered.parts[1].text == "\n\n[image: a red fox]\n\nHere."
    assert here.blobs.path(asked.parts[2].sha256 or "").read_bytes() == picture("green", "JPEG")
    assert result.files == 1


def test_one_answer_in_many_messages_is_one() -> None:
    thoughts = {
        "content_type": "thoughts",
        "thoughts": [
            {"summary": "Thinking", "content": "It may be a cat."},
            {"summary": "", "content": "Yes."},
        ],
    }
    search = {"content_type": "code", "language": "unknown", "text": '{"q": "cats"}'}
    code = {"content_type": "code", "language": "python", "text": "print('```')"}
    output = {"content_type": "execution_output", "text": "```"}
    value = line(
        message("user", "Q"),
        told(thoughts),
        told(search, recipient="web.run"),
        told({"content_type": "text", "parts": ["page"]}, "tool", author={"role": "tool", "name": "web.run"}),
        told(code, recipient="python"),
        told(output, "tool", author={"role": "tool", "name": "python"}),
        told({"content_type": "reasoning_recap", "content": "Thought for 4 s"}),
        message("assistant", "A cat\ue200cite\ue202turn0search0\ue201."),
    )
    assert nodes_of(value) == [
        (None, "user", "Q"),
        (
            0,
            "assistant",
            "Thinking\n\nIt may be a cat.\n\nYes.",
            "[not imported: use of the tool web.run]\n\n````python\nprint('```')\n````\n\n"
            "````\n```\n````\n\nA cat.",
        ),
    ]


def test_voice_is_its_words() -> None:
    said = {"content_type": "audio_transcription", "text": "Hallo", "direction": "in"}
    sound = {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://file_1"}
    both = {"content_type": "real_time_user_audio_video_asset_pointer", "audio_asset_pointer": sound}
    value = line(message("user", said, both), message("assistant", {"content_type": "hologram"}))
    assert nodes_of(value) == [
        (None, "user", "Hallo\n\n[not imported: audio]"),
        (0, "assistant", "[not imported: hologram]"),
    ]


def test_sides_that_are_missing_are_said_to_be() -> None:
    alone = chat({"g": (None, message("assistant", "Welcome", at=1.0))}, "g")
    assert nodes_of(alone) == [(None, "user", NO_QUESTION.text), (0, "assistant", "Welcome")]
    unanswered = chat({"q": ("gone", message("user", "Anyone?", at=1.0))}, "q")
    assert nodes_of(unanswered) == [(None, "user", "Anyone?"), (0, "assistant", NO_ANSWER.text)]
    twice = line(message("user", "One"), message("user", "Two"), message("assistant", "Both"))
    assert nodes_of(twice) == [(None, "user", "One\n\nTwo"), (0, "assistant", "Both")]


def test_a_branch_within_an_answer_repeats_its_beginning() -> None:
    value = chat(
        {
            "q": (None, message("user", "Q", at=1.0)),
            "t": ("q", told({"content_type": "thoughts", "thoughts": [{"content": "Hm"}]}, at=2.0)),
            "a": ("t", message("assistant", "A", at=3.0)),
            "b": ("t", message("assistant", "B", at=4.0)),
            "after": ("b", message("user", "More", at=5.0)),
        },
        "t",
    )
    assert nodes_of(value) == [
        (None, "user", "Q"),
        (0, "assistant", "Hm", "A"),
        (0, "assistant", "Hm", "B"),
        (2, "user", "More"),
        (3, "assistant", NO_ANSWER.text),
    ]
    assert (
        grow(chatgpt.read(value), lambda file: note("")).head == 4
    )  # the newest leaf below what was looked at


def test_circles_and_empty_ones_are_skipped_not_the_rest(here: Home, tmp_path: Path) -> None:
    circle = chat(
        {"a": ("b", message("user", "x")), "b": ("a", message("assistant", "y"))}, "a", title="Kreis"
    )
    itself = chat({"a": ("a", message("user", "x"))}, "a", title="Selbst")
    empty = chat({"root": (None, None)}, "root", title=None)
    good = line(message("user", "q"), message("assistant", "a"))
    result = here.take(written(tmp_path / "x.json", [circle, itself, empty, good, None, {"mapping": []}]))
    assert result.conversations == 1
    assert [why.split(":")[0] for why in result.skipped] == [
        "Kreis", "Selbst", "Conversation 3", "Conversation 5", "Conversation 6",
    ]  # fmt: skip


def test_a_very_long_chain_is_no_trouble(here: Home, tmp_path: Path) -> None:
    said = [message("assistant" if n % 2 else "user", f"{n}", at=float(n)) for n in range(3000)]
    assert here.take(written(tmp_path / "x.json", [line(*said)])).conversations == 1
    assert len(here.only()) == 3000


def test_branches_of_branches_are_bounded() -> None:
    nodes: dict[str, tuple[str | None, Any]] = {"0": (None, message("assistant", "x"))}
    for n in range(1, 4000):
        nodes[str(n)] = (str(max(0, n - 2 + n % 2)), message("assistant", "x"))
    value = chat(nodes, "0")
    with pytest.raises(Broken, match="branches"):
        grow(chatgpt.read(value), lambda file: note(""))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["parent", "message", "children", "author", "role", "content_type", "parts", "metadata", "id", "a"]
    ), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
KINDS = st.sampled_from(["text", "multimodal_text", "code", "thoughts", "execution_output", "x"]) | ANYTHING


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abcde"),
        ANYTHING
        | st.fixed_dictionaries(
            {
                "parent": st.sampled_from([None, "a", "b", "c", "z"]) | ANYTHING,
                "message": st.fixed_dictionaries(
                    {
                        "author": st.fixed_dictionaries(
                            {"role": st.sampled_from(["user", "assistant", "tool"])}
                        ),
                        "content": st.fixed_dictionaries(
                            {
                                "content_type": KINDS,
                                "parts": st.lists(st.text(max_size=3) | ANYTHING),
                                "text": ANYTHING,
                                "thoughts": ANYTHING,
                            }
                        )
                        | ANYTHING,
                        "create_time": ANYTHING,
                        "metadata": st.fixed_dictionaries({"attachments": ANYTHING}) | ANYTHING,
                        "recipient": st.sampled_from(["all", "python", None]) | ANYTHING,
                    }
                ),
            }
        ),
    ),
    ANYTHING,
)
def test_anything_is_a_tree_or_is_broken(mapping: dict[str, Any], head: Any) -> None:
    value = {"mapping": mapping, "current_node": head, "title": head, "create_time": head}
    assert conversations_in([value]) is not None
    try:
        tree = grow(chatgpt.read(value), lambda file: Part("image", "", "ab" * 32))
    except Broken:
        return
    assert tree.nodes[tree.head].role == "assistant"
    followed = {node.parent for node in tree.nodes}
    for n, node in enumerate(tree.nodes):
        assert node.parent is None or node.parent < n
        above = "assistant" if node.parent is None else tree.nodes[node.parent].role
        assert node.role != above
        assert node.role == "assistant" or n in followed
        assert not any(isinstance(part, File) for part in node.parts)
