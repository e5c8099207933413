"""A document's pages as the window gets them: pictures, text, marks, what is found; and what is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import docx
import papers
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from app.blobs import Blobs
from app.choices import Choices
from app.documents import reading
from app.documents.indexing import chunks
from app.documents.pages import Document
from app.orders import EMBEDDED
from app.shelves import Shelf, Shelves
from app.store import Message, Part, Store, StoredBlob
from app.ui import sources, viewer
from app.ui.messages import exchanges

LINES = ["The harbour of Sennen", "Its sill lies 2.1 metres under", "the lowest water; the sill is of oak."]


@pytest.fixture
def shelves(store: Store, blobs: Blobs) -> Iterator[Shelves]:
    shelves = Shelves(store, blobs)
    yield shelves
    shelves.close()


@pytest.fixture
def client(shelves: Shelves) -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(viewer.Viewer(shelves).router())
    with TestClient(app) as client:
        yield client


@cache
def read_once(content: bytes) -> Document:
    with NamedTemporaryFile() as file:
        Path(file.name).write_bytes(content)
        return reading.read(Path(file.name))


def kept(shelf: Shelf, file: Path, name: str, conversation: str | None = None) -> str:
    """Read a file as a turn does; the name its pages are asked for by."""
    blob = shelf.blobs.put(file)
    stored = StoredBlob(blob.sha256, "application/octet-stream", blob.bytes)
    document = shelf.store.begin_document(stored, 1, name, "text")
    read = read_once(file.read_bytes())
    shelf.store.finish_document(document, replace(read, title=name), list(chunks(read.pages, name)))
    shelf.store.give_document(conversation or shelf.store.begin_conversation("x"), document)
    return viewer.address(shelf.store)(document)


@pytest.fixture
def paper(shelves: Shelves, tmp_path: Path) -> str:
    (tmp_path / "paper").write_bytes(papers.pdf([LINES, ["Second page"], ["Third, of the sill"]]))
    return kept(shelves.kept, tmp_path / "paper", "Harbour <b>.pdf")


@pytest.fixture
def report(shelves: Shelves, tmp_path: Path) -> str:
    made = docx.Document()
    made.add_heading("Dépths", 1)
    made.add_paragraph("Under 北京 𝔸 lies <script>alert(1)</script> the sill.")
    made.save(str(tmp_path / "report"))
    return kept(shelves.kept, tmp_path / "report", "Report.docx")


def asked(client: TestClient, path: str, **query: object) -> Any:
    answer = client.get(f"/pages/{path}", params={name: str(value) for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def drawn(client: TestClient, path: str) -> Image.Image:
    answer = client.get(f"/pages/{path}/picture?long=1000")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    return Image.open(io.BytesIO(answer.content)).convert("L")


def ink(image: Image.Image, box: Sequence[float]) -> float:
    """The share of dark pixels in a box given in parts of the picture."""
    left, top, width, height = box
    x, right = (round(side * image.width) for side in (left, left + width))
    y, bottom = (round(side * image.height) for side in (top, top + height))
    part = image.crop((x, y, right, bottom))
    return sum(part.histogram()[:128]) / (part.width * part.height)


# --- a document ------------------------------------------------------------------------------------------


def test_a_paper_is_told_with_its_pages(client: TestClient, paper: str) -> None:
    told = asked(client, paper)
    assert (told["title"], told["total"], told["numbers"]) == ("Harbour <b>.pdf", 3, [1, 2, 3])
    assert told["pictured"] and told["original"] and told["scale"] == pytest.approx(96 / 72)


def test_the_words_lie_under_their_boxes(client: TestClient, paper: str) -> None:
    text = asked(client, f"{paper}/1")["text"]
    start = text.index("2.1 metres")
    span = {"start": start, "end": text.index("water") + len("water")}
    assert asked(client, f"{paper}/1", **span)["marks"] == [[span["start"], span["end"]]]
    found = asked(client, f"{paper}/1/marks", **span)
    assert len(found["boxes"]) == 2 and not found["outline"]
    picture = drawn(client, f"{paper}/1")
    assert max(picture.size) == 1000
    assert all(ink(picture, box) > 0.08 for box in found["boxes"])
    below = [[left, top + 0.2, width, height] for left, top, width, height in found["boxes"]]
    assert all(ink(picture, box) == 0 for box in below)


def test_words_that_are_looked_for_are_marked_each_time(client: TestClient, paper: str) -> None:
    found = asked(client, f"{paper}/find", q="SÏLL")
    assert [(hit["page"], hit["count"]) for hit in found["hits"]] == [(1, 2), (3, 1)]
    assert (found["pages"], found["places"]) == (2, 3)
    assert found["hits"][0]["excerpt"][1] == "sill"
    assert len(asked(client, f"{paper}/1/marks", q="sill")["boxes"]) == 2
    assert asked(client, f"{paper}/find", q="nowhere")["hits"] == []
    assert asked(client, f"{paper}/find", q='%_" or 1=1 --')["hits"] == []
    assert asked(client, f"{paper}/find", q="sill" * 1000)["hits"] == []


def test_a_report_has_text_and_no_pictures(client: TestClient, report: str) -> None:
    told = asked(client, report)
    assert not told["pictured"] and told["numbers"] == [1]
    page = asked(client, f"{report}/1", q="sill")
    ((start, end),) = page["marks"]
    assert page["text"][start:end] == "sill" and "<script>" in page["text"] and page["label"] == "Dépths"
    assert asked(client, f"{report}/1/marks", q="sill") == {"boxes": [], "outline": True}
    assert client.get(f"/pages/{report}/1/picture?long=1000").status_code == 404


def test_a_scan_that_was_read_off_is_outlined(client: TestClient, shelves: Shelves, tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(papers.scanned())
    name = kept(shelves.kept, tmp_path / "scan", "Scan.pdf")
    store, document = shelves.kept.store, int(name.split("-")[1])
    (page,) = store.pages(document)
    store.replace_page(document, replace(page, text="A scanned page", source="vlm-ocr"), [])
    assert asked(client, f"{name}/1", start=2, end=9)["read_off"]
    assert asked(client, f"{name}/1/marks", start=2, end=9) == {"boxes": [], "outline": True}
    assert asked(client, f"{name}/1/marks") == {"boxes": [], "outline": False}


def test_a_page_whose_text_could_not_be_read_is_still_drawn(
    client: TestClient, shelves: Shelves, paper: str
) -> None:
    shelves.kept.store._db.execute("delete from pages where number = 2")
    assert asked(client, paper)["numbers"] == [1, 2, 3]
    assert asked(client, f"{paper}/2", q="x")["text"] == ""
    assert drawn(client, f"{paper}/2").width > 600


# --- what is kept, what is a download -----------------------------------------------------------------------


def test_a_picture_is_kept_by_the_browser_unless_the_chat_is_temporary(
    client: TestClient, shelves: Shelves, paper: str, tmp_path: Path
) -> None:
    answer = client.get(f"/pages/{paper}/1/picture?long=1000")
    assert "immutable" in answer.headers["cache-control"]
    again = client.get(
        f"/pages/{paper}/1/picture?long=1000", headers={"if-none-match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    conversation = shelves.begin_temporary()
    passing = kept(shelves.of(conversation), tmp_path / "paper", "Secret.pdf", conversation)
    assert asked(client, passing)["title"] == "Harbour <b>.pdf"  # one number, one content: the kept one
    (tmp_path / "other").write_bytes(papers.pdf([["Another"]]))
    passing = kept(shelves.of(conversation), tmp_path / "other", "Secret.pdf", conversation)
    answer = client.get(f"/pages/{passing}/1/picture?long=1000")
    assert answer.headers["cache-control"] == "no-store"
    shelves.forget(conversation)
    gone = client.get(f"/pages/{passing}")
    assert (gone.status_code, gone.json()) == (404, {"told": viewer.GONE})


def test_the_original_is_a_download_whatever_it_is(
    client: TestClient, shelves: Shelves, tmp_path: Path
) -> None:
    (tmp_path / "page").write_text("<html><title>x</title><p>Words of a page<script>alert(1)</script>")
    name = kept(shelves.kept, tmp_path / "page", '../ev"il\r\nset-cookie: a=b<svg>.html')
    answer = client.get(f"/pages/{name}/original")
    assert answer.headers["content-type"] == "application/octet-stream"
    shown = answer.headers["content-disposition"]
    assert shown.startswith("attachment") and "/" not in shown.removeprefix("attachment; filename*=utf-8''")
    assert "set-cookie" not in answer.headers and answer.content == (tmp_path / "page").read_bytes()


def test_a_missing_file_leaves_its_text(client: TestClient, shelves: Shelves, paper: str) -> None:
    shelves.kept.blobs.path(paper.split("-")[0]).unlink()
    assert asked(client, paper)["original"] is False
    assert "2.1 metres" in asked(client, f"{paper}/1")["text"]
    for path in (f"{paper}/1/picture?long=1000", f"{paper}/original", f"{paper}/1/marks?q=sill"):
        answer = client.get(f"/pages/{path}")
        assert (answer.status_code, answer.json()) == (404, {"told": viewer.NO_FILE})


def test_a_damaged_page_is_told_in_words(client: TestClient, shelves: Shelves, paper: str) -> None:
    shelves.kept.blobs.path(paper.split("-")[0]).write_bytes(b"%PDF-1.7\nnothing")
    answer = client.get(f"/pages/{paper}/1/picture?long=1000")
    assert answer.status_code == 422
    assert answer.json()["told"].startswith("This page cannot be drawn. It is damaged")


# --- what is refused ----------------------------------------------------------------------------------------

SHA = "0" * 64


@pytest.mark.parametrize(
    "path",
    [
        *(
            "{d}/0",
            "{d}/4",
            "{d}/-1",
            "{d}/1.0",
            "{d}/1e3",
            "{d}/١",
            "{d}/99999999999999",
            "{d}/x",
            "{d}/1/other",
        ),
        *("{d}/4/picture?long=1000x", "{d}/1/picture", "{d}/1/picture?long=999999", "{d}/1/picture?long=-1"),
        *("{d}/1/picture?long=١٠٠٠", f"{SHA}-1", f"{SHA}-1/1", f"{SHA}-1/original", f"{SHA}-1/find?q=x"),
        *(
            "x",
            "{d}x",
            "{d}-1",
            "..%2f..%2fglmchat.db",
            f"{SHA}-%00",
            f"{SHA}-99999999999999999999",
            "{d}/..%2foriginal",
        ),
    ],
)
def test_what_is_not_there_is_refused_in_a_sentence(client: TestClient, paper: str, path: str) -> None:
    answer = client.get(f"/pages/{path.format(d=paper)}")
    assert answer.status_code == 404
    assert next(iter(answer.json().values())) in (viewer.GONE, viewer.NO_PAGE, "Not Found")


@pytest.mark.parametrize(
    "span", ["start=5&end=5", "start=9&end=2", "start=0&end=99999999", "start=-1&end=3", "start=x"]
)
def test_a_place_that_is_none_marks_nothing(client: TestClient, paper: str, span: str) -> None:
    assert client.get(f"/pages/{paper}/1?{span}").json()["marks"] == []
    assert client.get(f"/pages/{paper}/1/marks?{span}").json() == {"boxes": [], "outline": False}


@pytest.mark.parametrize("kind", sorted(EMBEDDED))
def test_nothing_of_a_document_is_embedded(client: TestClient, paper: str, kind: str) -> None:
    for path in ("", "/1/picture?long=1000", "/original", "/find?q=sill"):
        assert client.get(f"/pages/{paper}{path}", headers={"sec-fetch-dest": kind}).status_code == 403


def test_too_many_pages_at_once_wait_their_turn_in_words(
    client: TestClient, shelves: Shelves, paper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer, "PATIENCE", 0.01)
    monkeypatch.setattr(viewer, "AT_ONCE", 1)
    busy = viewer.Viewer(shelves)
    app = FastAPI()
    app.include_router(busy.router())
    with busy._turn():
        answer = TestClient(app).get(f"/pages/{paper}/1/picture?long=1000")
    assert (answer.status_code, answer.json()) == (503, {"told": viewer.BUSY})
    assert TestClient(app).get(f"/pages/{paper}/1/picture?long=1000").status_code == 200


# --- what an answer leads to --------------------------------------------------------------------------------

CHECKED = {"how": "exact", "verified": True, "title": "A.pdf", "label": "page 3"}
CHECKED |= {"document": 7, "page": 3, "start": 1, "end": 9}


def turn(*quotations: dict[str, Any], evidence: dict[str, Any] | None = None) -> list[Message]:
    parts = [Part("text", "So "), *(Part("citation", "x", None, data) for data in quotations)]
    asked = Message("q", "user", "complete", (Part("text", "?"),), evidence=evidence or {})
    return [asked, Message("a", "assistant", "complete", tuple(parts))]


def shown(path: Sequence[Message]) -> str:
    return str(exchanges(path, "/media/")[1]["content"][0]["text"])


def test_a_checked_quotation_leads_to_its_page() -> None:
    path = turn({"number": 3, "words": "a  b", **CHECKED})
    assert shown(path) == f"So [&#91;3&#93;]({sources.PREFIX}0)"
    (quote,) = sources.by_answer(path, lambda number: f"sha-{number}")["a"]["quotes"]
    assert (quote["document"], quote["page"], quote["start"], quote["end"]) == ("sha-7", 3, 1, 9)
    assert (quote["words"], quote["label"], quote["verified"]) == ("a b", "page 3", True)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"document": 7, "page": 3},
        {**CHECKED, "document": "7"},
        {**CHECKED, "page": None},
        {**CHECKED, "page": 0},
    ],
)
def test_an_imported_or_odd_quotation_leads_nowhere(data: dict[str, Any]) -> None:
    path = turn({"number": 3, "words": "a b", **data, "verified": False})
    assert shown(path) == "So &#91;3?&#93;"
    assert sources.by_answer(path, str)["a"]["quotes"][0]["document"] is None


def test_what_was_read_leads_to_its_first_page_even_when_it_is_gone() -> None:
    reading = [
        {"document": 7, "title": "A.pdf", "read": 2, "total": 9},
        {"title": "old.pdf", "read": 1, "total": 1},
    ]
    evidence = {"places": [[1, 7, 5, 0, 1], [2, 7, 4, 0, 1], [3, 8, 1, 0, 1]], "reading": reading}
    value = sources.by_answer(turn(evidence=evidence), lambda number: "")["a"]
    assert [(one["document"], one["page"], one["words"]) for one in value["read"]] == [
        ("", 4, "2 of 9 pages"),
        (None, 1, "whole document, 1 of 1 page"),
    ]
    assert value["unproven"] and not value["demo"]
    assert sources.by_answer(turn(), str) == {}


def test_an_answer_of_the_demo_model_says_so_where_documents_were_read() -> None:
    question, answer = turn(evidence={"places": [], "reading": []})
    told = sources.told(replace(answer, options=Choices(demo=True).options()), question.evidence, str)
    assert told is not None and told["demo"] and not told["unproven"]
    odd = sources.told(replace(answer, options={"demo": "yes"}), question.evidence, str)
    assert odd is not None and odd["unproven"] and not odd["demo"]
    assert sources.told(replace(answer, options=Choices(demo=True).options()), {}, str) is None


def test_an_answer_is_copied_with_its_quotations_as_footnotes() -> None:
    found, nowhere = (
        {"number": 3, "words": "a b", **CHECKED},
        {"number": 4, "words": "c", **CHECKED, "verified": False},
    )
    value = sources.by_answer(turn(found, nowhere, found), str)["a"]
    assert value["plain"] == "So [3][4?][3]\n\n[3] A.pdf, page 3: “a b”\n[4?] not found in the documents: “c”"


def test_no_answer_can_write_such_a_link_itself() -> None:
    answer = Message("b", "assistant", "complete", (Part("text", "[1](#quote-0)"),))
    assert shown([turn()[0], answer]) == "[1](#quote-0)" != f"[1]({sources.PREFIX}0)"
    assert len(sources.PREFIX) > 20
