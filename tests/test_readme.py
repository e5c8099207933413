"""What the README points at is there; it shows every picture of the window; these quote the lease rightly."""

from __future__ import annotations

import re

from asking import ROOT
from screens.printed import CLAUSES
from screens.scripted import ENDS

README = (ROOT / "README.md").read_text(encoding="utf-8")
LINKS = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", README) if "://" not in link}


def test_every_link_leads_to_a_file() -> None:
    assert "assets/screenshots/viewer-light.png" in LINKS
    assert [link for link in LINKS if not (ROOT / link).is_file()] == []


def test_every_picture_of_the_window_is_linked() -> None:
    pictures = {f"assets/screenshots/{file.name}" for file in (ROOT / "assets" / "screenshots").glob("*.png")}
    assert pictures - LINKS == set()


def test_the_file_map_names_the_pictures_rooms() -> None:
    file_map = README.split("## File map")[1].split("```")[1]
    rooms = [file.name for file in (ROOT / "scripts" / "screens").glob("[a-z]*.py")]
    assert [name for name in rooms if name not in file_map] == []


def test_the_answer_in_the_picture_quotes_the_lease_and_its_right_page() -> None:
    quoted = re.findall(r'\[\[(\d)\|"(.+?)"\]\]', ENDS)
    pages = {"1": CLAUSES[:5], "2": CLAUSES[5:]}
    assert len(quoted) == 3
    assert [words for page, words in quoted if not any(words in clause for _, clause in pages[page])] == []
