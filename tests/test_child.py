"""The process in which files are read: what it may do and what it cannot reach."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import papers
from asking import ROOT

from app.documents.isolated import CHILD

READER = ROOT / "app" / "documents" / "reader"
FORBIDDEN = {"app", "mlx_backend", "socket", "http", "ssl", "requests", "httpx", "urllib3", "subprocess"}


def test_the_parsers_import_nothing_of_the_app_and_nothing_for_a_network() -> None:
    for file in sorted(READER.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level < 2, file
                assert (node.module or "").split(".")[0] not in ("app", "mlx_backend", "socket", "urllib3"), (
                    file
                )
            elif isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
                assert not names & FORBIDDEN, file


def test_it_reads_wherever_it_is_started_and_whatever_the_environment_says(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(papers.pdf([["Some words"]]))
    (tmp_path / "json.py").write_text("raise SystemExit('not mine')")
    shown = subprocess.run(
        [sys.executable, "-I", CHILD, "read", tmp_path / "file"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line)["is"] for line in shown.stdout.splitlines()] == ["Opened", "Leaf", "End"]
    assert shown.stderr == ""


def test_it_cannot_write_files_nor_outlive_its_limits(tmp_path: Path) -> None:
    code = f"""
import runpy, resource, sys
child = runpy.run_path({str(CHILD)!r})
child["limit"]()
print(resource.getrlimit(resource.RLIMIT_CPU)[1], resource.getrlimit(resource.RLIMIT_CORE)[1])
try:
    open({str(tmp_path / "x")!r}, "wb", buffering=0).write(b"x")
except OSError as error:
    print(type(error).__name__)
"""
    shown = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["600", "0", "OSError"]
    assert (tmp_path / "x").read_bytes() == b""


def test_the_libraries_expand_no_entities(tmp_path: Path) -> None:
    """What archive.py refuses they would not follow either; checked anew with every version of them."""
    from docx.opc.oxml import oxml_parser as word_parts
    from docx.oxml.parser import oxml_parser as word
    from lxml import etree
    from openpyxl.xml.functions import fromstring
    from pptx.oxml import oxml_parser as slides

    (tmp_path / "secret").write_text("hidden words")
    text = (
        f'<!DOCTYPE a [<!ENTITY e SYSTEM "{(tmp_path / "secret").as_uri()}"><!ENTITY f "grow">]><a>&e;&f;</a>'
    )
    for parser in (word, word_parts, slides):
        assert "".join(etree.fromstring(text, parser).itertext()).strip("&;ef") == ""
    assert "hidden" not in "".join(fromstring(text).itertext())
