"""Words whose letters are each put in their own place, as browsers print them, are told to stand there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_pdfs import one

from app.documents.drawing import place
from app.documents.reading import read

NARROW = {
    "l": 222,
    "i": 222,
    "f": 278,
    "t": 278,
    " ": 278,
    "r": 333,
    "k": 500,
    "s": 500,
}  # Helvetica's, per mille


def letter_by_letter(text: str, size: float) -> bytes:
    x, out = 60.0, b"BT /F1 %g Tf " % size
    for letter in text:
        out += b"1 0 0 1 %.2f 760 Tm (%s) Tj " % (x, letter.encode())
        x += NARROW.get(letter, 556) * size / 1000
    return one(out + b"ET")


@pytest.mark.parametrize("size", [9, 10, 11, 12])
def test_letters_set_one_by_one_are_read_once(tmp_path: Path, size: float) -> None:
    file, words = tmp_path / "printed.pdf", "both keys when the lease ends"
    file.write_bytes(letter_by_letter(f"and gives back {words}", size))
    page = read(file).pages[0]
    at = page.text.index(words)
    found = place(file, page, at, at + len(words))
    assert found.exact
    assert len(found.rects) == 1
