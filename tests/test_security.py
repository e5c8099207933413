"""The guard, request by request: everything that is not this person's own window is turned away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.security import CSP, Guard, Keys, same

PORT = 4545
HOST = f"127.0.0.1:{PORT}"
Reply = tuple[int, dict[str, str], str]


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """Stands behind the guard and says that it was reached."""
    headers = [(b"content-type", b"text/plain"), (b"X-Frame-Options", b"ALLOWALL")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"reached"})


@pytest.fixture
def keys() -> Keys:
    return Keys()


def ask(keys: Keys, path: str = "/", method: str = "GET", query: str = "", **headers: str) -> Reply:
    """Send one request through the guard. Header names: underscores stand for dashes."""
    named = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in named.items() if value]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw}
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(inner, PORT, keys)(scope, None, send))  # type: ignore[arg-type]
    got = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], got, sent[1]["body"].decode()


def cookie(keys: Keys) -> str:
    return f"glmchat_{PORT}={keys.cookie}"


def test_the_window_gets_through(keys: Keys) -> None:
    status, _, body = ask(
        keys, "/gradio_api/queue/join", "POST", cookie=cookie(keys), origin=f"http://{HOST}"
    )
    assert (status, body) == (200, "reached")


def test_foreign_cookies_beside_ours_do_no_harm(keys: Keys) -> None:
    assert ask(keys, cookie=f'other={{"a b":1}}; {cookie(keys)}; x')[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:4545", "127.0.0.1", "localhost:80", "127.0.0.1:45450", "[::1]:4545", ""],
)
def test_only_our_host(keys: Keys, host: str) -> None:
    assert ask(keys, host=host, cookie=cookie(keys))[0] == 421


def test_two_hosts_are_none(keys: Keys) -> None:
    raw = [(b"host", HOST.encode()), (b"host", b"evil.example"), (b"cookie", cookie(keys).encode())]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": raw}
    asyncio.run(Guard(inner, PORT, keys)(scope, None, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:4546", "https://127.0.0.1:4545"]
)
def test_no_foreign_origin(keys: Keys, origin: str) -> None:
    assert ask(keys, "/gradio_api/upload", "POST", cookie=cookie(keys), origin=origin)[0] == 403
    assert ask(keys, "/healthz", origin=origin)[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_no_fetch_from_another_site(keys: Keys, site: str) -> None:
    assert ask(keys, "/", cookie=cookie(keys), sec_fetch_site=site, sec_fetch_mode="no-cors")[0] == 403
    frame = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}
    assert ask(keys, "/", cookie=cookie(keys), sec_fetch_site=site, **frame)[0] == 403
    link = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert ask(keys, "/", cookie=cookie(keys), sec_fetch_site=site, **link)[0] == 200
    assert ask(keys, "/config", cookie=cookie(keys), sec_fetch_site=site, **link)[0] == 403
    assert ask(keys, "/", "POST", cookie=cookie(keys), sec_fetch_site=site, **link)[0] == 403


@pytest.mark.parametrize(
    "given", ["", "glmchat_4545=wrong", "glmchat_4545=\xe9", "glmchat_4546={key}", "glmchat_4545="]
)
def test_no_cookie_no_page(keys: Keys, given: str) -> None:
    status, headers, body = ask(keys, cookie=given.format(key=keys.cookie))
    assert status == 401
    assert "Open GLM Chat from its icon" in body
    assert headers["content-type"].startswith("text/html")
    assert headers["cache-control"] == "no-store"


def test_a_link_opens_the_window_once(keys: Keys) -> None:
    token = keys.link()
    status, headers, _ = ask(keys, query=f"token={token}&c=01ABC")
    assert (status, headers["location"]) == (303, "/?c=01ABC")
    assert headers["set-cookie"] == f"{cookie(keys)}; HttpOnly; SameSite=Strict; Path=/"
    assert ask(keys, query=f"token={token}")[0] == 401
    status, headers, _ = ask(keys, query=f"token={token}", cookie=cookie(keys))
    assert (status, headers["location"]) == (303, "/")
    assert "set-cookie" not in headers


def test_a_browser_fetching_ahead_does_not_use_the_link_up(keys: Keys) -> None:
    token = keys.link()
    assert ask(keys, query=f"token={token}", sec_purpose="prefetch;prerender")[0] == 403
    assert ask(keys, query=f"token={token}")[0] == 303


def test_a_token_works_only_at_the_door(keys: Keys) -> None:
    token = keys.link()
    assert ask(keys, "/config", query=f"token={token}")[0] == 401
    assert ask(keys, "/", "POST", query=f"token={token}")[0] == 401
    assert ask(keys, query="token=")[0] == 401


def test_the_cookie_is_no_owner_key(keys: Keys) -> None:
    assert ask(keys, "/link", "POST", authorization=f"Bearer {keys.cookie}", cookie=cookie(keys))[0] == 401
    assert ask(keys, "/link", "GET", authorization=f"Bearer {keys.owner}")[0] == 401
    assert (
        ask(keys, "/link", "POST", authorization=f"Bearer {keys.owner}", origin="http://evil.example")[0]
        == 403
    )
    status, _, token = ask(keys, "/link", "POST", authorization=f"Bearer {keys.owner}")
    assert status == 200
    assert ask(keys, query=f"token={token}")[0] == 303


@pytest.mark.parametrize(
    "path",
    ["file=https://evil.example/x", "file=HTTP://evil.example", "file/http://a", "proxy=https://a.hf.space"],
)
def test_no_address_is_fetched_for_a_page(keys: Keys, path: str) -> None:
    status, _, body = ask(keys, f"/gradio_api/{path}", cookie=cookie(keys))
    assert (status, body) == (403, "Nothing is fetched from other servers.")
    assert ask(keys, "/gradio_api/file=/home/x: y//z.png", cookie=cookie(keys))[0] == 200


def test_health_needs_no_cookie_but_our_host(keys: Keys) -> None:
    assert ask(keys, "/healthz")[0] == 200
    assert ask(keys, "/healthz", host="evil.example")[0] == 421


def test_every_answer_carries_the_headers_once(keys: Keys) -> None:
    for reply in (ask(keys, cookie=cookie(keys)), ask(keys), ask(keys, host="evil.example")):
        assert reply[1]["content-security-policy"] == CSP
        assert reply[1]["x-frame-options"] == "DENY"
        assert reply[1]["x-content-type-options"] == "nosniff"


def test_websockets_are_closed(keys: Keys) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(inner, PORT, keys)({"type": "websocket"}, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_secrets_differ_and_compare() -> None:
    assert len({Keys().cookie, Keys().cookie, Keys().owner, Keys().link()}) == 4
    assert same("a", "a") and not same("a", "") and not same("a", "ä")


def test_a_link_followed_from_a_page_goes_on_by_a_page_of_ours(keys: Keys) -> None:
    """As the splash page does: browsers keep a strict cookie back from redirects that another page began."""
    from_page = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    status, headers, body = ask(keys, query=f"token={keys.link()}&c=1%22%3E%3Cscript%3E", **from_page)
    assert status == 200 and keys.cookie in headers["set-cookie"]
    assert 'content="0; url=/?c=1%22%3E%3Cscript%3E"' in body
    status, headers, body = ask(
        keys, query="token=used", **from_page
    )  # the browser may have the cookie by now
    assert status == 200 and "set-cookie" not in headers and keys.cookie not in body
