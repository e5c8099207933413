"""What happens on the page: thin wiring from events to jobs and store, and back.

Knows: which event changes what on the page, which conversation each open page looks at.
Does not know: how turns run, how messages are drawn, SQL.

Everything an event carries was chosen by the client: ids are looked up before they are used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.config import Config
from app.jobs import Jobs
from app.store import Message, StillAnswering, Store, UnknownConversation, UnknownMessage
from app.turn import BadDraft, Draft
from app.ui import acts, composer, examples, messages, viewer
from app.ui.composer import Composer
from app.ui.layout import EMPTY, Page
from app.ui.settings import Settings
from app.ui.sidebar import Sidebar
from app.ui.uploads import Uploads

Update = Any  # what Gradio takes for one output
IDLE: dict[str, Any] = {"submit_btn": True, "stop_btn": False}
BUSY: dict[str, Any] = {"submit_btn": False, "stop_btn": True}
# The page's address follows the conversation, so that a reload and a second tab find it; so does the meter.
ADDRESS = """(list) => { const url = new URL(location), id = list && list.active;
  id ? url.searchParams.set('c', id) : url.searchParams.delete('c'); history.replaceState(null, '', url);
  window.glmchat.here = list && list.here; window.glmchat.measure?.(); window.glmchat.reads?.(); }"""
# Until the page has heard which conversation it shows, it offers no cards: a click would be painted over.
LOADED = "() => { document.documentElement.classList.add('loaded'); }"
ATTACHED = "(value) => { window.glmchat.attached(value); }"
READS = "() => { window.glmchat.reads?.(); }"  # documents that a question brought are the chat's by now
MEASURE = "() => { window.glmchat.measure(); }"
# How each video is looked at is typed beside the composer's value: it joins it on the way out.
LOOKS = "(box, conversation, thinking, _) => [box, conversation, thinking, window.glmchat.looks()]"
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}


class Handlers:
    """One per app. The view of each open page is kept here: a late repaint of a conversation that is no
    longer on screen must never happen, and Gradio's own `cancels` comes ~200 ms too late to ensure that."""

    def __init__(self, jobs: Jobs, config: Config, is_demo: Callable[[], bool]) -> None:
        """is_demo: whether the demo model answers now."""
        self._store = store = jobs.shelves.kept.store
        self._jobs = jobs
        self._sidebar = Sidebar(jobs.shelves)
        self._uploads = Uploads(config.uploads)
        self._settings = Settings(store, config.home, is_demo)
        self._composer = Composer(store, jobs, self._settings)
        self._view: dict[str, str | None] = {}  # session -> conversation on screen

    def load(self, request: gr.Request) -> tuple[Update, ...]:
        """A page opens: the conversation in its address, else the last one used."""
        wanted = dict(request.query_params).get("c") or self._store.setting("last_conversation")
        return (*self._show(wanted, request), bool(self._store.setting("thinking", True)))

    def open(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        return self._show(getattr(event, "id", None), request)

    def new(self, request: gr.Request) -> tuple[Update, ...]:
        return self._show(None, request)

    def temporary(self, request: gr.Request) -> tuple[Update, ...]:
        """A conversation that is gone once the page shows another one."""
        try:
            return self._show(self._jobs.shelves.begin_temporary(), request)
        except OSError as error:
            told = f"A temporary chat needs a private folder, and there is none: {error.strerror or error}."
            return (*[gr.skip()] * 7, told, gr.skip())

    def settings(self, event: gr.EventData) -> Update:
        return self._settings.act(event)

    def search(self, event: gr.EventData, conversation: str | None) -> Update:
        return self._sidebar.search(getattr(event, "asked", None), conversation)

    def list_action(
        self, event: gr.EventData, conversation: str | None, request: gr.Request
    ) -> tuple[Update, ...]:
        """What the menu of a line says. The conversation on the page may be the one that goes."""
        more = self._sidebar.act(event)
        if "undo" in more and more["undo"]["id"] == conversation:
            self._jobs.stop(conversation)
            return self._show(None, request, **more)
        found = self._of(conversation).conversation(conversation) if conversation else None
        title = found.title if found else ""
        return gr.skip(), self._sidebar.value(conversation, **more), title, *[gr.skip()] * 6

    def draft(
        self,
        event: gr.EventData,
        value: dict[str, Any] | None,
        conversation: str | None,
        thinking: bool,
        request: gr.Request,
    ) -> tuple[Update, ...]:
        """What is typed and attached, measured while it is still being written; documents are read."""
        return self._composer.act(event, value, conversation, bool(thinking), request.session_hash or "")

    def choose(self, event: gr.EventData) -> None:
        self._composer.choose(event)

    def send(
        self,
        value: dict[str, Any] | None,
        conversation: str | None,
        thinking: bool,
        looks: object,
        request: gr.Request,
    ) -> tuple[Update, ...]:
        """Store the question and start its answer; what cannot be sent stays there, and says why."""
        value = value or {}
        files = tuple(Path(file) for file in value.get("files") or ())
        try:
            choices = self._settings.choices(bool(thinking))
            text = str(value.get("text") or "")
            draft = Draft(text, files, choices, looks=composer.looks(looks, files))
            job = self._jobs.start(conversation, draft)
        except (BadDraft, UnknownConversation, StillAnswering) as refused:
            return (*[gr.skip()] * 7, str(refused), gr.skip())
        self._jobs.ahead.sent(request.session_hash or "", files)
        self._uploads.sent(files)
        self._store.set_setting("thinking", bool(thinking))
        *shown, _, notice, acts = self._show(job.begun.conversation_id, request)
        return (*shown, gr.update(value=EMPTY, **BUSY), notice, acts)

    def example(
        self, event: gr.EventData, conversation: str | None, thinking: bool, request: gr.Request
    ) -> tuple[Update, ...]:
        """A card was chosen: its question and files are sent as if they had been typed and attached."""
        chosen = examples.asked(getattr(event, "question", None))
        value = {"text": chosen.question, "files": chosen.paths} if chosen else None
        return self.send(value, conversation, thinking, None, request)

    def turn_action(
        self, event: gr.EventData, conversation: str | None, thinking: bool, request: gr.Request
    ) -> tuple[Update, ...]:
        """Edit a question, answer again, go on, or look at another variant."""
        try:
            choices = self._settings.choices(bool(thinking))
            acts.act(event, self._of(conversation), self._jobs, conversation or "", choices)
        except (BadDraft, UnknownConversation, UnknownMessage, StillAnswering) as refused:
            return (*[gr.skip()] * 7, str(refused), gr.skip())
        return self._show(conversation, request)

    async def wait(self, conversation: str | None, request: gr.Request) -> AsyncIterator[Update]:
        """What an answer waits for, in words, until its own words arrive: waiting."""
        yield gr.skip()  # a generator that yields nothing sets its outputs to null
        if job := self._jobs.get(conversation):
            async for live in job.follow():
                if self._view.get(request.session_hash or "") != conversation:
                    return
                yield messages.waiting(live)
                if live.parts:
                    return

    def following(self, latest: gr.Chatbot) -> Callable[..., AsyncIterator[Update]]:
        """Of an event that repaints the last turn until its answer is stored, in the form the page takes.

        Only what changes several times a second: Gradio makes a component anew for each one that is skipped,
        and goes to a thread and back to bring each value into that form.
        """

        def sent(turn: list[messages.Shown]) -> list[dict[str, Any]]:
            return latest.postprocess(turn).model_dump()  # type: ignore[arg-type, no-any-return]

        async def follow(conversation: str | None, request: gr.Request) -> AsyncIterator[Update]:
            yield gr.skip()
            if job := self._jobs.get(conversation):
                asked = (await asyncio.to_thread(self._last_turn, job.begun.conversation_id))[:1]
                media = _media(request)
                question = sent(messages.exchanges(asked, media))
                async for live in job.follow():
                    if self._view.get(request.session_hash or "") != conversation:
                        return
                    yield question + sent(messages.arriving(live, media))

        return follow

    def ended(self, conversation: str | None, request: gr.Request) -> tuple[Update, ...]:
        """The last turn as it was stored: latest, waiting, box, acts.

        What another event followed may end while this conversation is being answered: the page opens, and a
        question is sent at once. Then its own end is still to come.
        """
        shown = self._view.get(request.session_hash or "")
        if shown != conversation or self._jobs.get(conversation):
            return (*[gr.skip()] * 4,)
        if conversation is None:  # once more: a busy browser may have painted what was there later
            return [], "", gr.skip(), gr.skip()
        path = self._of(conversation).path(conversation)
        if path:
            self._composer.learn(conversation, path[-1])
        latest = messages.exchanges(path[-2:], _media(request))
        address = viewer.address(self._of(conversation))
        return latest, "", gr.update(**IDLE), acts.offered(path, address)

    def named(self, conversation: str | None, request: gr.Request) -> tuple[Update, Update]:
        """The title that the model gives, once it has: the list and the page's title."""
        if not self._jobs.named(conversation):
            return gr.skip(), gr.skip()
        current = self._view.get(request.session_hash or "")
        found = self._of(current).conversation(current) if current else None
        return self._sidebar.value(current), found.title if found else ""

    def stop(self, conversation: str | None) -> None:
        self._jobs.stop(conversation)

    def leave(self, request: gr.Request) -> None:
        self._jobs.ahead.want(request.session_hash or "", ())
        self._jobs.forget(self._view.pop(request.session_hash or "", None))
        if not self._view:
            self._uploads.clear()

    # --- painting ------------------------------------------------------------------------------------

    def _show(self, wanted: object, request: gr.Request, **more: Any) -> tuple[Update, ...]:
        """Put a conversation, or none, on the page: conversation, list, title, earlier, latest, waiting, box,
        notice, acts. more: to be told to the list."""
        store = self._of(wanted if isinstance(wanted, str) else None)
        found = store.conversation(wanted) if isinstance(wanted, str) else None
        found = None if found and found.trashed_at is not None else found
        current = found.id if found else None
        if (before := self._view.get(request.session_hash or "")) != current:
            self._jobs.forget(before)
        self._view[request.session_hash or ""] = current
        store.set_setting("last_conversation", current)
        path = store.path(current) if current else ()
        job = self._jobs.get(current)
        earlier = messages.exchanges(path[:-2], _media(request))
        latest = messages.exchanges(path[-2:], _media(request))
        return (
            current,
            self._sidebar.value(current, **more),
            found.title if found else "",
            earlier,
            latest,
            messages.waiting(job.live) if job else "",
            gr.update(**(BUSY if job else IDLE)),
            "",
            acts.offered(path, viewer.address(store)),
        )

    def _last_turn(self, conversation: str) -> Sequence[Message]:
        return self._of(conversation).path(conversation)[-2:]

    def _of(self, conversation: str | None) -> Store:
        """Where a conversation is kept, or is not."""
        return self._jobs.shelves.of(conversation).store


def _media(request: gr.Request) -> str:
    """The address of stored files as this page reaches us; the guard has checked the host."""
    return f"http://{request.headers['host']}/media/"


def wire(page: Page, handlers: Handlers) -> None:
    """Connect events; call once, after build().

    No event with data of its own may be "always_last": Gradio then sends the data of the first one again.
    """
    page_parts = [
        page.conversation,
        page.conversations,
        page.title,
        page.earlier,
        page.latest,
        page.waiting,
        page.box,
        page.notice,
        page.acts,
    ]
    last_turn = [page.latest, page.waiting, page.box, page.acts]
    with page.demo:
        sent = page.box.submit(
            handlers.send,
            [page.box, page.conversation, page.thinking, page.attached],
            page_parts,
            js=LOOKS,
            **QUIET,
        )
        tried = page.examples.ask_example(
            handlers.example, [page.conversation, page.thinking], page_parts, **QUIET
        )
        loaded = page.demo.load(handlers.load, None, [*page_parts, page.thinking], **QUIET)
        opened = page.conversations.open_conv(
            handlers.open, None, page_parts, trigger_mode="multiple", **QUIET
        )
        page.conversations.search_conv(
            handlers.search, page.conversation, page.conversations, trigger_mode="multiple", **QUIET
        )
        acted = page.conversations.list_action(
            handlers.list_action, page.conversation, page_parts, trigger_mode="multiple", **QUIET
        )
        changed = page.acts.turn_action(
            handlers.turn_action, [page.conversation, page.thinking], page_parts, **QUIET
        )
        page.settings.settings_action(
            handlers.settings, None, page.settings, trigger_mode="multiple", **QUIET
        ).then(None, None, None, js=MEASURE)
        fresh = page.new_chat.click(handlers.new, None, page_parts, **QUIET)
        passing = page.temporary_chat.click(handlers.temporary, None, page_parts, **QUIET)
        following = handlers.following(page.latest)
        for event in (sent, tried, loaded, opened, acted, changed, fresh, passing):
            event.then(None, page.conversations, None, js=ADDRESS)
            if event is not acted:
                waited = event.success(handlers.wait, page.conversation, page.waiting, **QUIET)
                followed = waited.success(
                    following, page.conversation, page.latest, postprocess=False, **QUIET
                )
                ended = followed.success(handlers.ended, page.conversation, last_turn, **QUIET)
                ended.then(None, None, None, js=READS)
                ended.then(handlers.named, page.conversation, [page.conversations, page.title], **QUIET)
        loaded.then(None, None, None, js=LOADED)
        _wire_composer(page, handlers)
        page.box.stop(handlers.stop, page.conversation, None, **QUIET)
        page.demo.unload(handlers.leave)


def _wire_composer(page: Page, handlers: Handlers) -> None:
    page.box.change(None, page.box, None, js=ATTACHED)
    page.thinking.change(None, None, None, js=MEASURE)
    page.attached.draft_choice(handlers.choose, None, None, trigger_mode="multiple", **QUIET)
    page.attached.draft_action(
        handlers.draft,
        [page.box, page.conversation, page.thinking],
        [page.attached, page.meter],
        trigger_mode="multiple",
        **QUIET,
    )
