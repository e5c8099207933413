"""The process in which one file is read: limits first, then the parsers, then lines on standard output.

Knows: the limits a process can set on itself, where the parsers lie.
Does not know: the rest of the app, which it cannot even import. Run as `python -I child.py read FILE` or
`python -I child.py draw FILE ORDER`; -I keeps out the person's own packages and settings, and so the parsers
are found by their place on disk.
"""

from __future__ import annotations

import importlib
import importlib.util
import resource
import sys
from pathlib import Path

CPU = 600  # seconds; the parent's clock is stricter, this one holds when the parent is gone
FILES = 48
ADDRESSES = (
    2 << 30
)  # bytes of addresses; macOS does not hold to it, there the parent watches what is resident


def limit() -> None:
    """No file can be written, no core is dumped, processor time and memory are bounded."""
    wanted = [(resource.RLIMIT_CPU, CPU), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)]
    wanted += [(resource.RLIMIT_NOFILE, FILES)]
    wanted += [(resource.RLIMIT_AS, ADDRESSES)] if sys.platform == "linux" else []
    for what, most in wanted:
        _, hard = resource.getrlimit(what)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (least, least))


def parsers() -> None:
    """Makes the folder beside this file the package `reader`, and puts nothing on the path."""
    folder = Path(__file__).resolve().parent / "reader"
    spec = importlib.util.spec_from_file_location(
        "reader", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["reader"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    limit()
    parsers()
    sys.exit(importlib.import_module("reader.main").main(sys.argv[1:]))
