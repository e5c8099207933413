"""A model hub in a thread: the addresses, headers and redirects of the real one, and every way it can fail.

Knows: /api/models/…/revision/…, …/tree/…, resolve with ranges and a redirect to a second path, ETags,
commits. Does not know: who asks. Source of the form: what the client library asks for and reads from the
answers.

A fault is a function that is called with (server, handler, name) before a file's bytes are sent, and
returns True where it has answered in its own way. `faults` holds them by the number of the request for
bytes, "*": all.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LFS = re.compile(r".*\.safetensors|tokenizer\.json")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
Fault = Callable[["Hub", "Handler", str], bool]


@dataclass
class Hub:
    """What the server holds and how it behaves. files: of the one repository, by name.

    claimed: checksums to claim instead of the true ones. listed: False: sizes and checksums are not in the
    list, only in each file's own answer, as some mirrors do. status: answer every request so.
    """

    repo: str
    files: dict[str, bytes]
    faults: dict[int | str, Fault] = field(default_factory=dict)
    claimed: dict[str, str] = field(default_factory=dict)
    listed: bool = True
    commit: str = COMMIT
    ranges: bool = True
    status: int = 0
    body: bytes = b'{"error": "as told"}'
    retry_after: str = ""
    error_code: str = ""
    pace: float = 0.0  # seconds between pieces
    piece: int = 1 << 14
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, range
    authorized: list[str] = field(default_factory=list)  # paths that a login token was sent to
    sent: int = 0
    url: str = ""
    storage: str = (
        ""  # the same server by another name: to the client it is another host, as the hub's storage is
    )
    gate: threading.Event = field(default_factory=threading.Event)

    def sha(self, name: str) -> str:
        return self.claimed.get(name) or hashlib.sha256(self.files[name]).hexdigest()

    def git(self, name: str) -> str:
        body = self.files[name]
        return self.claimed.get(name) or hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()

    def etag(self, name: str) -> str:
        return self.sha(name) if LFS.fullmatch(name) else self.git(name)

    def downloads(self) -> list[tuple[str, str]]:
        """The requests for bytes so far: path of the file and the range asked for."""
        return [(path, span) for method, path, span in self.asked if method == "GET" and "/bytes/" in path]


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        if self.headers.get("Authorization"):
            self.hub.authorized.append(path)
        if self.hub.status:
            extra = {"X-Error-Code": self.hub.error_code} if self.hub.error_code else {}
            if self.hub.retry_after:
                extra["Retry-After"] = self.hub.retry_after
            return self.say(self.hub.status, self.hub.body, extra)
        repo = re.escape(self.hub.repo)
        if re.fullmatch(rf"/api/models/{repo}(/revision/\w+)?", path):
            return self.say(200, json.dumps(self.described()).encode())
        if re.fullmatch(rf"/api/models/{repo}/tree/\w+", path):
            tree = [self.in_tree(name) for name in self.hub.files]
            return self.say(200, json.dumps(tree).encode())
        if (found := re.fullmatch(rf"/{repo}/resolve/(\w+)/(.+)", path)) and found[2] in self.hub.files:
            if found[1] not in (self.hub.commit, "main"):
                return self.say(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return self.resolve(found[2])
        if (found := re.fullmatch(r"/bytes/(.+)", path)) and found[1] in self.hub.files:
            return self.bytes(found[1])
        self.say(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})

    def described(self) -> dict[str, Any]:
        files = [self.entry(name) for name in self.hub.files]
        siblings = [
            {"rfilename": f["path"], **({k: f[k] for k in f if k != "path"} if self.hub.listed else {})}
            for f in files
        ]
        return {
            "id": self.hub.repo,
            "modelId": self.hub.repo,
            "sha": self.hub.commit,
            "private": False,
            "tags": ["license:mit"],
            "cardData": {"license": "mit"},
            "siblings": siblings,
        }

    def entry(self, name: str) -> dict[str, Any]:
        size = len(self.hub.files[name])
        lfs = {"sha256": self.hub.sha(name), "size": size, "pointerSize": 134}
        # The list's key is blobId, and a file in LFS has the checksum of its content beside it.
        entry = {"path": name, "size": size, "blobId": self.hub.git(name)}
        return {**entry, "lfs": lfs} if LFS.fullmatch(name) else entry

    def in_tree(self, name: str) -> dict[str, Any]:
        """The same in the tree's words."""
        said = {"type": "file", "path": name, "size": len(self.hub.files[name]), "oid": self.hub.git(name)}
        if LFS.fullmatch(name):
            said["lfs"] = {"oid": self.hub.sha(name), "size": said["size"], "pointerSize": 134}
        return said

    def resolve(self, name: str) -> None:
        """Large files are handed on to another path, as the hub does to its storage; small ones come at
        once.
        """
        about = {
            "X-Repo-Commit": self.hub.commit,
            "ETag": f'"{self.hub.etag(name)}"',
            "Accept-Ranges": "bytes",
        }
        if LFS.fullmatch(name):
            about |= {
                "X-Linked-ETag": f'"{self.hub.etag(name)}"',
                "Location": self.hub.storage + f"/bytes/{name}",
            }
            return self.say(302, b"", about | {"X-Linked-Size": str(len(self.hub.files[name]))})
        self.hub.asked.append((self.command, f"/bytes/{name}", self.headers.get("Range", "")))
        self.bytes(name, about)

    def bytes(self, name: str, about: dict[str, str] | None = None) -> None:
        body = self.hub.files[name]
        if self.command == "GET":
            number = len(self.hub.downloads())
            fault = self.hub.faults.get(number) or self.hub.faults.get("*")
            if fault and fault(self.hub, self, name):
                return
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not found or not self.hub.ranges:
            return self.say(200, body, about)
        start, end = int(found[1]), min(int(found[2] or len(body) - 1), len(body) - 1)
        if start >= len(body):
            return self.say(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        span = {"Content-Range": f"bytes {start}-{end}/{len(body)}"}
        self.say(206, body[start : end + 1], {**(about or {}), **span})

    def say(
        self, status: int, body: bytes, more: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        """Answer; `length` is claimed instead of the true one."""
        self.send_response(status)
        for key, value in (more or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            for at in range(0, len(body), self.hub.piece):
                self.wfile.write(body[at : at + self.hub.piece])
                self.hub.sent += min(self.hub.piece, len(body) - at)
                if self.hub.pace:
                    self.wfile.flush()
                    time.sleep(self.hub.pace)
        except OSError:
            self.close_connection = True

    def drop(self) -> None:
        """End the connection in the middle, as a network does."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


# --- faults ----------------------------------------------------------------------------------------------


def start_of(handler: Handler) -> int:
    found = re.match(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    return int(found[1]) if found else 0


def broken_after(count: int) -> Fault:
    """`count` bytes come, then the connection breaks."""

    def fault(hub: Hub, handler: Handler, name: str) -> bool:
        start, body = start_of(handler), hub.files[name]
        part = body[start : start + count]
        span = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        handler.say(
            206 if start else 200, part, span, length=len(body) - start + (len(part) == len(body) - start)
        )
        handler.drop()
        return True

    return fault


def truncated(count: int) -> Fault:
    """An answer that claims to be whole and ends after `count` bytes."""

    def fault(hub: Hub, handler: Handler, name: str) -> bool:
        start, body = start_of(handler), hub.files[name]
        span = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        handler.say(206 if start else 200, body[start : start + count], span)
        return True

    return fault


def wrong(at: int = 0) -> Fault:
    """All bytes come, one of them changed."""

    def fault(hub: Hub, handler: Handler, name: str) -> bool:
        start, body = start_of(handler), bytearray(hub.files[name])
        place = start + at % max(len(body) - start, 1)
        body[min(place, len(body) - 1)] ^= 0x41
        span = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        handler.say(206 if start else 200, bytes(body[start:]), span)
        return True

    return fault


def refused(status: int, retry_after: str = "") -> Fault:
    def fault(hub: Hub, handler: Handler, name: str) -> bool:
        handler.say(status, b"no", {"Retry-After": retry_after} if retry_after else {})
        return True

    return fault


def whole_instead(hub: Hub, handler: Handler, name: str) -> bool:
    """The range is ignored and the file comes from its beginning."""
    handler.say(200, hub.files[name])
    return True


def longer(hub: Hub, handler: Handler, name: str) -> bool:
    """More comes than the file has."""
    handler.say(200, hub.files[name] + b"and more" * 1000)
    return True


def silent(hub: Hub, handler: Handler, name: str) -> bool:
    """Not a byte comes until the gate is opened."""
    hub.gate.wait(30)
    handler.drop()
    return True


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub on a free port of loopback; its address is hub.url."""
    handler = type("Here", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    hub.storage = f"http://localhost:{server.server_address[1]}"
    try:
        yield hub
    finally:
        hub.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
