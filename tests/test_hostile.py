"""Files made to crash, hang, swell, escape or lie: each is told or read in part, and no more."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import hostile_archives
import hostile_pdfs
import hostile_texts
import papers
import pytest
from hostile import Case

from app.documents import isolated
from app.documents.isolated import Child, Guard
from app.documents.pages import Document, Unreadable
from app.documents.reading import gathered, read

CASES = [*hostile_pdfs.cases(), *hostile_archives.cases(), *hostile_texts.cases()]
GUARD = Guard(seconds=45, per_line=0.1, resident=400 << 20)  # a slow machine is no failure, a hang is
SLACK = 160 << 20  # bytes that a process can take between two looks, on a machine with more to do


@dataclass(frozen=True)
class Outcome:
    said: str  # "read" or a code
    words: str  # all that was read, or the refusal
    peak: int


def outcome(case: Case, folder: Path) -> Outcome:
    folder.mkdir()
    file = folder / "file"
    case.write(file)
    child = Child(["read", str(file)], GUARD)
    try:
        return Outcome("read", words(gathered(child, "file")), child.peak)
    except Unreadable as error:
        return Outcome(error.code, str(error), child.peak)
    finally:
        if file.is_file():
            file.unlink()
        assert sorted(folder.iterdir()) in ([], [file])


def words(document: Document) -> str:
    return "\n".join([document.title, *(f"{page.label}\n{page.text}" for page in document.pages)])


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Outcome]]]:
    """All of them, two at a time, one process each; a test waits for its own."""
    folder = tmp_path_factory.mktemp("hostile")
    with ThreadPoolExecutor(2) as pool:
        yield {case.name: pool.submit(outcome, case, folder / str(at)) for at, case in enumerate(CASES)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_file(case: Case, outcomes: dict[str, Future[Outcome]]) -> None:
    found = outcomes[case.name].result()
    assert found.said in case.outcomes, found.words[:300]
    assert found.peak < GUARD.resident + SLACK
    assert case.hidden not in found.words
    assert "Traceback" not in found.words
    if found.said != "read":
        assert found.words.endswith(".")
        assert len(found.words) < 300


def test_there_are_sixty_and_more_with_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 60


def test_nothing_is_left_of_them(outcomes: dict[str, Future[Outcome]]) -> None:
    for future in outcomes.values():
        future.result()
    gc.collect()
    shown = subprocess.run(["ps", "-eo", "ppid=,args="], capture_output=True, text=True, check=True).stdout
    children = [line for line in shown.splitlines() if line.split()[0] == str(os.getpid())]
    assert [line for line in children if "child.py" in line] == []


@pytest.mark.parametrize("deadly", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_pages_before_a_crash_are_kept(tmp_path: Path, deadly: int) -> None:
    (tmp_path / "x").write_bytes(papers.pdf([["Some words"]] * 3000))
    child = Child(["read", str(tmp_path / "x")])

    def crash(done: int, total: int) -> None:
        if done == 12:
            os.kill(child.pid, deadly)

    document = gathered(child, "x", crash)
    kept = len(document.pages)
    assert 12 <= kept < document.total == 3000
    assert document.problems == (f"{kept:,} of 3,000 pages are readable; after them the file is damaged.",)


def test_memory_is_watched_without_proc_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a Mac, where limits on addresses do not hold: `ps` says what is resident."""
    monkeypatch.setattr(isolated, "_PROC", False)
    assert 0.8 < isolated.resident(os.getpid()) / isolated.by_ps(os.getpid()) < 1.25
    (tmp_path / "x").write_bytes(hostile_pdfs.inflating())
    with pytest.raises(Unreadable) as refused:
        read(tmp_path / "x", guard=replace(GUARD, resident=150 << 20))
    assert refused.value.code == "memory"


def test_a_child_that_talks_nonsense_is_not_believed(tmp_path: Path) -> None:
    for line in (b"{}", b"[", b'{"is": "Leaf", "label": 1}', b'{"is": "Opened", "kind": "x"}', b"[" * 90_000):

        class Lying(Child):
            def lines(self):
                yield line  # noqa: B023

        with pytest.raises(Unreadable) as refused:
            gathered(Lying([]), "x")
        assert refused.value.code == "corrupt"
