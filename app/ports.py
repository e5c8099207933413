"""Whether the app runs on a home folder, whether it answers, which port is free.

Knows: the file that a running app leaves, its address of health. Does not know: the server.
"""

from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path


def running(home: Path) -> int | None:
    """The port of the app that says it runs on this home; None: none says so."""
    try:
        return int(json.loads((home / "run.json").read_text(encoding="utf-8"))["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def healthy(port: int) -> bool:
    """Whether an app answers there, within seconds."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
