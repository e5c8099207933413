"""Export and import against real databases, files and zips: nothing lost, doubled or believed."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asking import ROOT
from exports import Home, home, packed, picture, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app import intake
from app.documents.pages import Document, Page
from app.store import Held, Node, Part, StoredBlob, Tree
from app.transfer import BadExport, BadImport, export_archive, export_markdown, import_file
from app.transfer.lent import believed
from app.transfer.loose import file_name, seconds
from app.transfer.markdown import contained, page
from app.transfer.media import media_type
from app.transfer.names import Names, safe
from app.transfer.source import Limits


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Home]:
    made = home(tmp_path / "there")
    yield made
    made.store.close()


def question(text: str, parent: int | None = None, at: float = 10.0, *more: Part) -> Node:
    return Node(parent, "user", "complete", (*more, Part("text", text)), at)


def answer(text: str, parent: int, at: float = 11.0) -> Node:
    return Node(parent, "assistant", "complete", (Part("text", text),), at, {"thinking": True}, "stop")


def simple(title: str = "你好", *more: Part) -> Tree:
    return Tree(title, 10.0, 11.0, 1, (question("hello", None, 10.0, *more), answer("hi", 0)))


def put(here: Home, folder: Path, content: bytes, kind: str = "image/png") -> tuple[Part, StoredBlob]:
    file = folder / "put"
    file.write_bytes(content)
    blob = here.blobs.put(file)
    part = Part("image", "", blob.sha256, {"name": "猫.png", "media_type": kind})
    return part, StoredBlob(blob.sha256, kind, blob.bytes)


SEEN = {
    "name": "walk.mp4", "video": True, "original": [1920, 1080], "width": 224, "height": 112, "tokens": 64,
    "moments": [2.0, 3.5], "length": 10.25,
}  # fmt: skip
RICH = Tree(
    "分支 and boxes",
    100.25,
    200.5,
    5,
    (
        question("which?", None, 101.0),
        Node(
            0,
            "assistant",
            "complete",
            (
                Part("reasoning", "hm", None, {"seconds": 1.5, "over": True}),
                Part("text", "There: "),
                Part("box", "[[1,2,3,4]]", None, {"image": 0, "boxes": [[1, 2, 3, 4]], "label": "cat"}),
            ),
            102.0,
            {"thinking": True},
            "stop",
            {"prompt_tokens": 12, "decode_rate": 3.25, "saw": [SEEN]},
        ),
        Node(0, "assistant", "interrupted", (), 103.0, {"thinking": False}, "cancelled"),
        Node(0, "assistant", "error", (Part("error", "No memory.", None, {"kind": "OutOfMemory"}),), 104.0),
        question("other wording", None, 105.0),
        answer("fine", 4, 106.0),
    ),
    True,
    "工作",
)


# --- our own format --------------------------------------------------------------------------------------


def test_everything_comes_back(here: Home, there: Home, tmp_path: Path) -> None:
    part, blob = put(here, tmp_path, picture())
    trees = [RICH, simple("with a picture", part)]
    for tree in trees:
        here.store.plant(tree, [blob])
    done = export_archive(here.store, here.blobs, tmp_path / "all.zip")
    assert (done.conversations, done.files, done.missing) == (2, 1, 0)
    assert zipfile.ZipFile(tmp_path / "all.zip").namelist() == [
        "conversations.json",
        f"media/{blob.sha256}.png",
    ]
    result = there.take(tmp_path / "all.zip")
    assert str(result) == "2 conversations imported."
    assert there.trees() == here.trees() == sorted(trees, key=lambda tree: tree.created_at)
    assert there.blobs.path(blob.sha256).read_bytes() == picture()
    assert there.store.media_type(blob.sha256) == "image/png"
    assert there.store.folders() == ("工作",)


def test_what_is_imported_is_found_and_can_go_on(here: Home, there: Home, tmp_path: Path) -> None:
    here.store.plant(RICH)
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    there.take(tmp_path / "all.zip")
    (found,) = there.store.search("分支")
    assert [f.conversation.title for f in there.store.search("wording")] == ["分支 and boxes"]
    path = there.store.path(found.conversation.id)
    assert [message.parts[0].text for message in path] == ["other wording", "fine"]
    assert len(path[0].variants) == 2
    there.store.select(found.conversation.id, path[0].variants[0])
    again = there.store.path(found.conversation.id)
    assert [len(message.variants) for message in again] == [2, 3]
    there.store.begin_turn(found.conversation.id, "", (Part("text", "and now?"),))
    assert len(there.store.path(found.conversation.id)) == 4


def test_nothing_is_doubled_and_nothing_changed(here: Home, there: Home, tmp_path: Path) -> None:
    here.store.plant(RICH)
    here.store.plant(simple())
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    there.take(tmp_path / "all.zip")
    (found,) = there.store.search("分支")
    there.store.rename(found.conversation.id, "renamed")
    there.store.begin_turn(found.conversation.id, "", (Part("text", "and now?"),))
    before = there.trees()
    result = there.take(tmp_path / "all.zip")
    assert (result.conversations, result.already_there) == (0, 2)
    assert there.trees() == before


def test_what_went_on_elsewhere_or_was_thrown_away_comes_beside(
    here: Home, there: Home, tmp_path: Path
) -> None:
    longer = Tree("你好", 10.0, 13.0, 3, (*simple().nodes, question("more", 1, 12.0), answer("yes", 2, 13.0)))
    there.store.plant(simple())
    trashed = there.store.plant(RICH)
    there.store.throw_away(trashed)
    here.store.plant(longer)
    here.store.plant(RICH)
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    assert there.take(tmp_path / "all.zip").conversations == 2
    assert there.trees() == [simple(), longer, RICH]


def test_the_same_twice_in_one_file_is_one(here: Home, there: Home, tmp_path: Path) -> None:
    here.store.plant(simple())
    here.store.plant(simple())
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    result = there.take(tmp_path / "all.zip")
    assert (result.conversations, result.already_there) == (1, 1)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PARTS = st.builds(Part, st.sampled_from(["text", "reasoning", "box", "error"]), WORDS) | st.builds(
    Part, st.just("reasoning"), WORDS, st.none(), st.fixed_dictionaries({"seconds": st.floats(0, 100)})
)


BOOKS = {"Boats.md": ("A keel keeps a boat upright.", "Sails are of hemp."), "Dues.md": ("Ships pay.",)}
QUOTED = ["A keel keeps a boat", "Sails are of hemp.", "ships  pay", "Nobody said this anywhere"]


def read_in(home: Home, folder: Path) -> tuple[list[Held], list[int]]:
    """Both books, as if they had been read there."""
    held, numbers = [], []
    for title, pages in BOOKS.items():
        (folder / "book").write_text("\n\n".join(pages), "utf-8")
        blob = home.blobs.put(folder / "book")
        stored = StoredBlob(blob.sha256, intake.DOCUMENT, blob.bytes)
        numbers.append(home.store.begin_document(stored, intake.READER, title, "markdown"))
        made = tuple(Page(n, f"page {n}", text) for n, text in enumerate(pages, 1))
        home.store.finish_document(numbers[-1], Document("markdown", title, made, total=len(made)), [])
        held.append(Held(blob.sha256, title))
    return held, numbers


@st.composite
def evidences(draw: st.DrawFn) -> dict[str, Any]:
    """What a question may have brought of the two books."""
    places = draw(st.lists(st.sampled_from([(0, 1), (0, 2), (1, 1)]), max_size=3, unique=True))
    if not places:
        return {}
    reading = [{"document": 0, "title": "Boats.md", "read": 1, "total": 2}]
    found = {"places": [[n, *place, 0, 1] for n, place in enumerate(places, 1)], "found": draw(st.booleans())}
    return found | {"reading": reading} | ({"outlined": [0]} if draw(st.booleans()) else {})


CITED = st.builds(
    lambda n, words: Part("citation", f'[[{n}|"{words}"]]', None, {"number": n, "words": words}),
    st.integers(1, 4), st.sampled_from(QUOTED),
)  # fmt: skip


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Any shape of questions and answers that the app could have written."""
    shape: dict[int | None, list[int]] = {None: []}
    made: list[dict[str, Any]] = []
    for turn in range(draw(st.integers(1, 5))):
        above = draw(st.sampled_from([None, *(n for n in shape if n is not None and n % 2)]))
        shape.setdefault(above, []).append(len(made))
        time = draw(st.floats(0, 1e9))
        for role, parent in (("user", above), ("assistant", len(made))):
            status = draw(st.sampled_from(["complete", "interrupted", "error"])) if turn % 2 else "complete"
            if role == "user":
                status = "complete"
            said = PARTS if role == "user" else PARTS | CITED
            parts = tuple(draw(st.lists(said, min_size=role == "user", max_size=3)))
            made.append({"parent": parent, "role": role, "status": status, "parts": parts, "at": time})
            shape.setdefault(len(made) - 1, [])
    for n in range(0, len(made), 2):
        shape[n] = [n + 1]
    order: list[int] = []
    todo = sorted(shape[None], key=lambda n: made[n]["at"])[::-1]
    while todo:
        order.append(todo.pop())
        todo += sorted(shape[order[-1]], key=lambda n: made[n]["at"])[::-1]
    place = {n: where for where, n in enumerate(order)}
    nodes = tuple(
        Node(
            None if made[n]["parent"] is None else place[made[n]["parent"]],
            made[n]["role"],
            made[n]["status"],
            made[n]["parts"],
            made[n]["at"],
            draw(st.dictionaries(st.sampled_from(["thinking"]), st.booleans())) if n % 2 else {},
            draw(st.none() | st.sampled_from(["stop", "length"])) if n % 2 else None,
            draw(st.dictionaries(st.sampled_from(["output_tokens"]), st.integers(0, 9))) if n % 2 else {},
            {} if n % 2 else draw(evidences()),
        )
        for n in order
    )
    leaves = [place[n] for n in order if n % 2 and not shape[n]]
    title = " ".join(draw(WORDS).split()) or "x"
    folder = draw(st.none() | st.sampled_from(["工作", "b"]))
    return Tree(title, 1.5, 2.5, draw(st.sampled_from(leaves)), nodes, draw(st.booleans()), folder)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(trees(), min_size=1, max_size=6, unique_by=repr))
def test_random_trees_come_back(made: list[Tree], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("trees")
    here, there = home(folder / "here"), home(folder / "there")
    held, numbers = read_in(here, folder)
    read_in(there, folder)
    made = [believed(here.store, replace(tree, documents=tuple(held)), numbers) for tree in made]
    for tree in made:
        assert here.store.whole(here.store.plant(tree, (), numbers)) == tree
    export_archive(here.store, here.blobs, folder / "all.zip")
    result = there.take(folder / "all.zip")
    assert result.skipped == ()
    assert all(tree in made for tree in there.trees())
    assert result.conversations + result.already_there == len(made)
    assert there.take(folder / "all.zip").conversations == 0
    here.store.close()
    there.store.close()


def test_a_streaming_answer_is_exported_as_interrupted(here: Home, there: Home, tmp_path: Path) -> None:
    begun = here.store.begin_turn(None, "t", (Part("text", "q"),))
    here.store.checkpoint(begun.answer_id, (Part("text", "so far"),))
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    there.take(tmp_path / "all.zip")
    last = there.only()[-1]
    assert (last.status, last.parts) == ("interrupted", (Part("text", "so far"),))


def test_one_conversation_alone_and_a_lost_file(here: Home, there: Home, tmp_path: Path) -> None:
    part, blob = put(here, tmp_path, picture())
    wanted = here.store.plant(simple("wanted", part), [blob])
    here.store.plant(RICH)
    here.blobs.path(blob.sha256).unlink()
    done = export_archive(here.store, here.blobs, tmp_path / "one.zip", [wanted, "nobody"])
    assert (done.conversations, done.files, done.missing) == (1, 0, 1)
    result = there.take(tmp_path / "one.zip")
    assert result.files == 1
    assert there.only()[0].parts[0].text == "[not imported: 猫.png, its file is not in the export]"


def test_json_without_its_zip_finds_files_at_home(here: Home, tmp_path: Path) -> None:
    part, blob = put(here, tmp_path, picture())
    tree = simple("a", part)
    planted = here.store.plant(tree, [blob])
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    (tmp_path / "bare").write_bytes(zipfile.ZipFile(tmp_path / "all.zip").read("conversations.json"))
    here.store.throw_away(planted)
    assert here.take(tmp_path / "bare").conversations == 1
    assert here.trees() == [tree]


# --- a stranger's file -----------------------------------------------------------------------------------


def ours(*conversations: Any, **more: Any) -> dict[str, Any]:
    return {"format": "glm-chat", "version": 1, "conversations": list(conversations), **more}


def spoken(*parts: Any) -> dict[str, Any]:
    messages = [
        {"parent": None, "role": "user", "created_at": 1, "parts": list(parts)},
        {"parent": 0, "role": "assistant", "created_at": 2, "status": "complete", "parts": []},
    ]
    return {"title": "t", "created_at": 1, "updated_at": 2, "head": 1, "messages": messages}


TEXT = {"type": "text", "text": "hi"}


def test_media_that_is_not_what_it_says_is_refused(here: Home, tmp_path: Path) -> None:
    good, svg = picture(), b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"
    sha, wrong = hashlib.sha256(good).hexdigest(), "ab" * 32
    parts = [
        {"type": "image", "sha256": sha, "data": {"name": "../../good.png", "media_type": "image/svg+xml"}},
        {"type": "image", "sha256": wrong, "data": {"name": "wrong.png"}},
        {"type": "image", "sha256": hashlib.sha256(svg).hexdigest(), "data": {"name": "evil.png"}},
        {"type": "image", "sha256": "../../../etc/passwd", "data": {"name": "path.png"}},
        {"type": "sculpture", "text": "x"},
    ]
    entries = {
        "conversations.json": ours(spoken(*parts)),
        f"../../media/{sha}.svg": good,
        f"media/{wrong}.png": good + b"more",
        f"media/{hashlib.sha256(svg).hexdigest()}.png": svg,
    }
    result = here.take(packed(tmp_path / "x.zip", entries))
    told = here.only()[0].parts
    assert told[0] == Part("image", "", sha, {"name": "good.png", "media_type": "image/png"})
    assert [part.text for part in told[1:]] == [
        "[not imported: wrong.png, whose content is not what the export says it is]",
        "[not imported: evil.png, which is neither a picture nor a video that can be shown]",
        "[not imported: path.png]",
        "[not imported: sculpture]",
    ]
    assert (result.conversations, result.files) == (1, 2)
    assert len([file for file in here.blobs.root.rglob("*") if file.is_file()]) == 1
    assert {file.name for file in tmp_path.iterdir()} == {"here", "x.zip"}


def test_nonsense_in_every_field_is_left_out(here: Home, tmp_path: Path) -> None:
    odd = spoken(
        {"type": "reasoning", "text": "\ud800x", "data": {"seconds": float("nan"), "over": 1, "more": [1]}},
        {"type": "text", "text": 5, "data": "x"},
        7,
    )
    odd |= {"title": ["x"], "created_at": float("inf"), "updated_at": -1, "pinned": "yes", "folder": 3}
    odd["head"] = 99
    odd["messages"][1] |= {
        "status": "streaming", "reason": 7, "options": [1], "created_at": "soon",
        "stats": {"output_tokens": 1.5, "prompt_tokens": 10**400, "decode_rate": 2, "x) --": 1},
    }  # fmt: skip
    result = here.take(written(tmp_path / "x.json", ours(odd, "no", {"messages": 1}, {"messages": []})))
    assert (result.conversations, len(result.skipped)) == (1, 3)
    (tree,) = here.trees()
    assert (tree.title, tree.pinned, tree.folder, tree.created_at) == ("Untitled chat", False, None, 1.0)
    assert tree.nodes[0].parts == (Part("reasoning", "?x", None, {"more": [1]}), Part("text"))
    last = tree.nodes[1]
    assert (last.status, last.reason, last.options, last.stats) == (
        "interrupted",
        None,
        {},
        {"decode_rate": 2},
    )


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity", "1e999", "[" * 900 + "]" * 900])
def test_a_number_that_json_does_not_know_costs_no_other(here: Home, tmp_path: Path, odd: str) -> None:
    data = {"seconds": 2.5, "name": "a\ud800.png", "odd": "ODD", "own": {"deep": ["ODD", 1], "nothing": None}}
    box = {"image": 0, "label": "cat", "boxes": [[1, 2, 3, 4], ["ODD", 2, 3, 4], [5, 6]]}
    value = spoken({"type": "reasoning", "text": "hm", "data": data}, {"type": "box", "data": box})
    value["messages"][1]["options"] = {"thinking": True, "temperature": "ODD"}
    whole = json.dumps(ours(value)).replace('"ODD"', odd)
    (tmp_path / "x.json").write_text(whole)
    assert here.take(tmp_path / "x.json").conversations == 1
    (tree,) = here.trees()
    thought, places = tree.nodes[0].parts
    assert (thought.data["seconds"], thought.data["name"]) == (2.5, "a?.png")
    assert (places.data["image"], places.data["label"]) == (0, "cat")
    assert tree.nodes[1].options["thinking"] is True
    if not odd.startswith("["):
        assert (thought.data["own"], "odd" in thought.data) == ({"deep": [None, 1], "nothing": None}, False)
        assert places.data["boxes"] == [[1, 2, 3, 4], [5, 6]]
        assert tree.nodes[1].options == {"thinking": True}
    kept = [*(part.data for part in tree.nodes[0].parts), tree.nodes[1].options]
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept
    assert here.take(tmp_path / "x.json").already_there == 1


@pytest.mark.parametrize(
    "saw",
    [
        7,
        [],
        [7],
        [{}],
        [SEEN, {**SEEN, "tokens": -1}],
        [{**SEEN, "tokens": 10**400}],
        [{**SEEN, "width": 1.5}],
        [{**SEEN, "original": [1920]}],
        [{**SEEN, "original": [True, 1080]}],
        [{**SEEN, "moments": [float("nan")]}],
        [{**SEEN, "moments": ["<script>"]}],
        [{**SEEN, "moments": [-1.0]}],
        [{**SEEN, "length": None}],
        [{**SEEN, "name": 5}],
        [{**SEEN, "video": "yes"}],
        [{**SEEN, "more": "x"}],
        [{name: value for name, value in SEEN.items() if name != "video"}],
        [SEEN] * 1001,
    ],
)
def test_what_was_seen_is_believed_as_a_whole_or_not_at_all(here: Home, tmp_path: Path, saw: Any) -> None:
    odd = spoken(TEXT)
    odd["messages"][1]["stats"] = {"prompt_tokens": 5, "saw": saw}
    here.take(written(tmp_path / "x.json", ours(odd)))
    assert here.trees()[0].nodes[1].stats == {"prompt_tokens": 5}


def test_the_name_of_what_was_seen_is_a_plain_file_name(here: Home, tmp_path: Path) -> None:
    odd = spoken(TEXT)
    odd["messages"][1]["stats"] = {"saw": [{**SEEN, "name": "../a\u202egnp.exe\ud800"}]}
    here.take(written(tmp_path / "x.json", ours(odd)))
    assert here.trees()[0].nodes[1].stats["saw"] == [{**SEEN, "name": "agnp.exe?"}]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"fps": 1, "start": 2, "end": 6}, {"fps": 1.0, "start": 2.0, "end": 6.0}),
        ({"fps": "1", "start": 6, "end": 2}, {}),
        ({"fps": 99, "start": -1}, {}),
        ({"fps": 10**400, "end": [1]}, {}),
    ],
)
def test_how_a_video_is_looked_at_comes_back_if_it_can_be_meant(
    here: Home, there: Home, tmp_path: Path, said: dict[str, Any], kept: dict[str, float]
) -> None:
    clip = (ROOT / "tests" / "reference" / "variable_rate.mp4").read_bytes()
    sha = hashlib.sha256(clip).hexdigest()
    part = {"type": "video", "sha256": sha, "data": {"name": "v.mp4", "media_type": "video/mp4", **said}}
    entries = {"conversations.json": ours(spoken(part, TEXT)), f"media/{sha}.mp4": clip}
    here.take(packed(tmp_path / "x.zip", entries))
    data = {"name": "v.mp4", "media_type": "video/mp4", **kept}
    assert here.only()[0].parts[0] == Part("video", "", sha, data)
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    there.take(tmp_path / "all.zip")
    assert there.trees() == here.trees()


def test_a_newer_version_is_refused(here: Home, tmp_path: Path) -> None:
    with pytest.raises(BadImport, match="newer GLM Chat"):
        here.take(written(tmp_path / "x.json", ours(spoken(TEXT), version=2)))
    assert here.trees() == []


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0", b"PK\x03\x04broken", b"hello", b"[]", b"{}", b"null", b"3", b'"x"', b"[[[[]]]]",
        b"[" * 10**6, b'{"a":' * 10**5, b'[{"mapping": 3}]', b'{"format":"glm-chat"}',
        b'[{"x": 1' + b"0" * 5000 + b"}]",
        b"\xff\xfe[\0]\0",
    ],
)  # fmt: skip
def test_what_is_no_export_is_a_sentence(here: Home, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(BadImport) as caught:
        here.take(tmp_path / "x.bin")
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))


def test_a_folder_or_nothing_is_a_sentence(here: Home, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(BadImport, match="cannot be opened"):
            here.take(path)


def test_damaged_zips_are_a_sentence(here: Home, tmp_path: Path) -> None:
    file = packed(tmp_path / "x.zip", {"conversations.json": ours(spoken(TEXT))})
    whole = file.read_bytes()
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        (tmp_path / "damaged.zip").write_bytes(damaged)
        try:
            here.take(tmp_path / "damaged.zip")
        except BadImport as error:
            assert str(error).endswith(".")


def test_a_locked_zip_says_so(here: Home, tmp_path: Path) -> None:
    whole = bytearray(packed(tmp_path / "x.zip", {"conversations.json": ours(spoken(TEXT))}).read_bytes())
    whole[6] |= 1  # the flag in the entry's own header
    whole[whole.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    (tmp_path / "x.zip").write_bytes(whole)
    with pytest.raises(BadImport, match="locked with a password"):
        here.take(tmp_path / "x.zip")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("text"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "sha256", "data", "name", "boxes", "seconds"]), inner
        )
    ),
    max_leaves=15,
)
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant"]),
        "parent": st.none() | st.integers(-1, 4) | ANYTHING,
        "parts": st.lists(ANYTHING, max_size=3),
        "status": ANYTHING | st.sampled_from(["complete", "error"]),
    },
    optional={name: ANYTHING for name in ("created_at", "options", "reason", "stats")},
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {"messages": st.lists(MESSAGE | MESSAGE | ANYTHING, max_size=5)},
        optional={
            name: ANYTHING for name in ("title", "head", "created_at", "updated_at", "pinned", "folder")
        },
    )
)
def test_anything_is_taken_or_skipped(here: Home, tmp_path: Path, value: dict[str, Any]) -> None:
    before = here.store.every_conversation()
    result = here.take(written(tmp_path / "x.json", ours(value)))
    assert result.conversations + result.already_there + len(result.skipped) == 1
    assert not any("log" in why for why in result.skipped)  # nothing was unexpected
    for conversation in set(here.store.every_conversation()) - set(before):
        path = here.store.path(conversation)
        assert [message.role for message in path] == ["user", "assistant"] * (len(path) // 2)
        here.store.begin_turn(conversation, "", (Part("text", "and on"),))


def test_bombs_are_not_unpacked(here: Home, tmp_path: Path) -> None:
    def refused(entries: dict[str, Any], limits: Limits, why: str) -> None:
        with pytest.raises(BadImport, match=why):
            import_file(here.store, here.blobs, packed(tmp_path / "x.zip", entries), limits=limits)

    refused({"conversations.json": b" " * 10**6}, Limits(small=1000), "packed so tightly")
    refused({"conversations.json": ours(spoken(TEXT))}, Limits(json=50), "larger than 50 bytes")
    refused({f"{n}.json": b"{}" for n in range(5)}, Limits(entries=4), "more than 4 files")
    file = written(tmp_path / "plain.json", ours(spoken(TEXT)))
    with pytest.raises(BadImport, match="larger than 50 bytes"):
        import_file(here.store, here.blobs, file, limits=Limits(json=50))


def test_media_bombs_cost_only_themselves(here: Home, tmp_path: Path) -> None:
    bomb, good = picture() + b"\0" * 10**6, picture("blue")
    shas = [hashlib.sha256(content).hexdigest() for content in (bomb, good)]
    parts = [{"type": "image", "sha256": sha, "data": {"name": f"{sha[:2]}.png"}} for sha in shas]
    entries = {"conversations.json": ours(spoken(*parts)), f"{shas[0]}.png": bomb, f"{shas[1]}.png": good}
    file = packed(tmp_path / "x.zip", entries)
    result = import_file(here.store, here.blobs, file, limits=Limits(small=1000))
    assert (result.conversations, result.files) == (1, 1)
    assert "packed so tightly" in here.only()[0].parts[0].text
    assert here.only()[0].parts[1].sha256 == shas[1]


def test_a_circle_and_too_much_are_skipped(here: Home, tmp_path: Path) -> None:
    circle = spoken(TEXT)
    circle["messages"][0]["parent"] = 1
    many = {"title": "many", "messages": [{"role": "user", "parts": [TEXT]}] * 20_001}
    result = here.take(written(tmp_path / "x.json", ours(circle, many, spoken(TEXT))))
    assert result.conversations == 1
    assert [why.split(": ")[0] for why in result.skipped] == ["t", "many"]
    assert "circle" in result.skipped[0] and "20,001 messages" in result.skipped[1]


def test_stopping_keeps_what_is_there(here: Home, tmp_path: Path) -> None:
    told = [spoken({"type": "text", "text": str(n)}) for n in range(9)]
    cancel, seen = threading.Event(), list[float]()

    def watch(share: float) -> None:
        seen.append(share)
        if len(seen) == 3:
            cancel.set()

    file = written(tmp_path / "x.json", ours(*told))
    result = import_file(here.store, here.blobs, file, progress=watch, cancel=cancel)
    assert (result.conversations, result.stopped) == (3, True)
    assert len(here.trees()) == 3
    whole: list[float] = []
    result = import_file(here.store, here.blobs, file, progress=whole.append)
    assert (result.conversations, result.already_there) == (6, 3)
    assert whole == sorted(whole) and whole[-1] == 1.0


def test_a_full_disk_says_what_is_kept(here: Home, tmp_path: Path) -> None:
    part = {"type": "image", "sha256": hashlib.sha256(picture()).hexdigest()}
    entries = {"conversations.json": ours(spoken(TEXT), spoken(part)), f"{part['sha256']}.png": picture()}
    here.blobs.root.rmdir()  # nothing can be written there any more
    with pytest.raises(BadImport, match="1 conversation had been imported by then"):
        here.take(packed(tmp_path / "x.zip", entries))
    assert len(here.trees()) == 1


# --- Markdown --------------------------------------------------------------------------------------------

HEADINGS = ["1. You", "2. Answer", "3. You", "4. Answer"]


def headings(text: str) -> list[str]:
    """The numbered headings that a reader of CommonMark and tables sees at the top level."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    found = [
        tokens[n + 1].content
        for n, token in enumerate(tokens)
        if token.type == "heading_open" and token.tag == "h2" and token.level == 0
    ]
    return [words for words in found if re.match(r"\d+\. ", words)]


def html(text: str) -> set[str]:
    """All raw HTML of a page."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inner = [child for token in tokens for child in [token, *(token.children or ())]]
    return {line for token in inner if token.type in ("html_block", "html_inline") for line in
            token.content.split("\n") if line}  # fmt: skip


def turned(*said: str) -> Tree:
    first, second, third, fourth = said
    nodes = (
        question(first),
        Node(0, "assistant", "complete", (Part("reasoning", third), Part("text", second)), 1.0),
        question(third, 1),
        answer(fourth, 2),
    )
    return Tree(first, 10.0, 11.0, 3, nodes)


OURS = {"<details>", "<summary>Reasoning</summary>", "</details>"}
BITES = [
    "```", "~~~~", "```py", "`", "``", "<!--", "<script>", "</details>", "<div hidden>", "<b", ">", "- ",
    "1. ", "> ", "    ", "  ", "\t", "\n", "\n\n", "\\", "|", "|-|\n", "# ", "---", "a", "<https://x>", "<https://`",
    "[a]: ", "*", "&", "<?", "<![CDATA[", "$$", "=== ", "\r", "## 1. You\n",
]  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.tuples(*[st.lists(st.sampled_from(BITES), max_size=9).map("".join)] * 4))
def test_no_message_hides_another(said: tuple[str, str, str, str]) -> None:
    shown = page(turned(*said), {})
    assert [h for h in headings(shown) if h in HEADINGS] != []
    seen = iter(headings(shown))
    assert all(heading in seen for heading in HEADINGS), shown  # in this order, whatever stands between
    assert html(shown) <= OURS


@pytest.mark.parametrize(
    "text",
    [
        "a *b* `<div>` c", "```html\n<div>\n```",
        "1. one\n\n   ```cpp\n   List<String> x;\n\n   y\n   ```\n2. two",
        "- a\n  - b\n\n    ```\n    <p>\n    ```", "a < b and <https://x.org/?a=b>",
        "| a | b |\n|---|---|\n| `x` | 1 |",
        "~~~\n```\n<a>\n~~~", "Use ```<b>``` here",
    ],
)  # fmt: skip
def test_honest_markdown_stays_as_it_is(text: str) -> None:
    assert contained(text) == text


def test_a_page_shows_the_visible_path(here: Home, tmp_path: Path) -> None:
    part, blob = put(here, tmp_path, picture())
    lost = Part("image", "", "cd" * 32, {"name": "lost.png"})
    nodes = (
        question("look", None, 0.0, part, lost),
        Node(
            0,
            "assistant",
            "interrupted",
            (
                Part("reasoning", "hm\n```"),
                Part("text", "At "),
                Part("box", "[[1,2,3,4]]"),
                Part("text", "."),
            ),
            1.0,
        ),
        Node(0, "assistant", "complete", (Part("text", "unseen"),), 2.0),
    )
    here.store.plant(Tree("# A *title*", 0.0, 2.0, 1, nodes), [blob, StoredBlob("cd" * 32, "image/png", 1)])
    done = export_markdown(here.store, here.blobs, tmp_path / "pages.zip")
    assert (done.conversations, done.files, done.missing) == (1, 1, 1)
    with zipfile.ZipFile(tmp_path / "pages.zip") as made:
        assert made.namelist() == ["# A title.md", "media/猫.png"]
        shown = made.read("# A title.md").decode()
        assert made.read("media/猫.png") == picture()
    assert shown.startswith("# \\# A \\*title\\*\n\n*1970-01-01 ")
    assert "![猫.png](media/%E7%8C%AB.png)" in shown and "*(lost.png: this file is missing.)*" in shown
    assert "<summary>Reasoning</summary>\n\nhm\n```\n```\n\n</details>\n\nAt [[1,2,3,4]]." in shown
    assert "not finished" in shown and "unseen" not in shown


def test_pages_and_pictures_of_one_name_stay_apart(here: Home, tmp_path: Path) -> None:
    first, blob = put(here, tmp_path, picture())
    second, other = put(here, tmp_path, picture("blue"))
    for tree in (simple("../同", first), simple("..\\同", second, first)):
        here.store.plant(tree, [blob, other])
    assert export_markdown(here.store, here.blobs, tmp_path / "pages.zip").files == 2
    with zipfile.ZipFile(tmp_path / "pages.zip") as made:
        names = ["同.md", "同 (2).md", "media/猫.png", "media/猫 (2).png"]
        assert made.namelist() == names
        assert [made.read(name) for name in names[2:]] == [picture(), picture("blue")]
        shown = made.read("同 (2).md").decode()
        assert [link in shown for link in ("(media/%E7%8C%AB.png)", "(media/%E7%8C%AB%20%282%29.png)")] == [
            True
        ] * 2


def test_stopped_or_failed_exports_leave_nothing(here: Home, tmp_path: Path) -> None:
    here.store.plant(RICH)
    cancel = threading.Event()
    cancel.set()
    for export in (export_markdown, export_archive):
        assert export(here.store, here.blobs, tmp_path / "x.zip", cancel=cancel).stopped
        with pytest.raises(BadExport, match=r"x\.zip could not be written"):
            export(here.store, here.blobs, tmp_path / "absent" / "x.zip")
    assert [file.name for file in tmp_path.iterdir()] == ["here"]


# --- names, times, kinds ---------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=300), max_size=6))
def test_any_title_is_a_safe_name(titles: list[str]) -> None:
    names = Names()
    given_out = [names.give(title, "Untitled", "md") for title in titles]
    assert len({name.casefold() for name in given_out}) == len(titles)
    for name in given_out:
        assert not re.search(r'[/\\:*?"<>|\x00-\x1f]', name) and len(name.encode()) <= 255
        assert name[0] not in ". " and name.removesuffix(".md")[-1:] not in (".", " ", "")


@pytest.mark.parametrize(
    "title, name",
    [
        ("../../etc/passwd", "etc passwd"), ("CON", "_CON"), ("nul.txt", "_nul.txt"), ("", "x"), ("...", "x"),
        ("a\u202egnp.exe", "agnp.exe"), ("家" * 300, "家" * 66), ("a\0b/c", "ab c"), ("com¹", "_com¹"),
    ],
)  # fmt: skip
def test_hostile_titles(title: str, name: str) -> None:
    assert safe(title, "x") == name


def test_names_that_look_the_same_are_numbered() -> None:
    names = Names()
    made = [names.give(title, "x", "md") for title in ("Café", "CAFE\u0301", "cafe", "Café")]
    assert made == ["Café.md", "CAFÉ (2).md", "cafe.md", "Café (3).md"]


@pytest.mark.parametrize(
    "value, expected",
    [
        (1.5, 1.5), ("2026-03-29T07:06:34.084721Z", 1774767994.084721), ("1970-01-01", 0.0), (True, None),
        ("soon", None), (float("nan"), None), (-1, None), (10**400, None), (None, None), ("9" * 99, None),
    ],
)  # fmt: skip
def test_times(value: Any, expected: float | None) -> None:
    assert seconds(value) == expected


def test_file_names_lose_their_folder_and_what_is_unseen() -> None:
    assert file_name("C:\\x\\..\\a\u202eb\n.png") == "ab.png"
    assert file_name("👨\u200d👩\u200d👧.png") == "👨\u200d👩\u200d👧.png"
    assert file_name(None) == ""


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_pictures_are_known_by_their_bytes(kind: str) -> None:
    assert media_type(picture(kind=kind)[:4096]) == f"image/{kind.lower()}"


@pytest.mark.parametrize(
    "head, kind",
    [
        (b"\0\0\0\x18ftypqt  ", "video/quicktime"), (b"\0\0\0\x18ftypisom", "video/mp4"),
        (b"\0\0\0 ftypM4A ", None),
        (b"\x1aE\xdf\xa3....B\x82\x84webm", "video/webm"), (b"\x1aE\xdf\xa3....matroska", "video/x-matroska"),
        (b"RIFF....AVI LIST", "video/x-msvideo"), (b"RIFF....WAVEfmt ", None), (b"%PDF-1.7", None),
        (b"", None), (b"BM is a word", None), (b"<svg>", None),
    ],
)  # fmt: skip
def test_other_beginnings(head: bytes, kind: str | None) -> None:
    assert media_type(head) == kind


def test_the_document_is_plain_json(here: Home, tmp_path: Path) -> None:
    here.store.plant(RICH)
    here.store.plant(simple())
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    told = json.loads(zipfile.ZipFile(tmp_path / "all.zip").read("conversations.json"))
    assert (told["format"], told["version"], len(told["conversations"])) == ("glm-chat", 1, 2)
    assert told["conversations"][0]["messages"][0] == {
        "parent": None,
        "role": "user",
        "status": "complete",
        "created_at": 10.0,
        "parts": [{"type": "text", "text": "hello"}],
    }
