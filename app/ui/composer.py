"""The composer before Send: what the draft costs, what the model gets of each file, how long it takes.

Knows: the values that composer.js and meter.js draw and what they may send, see Composer; what is measured.
Does not know: Gradio's components, the words (they are in sizes.py), how anything is measured.

Everything an event carries was chosen by the client: it is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.ahead import State
from app.choices import DETAIL, Choices, read
from app.documents.coming import Coming
from app.jobs import Jobs
from app.store import Message, Store
from app.turn import BadDraft, Draft, media_type
from app.ui import papers, sizes
from app.ui.settings import Settings
from mlx_backend import BackendError, BadMedia, Measured, Shown

NOTHING: dict[str, Any] = {"words": "", "share": 0.0, "wrong": False}  # of the meter
ENOUGH = 64  # tokens that were computed, before a rate says something: the first ones wait for much else
CHOSEN = ("detail", "thinking_budget")  # of the choices, what the options offer
RATES = "prefill_rates"  # the setting: tokens a second, by model


@dataclass
class _Weighed:
    """What came of measuring a draft. problems: by position of the file, why it cannot be used.

    draft: with all its files; good: without those; measured: of the good one, None where `told` says why
    there is none. papers: by position, how far each document is read; coming: what the question reads, by
    position, and of documents that the conversation has, by their name.
    """

    draft: Draft
    good: Draft
    problems: dict[int, str] = field(default_factory=dict)
    measured: Measured | None = None
    told: str = ""
    papers: dict[int, State] = field(default_factory=dict)
    coming: dict[int | str, Coming] = field(default_factory=dict)


class Composer:
    """One per app.

    Of composer.js: {n: of the question it answers, files: see sizes.chip, choices: {detail,
    thinking_budget}, details: words by name or None}. Of meter.js: {words, share: 0 to 1 of the context,
    wrong: whether it does not fit}.
    """

    def __init__(self, store: Store, jobs: Jobs, settings: Settings) -> None:
        self._store, self._jobs, self._settings = store, jobs, settings
        self._frame: tuple[object, int] = (None, 0)  # what was measured without a message last, its tokens

    def act(
        self,
        event: Any,
        value: Mapping[str, Any] | None,
        conversation: str | None,
        thinking: bool,
        session: str = "",
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Change the choices if the event says so, then measure. Returns the values of both scripts.

        session: whose draft it is; its documents are read from now on, those that are gone no longer.
        """
        self.choose(event)
        choices = self._settings.choices(thinking)
        raw, value = getattr(event, "looks", None), value or {}
        files = tuple(Path(file) for file in value.get("files") or ())
        draft = Draft(str(value.get("text") or ""), files, choices)
        weighed = self._weigh(conversation, draft, raw if isinstance(raw, list) else [], session)
        told: dict[str, Any] = {
            "n": getattr(event, "n", None),
            "files": self._chips(weighed, len(files)),
            "choices": {name: getattr(choices, name) for name in CHOSEN},
            "details": self._details(weighed) if getattr(event, "open", None) is True else None,
        }
        return told, self._meter(conversation, weighed)

    def choose(self, event: Any) -> None:
        """Keep what was chosen, for every conversation and for the settings window as well."""
        changed = getattr(event, "choices", None)
        if isinstance(changed, Mapping) and changed:
            self._settings.change({name: changed.get(name) for name in CHOSEN})

    def learn(self, conversation: str, answer: Message) -> None:
        """Keep how fast this computer reads with this model, if the answer was given by it just now.

        Of a temporary conversation nothing is kept.
        """
        if self._jobs.latest != conversation or self._jobs.shelves.is_temporary(conversation):
            return
        stats = answer.stats
        computed = stats.get("prompt_tokens", 0) - stats.get("cached_tokens", 0)
        if (rate := stats.get("prefill_rate", 0)) > 0 and computed >= ENOUGH:
            self._store.set_setting(RATES, {**self._rates(), self._jobs.status().model or "": rate})

    # --- measuring -----------------------------------------------------------------------------------------

    def _weigh(self, conversation: str | None, draft: Draft, raw: Sequence[object], session: str) -> _Weighed:
        """Files that cannot be used are told one by one, and the rest is measured without them."""
        weighed = _Weighed(draft, draft)
        looks = []
        for n, file in enumerate(draft.files):
            try:
                media_type(file)
                looks.append(sizes.look(raw[n] if n < len(raw) else None))
                continue
            except BadDraft:
                weighed.problems[n] = sizes.NEITHER
            except ValueError as error:
                weighed.problems[n] = str(error)
            looks.append({})
        draft = replace(draft, looks=tuple(looks))
        weighed.papers = papers.states(self._jobs, session, conversation, draft.files, weighed.problems)
        weighed.problems |= {n: state.problem for n, state in weighed.papers.items() if state.problem}
        while True:
            weighed.good = _without(draft, weighed.problems)
            try:
                weighed.measured = self._jobs.measure(conversation, weighed.good)
                weighed.coming = papers.coming(self._jobs, conversation, weighed.papers, weighed.measured)
                return weighed
            except BadMedia as error:
                if (culprit := self._culprit(draft, weighed.problems, error)) is None:
                    weighed.told = error.message
                    return weighed
                weighed.problems[culprit] = error.problem
            except BackendError:
                return weighed  # no model yet, or measuring failed: nothing is known, and nothing is said

    def _culprit(self, draft: Draft, known: Mapping[int, str], error: BadMedia) -> int | None:
        """Which file of the draft it is; None: one that was sent before. Two may have the same name."""
        for n, file in enumerate(draft.files):
            if n not in known and file.name == error.name:
                try:
                    self._jobs.measure(None, Draft("", (file,), draft.choices, looks=(draft.looks[n],)))
                except BadMedia:
                    return n
        return None

    def _chips(self, weighed: _Weighed, files: int) -> list[dict[str, Any]]:
        looks = [
            look for file, look in zip(weighed.good.files, weighed.good.looks, strict=True) if seen(file)
        ]
        shown = iter(zip(_own(weighed), looks, strict=False))
        chips = []
        for n in range(files):
            if n in weighed.problems:
                chips.append(papers.bad(weighed.draft.files[n], weighed.problems[n]))
            elif n in weighed.papers:
                chips.append(papers.chip(weighed.draft.files[n], weighed.papers[n], weighed.coming.get(n)))
            else:
                one = next(shown, None)
                chips.append(sizes.chip(*one) if one else {})
        return chips

    def _details(self, weighed: _Weighed) -> dict[str, str]:
        """What each detail would make of the attached files; without any, its bound."""
        good = weighed.good
        told = {name: sizes.bound(most) for name, most in DETAIL.items()}
        for name in DETAIL if good.files else ():
            try:
                alone = replace(good, text="", choices=replace(good.choices, detail=name))
                told[name] = sizes.detail(self._jobs.measure(None, alone).shown)
            except BackendError:
                return told
        return told

    # --- the meter -----------------------------------------------------------------------------------------

    def _meter(self, conversation: str | None, weighed: _Weighed) -> dict[str, Any]:
        measured, good = weighed.measured, weighed.good
        if weighed.told:
            return {**NOTHING, "words": weighed.told, "wrong": True}
        if measured is None or not (good.text.strip() or good.files):
            return NOTHING
        path = self._path(conversation)
        share = min(1.0, measured.tokens / max(1, measured.limit))
        if measured.tokens >= measured.limit:
            helps = sizes.helps(measured.shown, _own(weighed), good.choices.detail, bool(path))
            words = sizes.too_long(measured.tokens, measured.limit, helps)
            return {"words": words, "share": share, "wrong": True}
        try:
            added = measured.tokens - self._without_message(conversation, path, good.choices)
        except BackendError:
            return NOTHING
        if unread := sum(not state.over for state in weighed.papers.values()):
            return {"words": sizes.unread(added, unread), "share": share, "wrong": False}
        pages = sum(one.tokens for one in {one.document: one for one in weighed.coming.values()}.values())
        tokens = measured.tokens + pages
        share = min(1.0, tokens / max(1, measured.limit))
        words = sizes.fills(added + pages, tokens, measured.limit, pages > 0)
        if rate := self._rates().get(self._jobs.status().model or ""):
            left = tokens - self._computed(conversation, path, good.choices)
            words += sizes.first_word(left / rate, self._jobs.status())
        return {"words": words, "share": share, "wrong": False}

    def _without_message(self, conversation: str | None, path: Sequence[Message], choices: Choices) -> int:
        """Tokens of the conversation and an empty question: what is more is the message's own."""
        which = (path[-1] if path else None, choices)
        if which != self._frame[0]:
            self._frame = which, self._jobs.measure(conversation, Draft("", (), choices)).tokens
        return self._frame[1]

    def _computed(self, conversation: str | None, path: Sequence[Message], choices: Choices) -> int:
        """Tokens that the engine still holds of this conversation, as far as can be told from here."""
        if not path or self._jobs.latest != conversation:
            return 0
        asked, stats = read(path[-1].options), path[-1].stats
        if (asked.system, asked.detail) != (choices.system, choices.detail):
            return 0  # the prompt begins otherwise
        return min(self._jobs.status().cached_tokens, int(stats.get("prompt_tokens", 0)))

    def _path(self, conversation: str | None) -> Sequence[Message]:
        return self._jobs.shelves.of(conversation).store.path(conversation) if conversation else ()

    def _rates(self) -> dict[str, float]:
        return dict(self._store.setting(RATES) or {})


def looks(raw: object, files: Sequence[Path]) -> tuple[dict[str, float], ...]:
    """How the videos are looked at, for the draft that is sent. Raises BadDraft for what cannot be meant."""
    given = raw if isinstance(raw, list) else []
    found = []
    for n, file in enumerate(files):
        try:
            found.append(sizes.look(given[n] if n < len(given) else None))
        except ValueError as error:
            raise BadDraft(f"{file.name}: {error} Nothing was sent.") from error
    return tuple(found)


def _without(draft: Draft, problems: Mapping[int, str]) -> Draft:
    kept = [n for n in range(len(draft.files)) if n not in problems]
    return replace(
        draft, files=tuple(draft.files[n] for n in kept), looks=tuple(draft.looks[n] for n in kept)
    )


def _own(weighed: _Weighed) -> Sequence[Shown]:
    """What is shown of the draft's own files: they come last in the conversation."""
    count = sum(map(seen, weighed.good.files))
    return weighed.measured.shown[-count:] if weighed.measured is not None and count else ()


def seen(file: Path) -> bool:
    """Whether the model looks at a file that can be sent; a document it reads."""
    return media_type(file).startswith(("image/", "video/"))
