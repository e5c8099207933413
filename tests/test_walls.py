"""Who may import what: the direction of the house, held by a test and not by a request in a document.

A new module of app/ is put into ORDER, where it stands above everything it may import.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = [
    "fold",
    "terminal",
    "kept",
    "choices",
    "look",
    "blobs",
    "disk",
    "documents",
    "migrations",
    "store",
    "scratch",
    "shelves",
    "chosen",
    "minding",
    "switches",
    "switches_line",
    "places",
    "config",
    "ports",
    "report",
    "logs",
    "offers",
    "models",
    "savings",
    "weighed",
    "using",
    "models_line",
    "stock",
    "chores",
    "intake",
    "ahead",
    "library",
    "transcribing",
    "transfer",
    "answering",
    "drafts",
    "attached",
    "extract",
]
ORDER += [
    "turn",
    "titles",
    "jobs",
    "notice",
    "security",
    "orders",
    "arrival",
    "exchange",
    "ui",
    "tables",
    "lending",
    "controls",
    "server",
    "shelving",
    "shelving_line",
    "ask_line",
    "ask",
    "extract_line",
    "extracting",
    "backup",
    "macs",
    "plan",
    "doctor",
    "__main__",
]
LIBRARIES = {  # who alone may import it
    "llguidance": ("mlx_backend.constraint",),
    "mlx_vlm": ("mlx_backend.glm",),
    "gradio": ("app.ui", "app.server"),
    "sqlite3": ("app.store", "app.migrations"),
    "sqlite_utils": ("app.store", "app.migrations"),
    "torch": (),
    "torchvision": (),
    "transformers": (),
}
VALUES = ["types", "errors", "reply"]  # of mlx_backend; the app may name them where two words clash
# of mlx_backend; never import MLX
LIGHT = [
    *VALUES,
    "schema",
    "explained",
    "parse",
    "line",
    "process",
    "measuring",
    "measurer",
    "engine",
    "fake",
]
LIGHT += [
    "catalogue",
    "manifest",
    "locks",
    "remote",
    "offline",
    "chore",
    "slow",
    "verify",
    "finding",
    "fetch",
    "deleting",
    "hub",
]
LIGHT += [
    "apart",
    "sizes",
    "sums",
    "budget",
    "transient",
    "weighing",
    "device",
    "published",
    "speed",
    "calibration",
]


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(file: Path) -> set[str]:
    """Every name that an import statement of the file may load, relative ones made absolute."""
    found: set[str] = set()
    package = list(file.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found


MODULES = {
    name_of(file): imports(file)
    for room in ("app", "mlx_backend")
    for file in sorted((ROOT / room).rglob("*.py"))
}


def uses(module: str, library: str) -> bool:
    return any(name == library or name.startswith(library + ".") for name in MODULES[module])


def reached(*start: str) -> set[str]:
    """The modules of this project that importing `start` may load, directly or not."""
    todo, seen = list(start), set[str]()
    while todo:
        if (module := todo.pop()) in MODULES and module not in seen:
            seen.add(module)
            todo += MODULES[module]
    return seen


def test_the_backend_knows_nothing_of_the_app() -> None:
    assert [m for m in MODULES if m.startswith("mlx_backend") and uses(m, "app")] == []


def test_the_app_takes_only_public_names_from_the_backend() -> None:
    inner = {m for m in MODULES if m.startswith("mlx_backend.")} - {f"mlx_backend.{name}" for name in VALUES}
    assert {m: MODULES[m] & inner for m in MODULES if m.startswith("app") and MODULES[m] & inner} == {}


@pytest.mark.parametrize("library", LIBRARIES)
def test_only_its_room_imports_a_library(library: str) -> None:
    users = [m for m in MODULES if uses(m, library)]
    assert [m for m in users if not m.startswith(LIBRARIES[library] or ("nobody",))] == []


def test_mlx_is_reached_from_the_worker_alone() -> None:
    users = {m for m in MODULES if uses(m, "mlx")}
    assert users <= reached(
        "mlx_backend.worker", "mlx_backend.respond", "mlx_backend.glm", "mlx_backend.probe"
    )
    assert (
        users
        & reached(*(f"mlx_backend.{name}" for name in LIGHT), *(m for m in MODULES if m.startswith("app")))
        == set()
    )


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("app.")])
def test_the_app_imports_downwards(module: str) -> None:
    rank = ORDER.index(module.split(".")[1])
    inner = {name.split(".")[1] for name in MODULES[module] if name.startswith("app.") and name in MODULES}
    assert [name for name in inner if ORDER.index(name) > rank] == []


def test_importing_the_app_loads_no_model_library() -> None:
    """The same in the flesh: three seconds of import and gigabytes of memory belong to the worker."""
    names = [m for m in MODULES if m.startswith("app")] + [f"mlx_backend.{name}" for name in LIGHT]
    heavy = {"mlx", "mlx_vlm", "transformers", "torch"}
    code = f"import sys, importlib\nfor n in {names}: importlib.import_module(n)\n"
    code += f"print({heavy} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_importing_the_server_loads_no_parser() -> None:
    """Parsers read hostile files in a process of their own; where they are not loaded they cannot be led."""
    parsers = {"pypdfium2", "pypdfium2_raw", "lxml", "docx", "pptx", "openpyxl"}
    code = f"import sys, app.server\nprint({parsers} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
