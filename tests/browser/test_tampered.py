"""Messages that no page of ours sends, from a program that holds its cookie: each is refused in a word.

The real app over HTTP: no traceback on its terminal, none of its inside in an answer, nothing of it left
behind, and the next question is answered as ever.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from let_in import Rig, let_in

pytestmark = pytest.mark.slow
INSIDE = ("Traceback", 'File "', "site-packages", "Error:", "Exception", "gradio.", "app/")
SESSIONS = itertools.count()  # a page that was opened just now
ODD: list[Any] = [
    None, True, -1, 0.5, 1e308, 10**400, "", "\ud800", "\0", "../x", "x" * 100_000, [], {}, [[[]]],
    ["x"] * 5000, {"a": {"b": [None]}}, [{"name": 1, "text": "\ud800"}, {"name": "\ud800 x", "text": "y"}],
]  # fmt: skip
NAMES = (
    "asked",
    "title",
    "pinned",
    "folder",
    "choices",
    "prompts",
    "wanted",
    "words",
    "question",
    "n",
    "looks",
)
NAMES += ("open", "text", "id", "action")
LIST = ("understood", "older", "rename", "pin", "file", "trash", "restore", "erase", "empty", "nonsense")
TURN, SETTINGS = ("again", "more", "look", "edit"), ("look", "choices", "prompts", "titles", "imported")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with let_in(tmp_path_factory.mktemp("tampered")) as rig:
        yield rig


@pytest.fixture(autouse=True)
def quietly(rig: Rig) -> Iterator[None]:
    before = len(rig.app.lines)
    yield
    assert "".join(rig.app.lines[before:]) == ""
    ask(rig)


def ask(rig: Rig) -> None:
    """A question as the page sends it, stored with its answer."""
    before = rig.messages()
    asked = event(rig, "box", "submit", data={"box": {"text": "Hello?", "files": []}})
    asked["session_hash"] = f"honest{next(SESSIONS)}"
    status, body = rig.join(asked)
    assert status == 200, body
    assert '"success":true' in rig.told(asked["session_hash"])
    assert rig.messages() == before + 2


def event(
    rig: Rig, component: str, name: str, about: Any = None, data: dict[str, Any] | None = None
) -> dict[str, Any]:
    """As the page sends it, with some of its inputs replaced, by the name of the component."""
    config = rig.config()
    parts = {part["id"]: part["props"] for part in config["components"]}
    (number,) = (part for part, props in parts.items() if props.get("elem_id") == component)
    found = next(
        one for one in config["dependencies"] if [number, name] in one["targets"] and one["backend_fn"]
    )
    values = [
        (data or {}).get(parts[each].get("elem_id"), parts[each].get("value")) for each in found["inputs"]
    ]
    return {
        "fn_index": found["id"],
        "session_hash": "honest",
        "trigger_id": number,
        "data": values,
        "event_data": about,
    }


def sent(rig: Rig, events: Iterable[dict[str, Any]]) -> str:
    """How they ended: the words of refusals, and what the queue told. None may be a failure."""
    answers = [rig.join({**one, "session_hash": "tampered"}) for one in events]
    assert {status for status, _ in answers} <= {200, 400}, answers
    joined = sum(status == 200 for status, _ in answers)
    words = "".join(body.decode() for status, body in answers if status == 400)
    words += rig.told("tampered", joined) if joined else ""
    assert not any(one in words for one in INSIDE), words[:2000]
    return words


EVENTS = [("convs", "open_conv", ()), ("convs", "search_conv", ()), ("examples", "ask_example", ())]
EVENTS += [("attached", "draft_action", ()), ("attached", "draft_choice", ())]
EVENTS += [
    ("convs", "list_action", LIST),
    ("acts", "turn_action", TURN),
    ("settings", "settings_action", SETTINGS),
]


@pytest.mark.parametrize(("component", "name", "actions"), EVENTS)
def test_nothing_that_an_event_carries_shows_the_inside(
    rig: Rig, component: str, name: str, actions: tuple[str, ...]
) -> None:
    with contextlib.closing(sqlite3.connect(rig.home / "glmchat.db", timeout=10)) as db:
        ids = [
            db.execute(f"select max(id) from {table}").fetchone()[0]
            for table in ("conversations", "messages")
        ]
    plain = event(rig, component, name)
    for action in actions or ("",):
        named = {"action": action} if action else {}
        odd = [dict.fromkeys(NAMES, each) for each in ODD]
        true = [{**dict.fromkeys(NAMES, each), "id": id} for each in ODD[::4] for id in ids]
        words = sent(rig, ({**plain, "event_data": {**about, **named}} for about in (*odd, *true)))
        assert '"success":false' not in words


BOX: list[Any] = [None, 5, "x", [], {}, {"text": 5, "files": []}, {"text": "x"}, {"text": "x", "files": [5]}]
BOX += [{"text": "x", "files": {}}, {"text": "x", "files": [{"path": 5}]}, {"text": "\ud800", "files": None}]
BOX += [{"text": "x", "files": [{"path": ""}]}, {"text": "x", "files": [{"path": "\0"}]}]


def test_nothing_that_the_composer_holds_shows_the_inside(rig: Rig) -> None:
    for name, odd in [("box", BOX), ("thinking", ODD), ("attached", ODD)]:
        for component, what in [("box", "submit"), ("attached", "draft_action")]:
            sent(
                rig,
                (
                    event(rig, component, what, {}, {"box": {"text": "", "files": []}, name: one})
                    for one in odd
                ),
            )


def test_an_event_that_is_none_is_refused(rig: Rig) -> None:
    plain = event(rig, "convs", "open_conv", {"id": "x"})
    wrong = {
        "fn_index": [None, -1, 10_000, "0", True, 1.0, [0], {}],
        "session_hash": [None, "", 5, "x" * 101, "a/b", "a b", ["x"]],
        "trigger_id": [-1, "x", 10**9, [1]],
        "data": [None, {}, "x", 5, [], [None, None], [[]] * 100],
        "event_data": [5, "id", [1], True],
    }
    for name, values in wrong.items():
        for value in values:
            assert rig.join({**plain, name: value})[0] in (
                (400,) if name != "data" or value != [] else (200, 400)
            )
        assert rig.join({key: value for key, value in plain.items() if key != name})[0] in (200, 400)
    odd = [
        b"",
        b"{",
        b"5",
        b"[]",
        b"null",
        b"\xff",
        b'{"fn_index": NaN}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 99 + b"}",
    ]
    odd += [b"[" * 100_000, b'{"a":' * 100 + b"1" + b"}" * 100, b'{"a": "\x00"}']
    for body in odd:
        for path in ("queue/join", "cancel", "reset"):
            assert rig.ask("POST", f"/gradio_api/{path}", body, content_type="application/json")[0] in (
                400,
                422,
            )
    assert rig.ask("POST", "/gradio_api/queue/join", b"x" * 17_000_000)[0] == 413
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/xml"):
        rig.ask("POST", "/gradio_api/queue/join", json.dumps(plain).encode(), content_type=kind)
        rubbish = rig.ask("POST", "/gradio_api/upload", b"--x\r\nrubbish", content_type=kind)
        assert rubbish[0] in (400, 422) or rubbish[1] == b"[]"


CLOSED = (
    "dev/reload", "info", "info/", "openapi.json", "startup-events", "app_id", "deep_link", "runs", "user",
    "token", "queue/status", "vibe-code", "login_check", "call/send/x", "stream/x/1/1/playlist.m3u8",
    "custom_component/x", "proxy=http://127.0.0.1/", "queue/data?session_hash=nobody", "queue/data",
    "upload_progress?upload_id=x",
)  # fmt: skip
ACTS = (
    "component_server",
    "run/send",
    "api/send",
    "call/send",
    "call/v2/send",
    "process_recording",
    "stream/x",
    "login",
)
ACTS += (
    "vibe-edit",
    "undo-vibe-edit",
    "vibe-code",
    "vibe-starter-queries",
    "run-history/connect",
    "stream/x/close",
)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_what_the_page_does_not_need_is_not_there(rig: Rig, method: str) -> None:
    for path in CLOSED + ACTS:
        status = rig.ask(method, f"/gradio_api/{path}", b"{}" if method != "GET" else None)[0]
        assert status in (400, 403, 404, 405, 422), (path, status)
    for path in (
        "monitoring",
        "monitoring/x",
        "login",
        "logout",
        "pwa_icon",
        "robots.txt",
        "svelte/x",
        "docs",
    ):
        assert rig.ask(method, f"/{path}", b"{}" if method != "GET" else None)[0] in (404, 405), path
