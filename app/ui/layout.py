"""The page: which components stand where. No behaviour; that is wired in handlers.py.

Knows: Gradio's components, the page's own styles and scripts.
Does not know: conversations, jobs, the engine.

The last turn stands in a Chatbot of its own below the earlier ones: only it is repainted while an answer
arrives, however long the conversation is, and nothing moves when the answer ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app.ui.examples import EXAMPLES

ASSETS = Path(__file__).resolve().parent.parent.parent / "assets"
PLACEHOLDER = "Ask about a picture, a video or a document…"
EMPTY: dict[str, str | list[Any]] = {
    "text": "",
    "files": [],
}  # of the composer; its script cannot do with None
NO_CONVERSATIONS: dict[str, Any] = {"items": [], "active": None}  # items: {id, title, group}
LATEX: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]


class Drawn(gr.HTML):
    """A constant template that a script of ours fills through textContent.

    Gradio compiles templates to JavaScript, so a value in one would run: values reach the page only as data.
    """

    open_conv: Any  # Gradio makes an event of every name in the script's trigger() calls
    list_action: Any
    turn_action: Any
    settings_action: Any
    search_conv: Any
    ask_example: Any
    draft_action: Any
    draft_choice: Any

    # Gradio makes a component again from its own arguments, adding `render` and the like: hence **more
    def __init__(self, template: str, script: str, value: Any = None, **more: Any) -> None:
        super().__init__(
            value=value,
            html_template=template,
            css_template="",
            js_on_load=(ASSETS / script).read_text(encoding="utf-8"),
            apply_default_css=False,
            **more,
        )

    def postprocess(self, value: Any) -> Any:
        return value


@dataclass(frozen=True)
class Page:
    """What the handlers wire."""

    demo: gr.Blocks
    conversation: gr.State
    new_chat: gr.Button
    temporary_chat: gr.Button
    conversations: Drawn
    title: Drawn
    examples: Drawn
    earlier: gr.Chatbot
    latest: gr.Chatbot
    waiting: Drawn
    acts: Drawn
    notice: Drawn
    settings: Drawn
    box: gr.MultimodalTextbox
    thinking: gr.Checkbox
    attached: Drawn
    meter: Drawn


def theme() -> gr.themes.Base:
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.zinc,
        radius_size=gr.themes.sizes.radius_lg,
        font=[
            gr.themes.Font(name)
            for name in ("-apple-system", "BlinkMacSystemFont", "Inter", "PingFang SC", "sans-serif")
        ],
        font_mono=[gr.themes.Font(name) for name in ("ui-monospace", "SF Mono", "Menlo", "monospace")],
    )


STYLES = ("app.css", "composer.css", "saw.css", "history.css", "models.css", "touch.css")  # later wins
SCRIPTS: tuple[str, ...] = ("elements.js", "page.js", "places.js", "links.js", "seek.js", "saw.js")
SCRIPTS += ("sources.js", "lookup.js", "viewer.js", "gauge.js", "models.js", "extraction.js", "shelf.js")
SCRIPTS += ("memory.js", "language.js")


def styles() -> str:
    return "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in STYLES)


def head() -> str:
    chinese = (ASSETS / "chinese.json").read_text(encoding="utf-8")
    scripts = [f"window.chinese = {chinese};"]
    scripts += [(ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS]
    # as they are: Gradio keeps rules under @media to its own frame, in which menus and the viewer do not lie
    plain = [
        (ASSETS / name).read_text(encoding="utf-8")
        for name in ("viewer.css", "extraction.css", "shelf.css", "touch.css")
    ]
    marked = [f"<style>{style}</style>" for style in plain]
    return "".join((*marked, *(f"<script>{script}</script>" for script in scripts)))


def build() -> Page:
    """The whole page, not yet wired; handlers.wire is called inside its `demo`.

    What is about the demo model is seen only while that answers: gauge.js knows, models.css hides.
    """
    with gr.Blocks(title="GLM Chat", fill_height=True, fill_width=True, delete_cache=(3600, 86400)) as demo:
        conversation = gr.State(None)
        with gr.Column(elem_id="side"):
            gr.HTML(_BRAND, elem_id="brand", apply_default_css=False, js_on_load=None)
            with gr.Row(elem_id="begin"):
                new_chat = gr.Button("New chat", elem_id="new-chat", size="sm")
                temporary_chat = gr.Button("Temporary chat", elem_id="temporary-chat", size="sm")
            conversations = Drawn(_LIST, "conversations.js", NO_CONVERSATIONS, elem_id="convs")
            gr.HTML(_GAUGE, elem_id="gauge", apply_default_css=False, js_on_load=None)
        with gr.Column(elem_id="main"):
            title = Drawn(_TOP, "title.js", "", elem_id="top")
            gr.HTML(_TEMPORARY, elem_id="temporary", apply_default_css=False, js_on_load=None)
            with gr.Column(elem_id="scroll"):
                gr.HTML(_HELLO, elem_id="hello", apply_default_css=False, js_on_load=None)
                cards = [example.card() for example in EXAMPLES]
                examples = Drawn(_CARDS, "examples.js", cards, elem_id="examples")
                earlier, latest = _chatbot("earlier"), _chatbot("latest")
                waiting = Drawn(_WAITING, "words.js", "", elem_id="waiting")
                acts = Drawn("<i hidden></i>", "acts.js", [], elem_id="acts")
            settings = Drawn(_SETTINGS, "settings.js", {}, elem_id="settings")
            with gr.Column(elem_id="foot"):
                notice = Drawn("<p role='alert'></p>", "words.js", "", elem_id="notice")
                gr.HTML(_DEMO, elem_id="demo-model", apply_default_css=False, js_on_load=None)
                gr.HTML(_READS, elem_id="reads", apply_default_css=False, js_on_load=None)
                with gr.Column(elem_id="composer"):
                    attached = Drawn(_ATTACHED, "composer.js", {}, elem_id="attached")
                    box, thinking = _box(), _thinking()
                meter = Drawn(_METER, "meter.js", {}, elem_id="meter")
                gr.HTML(_FINE, elem_id="fine", apply_default_css=False, js_on_load=None)
    return Page(
        demo,
        conversation,
        new_chat,
        temporary_chat,
        conversations,
        title,
        examples,
        earlier,
        latest,
        waiting,
        acts,
        notice,
        settings,
        box,
        thinking,
        attached,
        meter,
    )


def _chatbot(name: str) -> gr.Chatbot:
    return gr.Chatbot(
        elem_id=name,
        elem_classes="chat",
        show_label=False,
        container=False,
        height=None,
        autoscroll=False,  # the column around both scrolls, see page.js
        layout="bubble",
        buttons=["copy"],
        feedback_options=None,
        allow_tags=False,
        latex_delimiters=LATEX,
        placeholder="",
    )


def _box() -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(
        EMPTY,
        elem_id="box",
        show_label=False,
        container=False,
        placeholder=PLACEHOLDER,
        file_count="multiple",
        sources=["upload"],
        autofocus=True,
        lines=1,
        max_lines=10,
        max_plain_text_length=1_000_000,  # Gradio would turn a longer paste into a file, which we do not take
    )


def _thinking() -> gr.Checkbox:
    return gr.Checkbox(True, label="Thinking", elem_id="thinking", container=False, show_label=False)


_LIST = (
    "<div class='find'><input type='search' placeholder='Search' aria-label='Search conversations' "
    "autocomplete='off' spellcheck='false'></div><nav class='convs' aria-label='Conversations'></nav>"
)
_BRAND = "<div class='brand'><i class='logo'></i>GLM Chat</div>"
_TOP = (
    "<button class='icon' data-do='sidebar' aria-label='Show or hide the sidebar' title='Sidebar'></button>"
    "<h1></h1>"
    "<button class='model-name' data-do='models' aria-haspopup='dialog' title='Models'><span></span></button>"
    "<button class='icon' data-do='tables' aria-label='Tables from files' title='Tables from files'></button>"
    "<button class='icon' data-do='documents' aria-label='Documents' title='Documents'></button>"
    "<button class='icon' data-do='theme' aria-label='Light or dark' title='Light or dark'></button>"
    "<button class='icon' data-do='settings' aria-label='Settings' title='Settings'></button>"
)
_TEMPORARY = (
    "<p role='status'><b>Temporary chat: nothing of this is kept</b> "
    "<span>It is gone when you close it or open another chat.</span></p>"
)
_SETTINGS = "<dialog class='settings' aria-label='Settings'></dialog>"
_HELLO = (
    "<div class='hello'><h2>What are we looking at?</h2>"
    "<p>Drop pictures, videos or documents anywhere in this window.</p></div>"
)
_CARDS = "<div class='examples' role='group' aria-label='Examples'></div>"
_DEMO = (
    "<p>Demo model: knows coloured shapes, short words and short clips. "
    "<button data-do='models' aria-haspopup='dialog'>Choose a model</button> to talk to GLM-4.5V</p>"
)
_GAUGE = (
    "<details class='gauge'><summary><span class='top'><b>Memory</b><span class='words'></span></span>"
    "<span class='bar' aria-hidden='true'></span></summary>"
    "<div class='parts'></div></details>"
)
_WAITING = "<div class='waiting'><i></i><p role='status'></p></div>"
_ATTACHED = (
    "<div class='chips' role='list' aria-label='Attached files'></div>"
    "<p class='unable'>The demo model cannot read documents. "
    "<button data-do='models' aria-haspopup='dialog'>Choose a model</button> to ask about them.</p>"
    "<button type='button' class='options-button' aria-label='Options' aria-haspopup='dialog' "
    "aria-expanded='false' title='Picture detail, thinking budget, frames of a video'></button>"
    "<div class='options' popover role='dialog' aria-label='Options'></div>"
)
_READS = (
    "<button type='button' class='reads' data-do='documents' aria-haspopup='dialog' hidden>"
    "<span>Reads:</span><b translate='no'></b></button>"
)
_METER = "<div class='meter'><i></i><p></p></div>"
_FINE = "<p>Answers are made on this computer alone. Check the important ones.</p>"
