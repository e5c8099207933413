"""Pages of others attack the window's server in a Chromium that holds its cookie: nothing gets in or out.

Each attack is looked at from both sides: what the foreign page could read, and what reached the victim.
The foreign pages stand on another port of this computer, where the browser sends the window's cookie along,
and under host names of their own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from attacker import PAGE, Victim, attacked, attacking
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from started import FLAGS, ready

from app.blobs import Blobs
from app.store import Store
from app.turn import Draft, begin

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAMES = [
    "--host-resolver-rules=MAP *.example 127.0.0.1",
    # Chromium asks before a public page reaches this computer; that is no defence of ours, so it is off
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
]
ORIGINS = {"another name": "http://evil.example:{}", "another port": "http://127.0.0.1:{}"}
ORIGINS["another port of localhost"] = "http://localhost:{}"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    flags = [*FLAGS, *NAMES, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def victim(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("victim")
    home, picture, log = folder / "home", folder / "private.png", folder / "reached.txt"
    Image.new("RGB", (64, 64), "#c2410c").save(picture)
    store = Store(home / "glmchat.db")
    begun = begin(store, Blobs(home / "blobs"), None, Draft("the secret question", (picture,)))
    name = store.path(begun.conversation_id)[0].parts[0].sha256
    store.close()
    app, context = attacked(home, log), browser.new_context()
    try:
        window = context.new_page()
        window.route("**/now", lambda route: route.abort())  # what it asks again and again by itself
        window.goto(app.start())
        ready(window)
        with attacking() as attacker:
            yield Victim(app, log, attacker, context, window, f"http://127.0.0.1:{app.port}/media/{name}")
    finally:
        context.close()
        app.stop()


@pytest.fixture(autouse=True)
def unharmed(victim: Victim) -> Iterator[None]:
    """Whatever a test here does: the victim's rows and files are as before, and no file was downloaded."""
    before = victim.state()
    downloads: list[str] = []
    victim.context.on("page", lambda page: page.on("download", lambda got: downloads.append(got.url)))
    victim.settled()
    victim.begin()
    yield
    assert victim.state() == before
    assert downloads == []


@contextlib.contextmanager
def opened(victim: Victim, address: str) -> Iterator[Page]:
    """A foreign page beside the window, in the same browser."""
    page = victim.context.new_page()
    page.goto(address)
    yield page
    for other in victim.context.pages:
        if other is not victim.window:
            other.close()


# Everything that a page can send without being asked first by the browser, and some that it cannot.
REQUESTS = """async ([base, picture]) => {
  const form = (fields) => { const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.append(name, value); return body; };
  const file = new File(['evil'], 'evil.png', { type: 'image/png' });
  const event = { fn_index: 1, trigger_id: 1, session_hash: 'evil', data: [null], event_data: { id: 'x' } };
  const call = { component_id: 1, fn_name: 'x', session_hash: 'evil', data: [null] };
  const posts = {
    upload: form({ files: file }), 'upload?upload_id=evil': form({ files: file }),
    component_server: form({ ...call, data: 'null' }), 'component_server/': JSON.stringify(call),
    'queue/join': JSON.stringify(event), 'queue/join?': form({ data: JSON.stringify(event) }),
    'run/predict': JSON.stringify(event), 'api/predict': JSON.stringify(event),
    'call/send': JSON.stringify(event), 'call/v2/send': JSON.stringify(event),
    cancel: JSON.stringify({ session_hash: 'evil', fn_index: 1, event_id: 'x' }),
    reset: JSON.stringify({ event_id: 'x' }), 'stream/x': JSON.stringify(event), 'stream/x/close': '',
    'vibe-edit': JSON.stringify({ prompt: 'x' }), process_recording: form({ file }),
  };
  const gets = ['heartbeat/evil', 'queue/data?session_hash=evil', 'queue/status', 'info', 'startup-events',
    'upload_progress?upload_id=evil', 'app_id', 'file=/etc/passwd', 'dev/reload'].map((one) =>
    `gradio_api/${one}`);
  gets.push('', 'config', 'export/json', 'export/markdown', 'healthz', 'monitoring', 'theme.css');
  gets.push('now', 'models', 'ended', 'documents?c=x', 'import?n=x');
  gets.push('tables', 'tables/1', 'tables/1/save/csv');
  const document = `pages/${'0'.repeat(64)}-1`;
  gets.push(document, ...['1', '1/marks?q=x', '1/picture?long=1000', 'find?q=x', 'original'].map((one) =>
    `${document}/${one}`));
  const all = [...gets.map((path) => ['GET', `${base}/${path}`]), ['GET', picture],
    ...Object.entries(posts).map(([path, body]) => ['POST', `${base}/gradio_api/${path}`, body]),
    ['POST', `${base}/import`, file], ['POST', `${base}/import`, '{}'], ['POST', `${base}/link`, ''],
    ['POST', `${base}/tables/1/files`, file], ['POST', `${base}/library`, file],
    ['POST', `${base}/`, form({ token: 'x' })],
    ...['models', 'rest', 'quit', 'tables', 'documents', 'import/stop'].map((path) =>
      ['POST', `${base}/${path}`, '{}']),
    ['PUT', `${base}/import`, '{}'], ['DELETE', picture]];
  const json = { 'content-type': 'application/json', authorization: 'Bearer x' };
  const read = [];
  const once = async ([method, address, body], options) => {
    try {
      const answer = await fetch(address, { method, body, signal: AbortSignal.timeout(20000), ...options });
      if (answer.type !== 'opaque') read.push(`${method} ${address} ${answer.status}`);
    } catch (refused) { if (refused.name === 'TimeoutError') read.push(`${method} ${address} hangs`); }
  };
  for (const one of all) await Promise.all([
    once(one, { credentials: 'include' }), once(one, { credentials: 'omit' }),
    once(one, { credentials: 'include', headers: json }),
    ...(['GET', 'POST'].includes(one[0]) ? [once(one, { mode: 'no-cors', credentials: 'include' })] : []),
  ]);
  if (navigator.sendBeacon) navigator.sendBeacon(`${base}/import`, '{}');
  return [all.length, read]; }"""


@pytest.mark.parametrize("origin", ORIGINS)
def test_no_request_of_another_page_gets_in(victim: Victim, origin: str) -> None:
    with opened(victim, ORIGINS[origin].format(victim.attacker.server_port)) as page:
        sent, read = page.evaluate(REQUESTS, [victim.address, victim.picture])
        page.wait_for_timeout(300)  # the beacon is sent when the browser likes
    assert sent > 35 and read == []
    assert victim.reached() == []


@pytest.mark.parametrize("hidden", ["a sandboxed frame", "a data: page", "a data: frame"])
def test_no_request_without_an_origin_gets_in(victim: Victim, hidden: str) -> None:
    make = """(data) => new Promise((done) => { const frame = document.createElement('iframe');
      if (data) frame.src = 'data:text/html,<body></body>';
      else { frame.sandbox = 'allow-scripts'; frame.srcdoc = '<body></body>'; }
      frame.onload = done; document.body.append(frame); })"""
    with opened(victim, victim.attacker.address) as page:
        if hidden == "a data: page":
            page.goto("data:text/html,<body></body>")
        else:
            page.evaluate(make, hidden == "a data: frame")
        frame = page.frames[-1]
        assert frame.evaluate("origin") == "null"
        sent, read = frame.evaluate(REQUESTS, [victim.address, victim.picture])
    assert sent > 35 and read == []
    assert victim.reached() == []


EMBEDS = """async ([base, picture]) => {
  const shown = [];
  const embed = (tag, more) => new Promise((done) => {
    const node = Object.assign(document.createElement(tag), more);
    const good = tag === 'video' || tag === 'audio' ? 'onloadedmetadata' : 'onload';
    node[good] = () => { shown.push(`${tag} ${more.src || more.href}`); done(); };
    node.onerror = done;
    document.body.append(node);
  });
  const places = [picture, `${base}/export/json`, `${base}/`, `${base}/config`, `${base}/theme.css`,
    `${base}/static/img/clear.svg`, `${base}/gradio_api/heartbeat/evil`];
  await Promise.all(places.flatMap((src) => [
    ...['img', 'script', 'video', 'audio'].map((tag) => embed(tag, { src })),
    embed('img', { src, crossOrigin: 'use-credentials' }), embed('script', { src, type: 'module' }),
    embed('link', { href: src, rel: 'stylesheet' }),
    embed('link', { href: src, rel: 'preload', as: 'image' }),
  ]));
  return [places.length, shown]; }"""


@pytest.mark.parametrize("origin", ORIGINS)
def test_nothing_can_be_embedded(victim: Victim, origin: str) -> None:
    with opened(victim, ORIGINS[origin].format(victim.attacker.server_port)) as page:
        tried, shown = page.evaluate(EMBEDS, [victim.address, victim.picture])
    assert tried == 7 and shown == []
    assert victim.reached() == []


FORMS = """async (base) => {
  const send = (action, method, enctype, target, fill) => {
    const form = document.createElement('form');
    Object.assign(form, { action: base + action, method, enctype, target });
    fill(form);
    document.body.append(form);
    form.submit();
  };
  const field = (form, name, value) => {
    const node = Object.assign(document.createElement('input'), { name, value });
    form.append(node);
  };
  const attach = (form) => {
    const node = Object.assign(document.createElement('input'), { type: 'file', name: 'files' });
    const carried = new DataTransfer();
    carried.items.add(new File(['evil'], 'evil.png', { type: 'image/png' }));
    node.files = carried.files;
    form.append(node);
  };
  for (const target of ['hidden', '_blank']) {
    document.body.append(Object.assign(document.createElement('iframe'), { name: 'hidden' }));
    send('/gradio_api/upload', 'post', 'multipart/form-data', target, attach);
    send('/import', 'post', 'multipart/form-data', target, attach);
    send('/import', 'post', 'text/plain', target, (form) => field(form, '{"a":"', '"}'));
    send('/gradio_api/queue/join', 'post', 'text/plain', target, (form) => field(form, '{"a":"', '"}'));
    send('/', 'post', 'application/x-www-form-urlencoded', target, (form) => field(form, 'token', 'x'));
    send('/export/json', 'get', '', target, (form) => field(form, 'c', 'x'));
    send('/gradio_api/component_server', 'post', 'multipart/form-data', target, attach);
  }
  await new Promise((done) => setTimeout(done, 1500)); }"""


@pytest.mark.parametrize("origin", ORIGINS)
def test_no_form_of_another_page_gets_in(victim: Victim, origin: str) -> None:
    arrived: list[str] = []
    note = lambda got: arrived.append(f"{got.status} {got.url}") if victim.address in got.url else None  # noqa: E731
    with opened(victim, ORIGINS[origin].format(victim.attacker.server_port)) as page:
        victim.context.on("response", note)
        page.evaluate(FORMS, victim.address)
        victim.context.remove_listener("response", note)
    assert len(arrived) > 3 and [one for one in arrived if not one.startswith("403 ")] == []
    assert victim.reached() == []


@pytest.mark.parametrize("origin", ORIGINS)
def test_the_window_stands_in_no_frame(victim: Victim, origin: str) -> None:
    frames = """(base) => Promise.all([['iframe', 'src'], ['embed', 'src'], ['object', 'data']].map((kind) =>
      new Promise((done) => { const node = document.createElement(kind[0]); node[kind[1]] = base + '/';
        node.onload = node.onerror = done; setTimeout(done, 3000); document.body.append(node); })))"""
    with opened(victim, ORIGINS[origin].format(victim.attacker.server_port)) as page:
        page.evaluate(frames, victim.address)
        inside = [frame for frame in page.frames if frame is not page.main_frame]
        assert inside != []
        assert {frame.url for frame in inside} <= {"chrome-error://chromewebdata/", "about:blank", ""}
    assert victim.reached() == []


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_opened_window_cannot_be_read(victim: Victim, origin: str) -> None:
    """Following a link to the window is a person's right; looking into it is not a foreign page's."""
    look = """() => { const tell = (what) => { try { return String(what()); } catch { return 'refused'; } };
      return [tell(() => popup.document.title), tell(() => popup.location.href), tell(() => popup.length),
        tell(() => popup.closed)]; }"""
    with opened(victim, ORIGINS[origin].format(victim.attacker.server_port)) as page:
        with victim.context.expect_page() as opening:
            page.evaluate("(base) => { window.popup = open(base + '/', 'name'); }", victim.address)
        window = opening.value
        expect(window.locator("#box, h1:not(:empty)").first).to_be_visible(timeout=30_000)
        assert page.evaluate(look) == ["refused", "refused", "0", "true"]
        assert window.evaluate("window.opener") is None
        assert window.evaluate("window.name") == ""
        page.evaluate("popup.postMessage('x', '*')")


def test_a_name_that_now_points_here_reads_nothing(victim: Victim) -> None:
    """DNS rebinding: the page was the attacker's when it was loaded, its name and port are now ours."""
    own = f"http://rebind.example:{victim.app.port}"

    def first(route: Route) -> None:
        route.fulfill(status=200, content_type="text/html", body=PAGE.decode())

    page = victim.context.new_page()
    page.route(own + "/", first, times=1)
    page.goto(own + "/")
    assert page.evaluate("origin") == own
    got = """async ([base, picture]) => { const read = [];
      const post = (path, body) => [path, { method: 'POST', body }];
      const files = new FormData(); files.append('files', new File(['evil'], 'evil.png'));
      for (const [path, options] of [['/'], ['/config'], ['/healthz'], ['/export/json'], [picture],
        ['/gradio_api/queue/data?session_hash=x'], post('/import', '{}'), post('/link', ''),
        post('/gradio_api/upload', files), post('/gradio_api/component_server', files)]) {
        const answer = await fetch(base + path, options);
        read.push(answer.status, await answer.text()); }
      return [...new Set(read)]; }"""
    path = "/" + victim.picture.split("/", 3)[3]
    assert page.evaluate(got, [own, path]) == [421, "This address is not GLM Chat's."]
    answer = page.goto(own + "/")
    assert answer is not None and answer.status == 421
    page.close()
    assert victim.reached() == []


def test_no_socket_is_opened(victim: Victim) -> None:
    connect = """(address) => new Promise((done) => { const socket = new WebSocket(address);
      socket.onopen = () => done('open'); socket.onclose = () => done('closed'); })"""
    address = victim.address.replace("http", "ws")
    with opened(victim, victim.attacker.address) as page:
        for path in ("/", "/gradio_api/queue/join", "/queue/join"):
            assert page.evaluate(connect, address + path) == "closed"
            assert victim.window.evaluate(connect, address + path) == "closed"
    assert victim.reached() == []


# --- the one-time link -----------------------------------------------------------------------------------


def test_guessed_links_open_nothing_and_take_no_cookie_away(victim: Victim, browser: Browser) -> None:
    cookies = victim.context.cookies(victim.address)
    guesses = ["x", "0" * 43, "*", "%00", "../..", "null", "\u2603", "true"]
    with opened(victim, victim.attacker.address) as page:
        for guess in guesses:  # a foreign page sends this browser to an address of its choice
            page.evaluate("(address) => { location = address; }", f"{victim.address}/?token={guess}")
            page.wait_for_url(victim.address + "/**")
            page.goto(victim.attacker.address)
    assert victim.context.cookies(victim.address) == cookies
    stranger = browser.new_context()
    page = stranger.new_page()
    for guess in guesses:
        answer = page.goto(f"{victim.address}/?token={guess}")
        assert answer is not None and answer.status == 401
    assert stranger.cookies() == []
    stranger.close()
    victim.window.reload()
    ready(victim.window)


def test_the_token_is_in_no_later_address_and_told_to_nobody(victim: Victim, browser: Browser) -> None:
    link = victim.app.link()
    token = link.split("token=")[1]
    context = browser.new_context()
    asked: list[tuple[str, dict[str, str]]] = []
    context.on("request", lambda request: asked.append((request.url, request.headers)))
    page = context.new_page()
    page.goto(link)
    ready(page)
    victim.attacker.calls.clear()
    page.evaluate("(address) => { location = address; }", victim.attacker.address + "/from-the-window")
    page.wait_for_url("**/from-the-window")
    first, *later = asked
    assert first[0] == link
    assert [url for url, headers in later if token in url + headers.get("referer", "")] == []
    there = [headers for path, headers in victim.attacker.calls if path == "/from-the-window"]
    assert [headers.get("referer") for headers in there] == [None]
    page.go_back()
    ready(page)
    assert token not in page.url and token not in page.content()
    used = context.new_page()
    used.goto(link)  # used up, but this browser holds the cookie: on to the window, without the token
    ready(used)
    assert used.url == victim.address + "/" or "?c=" in used.url
    context.close()


def test_a_foreign_page_cannot_see_the_cookie(victim: Victim) -> None:
    with opened(victim, victim.attacker.address) as page:
        assert page.evaluate("document.cookie") == ""
    with opened(victim, f"http://evil.example:{victim.attacker.server_port}/name") as page:
        assert page.evaluate("document.cookie") == ""
    by_name = [headers for path, headers in victim.attacker.calls if path == "/name"]
    assert [headers.get("cookie") for headers in by_name] == [None]
    assert victim.window.evaluate("document.cookie") == ""
    (cookie,) = victim.context.cookies(victim.address)
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
