"""The map of the window's sentences: none is stale, none of the errors is missing, their holes fit."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from asking import ROOT
from sentences import produced

from app.blobs import Blobs
from app.store import Store

ASSETS = ROOT / "assets"
CHINESE: dict[str, str] = json.loads((ASSETS / "chinese.json").read_text(encoding="utf-8"))
HOLE = re.compile(r"\{([#+?]?\d)\}")
GAP = "\0"  # stands for whatever a sentence of the code is filled with
# Strings and templates of a script; comments are matched so that an apostrophe in one begins nothing.
SCRIPT = re.compile(
    r"""//[^\n]*|'((?:\\.|[^'\\\n])*)'|"((?:\\.|[^"\\\n])*)"|`((?:\\.|[^`\\])*)`""", re.DOTALL
)
# Their text reaches a person in the terminal, which speaks English.
TERMINAL = (
    "app/__main__.py",
    "app/ask.py",
    "app/ask_line.py",
    "app/attached.py",
    "app/backup.py",
    "app/config.py",
    "app/extracting.py",
    "app/migrations.py",
    "app/models.py",
    "app/plan.py",
    "app/shelving.py",
    "app/using.py",
)
ERRORS = {
    "BackendError", "BadColumns", "BadDraft", "BadExport", "BadImport", "BadMedia", "Broken", "ModelBroken",
    "BackupFailed", "Refused", "DownloadFailed", "Again",
}  # fmt: skip
NAMES = {"GLM Chat", "PingFang SC", "SF Mono"}
# Raised where no window is: bringing a copy back is a command, and an export that fails is a failed download.
NOT_SHOWN = ("was not brought back", "could not be brought back", "There is no export")


def sources() -> Iterator[Path]:
    yield from (file for room in ("app", "mlx_backend") for file in sorted((ROOT / room).rglob("*.py")))


def said(node: ast.AST) -> str | None:
    """A string of the code with gaps where it is filled; None: it is no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else GAP for v in node.values)
    return None


def in_python(file: Path) -> Iterator[str]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if id(node) not in docstrings and (text := said(node)) is not None:
            yield text
            if "<" in text:  # a template: its texts and labels
                yield from re.split(r"<[^>]*>", text)
                yield from re.findall(r"='([^']*)'", text)


def in_script(file: Path) -> Iterator[str]:
    for found in SCRIPT.finditer(file.read_text(encoding="utf-8")):
        text = next((group for group in found.groups() if group is not None), "")
        yield re.sub(r"\$\{[^}]*\}", GAP, text)


@cache
def corpus() -> frozenset[str]:
    texts = [text for file in sources() for text in in_python(file)]
    texts += [text for file in sorted(ASSETS.glob("*.js")) for text in in_script(file)]
    texts += [text.partition(f"{GAP}: ")[2] for text in texts]  # "name: problem"
    texts += [text.strip(" ·") for text in texts] + gradios()
    return frozenset(" ".join(text.split()) for text in texts)


def gradios() -> list[str]:
    """Words that Gradio puts into the page, as far as the map knows them."""
    import gradio

    bundle = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
    theirs = {
        "Multimedia input field",
        "Upload a file",
        "Uploaded files",
        "Submit",
        "Stop",
        "MultimodalTextbox",
    }
    found = set[str]()
    for file in bundle.glob("*.js"):
        code = file.read_text(encoding="utf-8", errors="ignore") if len(found) < len(theirs) else ""
        found |= {words for words in theirs - found if words in code}
    return sorted(found)


def normal(key: str) -> str:
    return " ".join(HOLE.sub(GAP, key).split())


def test_no_entry_is_stale(store: Store, blobs: Blobs, tmp_path: Path) -> None:
    made = list(produced(store, blobs, tmp_path))
    assert [key for key in CHINESE if not occurs(key, made)] == []


def occurs(key: str, made: Sequence[str]) -> bool:
    """Whether the code says this, gaps included, or has just made it. Mere punctuation joins sentences."""
    plain = normal(key)
    counted, followed = plain.removeprefix(f"{GAP} "), plain.removesuffix(f" {GAP}")
    if not re.search("[A-Za-z]", HOLE.sub("", key)) or {plain, counted, followed} & corpus():
        return True
    pattern = re.compile(".+".join(map(re.escape, HOLE.split(key)[::2])))
    return any(pattern.search(text) for text in made) or any(
        len(text) * 2 > len(plain) and re.fullmatch(".*".join(map(re.escape, text.split(GAP))), plain)
        for text in corpus()
        if GAP in text
    )


def test_every_error_is_in_the_map() -> None:
    known = {normal(key) for key in CHINESE}
    missing = [text for file in sources() for text in errors(file) if not fits(text, known)]
    assert missing == []


def errors(file: Path) -> Iterator[str]:
    """What the file raises for a person at the window."""
    if str(file.relative_to(ROOT)) in TERMINAL:
        return
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
            texts = [text for argument in node.args if (text := said(argument)) and text.count(" ") > 1]
            shown = [text for text in texts if not any(words in text for words in NOT_SHOWN)]
            yield from (" ".join(text.split()) for text in shown)


def test_every_sentence_of_the_page_is_in_the_map() -> None:
    """Of its scripts and templates; single words may be names of classes, and are seen in the browser."""
    texts = [text for file in sorted(ASSETS.glob("*.js")) for text in in_script(file)]
    texts += in_python(ROOT / "app" / "ui" / "layout.py")
    known = {normal(key) for key in CHINESE} | NAMES
    sentences = {" ".join(text.split()) for text in texts if re.match(r"\s*[A-Z]\w* \w", text)}
    assert [text for text in sorted(sentences) if not fits(text.strip(" ·"), known)] == []


def fits(text: str, known: set[str]) -> bool:
    """Whether a sentence of the code is in the map, also where the map fills one of its gaps itself."""
    if text in known or text.removesuffix(".") in known or not re.search("[A-Za-z]", text):
        return True
    pattern = re.compile(".*".join(map(re.escape, text.split(GAP))))
    return any(pattern.fullmatch(key) for key in known)


def test_holes_fit_on_both_sides() -> None:
    for english, chinese in CHINESE.items():
        there = HOLE.findall(english)
        assert sorted(there) == sorted(HOLE.findall(chinese)), english
        assert [hole[-1] for hole in there] == [str(n) for n in range(len(there))], english
        assert english.count("{") == len(there) and chinese.count("{") == len(there), english


def test_chinese_is_set_as_chinese() -> None:
    for english, chinese in CHINESE.items():
        assert chinese and chinese == chinese.strip(), english
        assert not re.search(r"[\u4e00-\u9fff][,.;:?!()]|[,;:?!()][\u4e00-\u9fff]", chinese), chinese
        assert "<" not in english + chinese  # the map stands in a script
