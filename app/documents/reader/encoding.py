"""Bytes as text, in the encoding they were written in.

Knows: byte order marks, UTF-8, UTF-16 without a mark, and the older encodings of East Asia and Europe.
Does not know: what the text is.
"""

from __future__ import annotations

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The commonest characters of each language's running text: a wrong decoding yields almost none of them.
_COMMON = {
    "gb18030": "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里",  # noqa: E501
    "big5": "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡",  # noqa: E501
    "shift_jis": "",
    "euc_jp": "",
    "euc_kr": "",
}
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_HANGUL = re.compile("[\uac00-\ud7a3]")


def decoded(data: bytes, cut: bool = False) -> str | None:
    """The text, None: these bytes are no text. cut: the last character may be incomplete."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data.decode(name, errors="replace")
    text = _strict(data, "utf-8", cut)
    if text is not None and "\0" not in text:
        return text if _is_text(text) else None
    if b"\0" in data:
        return _wide(data, cut)
    return _older(data, cut)


def _strict(data: bytes, name: str, cut: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(name)("strict").decode(data, final=not cut)
    except UnicodeDecodeError:
        return None


def _is_text(text: str) -> bool:
    odd = sum(char < " " and char not in "\n\r\t\f\b\x1b\x1a" for char in text[:20_000])
    return odd <= len(text[:20_000]) / 200


def _wide(data: bytes, cut: bool) -> str | None:
    # Mostly Latin text in UTF-16 has a zero in every second place, and hardly any in the others.
    sample = data[: min(len(data), 4096) & ~1]
    for name, high in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[0::2])):
        if high and high.count(0) > 0.4 * len(high) and sample.count(0) < 1.2 * high.count(0):
            text = _strict(data[: len(data) & ~1], name, cut)
            return text if text is not None and _is_text(text) else None
    return None


def _older(data: bytes, cut: bool) -> str | None:
    best, found = 0.12, None
    for name, common in _COMMON.items():
        text = _strict(data, name, cut)
        if text is None:
            continue
        score = _likely(text, name, common)
        if score > best:
            best, found = score, text
    text = found if found is not None else data.decode("cp1252", errors="replace")
    return text if _is_text(text) else None


def _likely(text: str, name: str, common: str) -> float:
    """The share of what is not ASCII that running text in this language would have."""
    foreign = [char for char in text[:20_000] if char > "\x7f"]
    if not foreign:
        return 0.0
    joined = "".join(foreign)
    if name in ("shift_jis", "euc_jp"):
        return len(_KANA.findall(joined)) / len(foreign)
    if name == "euc_kr":
        return len(_HANGUL.findall(joined)) / len(foreign) - 0.5  # simplified Chinese read so is half hangul
    return sum(char in common for char in foreign) / len(foreign)
