"""Documents of a chat and of the library over their addresses: real store, real reader, real HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import until
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from app.blobs import Blobs
from app.documents import reading
from app.documents.pages import Unreadable
from app.jobs import Jobs
from app.lending import Lending
from app.orders import ordered
from app.shelves import Shelves
from app.store import Store
from app.turn import Draft
from mlx_backend import Answer, FakeEngine

WORDS = b"# Depths\n\n" + b"At lowest water 2.1 metres remain over the sill. " * 30


@pytest.fixture
def jobs(store: Store, blobs: Blobs) -> Jobs:
    return Jobs(Shelves(store, blobs), FakeEngine([Answer("Yes.")]))


@pytest.fixture
def client(jobs: Jobs, tmp_path: Path) -> Iterator[TestClient]:
    app = FastAPI()
    (tmp_path / "incoming").mkdir()
    app.include_router(Lending(jobs, tmp_path / "incoming").router())
    with TestClient(app) as client:
        yield client
    assert list((tmp_path / "incoming").iterdir()) == []


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "notes.md").write_bytes(WORDS)
    return tmp_path / "notes.md"


def ask(jobs: Jobs, words: str, *files: Path, conversation: str | None = None) -> str:
    job = jobs.start(conversation, Draft(words, files))
    assert job.wait(30)
    return job.begun.conversation_id


def look(client: TestClient, conversation: str | None = None) -> dict[str, Any]:
    return client.get("/documents", params={"c": conversation} if conversation else {}).json()


def order(client: TestClient, act: Any, conversation: Any, number: Any) -> dict[str, Any]:
    answer = client.post("/documents", json={"act": act, "c": conversation, "id": number})
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    return answer.json()


def add(client: TestClient, name: str, content: bytes) -> tuple[int, str]:
    answer = client.post("/library", content=content, headers={"x-file-name": name})
    return answer.status_code, answer.json()["told"]


def test_a_chats_documents_say_what_the_next_question_reads(
    client: TestClient, jobs: Jobs, notes: Path
) -> None:
    chat = ask(jobs, "how deep?", notes)
    (line,) = look(client, chat)["chat"]
    assert (line["title"], line["kind"], line["facts"]) == ("notes.md", "markdown", "Markdown · 1 page")
    assert (line["active"], line["reads"], line["kept"]) == (True, "whole document, 1 of 1 page", False)
    (line,) = order(client, "rest", chat, line["id"])["chat"]
    assert (line["active"], line["reads"]) == (False, "not read")
    ask(jobs, "and now?", conversation=chat)
    assert jobs.shelves.kept.store.path(chat)[2].evidence == {}
    (line,) = order(client, "read", chat, line["id"])["chat"]
    assert line["active"]


def test_what_was_laid_before_the_model_stays_whatever_is_chosen(
    client: TestClient, jobs: Jobs, notes: Path
) -> None:
    chat = ask(jobs, "how deep?", notes)
    order(client, "rest", chat, look(client, chat)["chat"][0]["id"])
    ask(jobs, "and now?", conversation=chat)
    first, second = jobs._engine.requests  # type: ignore[attr-defined]
    assert second.messages[0] == first.messages[0]


def test_the_library_outlives_its_chats_and_is_used_by_others(
    client: TestClient, jobs: Jobs, notes: Path
) -> None:
    chat, store = ask(jobs, "how deep?", notes), jobs.shelves.kept.store
    number = look(client, chat)["chat"][0]["id"]
    value = order(client, "keep", chat, number)
    assert value["told"].startswith("It is in the library now") and value["chat"][0]["kept"]
    (line,) = value["library"]
    assert (line["here"], line["readers"], line["more"]) == (True, ["how deep?"], 0)
    store.throw_away(chat)
    assert look(client)["library"][0]["readers"] == []
    store.empty_trash(0)
    (line,) = look(client)["library"]
    other = ask(jobs, "again?", blob(jobs, line["sha256"], "notes.md"))
    assert [one.id for one in store.documents_of(other)] == [number]  # not read a second time
    value = order(client, "delete", None, number)
    assert value["library"] == [] and look(client, other)["chat"][0]["id"] == number


def blob(jobs: Jobs, sha256: str, name: str) -> Path:
    """The library's file as the window attaches it."""
    copy = jobs.shelves.kept.blobs.root.parent / name
    copy.write_bytes(jobs.shelves.kept.blobs.path(sha256).read_bytes())
    return copy


def test_many_chats_are_counted(client: TestClient, jobs: Jobs, notes: Path) -> None:
    chats = [ask(jobs, f"question {n}", notes) for n in range(5)]
    value = order(client, "keep", chats[0], look(client, chats[0])["chat"][0]["id"])
    assert value["library"][0]["readers"] == ["question 4", "question 3", "question 2"]
    assert value["library"][0]["more"] == 2


def test_a_removed_document_is_before_the_model_no_more(client: TestClient, jobs: Jobs, notes: Path) -> None:
    chat, store = ask(jobs, "how deep?", notes), jobs.shelves.kept.store
    value = order(client, "remove", chat, look(client, chat)["chat"][0]["id"])
    assert value["chat"] == [] and store._db.execute("select count(*) from documents").fetchone()[0] == 0
    ask(jobs, "and now?", conversation=chat)
    said = str(jobs._engine.requests[-1].messages)  # type: ignore[attr-defined]
    assert "2.1 metres" not in said and "how deep?" in said


def test_a_file_is_read_right_into_the_library(client: TestClient) -> None:
    told = "Über alles.md is in the library now: every chat can use it."
    assert add(client, "%C3%9Cber alles.md", WORDS) == (200, told)
    (line,) = look(client)["library"]
    assert (line["title"], line["readers"], line["problems"]) == ("Über alles.md", [], [])
    assert add(client, "twice.md", WORDS)[0] == 200
    assert len(look(client)["library"]) == 1  # the same content is one document


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"%PDF-1.7\nnothing", "a.pdf: It is damaged"),
        (b"", "a.pdf: There is nothing in it to read."),
        (b"\x7fELF" * 100, "a.pdf: This is not a document"),
    ],
)
def test_what_cannot_be_read_is_told_and_not_kept(client: TestClient, content: bytes, told: str) -> None:
    status, words = add(client, "a.pdf", content)
    assert (status, words.startswith(told)) == (400, True), words
    assert look(client)["library"] == []


def test_reading_into_the_library_shows_progress_and_can_be_stopped(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(path: Path, name: str, on_page: Any, stopped: Any) -> Any:
        on_page(12, 42)
        until(stopped)
        raise Unreadable("stopped", "Reading was stopped.")

    monkeypatch.setattr(reading, "read", slow)
    ended: list[tuple[int, str]] = []
    thread = threading.Thread(target=lambda: ended.append(add(client, "long.md", WORDS)))
    thread.start()
    until(lambda: "12 of 42" in str(look(client)["adding"]))
    (adding,) = look(client)["adding"]
    assert (adding["name"], adding["words"]) == ("long.md", "Reading… page 12 of 42")
    order(client, "stop", None, adding["id"])
    thread.join(20)
    assert ended == [(409, "long.md: Reading was stopped. Nothing was kept.")]
    assert look(client) == {"chat": [], "library": [], "adding": [], "temporary": False, "told": ""}


def test_a_temporary_chat_has_documents_of_its_own(client: TestClient, jobs: Jobs, notes: Path) -> None:
    chat = jobs.shelves.begin_temporary()
    ask(jobs, "how deep?", notes, conversation=chat)
    value = look(client, chat)
    assert value["temporary"] and value["chat"][0]["reads"] == "whole document, 1 of 1 page"
    number = value["chat"][0]["id"]
    assert order(client, "keep", chat, number)["library"] == []
    assert order(client, "rest", chat, number)["chat"][0]["active"] is False
    assert order(client, "remove", chat, number)["chat"] == []


ODD: list[Any] = [None, True, -1, 0.5, 10**30, "1", "", [], {}, "../x", "\0"]


def test_orders_that_mean_nothing_do_nothing(client: TestClient, jobs: Jobs, notes: Path) -> None:
    mine, other = ask(jobs, "mine", notes), ask(jobs, "other")
    number = look(client, mine)["chat"][0]["id"]
    before = list(jobs.shelves.kept.store._db.conn.iterdump())
    for act in ("read", "rest", "remove", "keep", "delete", "stop", *ODD):
        for chat, one in [
            (other, number),
            ("nobody's", number),
            (None, number),
            *((mine, odd) for odd in ODD),
        ]:
            try:
                json.dumps(one)
            except ValueError:
                continue
            order(client, act, chat, one)
    for odd in ODD:
        order(client, odd, mine, number)
        order(client, "remove", odd, number)
    assert list(jobs.shelves.kept.store._db.conn.iterdump()) == before
    for body in (b"", b"[]", b"{", b"x" * 20_000):
        assert client.post("/documents", content=body).status_code == 400
    assert client.post("/documents", data={"act": "remove"}).status_code == 400
    assert look(client, "\0../../x")["chat"] == []


def test_an_order_with_half_a_character_is_refused(client: TestClient) -> None:
    body = b'{"act": "read", "id": 1, "c": "\\ud800"}'
    answer = client.post("/documents", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400 and "Nothing was done" in answer.json()["told"]


def test_an_order_that_breaks_off_does_nothing() -> None:
    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    headers = [(b"content-type", b"application/json")]
    route = ordered(lambda order: pytest.fail("half an order was followed"))
    assert asyncio.run(route(Request({"type": "http", "headers": headers}, gone))).status_code == 400


def test_a_file_that_is_too_large_leaves_nothing(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.lending.FILE_LIMIT", 100)
    assert add(client, "..%2F..%2Fevil.md", WORDS)[0] == 413
    assert look(client)["library"] == []
