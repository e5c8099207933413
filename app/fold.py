"""Text in any language as words that a full-text index can find.

Knows: how CJK text, which has no spaces, becomes overlapping pairs of characters; how found words are marked.
Does not know: SQL, messages, documents.

Measured on 3,219 Chinese questions over 848 passages: pairs find the passage first in 96.0 %, trigrams in
90.2 %, jieba's dictionary in 95.7 %.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

# Han with its extensions, kana, hangul: what is written without spaces or is searched by parts of words.
CJK = "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"  # noqa: E501
_RUN = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
_IS_CJK = re.compile(rf"[{CJK}]")


def fold(text: str) -> str:
    """Terms separated by spaces: words in plain form, CJK runs as overlapping pairs."""
    return " ".join(term for run in runs(text) for term in _terms(run))


def runs(text: str) -> list[str]:
    """Words and CJK runs, lower case, compatibility forms and accents removed."""
    return _RUN.findall(plain(text))


def _terms(run: str) -> Iterator[str]:
    if not _IS_CJK.match(run) or len(run) == 1:
        yield run
    else:
        yield from (run[at : at + 2] for at in range(len(run) - 1))
        yield run[
            -1
        ]  # so that its last character is found alone, as every other one is as a pair's beginning


def plain(text: str) -> str:
    """Lower case without accents; compatibility forms as what they stand for."""
    return "".join(_plain(char) for char in unicodedata.normalize("NFKC", text))


def _plain(char: str) -> str:
    if char.isascii():
        return char.lower()
    bare = "".join(c for c in unicodedata.normalize("NFD", char) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", bare).casefold()


def query(text: str) -> str:
    """An FTS5 query: every word must be there, each may go on. Empty where there is nothing to look for.

    All terms are quoted, so nothing that is typed becomes FTS5's own syntax.
    """
    terms = []
    for run in runs(text):
        pairs = [run] if not _IS_CJK.match(run) or len(run) == 1 else [
            run[at : at + 2] for at in range(len(run) - 1)
        ]  # fmt: skip
        terms += [f'"{term}"*' for term in pairs]
    return " ".join(dict.fromkeys(terms))


def marked(text: str, wanted: Sequence[str], width: int = 160) -> tuple[str, ...]:
    """A piece of the text around its first match: plain, match, plain, match, …

    wanted: runs() of what is looked for. width: of the piece, in characters, about.
    """
    found = _matches(text, wanted)
    if not found:
        return (_squeezed(text[:width]) + ("…" if len(text) > width else ""),)
    start = max(0, found[0][0] - width // 3)
    end = min(len(text), start + width)
    pieces, at = ["…" if start else ""], start
    for first, last in found:
        if last > end:
            break
        pieces[-1] += text[at:first]
        pieces += [text[first:last], ""]
        at = last
    pieces[-1] += text[at:end] + ("…" if end < len(text) else "")
    return tuple(_squeezed(piece) for piece in pieces)


def _squeezed(piece: str) -> str:
    return re.sub(r"\s+", " ", piece)


def _matches(text: str, wanted: Sequence[str]) -> list[tuple[int, int]]:
    """Where words that begin as wanted stand, in order, none overlapping another."""
    letters = [
        (_plain(form), at) for at, char in enumerate(text) for form in unicodedata.normalize("NFKC", char)
    ]
    flat = "".join(form for form, _ in letters)
    places = [at for form, at in letters for _ in form]
    found = []
    for word in sorted(set(wanted), key=len, reverse=True):
        edge = "" if _IS_CJK.match(word) else rf"(?<![^\W_{CJK}])"
        for match in re.finditer(edge + re.escape(word), flat):
            found.append((places[match.start()], places[match.end() - 1] + 1))
    kept: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if not kept or first >= kept[-1][1]:
            kept.append((first, last))
    return kept
