"""Paths that lead elsewhere and bodies without an end, sent by a program that holds the window's cookie.

Nothing outside the uploads is served or attached, and what is refused or broken off leaves nothing on disk.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from asking import until
from attacked_app import LIMIT
from attacker import attacking
from let_in import Rig, let_in

pytestmark = pytest.mark.slow
SECRET = b"nobody else's business"
BOUNDARY = "b0undary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with let_in(tmp_path_factory.mktemp("attacked")) as rig:
        rig.secret.write_bytes(rig.secret.read_bytes() + SECRET)
        yield rig


# --- paths -----------------------------------------------------------------------------------------------

PATHS = [
    "/gradio_api/file={secret}",
    "/gradio_api/file/{secret}",
    "/gradio_api/file={home}/uploads/../../secret.png",
    "/gradio_api/file={home}/uploads/%2e%2e/%2e%2e/secret.png",
    "/gradio_api/file={home}/uploads/..%2f..%2fsecret.png",
    "/gradio_api/file={home}/uploads/link.png",
    "/gradio_api/file={home}/uploads/folder/secret.png",
    "/gradio_api/file={home}/uploads/folder/home/glmchat.db",
    "/gradio_api/file=file://{secret}",
    "/gradio_api/file=/{secret}",
    "/gradio_api/file={home}/glmchat.db",
    "/gradio_api/file={home}/glmchat.db-wal",
    "/gradio_api/file={home}/run.json",
    "/gradio_api/file={home}/backups",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=/proc/self/environ",
    "/gradio_api/file=app/security.py",
    "/gradio_api/file=http://127.0.0.1:{port}/healthz",
    "/gradio_api/file=http://169.254.169.254/latest/meta-data",
    "/gradio_api/proxy=http://127.0.0.1:{port}/healthz",
    "/media/{secret}",
    "/media/..%2f..%2fsecret.png",
    "/media/../../secret.png",
    "/media/%00",
    "/media/" + "0" * 64 + "%2f..%2f..%2fglmchat.db",
    "/pages/{secret}",
    "/pages/%00",
    "/pages/..%2f..%2fsecret.png/original",
    "/pages/../../secret.png/original",
    "/pages/" + "0" * 64 + "-1%2f..%2f..%2fglmchat.db/original",
    "/pages/" + "0" * 64 + "-1/..%2f..%2foriginal",
    "/pages/" + "0" * 64 + "-1%27%20or%201=1",
    "/pages/" + "0" * 64 + "-1/find?q=%22%20or%20*",
    "/pages/" + "0" * 64 + "-1/1/picture?long=1e9",
    "/pages/" + "0" * 64 + "-999999999999999999999999/1",
    "/tables/..%2f..%2fsecret.png",
    "/tables/1%27%20or%201=1",
    "/tables/999999999999999999999999",
    "/tables/1/save/..%2f..%2fsecret.png",
    "/export/..%2f..%2fsecret.png",
    "/export/markdown%2f..%2f..",
    "/export/json?c=../../secret.png",
    "/export/json?c=%27%20or%201=1",
    "/export/json?c=",
    "/assets/../../../../../../../../../../../../{secret}",
    "/assets/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f{secret}",
    "/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f{secret}",
    "/svelte/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f{secret}",
    "/gradio_api/custom_component/x/client/component/..%2f..%2fsecret.png",
    "/gradio_api/stream/x/1/1/playlist.m3u8",
    "/monitoring/summary",
    "/gradio_api/runs",
]


@pytest.fixture(scope="module")
def links(rig: Rig) -> None:
    (rig.home / "uploads" / "link.png").symlink_to(rig.secret)
    (rig.home / "uploads" / "folder").symlink_to(rig.secret.parent)


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out(rig: Rig, path: str) -> None:
    status, body = rig.ask("GET", path.format(secret=rig.secret, home=rig.home, port=rig.app.port))
    assert status in (400, 403, 404), body[:200]
    assert SECRET not in body and b"SQLite format" not in body and b"root:" not in body


@pytest.mark.parametrize("kind", ["image", "video", "iframe", "style"])
def test_an_export_is_not_made_for_a_page_that_embeds_it(rig: Rig, kind: str) -> None:
    """A picture in an answer can name any address of ours; this one would copy the whole history."""
    assert rig.ask("GET", "/tables/1/save/csv", sec_fetch_site="same-origin", sec_fetch_dest=kind)[0] == 403
    assert rig.ask("GET", "/export/json", sec_fetch_site="same-origin", sec_fetch_dest=kind)[0] == 403
    assert rig.ask("GET", "/export/json", sec_fetch_site="same-origin", sec_fetch_dest="document")[0] == 200


def upload(rig: Rig, name: str, content: bytes) -> str:
    """Where the window's own way of attaching puts a file."""
    status, body = rig.ask("POST", "/gradio_api/upload", form([(name, [content])]), **FORM)
    assert status == 200, body
    return str(json.loads(body)[0])


def form(files: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    for name, pieces in files:
        head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        yield head.encode()
        yield from pieces
        yield b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


def message(rig: Rig, file: dict[str, Any]) -> str:
    """Send a message with a file as the page does, but with any description of it; how it ended."""
    config = rig.config()
    parts = {part["id"]: part for part in config["components"]}
    (box,) = (part["id"] for part in parts.values() if part["props"].get("elem_id") == "box")
    (send,) = (
        one for one in config["dependencies"] if [box, "submit"] in one["targets"] and one["backend_fn"]
    )
    data = [parts[each]["props"].get("value") for each in send["inputs"]]
    data[send["inputs"].index(box)] = {"text": "look", "files": [file]}
    event = {"fn_index": send["id"], "session_hash": "tampered", "data": data, "event_data": None}
    status, body = rig.join(event)
    assert status == 200, body
    return rig.told("tampered")


FILES = ["{secret}", "{home}/uploads/link.png", "{home}/uploads/folder/secret.png", "/proc/self/environ"]
FILES += ["{home}/uploads/../../secret.png", "file://{secret}", "{home}/glmchat.db", "../secret.png"]
FILES += ["{elsewhere}/x.png", "http://127.0.0.1:{port}/media/x.png", "http://evil.example/x.png"]


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize("field", ["path", "url"])
@pytest.mark.parametrize("file", FILES)
def test_a_file_that_was_not_uploaded_is_never_attached(rig: Rig, file: str, field: str) -> None:
    before = rig.messages()
    with attacking() as server:
        path = file.format(secret=rig.secret, home=rig.home, elsewhere=server.address, port=rig.app.port)
        other = {"url": str(rig.secret)} if field == "path" else {"path": "x.png"}
        sent = {field: path, **other, "orig_name": "x.png", "mime_type": "image/png"}
        told = message(rig, {**sent, "meta": {"_type": "gradio.FileData"}})
        assert (server.calls, server.opened) == ([], 0)
    assert SECRET.decode() not in told
    assert rig.messages() == before
    content = rig.secret.read_bytes()
    assert [one for one in rig.home.rglob("*") if one.is_file() and not one.is_symlink()
            and "folder" not in one.parts and one.read_bytes() == content] == []  # fmt: skip


def test_a_file_that_was_uploaded_is_attached(rig: Rig) -> None:
    """The same message with a true upload goes through: what is refused above is refused for its file."""
    path = upload(rig, "true.png", rig.secret.read_bytes())
    before = rig.messages()
    message(rig, {"path": path, "orig_name": "true.png", "meta": {"_type": "gradio.FileData"}})
    assert rig.messages() == before + 2
    until(lambda: not rig.left())


# --- bodies ----------------------------------------------------------------------------------------------


@pytest.fixture
def quietly(rig: Rig) -> Iterator[None]:
    """What is refused or broken off is no surprise: nothing is said about it on the terminal."""
    before = len(rig.app.lines)
    yield
    assert rig.app.lines[before:] == []


def endless(piece: bytes = b"x" * 65536) -> Iterator[bytes]:
    for _ in range(16 * LIMIT // len(piece)):
        yield piece


@pytest.mark.usefixtures("quietly")
@pytest.mark.parametrize("path", ["/import", "/gradio_api/upload", "/tables/1/files", "/library"])
@pytest.mark.parametrize("length", ["told", "not told"])
def test_what_is_too_large_is_refused_and_leaves_nothing(rig: Rig, path: str, length: str) -> None:
    pieces = form([("big.png", endless())]) if "upload" in path else endless()
    body = b"".join(pieces) if length == "told" else pieces
    status, words = rig.ask("POST", path, body, **FORM)
    assert status == 413, words
    until(lambda: not rig.left())


@pytest.mark.usefixtures("quietly")
def test_many_files_are_together_too_large(rig: Rig) -> None:
    pieces = form((f"{n}.png", [b"x" * (LIMIT // 4)]) for n in range(16))
    status, words = rig.ask("POST", "/gradio_api/upload", pieces, **FORM)
    assert status == 413, words
    until(lambda: not rig.left())


@pytest.mark.usefixtures("quietly")
@pytest.mark.parametrize("path", ["/import", "/gradio_api/upload", "/tables/1/files", "/library"])
def test_what_breaks_off_leaves_nothing(rig: Rig, path: str) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in {**FORM, "cookie": rig.cookie}.items())
    begun = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    with socket.create_connection(("127.0.0.1", rig.app.port)) as line:
        request = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{rig.app.port}\r\ncontent-length: 900000\r\n{head}\r\n"
        )
        line.sendall(request.encode() + begun.encode() + b"x" * 300_000)
        until(rig.left)  # it is on its way to the disk
    until(lambda: not rig.left())


@pytest.mark.usefixtures("quietly")
@pytest.mark.parametrize(
    "path", ["/import", "/gradio_api/upload", "/gradio_api/queue/join", "/tables", "/library", "/nowhere"]
)
def test_a_stranger_is_refused_before_the_end(rig: Rig, path: str) -> None:
    with socket.create_connection(("127.0.0.1", rig.app.port), timeout=30) as line:
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{rig.app.port}\r\ntransfer-encoding: chunked\r\n\r\n"
        line.sendall(head.encode() + b"10000\r\n" + b"x" * 65536 + b"\r\n")
        assert line.recv(65536).startswith(b"HTTP/1.1 401")
    assert rig.left() == []


@pytest.mark.usefixtures("quietly")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 200_000,
        b"PK\x03\x04" + b"\0" * 100,
        b"\xff" * 1000,
        b'{"conversations": [{}]}',
        b"9" * 9999,
    ],
)
def test_nonsense_is_told_in_words(rig: Rig, body: bytes) -> None:
    status, words = rig.ask("POST", "/import", body)
    assert status == 400 and "Traceback" not in json.loads(words)["words"]
    assert rig.left() == []


DOCUMENTS: list[bytes] = [
    b"", b"{", b"5", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"id": NaN, "act": "remove"}',
    b'{"act": [], "id": 1}', b'{"act": {"a": 1}, "id": 1, "c": {}}', b'{"act": "remove", "id": 1, "c": "x"}',
    b'{"act": "delete", "id": 999999999999999999999999999}', b'{"act": "keep", "id": true, "c": 5}',
    b'{"act": "stop", "id": -1}', b'{"act": "' + b"x" * 20_000 + b'", "id": 1}',
]  # fmt: skip


@pytest.mark.usefixtures("quietly")
@pytest.mark.parametrize("order", DOCUMENTS)
def test_an_order_about_documents_that_cannot_be_does_nothing(rig: Rig, order: bytes) -> None:
    status, words = rig.ask("POST", "/documents", order, content_type="application/json")
    assert status in (200, 400) and isinstance(json.loads(words)["told"], str)
    value = json.loads(rig.ask("GET", "/documents?c=%00..%2f..%2fx")[1])
    assert (value["chat"], value["library"], value["adding"]) == ([], [], [])
    assert rig.ask("POST", "/documents", b'{"act": "keep", "id": 1}', content_type="text/plain")[0] == 400


@pytest.mark.usefixtures("quietly")
@pytest.mark.parametrize("name", ["..%2f..%2fsecret.md", "%00", "a%0d%0ab.md", "%2fetc%2fpasswd", "x" * 5000])
def test_a_name_for_the_library_leads_nowhere(rig: Rig, name: str) -> None:
    status, words = rig.ask("POST", "/library", b"%PDF-1.7 nothing", x_file_name=name)
    assert status == 400 and "damaged" in json.loads(words)["told"]
    assert rig.left() == []


@pytest.mark.usefixtures("quietly")
@pytest.mark.parametrize(
    "order",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"act": "new", "columns": "a, a"}',
        b'{"act": "new", "columns": ["a"]}',
        b'{"act": "start", "id": 999999999999999999999999999}',
        b'{"act": "start", "id": "1 or 1=1"}',
        b'{"act": "delete", "id": null}',
        b'{"act": "stop", "id": {"a": 1}}',
        b'{"act": "new", "columns": "' + b"x" * 200_000 + b'"}',
    ],
)
def test_an_order_that_cannot_be_is_told_in_words(rig: Rig, order: bytes) -> None:
    status, words = rig.ask("POST", "/tables", order, content_type="application/json")
    assert status in (200, 400) and json.loads(words)["told"].endswith(".")
    assert json.loads(rig.ask("GET", "/tables")[1])["tables"] == []
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert rig.ask("POST", "/tables", b'{"act": "new", "columns": "a"}', **form)[0] == 400
