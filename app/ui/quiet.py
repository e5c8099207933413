"""Makes Gradio importable without calling home and without writing into our source folders, and keeps it so.

Knows: the environment variables and the one module that must be set before the first `import gradio`, and
what Gradio checks only in apps that it started itself.
Does not know: anything of the window. Import nothing of Gradio before calling prepare().
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_MODULE = "gradio.component_meta"
_BEFORE: dict[str, str] = {}  # variables as they were


class _NoStubs:
    """Import hook: Gradio writes a .pyi beside every module that subclasses a component, at import.

    That parses each source file again (half of the import's time) and writes into a signed bundle.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            raise ImportError(f"{_MODULE} is not where it was in the Gradio this app was written for")
        run = spec.loader.exec_module

        def without_stubs(module: ModuleType) -> None:
            run(module)
            module.create_or_modify_pyi = lambda *a, **k: None  # type: ignore[attr-defined]

        spec.loader.exec_module = without_stubs  # type: ignore[method-assign]
        return spec


def prepare(uploads: Path) -> None:
    """Call once, before the first `import gradio`. uploads: a private folder for files not yet sent."""
    uploads.mkdir(mode=0o700, parents=True, exist_ok=True)
    uploads.chmod(0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # everything in it can be fetched through the window
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # compared with exactly this string
    _BEFORE["HF_HUB_OFFLINE"] = os.environ.get("HF_HUB_OFFLINE", "")
    os.environ["HF_HUB_OFFLINE"] = "1"  # read once, at import
    if _MODULE not in sys.modules:
        sys.meta_path.insert(0, _NoStubs())
    if "matplotlib" not in sys.modules and importlib.util.find_spec("matplotlib") is None:
        # Gradio tries to import it twice for every event, and each try looks through all folders anew
        sys.modules["matplotlib"] = None  # type: ignore[assignment]


def enclose(demo: Any) -> None:
    """Call once, after mounting: a message of the page can hold uploaded files only, and nothing is fetched.

    Gradio asks where the files of a message lie only if it launched the app itself; a mounted one would copy
    whatever path it is sent. And it would download whatever address it is sent.
    """
    from gradio import processing_utils

    async def refuse(url: str, *_: Any, **__: Any) -> str:
        raise ValueError(f"nothing is fetched from other servers: {url[:200]!r}")

    # A download that a person asks for is a process of its own, and inherits what they have set
    if not _BEFORE.get("HF_HUB_OFFLINE"):
        os.environ.pop("HF_HUB_OFFLINE", None)
    demo.has_launched = True
    processing_utils.async_ssrf_protected_download = refuse
