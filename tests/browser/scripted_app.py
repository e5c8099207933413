"""The real app with a scripted engine: what a question says decides what comes back. Run as a program.

usage: python scripted_app.py PORT   (the data folder is GLM_CHAT_HOME)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from app import titles
from app.config import Config
from app.server import serve
from mlx_backend import (
    Answer,
    BadMedia,
    Boxes,
    Done,
    EngineStopped,
    FakeEngine,
    Image,
    Progress,
    Reasoning,
    Request,
    Saw,
    Shown,
    Stats,
    Text,
    Video,
)
from mlx_backend.fake import Step

# Words of a long answer, 30 ms each: time enough to reload in the middle. "on and on": to be stopped.
LONG, ON_AND_ON = 200, 2000
HOSTILE = (
    "![leak](TRACKER/pixel.png?leak=1) <img src='TRACKER/2.png' onerror=\"window.pwned='img'\"> "
    "<script>window.pwned='script'</script> <iframe src='TRACKER/frame'></iframe> "
    "[click](javascript:window.pwned='link') <video src='TRACKER/v.mp4'></video> "
    "${window.pwned='template'} {{constructor.constructor('window.pwned=1')()}} "
    "<style>@import 'TRACKER/x.css';</style> <b style='background:url(TRACKER/b.png)'>the end</b>"
)


SQUARE, CIRCLE, TIP = (421, 277, 673, 723), (93, 277, 345, 723), (844, 333)
POINTED = [
    Answer("The blue square: "),
    Answer("[[421,277,673,723]]", boxed=True),
    Boxes(0, (SQUARE,), "The blue square"),
    Answer("\nOthers: "),
    Answer("[[93,277,345,723],[844,333]]", boxed=True),
    Boxes(0, (CIRCLE, TIP), "<img src=x onerror=window.pwned=1>"),
    Answer("."),
]


LINKS = (
    "[docs](ADDRESS) and <a href='ADDRESS' target='_self'>bare</a>, [here](#top)\n\n"
    "![a cat](http://127.0.0.1:9/cat.png?who=me) ![](data:image/png;base64,iVBORw0KGgo=) "
    "<video src='http://127.0.0.1:9/v.mp4'></video> the end"
)
RICH = """Here is **all** of it.

| Shape | Colour | Area in px² | A column with rather many words in it |
|---|---|---:|---|
| circle | amber | 20,106 | left of the others, and the only round one |
| square | blue | 25,600 | in the middle |

```python
def area(radius: float) -> float:
    return 3.141592653589793 * radius**2  # a line that is longer than the width of any phone there is
```

Inline \\(a^2 + b^2 = c^2\\), and alone:

$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$

```mermaid
graph LR
  A[Picture] --> B[Patches] --> C[Answer]
```

1. first
2. second

> A quotation.

That was all.
"""


CLIP_SECONDS, CLIP_PAIRS = (
    6.0,
    12,
)  # of every video that a question "watch" comes with; "endless": far more pairs
WATCHED = [
    Answer("It turns **blue** at 0:02, and at 4.0 seconds it is *red*; never at 0:59.\n\n"),
    Answer("`0:03` [0:01](http://127.0.0.1:9/elsewhere) in long.webm at 0:05\n\n```\n0:04\n```\n\n"),
    Answer("- It lasts 4 seconds.\n- second 3\n\n| when |\n|---|\n| 00:01 |\n\n[own](#seek=3)"),
]


def shown(request: Request) -> Iterator[Shown]:
    """What a model with pictures of 1204 x 896 at most would be shown."""
    for part in (part for message in request.messages for part in message.content):
        if isinstance(part, Video):
            pairs = CLIP_PAIRS * (20 if "endless" in str(request.messages[-1].content) else 1)
            moments = tuple(n * CLIP_SECONDS / pairs for n in range(pairs))
            yield Shown(part.name, True, (320, 240), 336, 252, 108 * pairs, moments, CLIP_SECONDS)
        elif isinstance(part, Image):
            yield Shown(part.name, False, (4000, 3000), 1204, 896, 1376)


def showing(question: str, request: Request) -> list[Step]:
    """An answer with more than words in it, if the question asks for one."""
    if "watch" in question:
        return [
            Saw(tuple(shown(request))),
            *WATCHED,
            Done("stop", Stats(30000, 0, 0, 40, 0.1, 1000.0, 20.0, 0)),
        ]
    if "rich" in question:
        pieces: list[Step] = [Answer(RICH[at : at + 60]) for at in range(0, len(RICH), 60)]
        thoughts: list[Step] = [Reasoning("What is there to show? "), 0.5, Reasoning("All of it.")]
        return [*thoughts, *pieces, Done("stop", Stats(9800, 3200, 12, 420, 1.5, 900.0, 20.0, 0))]
    if "point" in question:
        return [*POINTED, Done("stop")]
    return []


def script(request: Request) -> Sequence[Step]:
    if request.go_on:
        return [Answer(" And here is the rest.")]
    question = " ".join(part.text for part in request.messages[-1].content if isinstance(part, Text))
    turns = sum(message.role == "user" for message in request.messages)
    media = sum(not isinstance(part, Text) for message in request.messages for part in message.content)
    if "long" in question:
        count = ON_AND_ON if "on and on" in question else LONG
        words: list[Step] = [step for n in range(count) for step in (Answer(f"word{n} "), 0.03)]
        return [Reasoning("A long one."), *words, Answer("the end.")]
    if "hostile" in question:
        return [Answer(HOSTILE.replace("TRACKER", re.findall(r"http://\S+", question)[0]))]
    if "links" in question:
        return [Answer(LINKS.replace("ADDRESS", re.findall(r"http://\S+", question)[0]))]
    if "wait" in question:
        return [Progress("prefill", 3200, 9800), 30.0, Answer("too late")]
    if shows := showing(question, request):
        return shows
    if "bad picture" in question:
        return [BadMedia("broken.png", "the file ends in the middle of the picture. Save it again.")]
    if "die" in question:
        return [Answer("Half an ans"), 0.6, EngineStopped(-9, "answering")]
    pause = 4.0 if "ponder" in question else 0.2
    thinking: list[Step] = [Reasoning("Let me look "), pause, Reasoning("at this closely."), 0.2]
    seen = Answer(f"I saw **{media} files** in {turns} turns.")
    return [*(thinking if request.thinking else []), seen, Done("stop")]


def script_or_title(request: Request) -> Sequence[Step]:
    asked = request.messages[-1].content[-1]
    if isinstance(asked, Text) and asked.text == titles.QUESTION:
        return [0.5, Answer("Titled by the model")]
    return script(request)


if __name__ == "__main__":
    config = Config()
    with FakeEngine(script_or_title) as engine:
        sys.exit(serve(config, engine, port=int(sys.argv[1]), open_browser=False))
