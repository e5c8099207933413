"""However a stream is cut, it folds to the same reply, and no tag ever shows."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tokenizer import NONSPECIAL, SPECIAL

from mlx_backend import grounding
from mlx_backend.glm.tokenizer import Tokenizer
from mlx_backend.parse import _TAG, _TAGS, BOX_LIMIT, Parser
from mlx_backend.reply import Reply
from mlx_backend.types import Answer, Boxed, Boxes, Event, Reasoning, Rethink, Text, ToolCall


class Pieces:
    """A vocabulary in which token i is the i-th piece of a stream, cut anywhere, even inside a character."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.added: dict[str, int] = {}

    def token_bytes(self, id: int) -> bytes:
        return self.pieces[id]


def events_of(pieces: list[bytes], stop: tuple[str, ...] = (), images: int = 1) -> list[Event]:
    parser = Parser(Pieces(pieces), stop=stop, images=images)
    return [event for id in range(len(pieces)) for event in parser.feed(id)] + parser.finish()


def fold(events: list[Event]) -> Reply:
    reply = Reply()
    for event in events:
        reply.add(event)
    return reply


# --- hand-made streams -----------------------------------------------------------------------------------

ANSWER = [Answer("Hello.")]
WEATHER = "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>{}</arg_value>\n</tool_call>"
BOX, END = "<|begin_of_box|>", "<|end_of_box|>"

STREAMS: dict[str, tuple[str, list[Event]]] = {
    "nothing": ("", []),
    "no thinking": ("Hello.", ANSWER),
    "newlines first": ("\n\nHello.", ANSWER),
    "thinking": ("<think>Hm.</think>Hello.", [Reasoning("Hm."), *ANSWER]),
    "thinking with newlines": (
        "\n<think>\n\nHm.\nSo.\n\n</think>\n\nHello.",
        [Reasoning("Hm.\nSo."), *ANSWER],
    ),
    "empty thinking": ("<think></think>\nHello.", ANSWER),
    "blank thinking": ("<think>\n \n</think>Hello.", ANSWER),
    "cut while thinking": ("<think>Hm. ", [Reasoning("Hm.")]),
    "cut in the closing tag": ("<think>Hm.</thi", [Reasoning("Hm."), Reasoning("</thi")]),
    "closing tag without an opening one": (
        "Hm.\n</think>\nHello.",
        [Answer("Hm.\n"), Rethink(), Answer("Hello.")],
    ),
    "closing tag first": ("</think>\nHello.", ANSWER),
    "closing tag without an answer": ("Hm.</think>", [Answer("Hm."), Rethink()]),
    "closing tag twice": ("<think>Hm.</think>Hel</think>lo.", [Reasoning("Hm."), *ANSWER]),
    "orphan twice": ("Hm.</think>Hel</think>lo.", [Answer("Hm."), Rethink(), *ANSWER]),
    "opening tag twice": ("<think>H<think>m.</think>Hello.", [Reasoning("Hm."), *ANSWER]),
    "a second block": (
        "<think>Hm.</think>A <think>So.</think>b",
        [Reasoning("Hm."), Answer("A "), Reasoning("\n\nSo."), Answer("b")],
    ),
    "thinking late": ("A.\n<think>Hm.</think>\nB.", [Answer("A.\n"), Reasoning("Hm."), Answer("\nB.")]),
    "an orphan, then a block": (
        "Hm.</think><think>So.</think>Hello.",
        [Answer("Hm."), Rethink(), Reasoning("\n\nSo."), *ANSWER],
    ),
    "a box while thinking": (
        f"<think>at {BOX}[1,2,3,4]{END}?</think>Hello.",
        [Reasoning("at [1,2,3,4]?"), *ANSWER],
    ),
    "a final answer in a box": (f"It is {BOX}42{END}.", [Answer("It is "), Answer("42", True), Answer(".")]),
    "a box of one place": (
        f"The cat: {BOX}[10,20,300,400]{END}",
        [Answer("The cat: "), Answer("[10,20,300,400]", True), Boxes(0, ((10, 20, 300, 400),), "The cat")],
    ),
    "a box of several": (
        f"Cats\n{BOX}[[1, 2, 3, 4],\n [5, 6, 7, 8]]{END}",
        [
            Answer("Cats\n"),
            Answer("[[1, 2, 3, 4],\n [5, 6, 7, 8]]", True),
            Boxes(0, ((1, 2, 3, 4), (5, 6, 7, 8))),
        ],
    ),
    "points": (f"{BOX}[[1,2],[3,4]]{END}", [Answer("[[1,2],[3,4]]", True), Boxes(0, ((1, 2), (3, 4)))]),
    "two boxes on a line": (
        f"- **cat** {BOX}[1,2]{END}, dog: {BOX}[3,4]{END}",
        [
            Answer("- **cat** "),
            Answer("[1,2]", True),
            Boxes(0, ((1, 2),), "cat"),
            Answer(", dog: "),
            Answer("[3,4]", True),
            Boxes(0, ((3, 4),), "dog"),
        ],
    ),
    "a box without an end": (f"{BOX}[1,2,3,4]", [Answer("[1,2,3,4]", True), Boxes(0, ((1, 2, 3, 4),))]),
    "half a box": (f"It is {BOX}[1,2", [Answer("It is "), Answer("[1,2", True)]),
    "an empty box": (f"{BOX}{END}Hello.", ANSWER),
    "an end without a box": (f"Hel{END}lo.", ANSWER),
    "a box in a box": (f"{BOX}4{BOX}2{END}{END}", [Answer("42", True)]),
    "thinking in a box": (
        f"{BOX}4<think>Hm.</think>2{END}",
        [Answer("4", True), Reasoning("Hm."), Answer("2")],
    ),
    "a call": (WEATHER.format("Köln"), [ToolCall("weather", {"city": "Köln"})]),
    "a call after thinking": (
        "<think>Hm.</think>\n" + WEATHER.format("Köln"),
        [Reasoning("Hm."), ToolCall("weather", {"city": "Köln"})],
    ),
    "a call of nothing": ("<tool_call>now\n</tool_call>", [ToolCall("now", {})]),
    "a call on one line": (
        "<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value></tool_call>",
        [ToolCall("f", {"a": 1})],
    ),
    "values of every kind": (
        "<tool_call>f\n"
        + "".join(
            f"<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n"
            for key, value in enumerate(
                ["1.5", "true", "null", '[1, "x"]', '{"a": 1}', '"q"', "NaN", " a\nb ", ""]
            )
        )
        + "</tool_call>",
        [
            ToolCall(
                "f",
                dict(
                    zip(
                        map(str, range(9)),
                        [1.5, True, None, [1, "x"], {"a": 1}, "q", "NaN", " a\nb ", ""],
                        strict=True,
                    )
                ),
            )
        ],
    ),
    "a tag in a value": (WEATHER.format("a<think>b"), [ToolCall("weather", {"city": "a<think>b"})]),
    "two calls": (
        "Wait.\n" + WEATHER.format("1") + "\n" + WEATHER.format("2"),
        [Answer("Wait.\n"), ToolCall("weather", {"city": 1}), Answer("\n"), ToolCall("weather", {"city": 2})],
    ),
    "a call without a name": ("<tool_call>\n</tool_call>Hello.", ANSWER),
    "a call with loose words": ("<tool_call>call the weather</tool_call>!", [Answer("call the weather!")]),
    "a call with half an argument": (
        "<tool_call>f\n<arg_key>a</arg_key>\n1</tool_call>",
        [Answer("f\na\n1")],
    ),
    "a call without an end": ("<tool_call>f\n<arg_key>a</arg_key>", [Answer("f\na")]),
    "a call without an end before another": (
        "<tool_call>what f<tool_call>now</tool_call>",
        [Answer("what f"), ToolCall("now", {})],
    ),
    "tags of turns": ("Hel<|image|>lo<|assistant|>.<|begin_of_image|></arg_key><tool_response>", ANSWER),
    "a tag within a tag": (
        "Hi <thi<|image|>nk>Hm.</think>Hello.",
        [Answer("Hi "), Reasoning("Hm."), Answer("Hello.")],
    ),
    "what only looks like a tag": (
        "a <b> <thinker> <|x|> </ <",
        [Answer("a <b> <thinker> <|x|> </ "), Answer("<")],
    ),
    "a tag's start at the end": ("a <|begin_of", [Answer("a "), Answer("<|begin_of")]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_hand_made_streams(name: str) -> None:
    text, expected = STREAMS[name]
    assert events_of([text.encode()]) == expected


@pytest.mark.parametrize("name", STREAMS)
def test_hand_made_streams_token_by_token(name: str, tokenizer: Tokenizer) -> None:
    """The same as control ids, as words that spell the tags, and byte by byte."""
    text, expected = STREAMS[name]
    as_ids = [i for p in tokenizer.split(text) for i in ([p] if isinstance(p, int) else tokenizer.encode(p))]
    for ids in (as_ids, tokenizer.encode(text)):
        parser = Parser(tokenizer, images=1)
        events = [event for id in ids for event in parser.feed(id)] + parser.finish()
        assert fold(events) == fold(expected)
    assert fold(events_of([bytes([b]) for b in text.encode()])) == fold(expected)


# --- any stream, any cut ---------------------------------------------------------------------------------

_words = st.sampled_from(
    ["Hello", " ", "\n", "é", "🎉", "[1,2,3,4]", "[[1, 2]]", "image 2: ", "42", ".", "f", "<", "<th"]
)
_tags = st.sampled_from(_TAGS)
_fragments = st.builds(lambda tag, n: tag[: n % len(tag)], _tags, st.integers(1, 30))
_ends = st.builds(lambda tag, n: tag[n % len(tag) :], _tags, st.integers(1, 30))
_streams = st.lists(
    st.one_of(_tags, _tags, _words, _words, _fragments, st.text(max_size=5), st.just(WEATHER.format("x"))),
    max_size=14,
).map("".join)
_wild = _streams | st.lists(st.one_of(_tags, _words, _fragments, _ends), max_size=14).map("".join)
_TAG_OR_WORDS = re.compile(f"({_TAG.pattern})")
_stops = st.lists(st.sampled_from(["END", "\n\n", "Hello", "42", "lo", "<", "1,2"]), max_size=2).map(tuple)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(n % (len(data) + 1) for n in at)})
    return [data[a:b] for a, b in pairwise(edges)]


@settings(max_examples=600, deadline=None)
@given(_wild, st.lists(st.integers(0, 10_000), max_size=40), _stops, st.integers(0, 2))
def test_any_cut_folds_to_the_same_reply(
    text: str, at: list[int], stop: tuple[str, ...], images: int
) -> None:
    data = text.encode("utf-8", "replace")
    reply = fold(events_of([data], stop, images))
    assert fold(events_of(cut(data, at), stop, images)) == reply
    assert fold(events_of([bytes([b]) for b in data], stop, images)) == reply


@settings(max_examples=300, deadline=None)
@given(_wild)
def test_ids_and_spelled_tags_fold_to_the_same_reply(tokenizer: Tokenizer, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    replies = []
    pieces = [p for p in _TAG_OR_WORDS.split(text) if p]
    as_ids = [i for p in pieces for i in ([tokenizer.added[p]] if p in _TAGS else tokenizer.encode(p))]
    for ids in (as_ids, tokenizer.encode(text)):
        parser = Parser(tokenizer, images=2)
        replies.append(fold([event for id in ids for event in parser.feed(id)] + parser.finish()))
    assert replies[0] == replies[1]


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=40).map(lambda data: data.replace(b"<", b"")),
    st.lists(st.integers(0, 10_000), max_size=10),
)
def test_any_bytes_are_text(data: bytes, at: list[int]) -> None:
    """Characters split over tokens come whole; bytes that are none become U+FFFD."""
    assert fold(events_of(cut(b"." + data, at))).answer == "." + data.decode("utf-8", "replace")


def shown(reply: Reply) -> list[str]:
    return [reply.reasoning, *(segment.text for segment in reply.segments)]


@settings(max_examples=600, deadline=None)
@given(_streams, st.lists(st.integers(0, 10_000), max_size=40))
def test_no_tag_ever_shows(text: str, at: list[int]) -> None:
    reply = fold(events_of(cut(text.encode("utf-8", "replace"), at)))
    assert not any(_TAG.search(text) for text in shown(reply))


_dropped = st.sampled_from(["<|user|>", "<|image|>", "</tool_response>", "<arg_key>"])
_shards = st.builds(
    lambda tag, n, end: tag[n:] if end else tag[:n], _dropped, st.integers(0, 16), st.booleans()
)


@settings(max_examples=600, deadline=None)
@given(st.lists(_dropped | _shards, max_size=12).map("".join), st.lists(st.integers(0, 10_000), max_size=40))
def test_leaving_a_tag_out_never_makes_another(text: str, at: list[int]) -> None:
    left = text
    while _TAG.search(left):
        left = _TAG.sub("", left, count=1)
    assert fold(events_of(cut(text.encode(), at))).answer == left.lstrip()


@given(_streams)
def test_no_word_is_lost(text: str) -> None:
    """Without calls, whose values are decoded, the letters of the stream are those of the reply."""
    text = text.replace("tool_call>", "").replace("arg_", "").encode("utf-8", "replace").decode()
    reply = fold(events_of([text.encode()]))
    left = text
    while _TAG.search(left):
        left = _TAG.sub("", left)
    said = [reply.reasoning, reply.answer]
    assert sorted("".join("".join(said).split())) == sorted("".join(left.split()))


# --- holding back ----------------------------------------------------------------------------------------


def test_text_is_held_back_only_while_it_can_become_a_tag(tokenizer: Tokenizer) -> None:
    parser = Parser(Pieces([b"a <", b"|be", b"g", b"ig", b" <thi", b"nk>", b"Hm"]))
    assert [parser.feed(id) for id in range(7)] == [
        [Answer("a ")],
        [],
        [],
        [Answer("<|begig")],
        [Answer(" ")],
        [],
        [Reasoning("Hm")],
    ]


def test_a_character_split_over_tokens_comes_when_it_is_whole() -> None:
    data = "é🎉".encode()
    parser = Parser(Pieces([bytes([b]) for b in data]))
    assert [parser.feed(id) for id in range(6)] == [[], [Answer("é")], [], [], [], [Answer("🎉")]]


def test_half_a_character_at_the_end_becomes_the_replacement_character() -> None:
    assert events_of(["Ende 🎉".encode()[:-1]]) == [Answer("Ende "), Answer("\ufffd")]


def test_a_box_that_never_ends_is_not_held_back_for_ever() -> None:
    words = "word " * (BOX_LIMIT // 5 + 1)
    assert events_of([BOX.encode(), words.encode(), b"more"]) == [Answer(words), Answer("more")]
    exact = "x" * BOX_LIMIT
    assert events_of([f"{BOX}{exact}{END}".encode()]) == [Answer(exact, True)]


def test_tokens_without_words_never_show(tokenizer: Tokenizer) -> None:
    hidden = {*SPECIAL, *NONSPECIAL} - {"<think>", "</think>", "<tool_call>", BOX}
    parser = Parser(tokenizer)
    ids = [*tokenizer.encode("Hel"), *(tokenizer.added[text] for text in hidden), tokenizer.size]
    events = [event for id in (*ids, *tokenizer.encode("lo.")) for event in parser.feed(id)]
    assert fold(events + parser.finish()).answer == "Hello."


def test_words_that_spell_a_token_without_structure_are_words(tokenizer: Tokenizer) -> None:
    parser = Parser(tokenizer)
    text = "Write /nothink or [gMASK]<sop>."
    events = [event for id in tokenizer.encode(text) for event in parser.feed(id)]
    assert fold(events + parser.finish()).answer == text


# --- thinking --------------------------------------------------------------------------------------------


def test_reasoning_is_counted_and_known() -> None:
    parser = Parser(Pieces([b"<think>", b"a", b" b", b"</think>", b"c"]))
    seen = []
    for id in range(5):
        parser.feed(id)
        seen.append((parser.thinking, parser.reasoning_tokens))
    assert seen == [(True, 0), (True, 1), (True, 2), (False, 2), (False, 2)]


def test_an_orphan_closing_tag_makes_reasoning_of_all_tokens_before() -> None:
    parser = Parser(Pieces([b"a", b" b", b"</think>", b"c"]))
    for id in range(4):
        parser.feed(id)
    assert parser.reasoning_tokens == 2


# --- stop strings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "stop", "answer", "stopped"),
    [
        ("one END two", ("END",), "one ", True),
        ("one EN two", ("END",), "one EN two", False),
        ("one EN", ("END",), "one EN", False),
        ("one ENEND two", ("END",), "one EN", True),
        ("END", ("END",), "", True),
        ("abc", ("abc", "b"), "a", True),  # whichever ends first
        ("xabc", ("bc", "abc"), "x", True),  # of those that end together the longest
        ("a\n\nb", ("\n\n",), "a", True),
        ("\n\na", ("\n\n",), "a", False),  # newlines before the answer are no part of it
        ("<think>END</think>one END", ("END",), "one ", True),
        ("one", ("",), "one", False),
        (f"a{BOX}1END2{END}b", ("END",), "a1", True),
        ("a E<|image|>ND b", ("END",), "a ", True),
        (WEATHER.format("END") + "one", ("END",), "one", False),
        ("<tool_call>END of it</tool_call>one", ("END",), "", True),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_stop_strings(text: str, stop: tuple[str, ...], answer: str, stopped: bool, whole: bool) -> None:
    pieces = [text.encode()] if whole else [bytes([b]) for b in text.encode()]
    parser = Parser(Pieces([*pieces, b"after"]), stop=stop)
    events = [event for id in range(len(pieces)) for event in parser.feed(id)]
    assert parser.stopped is stopped
    if stopped:
        assert parser.feed(len(pieces)) == []
        assert parser.finish() == []
    assert fold(events + parser.finish()).answer == answer


# --- places ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("[1,2,3,4]", [(1, 2, 3, 4)]),
        ("[[1,2,3,4]]", [(1, 2, 3, 4)]),
        ("[[1,2,3,4],[5,6,7,8]]", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("[1,2,3,4],[5,6,7,8]", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("[1,2,3,4]\n[5,6,7,8]", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("[[[1,2,3,4]]]", [(1, 2, 3, 4)]),
        ("[1,2,3,4,5,6,7,8]", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("[5,6]", [(5, 6)]),
        ("[[5,6],[7,8]]", [(5, 6), (7, 8)]),
        ("[[1,2,3,4],[5,6]]", [(1, 2, 3, 4), (5, 6)]),
        (" [ 1 , 2 ,\n3 , 4 ] ", [(1, 2, 3, 4)]),
        ("[[1,2,3,4],]", [(1, 2, 3, 4)]),
        ("[1.4,2.6,3.0,4.]", [(1, 3, 3, 4)]),
        ("[0.1,0.25,0.5,1.0]", [(100, 250, 500, 1000)]),
        ("[0,0,1,1]", [(0, 0, 1, 1)]),
        ("[-20,5,1040,1000]", [(0, 5, 1000, 1000)]),
        ("[300,400,100,200]", [(100, 200, 300, 400)]),
        ("[0,0,1920,1080]", []),
        ("[-500,0,10,10]", []),
        ("[" + "9" * 400 + ",1,2,3]", []),
        ("[1,2,3]", []),
        ("[1]", []),
        ("[]", []),
        ("42", []),
        ("1,2,3,4", []),
        ("(1,2)", []),
        ("[1,2,3,4] cat", []),
        ("x=[1,2]", []),
        ("[1,2,3,4", []),
        ("[a,b]", []),
        ("", []),
    ],
)
def test_places(text: str, places: list[tuple[int, ...]]) -> None:
    assert grounding.places(text) == tuple(places)


@given(
    st.lists(st.tuples(*[st.integers(0, 1000)] * 4), min_size=1, max_size=5), st.sampled_from(["", " ", "\n"])
)
def test_places_come_back(boxes: list[tuple[int, int, int, int]], gap: str) -> None:
    ordered = tuple((min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes)
    assert grounding.places(str([list(box) for box in boxes]).replace(" ", gap)) == ordered


@pytest.mark.parametrize(
    ("line", "images", "index"),
    [
        ("The cat is at", 3, 2),
        ("In image 2, the cat is at", 3, 1),
        ("Picture 1: cat", 2, 0),
        ("image 1 and then in Image-2", 3, 1),
        ("image 9", 3, 2),
        ("image 0", 3, 2),
        ("image", 1, 0),
        ("imagery 1", 3, 2),
    ],
)
def test_the_picture_a_box_is_about(line: str, images: int, index: int) -> None:
    events = events_of([f"{line} {BOX}[1,2]{END}".encode()], images=images)
    assert [event.image for event in events if isinstance(event, Boxes)] == [index]


def test_every_box_of_a_line_is_about_the_picture_it_names() -> None:
    text = f"In image 1 cat {BOX}[1,2]{END} dog {BOX}[3,4]{END}\nbird {BOX}[5,6]{END}"
    boxes = [event for event in events_of([text.encode()], images=2) if isinstance(event, Boxes)]
    assert [(box.image, box.label) for box in boxes] == [(0, "In image 1 cat"), (0, "dog"), (1, "bird")]


def test_without_a_picture_coordinates_stay_words() -> None:
    assert events_of([f"{BOX}[1,2]{END}".encode()], images=0) == [Answer("[1,2]", True)]


def test_a_reply_goes_back_into_a_message(tokenizer: Tokenizer) -> None:
    reply = fold(events_of([f"<think>Hm.</think>The cat {BOX}[1,2]{END} sits.".encode()]))
    assert reply.parts() == (Text("The cat "), Boxed("[1,2]"), Text(" sits."))


# --- an answer that is gone on with ----------------------------------------------------------------------


# What takes back what was shown, or is one box or call, cannot be cut there.
WHOLE = re.compile(r"</think>.*</think>|^(?!<think>).*</think>|box|tool_call", re.DOTALL)


@pytest.mark.parametrize("name", [name for name in STREAMS if not WHOLE.search(STREAMS[name][0])])
def test_what_was_shown_before_is_not_shown_again(name: str) -> None:
    """Cut anywhere outside a tag, a box, a call: what came before and what comes after fold to the whole."""
    text = STREAMS[name][0]
    whole = fold(events_of([char.encode() for char in text]))
    for cut in range(1, len(text)):
        if re.search(r"<[^>]*$", text[:cut]):
            continue
        pieces = [char.encode() for char in text]
        before = fold(events_of(pieces[:cut]))
        parser = Parser(Pieces(pieces), images=1)
        parser.resume(range(cut))
        after = [event for id in range(cut, len(pieces)) for event in parser.feed(id)] + parser.finish()
        for event in after:
            before.add(event)
        assert (before.reasoning, before.answer) == (whole.reasoning, whole.answer), cut
