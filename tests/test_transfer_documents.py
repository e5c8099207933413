"""A conversation about documents leaves and comes back: with its files, claims checked again."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import until
from exports import Home, home, packed
from fastapi import FastAPI
from starlette.testclient import TestClient

from app import exchange, library, turn
from app.documents import reading
from app.documents.pages import Unreadable
from app.store import Held, Part
from app.transfer import export_archive, export_markdown
from app.transfer.evidence import MOST_PICTURES, read
from app.turn import Cancel, Draft
from mlx_backend import Answer, FakeEngine

TEXT = "# Dues\n\nEvery ship pays thirty crowns.\n"
TRUE, FALSE = "Every ship pays thirty crowns.", "Nobody ever pays anything."


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Home]:
    made = home(tmp_path / "there")
    yield made
    made.store.close()


def ask(home: Home, words: str, *files: Path, chat: str | None = None) -> str:
    """A question that is answered with a true and a false quotation."""
    engine = FakeEngine([Answer(f'So [[1|"{TRUE}"]] and [[1|"{FALSE}"]].')])
    begun = turn.begin(home.store, home.blobs, chat, Draft(words, files))
    turn.run(home.store, home.blobs, engine, begun, Cancel(), lambda live: None)
    return begun.conversation_id


@pytest.fixture
def asked(here: Home, tmp_path: Path) -> str:
    (tmp_path / "Dues.md").write_text(TEXT)
    return ask(here, "What is due?", tmp_path / "Dues.md")


def told(file: Path) -> dict[str, Any]:
    return json.loads(zipfile.ZipFile(file).read("conversations.json"))


def verified(home: Home) -> list[bool | None]:
    return [part.data.get("verified") for part in home.only()[-1].parts if part.type == "citation"]


def test_a_conversation_with_documents_comes_back_equal(
    here: Home, there: Home, asked: str, tmp_path: Path
) -> None:
    ask(here, "And again?", chat=asked)
    done = export_archive(here.store, here.blobs, tmp_path / "all.zip")
    (document,) = here.store.documents_of(asked)
    assert (done.files, done.missing) == (1, 0)
    assert f"media/{document.sha256}.md" in zipfile.ZipFile(tmp_path / "all.zip").namelist()
    assert here.store.nonce(asked) not in json.dumps(told(tmp_path / "all.zip"))
    assert there.take(tmp_path / "all.zip").conversations == 1
    assert there.trees() == here.trees() and verified(there) == [True, False]
    assert there.trees()[0].documents == (Held(document.sha256, "Dues.md"),)
    assert there.take(tmp_path / "all.zip").already_there == 1
    (chat,) = there.store.every_conversation()
    assert there.store.pages(there.store.documents_of(chat)[0].id) == here.store.pages(document.id)
    laid = library.lay(there.store, there.blobs, chat, there.only())
    assert [len(parts) for parts in laid.values()] == [1, 0]
    ask(there, "Once more?", chat=chat)
    assert verified(there) == [True, False] and len(there.store.documents_of(chat)) == 1


def test_what_an_export_claims_is_checked_against_the_file(
    here: Home, there: Home, asked: str, tmp_path: Path
) -> None:
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    value = told(tmp_path / "all.zip")
    question, answer = value["conversations"][0]["messages"]
    for part in answer["parts"]:
        if part["type"] == "citation":
            part["data"] |= {"verified": True, "how": "exact", "start": 0, "end": 9, "transcribed": False}
    question["evidence"]["places"] += [[2, 0, 77, 0, 1], [3, 9, 1, 0, 1], [4, 0, 1, 1, 0], ["x"], [1] * 6]
    with zipfile.ZipFile(tmp_path / "all.zip") as old:
        entries = {name: old.read(name) for name in old.namelist()}
    there.take(packed(tmp_path / "forged.zip", entries | {"conversations.json": value}))
    assert verified(there) == [True, False]
    assert there.only()[0].evidence["places"] == [[1, 1, 1, 0, 1], [4, 1, 1, 0, 0]]  # no picture of Markdown


def test_without_its_file_nothing_is_proven(here: Home, there: Home, asked: str, tmp_path: Path) -> None:
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    packed(tmp_path / "bare.zip", {"conversations.json": told(tmp_path / "all.zip")})
    result = there.take(tmp_path / "bare.zip")
    assert (result.conversations, result.files) == (1, 1)
    assert verified(there) == [None, None] and there.only()[0].evidence == {}
    assert there.only()[0].parts[0] == Part("text", "[not imported: Dues.md, its file is not in the export]")


def test_a_file_that_is_no_document_is_a_note(here: Home, there: Home, asked: str, tmp_path: Path) -> None:
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as old:
        entries = {name: old.read(name) for name in old.namelist()}
    (name,) = (name for name in entries if name.startswith("media/"))
    there.take(packed(tmp_path / "other.zip", entries | {name: b"Another text than the one it says it is."}))
    assert "whose content is not what the export says it is" in there.only()[0].parts[0].text
    assert not any(file.is_file() for file in there.blobs.root.rglob("*"))


def test_a_document_of_the_library_goes_along_and_one_put_aside_stays_so(
    here: Home, there: Home, asked: str, tmp_path: Path
) -> None:
    (document,) = here.store.documents_of(asked)
    here.store.choose_document(asked, document.id, False)
    other = ask(here, "Hello")
    here.store.shelve_document(document.id, True)
    here.store.give_document(other, document.id)
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    there.take(tmp_path / "all.zip")
    assert there.trees() == here.trees()
    assert [held.active for tree in there.trees() for held in tree.documents] == [False, True]
    assert there.store.library() == ()


def test_an_older_export_gives_its_documents_too(here: Home, there: Home, asked: str, tmp_path: Path) -> None:
    export_archive(here.store, here.blobs, tmp_path / "all.zip")
    value = told(tmp_path / "all.zip")
    del value["conversations"][0]["documents"], value["conversations"][0]["messages"][0]["evidence"]
    with zipfile.ZipFile(tmp_path / "all.zip") as old:
        entries = {name: old.read(name) for name in old.namelist()}
    there.take(packed(tmp_path / "old.zip", entries | {"conversations.json": value}))
    (chat,) = there.store.every_conversation()
    assert [one.title for one in there.store.documents_of(chat)] == ["Dues.md"]
    assert verified(there) == [None, None]


def test_pages_of_markdown_hold_the_document(here: Home, asked: str, tmp_path: Path) -> None:
    export_markdown(here.store, here.blobs, tmp_path / "pages.zip")
    with zipfile.ZipFile(tmp_path / "pages.zip") as made:
        assert made.read("media/Dues.md").decode() == TEXT


@pytest.mark.parametrize("odd", [None, 7, [], {}, {"places": 7}, {"places": {}}, {"places": None}])
def test_what_is_no_evidence_is_none(odd: Any) -> None:
    assert read(odd) == {}


def test_evidence_has_no_more_pictures_than_a_question_could_bring() -> None:
    places = [[n, 0, n, 1, 1] for n in range(1, 99)] + [
        [True, 0, 1, 0, 0],
        [1, 0, 10**9, 0, 0],
        [1, 0, 1, 2, 0],
    ]
    found = read({"places": places, "reading": [{"title": ["x"], "read": -1}], "outlined": ["x", 3]})
    assert sum(place[3] for place in found["places"]) == MOST_PICTURES and len(found["places"]) == 98
    assert (found["reading"], found["outlined"]) == ([{"title": "", "read": 0, "total": 0}], [3])


def test_an_import_tells_how_far_it_is_and_can_be_stopped(
    here: Home, there: Home, asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(here, "Nothing of documents")
    export_archive(here.store, here.blobs, file := tmp_path / "all.zip")

    def slow(path: Path, name: str, on_page: Any, stopped: Any) -> Any:
        on_page(12, 42)
        until(stopped)
        raise Unreadable("stopped", "Reading was stopped.")

    monkeypatch.setattr(reading, "read", slow)
    app, ended = FastAPI(), []
    app.include_router(exchange.router(there.store, there.blobs, tmp_path / "exchange"))
    with TestClient(app) as client:
        headers = {"x-file-name": "all.zip", "x-import": "mine"}

        def take() -> None:
            ended.append(client.post("/import", content=file.read_bytes(), headers=headers).json())

        thread = threading.Thread(target=take)
        thread.start()
        until(lambda: ", page 12 of 42" in look(client))
        assert look(client) in [f"Importing… {share} % · Dues.md, page 12 of 42" for share in (0, 50)]
        assert (
            look(client, "another") == "" and client.post("/import/stop", json={"n": ["mine"]}).json() == {}
        )
        client.post("/import/stop", json={"n": "mine"})
        thread.join(20)
        assert ended[0]["words"].startswith("Stopped. ") and look(client) == ""
    assert here.store.count() == 2 and not there.store.documents_of(asked)
    assert list((tmp_path / "exchange").iterdir()) == []


def look(client: TestClient, name: str = "mine") -> str:
    return str(client.get("/import", params={"n": name}).json()["words"])
