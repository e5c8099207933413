"""The numbers that Word writes before headings and clauses by itself, in a real file."""

from __future__ import annotations

from pathlib import Path

import docx
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from app.documents.reader.numbering import _form
from app.documents.reading import read


def _levels(number: int, *levels: tuple[int, str, str, str]) -> str:
    """A list's rules; of each level its first number, how it is written, in what, a style that means it."""
    made = "".join(
        f'<w:lvl w:ilvl="{at}"><w:start w:val="{start}"/><w:numFmt w:val="{form}"/>'
        + (f'<w:pStyle w:val="{style}"/>' if style else "")
        + f'<w:lvlText w:val="{text}"/></w:lvl>'
        for at, (start, form, text, style) in enumerate(levels)
    )
    return f'<w:abstractNum w:abstractNumId="{number}">{made}</w:abstractNum>'


def _use(number: int, rules: int, begins: int = 0) -> str:
    anew = f'<w:lvlOverride w:ilvl="0"><w:startOverride w:val="{begins}"/></w:lvlOverride>' if begins else ""
    return f'<w:num w:numId="{number}"><w:abstractNumId w:val="{rules}"/>{anew}</w:num>'


CLAUSES = (
    (1, "decimal", "%1.", "Heading1"),
    (1, "decimal", "%1.%2", "Heading2"),
    (1, "lowerLetter", "(%3)", ""),
)
OTHERS = ((3, "upperRoman", "%1:", ""), (9, "chineseCounting", "第%2条", ""), (1, "bullet", "o", ""))
NUMBERS = _levels(90, *CLAUSES) + _levels(91, *OTHERS) + _use(90, 90) + _use(91, 91) + _use(92, 91, 1)


def numbered(file: Path) -> Path:
    """A contract whose numbers Word counts: of headings by their styles, of clauses and of other lists."""
    paper = docx.Document()
    known = paper.part.numbering_part.element
    made = parse_xml(f"<w:numbering {nsdecls('w')}>{NUMBERS}</w:numbering>")
    for one in list(made)[:2]:
        known.insert(0, one)
    known.extend(list(made))
    for level in (1, 2):
        _list(paper.styles[f"Heading {level}"].element, 90, None if level == 1 else 1)
    paper.add_heading("Dues", 1)
    paper.add_heading("Ships", 2)
    for words in ("Large ones.", "Small ones."):
        _list(paper.add_paragraph(words)._p, 90, 2)
    paper.add_heading("Boats", 2)
    _list(paper.add_paragraph("Of wood.")._p, 90, 2)
    paper.add_heading("Ports", 1)
    _list(paper.add_heading("A heading without its number", 2)._p, 0, 0)
    paper.add_heading("Piers", 2)
    for words, number, level in (
        ("Third", 91, 0), ("Fourth", 91, 0), ("First again", 92, 0), ("Ninth", 91, 1),
        ("", 91, 1), ("Eleventh", 91, 1), ("A point", 91, 2), ("Of no list", 77, 0),
    ):  # fmt: skip
        _list(paper.add_paragraph(words)._p, number, level)
    for words in ("one", "two"):
        paper.add_paragraph(words, style="List Number")
    paper.save(str(file))
    return file


def _list(element: object, number: int, level: int | None) -> None:
    """Makes a paragraph or a style one of a list."""
    told = element.get_or_add_pPr().get_or_add_numPr()
    told.get_or_add_numId().val = number
    if level is not None:
        told.get_or_add_ilvl().val = level


def test_the_numbers_that_word_counts_are_read(tmp_path: Path) -> None:
    document = read(numbered(tmp_path / "x"))
    assert [line for page in document.pages for line in page.text.splitlines()] == [
        "1. Dues", "1.1 Ships", "(a) Large ones.", "(b) Small ones.", "1.2 Boats", "(a) Of wood.",
        "2. Ports", "A heading without its number", "2.1 Piers",
        "III: Third", "IV: Fourth", "I: First again", "第九条 Ninth",
        "第十一条 Eleventh", "A point", "Of no list", "1. one", "2. two",
    ]  # fmt: skip
    assert [heading.text for heading in document.outline][:2] == ["1. Dues", "1.1 Ships"]


def test_letters_romans_and_chinese_numbers() -> None:
    assert [_form(n, "lowerLetter") for n in (1, 26, 27, 300)] == ["a", "z", "aa", "300"]
    assert [_form(n, "upperRoman") for n in (4, 1994, 0)] == ["IV", "MCMXCIV", "0"]
    assert [_form(n, "chineseCountingThousand") for n in (3, 10, 21, 100)] == ["三", "十", "二十一", "100"]
    assert (_form(7, "decimalZero"), _form(7, "none"), _form(7, "ordinal")) == ("07", "", "7")
