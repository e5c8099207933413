"""The guard in front of everything the server offers: loopback is not a boundary.

Knows: which Host and Origin are ours, how the window proves that this person opened it, which headers every
answer carries. Does not know: what is behind it, Gradio, conversations.

Any page in any browser on this computer can reach a loopback port, and a foreign host name can be made to
resolve to it. So: an exact Host (DNS rebinding), no foreign Origin and no cross-site fetch (upload and
component calls need no preflight), a cookie that only a one-time link gives, a CSP that loads nothing
remote, and no address in a path that this server would fetch itself. Pure ASGI: middleware that wraps bodies
would hold back the event stream.

A page cannot run foreign script past this, but the CSP is no defence against script inside our own page:
Gradio needs 'unsafe-eval' and 'unsafe-inline'. That is why no untrusted text ever enters a template.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.notice import CLOSED, notice

CSP = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",  # a remote picture in an answer would tell its server what was said
        "media-src 'self' blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "frame-src 'self' blob:",
        "frame-ancestors 'none'",
        "base-uri 'self'",  # not 'none': Gradio sets <base>
        "form-action 'none'",  # a form in an answer would send this app's own orders
    )
)
HEADERS = (
    ("content-security-policy", CSP),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
)
OPEN_PATHS = frozenset({"/healthz"})  # says only that something is alive
LINK_PATH = "/link"  # where a second start of the app asks for a fresh one-time link, with the owner's key
HOP = '<!doctype html><title>GLM Chat</title><meta http-equiv="refresh" content="0; url={}">'


@dataclass
class Keys:
    """The secrets of one run of the app. Nothing here outlives the process except through the caller.

    cookie: what the window's browser holds. owner: proves the right to ask for another link; kept in a file
    only the user can read.
    """

    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    owner: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    _links: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def link(self) -> str:
        """A token for one opening of the window."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._links.add(token)
        return token

    def redeem(self, token: str) -> bool:
        """Whether the token was good; it is no longer."""
        with self._lock:
            for known in self._links:
                if same(known, token):
                    self._links.remove(known)
                    return True
        return False


def same(secret: str, given: str) -> bool:
    # encoded first: comparing str raises on anything but ASCII, which a cookie may well hold
    return bool(given) and hmac.compare_digest(secret.encode(), given.encode())


class Guard:
    """Outermost ASGI layer. port: the one this server listens on; it is part of every check."""

    def __init__(self, app: ASGIApp, port: int, keys: Keys) -> None:
        self.app = app
        self.keys = keys
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.origins = {f"http://{host}" for host in self.hosts}
        self.cookie = f"glmchat_{port}"  # cookies know no ports: two apps must not overwrite each other's

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        if refused := self._foreign(scope, headers):
            await _plain(send, *refused)
        elif "://" in scope["path"]:
            # Gradio's file= and proxy= fetch such an address for whoever asks: for the page of an answer that
            # holds a picture, they would tell its server what was said, past the CSP
            await _plain(send, 403, "Nothing is fetched from other servers.")
        elif scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, _with_headers(send))
        elif scope["path"] == LINK_PATH:
            await self._hand_out_link(scope, headers, send)
        elif await self._opened_by_link(scope, headers, send):
            pass
        elif not self._has_cookie(headers):
            await _plain(send, 401, notice(CLOSED), "text/html; charset=utf-8")
        else:
            await self.app(scope, receive, _with_headers(send))

    def _foreign(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """The status and words for a request that did not come from our own page or a person's own hand."""
        if headers.get("host", "").lower() not in self.hosts:
            return 421, "This address is not GLM Chat's."
        if headers.get("origin") not in (None, *self.origins):
            return 403, "Requests from other sites are refused."
        site = headers.get("sec-fetch-site")
        if site in ("cross-site", "same-site") and not _is_navigation(scope, headers):
            return 403, "Requests from other sites are refused."
        return None

    async def _hand_out_link(self, scope: Scope, headers: dict[str, str], send: Send) -> None:
        kind, _, key = headers.get("authorization", "").partition(" ")
        if scope["method"] == "POST" and kind.lower() == "bearer" and same(self.keys.owner, key):
            await _plain(send, 200, self.keys.link())
        else:
            await _plain(send, 401, "The owner's key is missing or wrong.")

    async def _opened_by_link(self, scope: Scope, headers: dict[str, str], send: Send) -> bool:
        """Trade a one-time token for the cookie and take it out of the address."""
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        token = query.pop("token", "")
        if scope["path"] != "/" or scope["method"] != "GET" or not token:
            return False
        if "sec-purpose" in headers:  # a browser fetching ahead must not use up the link
            await _plain(send, 403, "Not for fetching ahead.")
            return True
        redeemed = self.keys.redeem(token)
        from_a_page = headers.get("sec-fetch-site") == "cross-site"
        if not redeemed and not from_a_page and not self._has_cookie(headers):
            return False
        window = "/" + (f"?{urlencode(query)}" if query else "")
        cookie = f"{self.cookie}={self.keys.cookie}; HttpOnly; SameSite=Strict; Path=/"
        more = [("set-cookie", cookie)] if redeemed else []
        if from_a_page:  # the splash page: a redirect that another page began would not carry a strict cookie
            await _plain(send, 200, HOP.format(escape(window)), "text/html; charset=utf-8", more)
        else:
            await _plain(send, 303, "", more=[("location", window), *more])
        return True

    def _has_cookie(self, headers: dict[str, str]) -> bool:
        # by hand: http.cookies stops at the first value it dislikes, and other local servers set theirs too
        pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        return any(name == self.cookie and same(self.keys.cookie, value) for name, _, value in pairs)


def _headers(scope: Scope) -> dict[str, str]:
    """By lower-case name. Several with one name are joined, so that two Hosts are none of ours."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        found[key] = f"{found[key]}, {value.decode('latin-1')}" if key in found else value.decode("latin-1")
    return found


def _is_navigation(scope: Scope, headers: dict[str, str]) -> bool:
    """A person following a link to the window itself, in the address bar of a browser."""
    return (
        scope["method"] in ("GET", "HEAD")
        and scope["path"] == "/"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


async def _plain(
    send: Send,
    status: int,
    text: str,
    kind: str = "text/plain; charset=utf-8",
    more: list[tuple[str, str]] | None = None,
) -> None:
    headers = [("content-type", kind), ("cache-control", "no-store"), *(more or []), *HEADERS]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": text.encode()})


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            ours = {name.encode() for name, _ in HEADERS}
            kept = [(name, value) for name, value in message["headers"] if name.lower() not in ours]
            message["headers"] = [*kept, *((name.encode(), value.encode()) for name, value in HEADERS)]
        await send(message)

    return sender
