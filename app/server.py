"""One FastAPI app on loopback: guard, health, stored media, the mounted window. Started once per home folder.

Knows: ports, the single-instance lock, what is due at a start, the one-time link that opens the window,
orderly shutdown.
Does not know: what a turn is, how the page looks, SQL.

Gradio is imported inside functions: its environment must be set first (ui/quiet.py), and a second start of
the app, which only opens the first one's window, does not wait for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import urllib.request
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse, Response

from app import exchange, logs, titles
from app.blobs import Blobs
from app.config import Config
from app.controls import Controls
from app.jobs import Jobs
from app.lending import Lending
from app.migrations import DatabaseTooNew
from app.security import LINK_PATH, Guard, Keys
from app.shelves import Shelves
from app.stock import Stock
from app.store import BackupFailed, DiskTrouble, Store, daily, rescue
from app.ui import doors
from app.ui.ordering import JoinAfterClose
from app.ui.quiet import enclose, prepare
from app.ui.viewer import Viewer
from mlx_backend import EngineLike

if TYPE_CHECKING:
    import gradio as gr

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
PORTS_TRIED = 20
SHUTDOWN_SECONDS = 1  # uvicorn waits that long for open event streams, and an open page always has one
TIDY_SECONDS = 10  # the end of the app waits so long for a backup that is being made
UPLOAD_LIMIT = "2gb"
# A browser runs script in these if we serve them under our own address, so they are only ever downloads.
ACTIVE_MEDIA = ("image/svg",)


def serve(
    config: Config, engine: EngineLike, *, port: int | None = None, open_browser: bool | None = None
) -> int:
    """Run the app until it is told to stop. Prints the address that opens the window.

    port: where to begin looking for a free one. A second start on the same home opens the first one's window
    and returns. Returns an exit code; the engine is closed when the app has run.
    """
    port = config.port if port is None else port
    open_browser = config.open_browser if open_browser is None else open_browser
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.home.chmod(0o700)
    with only_one(config.home / "app.lock") as alone:
        if not alone:
            return open_running(config.home, open_browser)
        logs.begin(config.logs)
        try:
            store = open_store(config)
        except (DatabaseTooNew, BackupFailed) as error:
            print(error, file=sys.stderr)
            return 1
        except DiskTrouble as error:
            print(f"{config.database} cannot be opened: {error}. Nothing was changed.", file=sys.stderr)
            return 1
        if config.told and not store.setting("rescued"):
            store.set_setting("rescued", config.told)
        with contextlib.closing(store), listening(port) as listener:
            if listener is None:
                print(f"No free port between {port} and {port + PORTS_TRIED - 1}.", file=sys.stderr)
                return 1
            return _run(config, engine, store, listener, open_browser)


def open_store(config: Config) -> Store:
    """The store. Where its file had to be rescued, that is printed, and kept as the setting `rescued`.

    Raises DatabaseTooNew, BackupFailed or DiskTrouble; then nothing was changed.
    """
    rescued = rescue(config.database)
    store = Store(config.database)
    if rescued is not None:
        print(rescued.words, file=sys.stderr)
        store.set_setting("rescued", rescued.words)
    return store


def tidy(store: Store, blobs: Blobs) -> None:
    """What is due at a start: today's backup, what the trash has held long enough, files nobody needs."""
    for due in (lambda: daily(store.file), store.empty_trash, lambda: store.sweep(blobs)):
        try:
            due()
        except BackupFailed as error:
            log.warning("%s", error)
        except Exception:
            log.exception("tidying up failed; the next start tries again")


def _run(
    config: Config, engine: EngineLike, store: Store, listener: socket.socket, open_browser: bool
) -> int:
    if marked := store.mark_interrupted():
        log.warning("%d answers were cut off when the app last ended", marked)
    port, keys = listener.getsockname()[1], Keys()
    shelves = Shelves(store, blobs := Blobs(config.blobs), [config.uploads])
    stock = Stock(config.home, engine, config.model, config.switches)
    jobs = Jobs(shelves, engine, lambda: titles.wanted(store, stock.is_demo))
    app = build(config, jobs, port, keys, controls := Controls(stock, engine, jobs))
    tidying = threading.Thread(target=tidy, args=(store, blobs), name="tidy", daemon=True)
    tidying.start()

    def opened() -> None:
        _write_private(config.home / "run.json", json.dumps({"port": port, "owner": keys.owner}))
        _show(f"http://{HOST}:{port}/?token={keys.link()}", open_browser)

    server = _Server(app, opened)
    controls.ending.then = server.end
    try:
        with ending_quietly():
            server.run([listener])
    finally:
        (config.home / "run.json").unlink(missing_ok=True)
        controls.close()
        controls.tables.close()
        jobs.close(SHUTDOWN_SECONDS)
        engine.close()
        shelves.close()
        tidying.join(TIDY_SECONDS)
    return 0


def build(config: Config, jobs: Jobs, port: int, keys: Keys, controls: Controls) -> FastAPI:
    """The app behind its guard; nothing listens yet."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        jobs.close(SHUTDOWN_SECONDS)  # partial answers are stored before anything else goes

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    def health() -> JSONResponse:
        return JSONResponse({"ok": True})

    @app.get("/media/{sha256}")
    def media(sha256: str) -> Response:
        return _media(jobs.shelves, sha256)

    kept = jobs.shelves.kept
    app.include_router(exchange.router(kept.store, kept.blobs, config.home / "exchange"))
    app.include_router(controls.router())
    app.include_router(Viewer(jobs.shelves).router())
    app.include_router(Lending(jobs, config.home / "exchange").router())
    _mount_window(app, config, jobs, port, lambda: controls.stock.is_demo)
    app.add_middleware(JoinAfterClose)
    app.add_middleware(exchange.BoundedUploads, folder=config.uploads)
    app.add_middleware(Guard, port=port, keys=keys)  # added last, so it stands outermost
    return app


def _media(shelves: Shelves, sha256: str) -> Response:
    stored = shelves.media(sha256)
    if stored is None:
        return Response("No such file.", status_code=404)
    # the name is the content: it can never become something else
    cached = "private, max-age=31536000, immutable" if stored.kept else "no-store"
    headers, kind = {"cache-control": cached}, stored.media_type
    if kind.startswith(ACTIVE_MEDIA):
        headers["content-disposition"], kind = "attachment", "application/octet-stream"
    return FileResponse(stored.file, media_type=kind, headers=headers)


def _mount_window(app: FastAPI, config: Config, jobs: Jobs, port: int, is_demo: Callable[[], bool]) -> None:
    shutil.rmtree(config.uploads, ignore_errors=True)  # no page of an earlier run can send these any more
    prepare(config.uploads)
    import gradio as gr

    from app.ui import handlers, layout

    page = layout.build()
    handlers.wire(page, handlers.Handlers(jobs, config, is_demo))
    gr.mount_gradio_app(
        app,
        page.demo,
        path="/",
        server_name=HOST,
        server_port=port,
        theme=layout.theme(),
        css=layout.styles(),
        head=layout.head(),
        favicon_path=str(layout.ASSETS / "icon.svg"),
        footer_links=[],
        run_history=False,  # it would keep every question in the browser
        show_error=False,
        max_file_size=UPLOAD_LIMIT,
        pwa=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    calm(page.demo)
    enclose(page.demo)
    doors.close(app, page.demo)


def calm(demo: gr.Blocks) -> None:
    """Let Gradio's queue look for work 50 times a second, not 1000: an idle app should cost nothing.

    Private names, so a test covers them.
    """
    queue: Any = demo._queue
    queue.sleep_when_free = 0.02
    queue.progress_update_sleep_when_free = 0.1


class _Server(uvicorn.Server):
    """uvicorn on a socket that is ours already, telling when it answers."""

    def __init__(self, app: FastAPI, opened: Callable[[], None]) -> None:
        seconds = SHUTDOWN_SECONDS
        super().__init__(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=seconds))
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._opened()

    def end(self) -> None:
        """As SIGTERM does."""
        self.should_exit = True


@contextlib.contextmanager
def ending_quietly() -> Iterator[None]:
    """uvicorn raises the signal that ended it once more when it is done; here it must not end us before the
    last answers are stored and the engine is closed."""
    signals = (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and uvicorn sets none elsewhere
        return
    before = {number: signal.signal(number, lambda *_: None) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- one app per home ------------------------------------------------------------------------------------


@contextlib.contextmanager
def only_one(lock: Path) -> Iterator[bool]:
    """Hold the lock file while inside. False: another process holds it. The system frees it if we die."""
    handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


@contextlib.contextmanager
def listening(first: int) -> Iterator[socket.socket | None]:
    """A bound socket on the first free loopback port from `first` on; None if 20 are taken. 0: any port."""
    for port in range(first, first + PORTS_TRIED):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()  # binding alone succeeds on a port somebody else has bound but not opened
        except OSError:
            listener.close()
            continue
        with contextlib.closing(listener):
            yield listener
        return
    yield None


def open_running(home: Path, open_browser: bool) -> int:
    """Open the window of the app that already runs on this home. Returns an exit code."""
    try:
        running = json.loads((home / "run.json").read_text(encoding="utf-8"))
        url = ask_link(int(running["port"]), str(running["owner"]))
    except (OSError, ValueError, KeyError):
        print(
            f"GLM Chat is already running on {home} and does not answer yet. Nothing was changed. "
            "Wait a moment and start it again, or quit the other one.",
            file=sys.stderr,
        )
        return 1
    _show(url, open_browser)
    return 0


def ask_link(port: int, owner: str) -> str:
    """A fresh address that opens the window of the app running on `port`. Raises OSError if none answers."""
    url = f"http://{HOST}:{port}"
    asked = urllib.request.Request(
        url + LINK_PATH, method="POST", headers={"authorization": f"Bearer {owner}"}
    )
    # no proxy: a loopback address is never somebody else's business
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=5) as answer:
        return f"{url}/?token={answer.read().decode()}"


def _show(url: str, open_browser: bool) -> None:
    print(f"GLM Chat is open at {url}", flush=True)
    print("The address works once. Start the app again for another window.", flush=True)
    if open_browser:
        webbrowser.open(url)


def _write_private(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)  # so that the mode below holds whatever was there
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
