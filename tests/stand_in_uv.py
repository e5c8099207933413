"""What stands for uv in a bundle under test: it downloads, is cut off, goes on and makes an environment.

Knows: the folders and options the launcher hands over, how uv tells a lost connection and a full disk.
Does not know: which test runs it. STAND_IN_INDEX is the server of the pieces, STAND_IN_CALLS a file for what
it was called with. A first line that names the test's own Python comes before it in a bundle.
"""

from __future__ import annotations

import argparse
import errno
import http.client
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

PYTHON = """\
#!/bin/sh
export GLM_CHAT_HOME="$HOME/Library/Application Support/GLM Chat" GLM_CHAT_MODEL=fake
exec "{python}" "$@"
"""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["sync"])
    parser.add_argument("--frozen", action="store_true", required=True)
    parser.add_argument("--no-dev", action="store_true", required=True)
    parser.add_argument("--no-install-project", action="store_true", required=True)
    parser.add_argument("--python", choices=["3.12"], required=True)
    parser.add_argument("--project", type=Path, required=True)
    project = parser.parse_args().project
    for name in ("pyproject.toml", "uv.lock"):
        assert (project / name).is_file(), f"{project} lacks {name}"
    with Path(os.environ["STAND_IN_CALLS"]).open("a") as calls:
        settings = {name: value for name, value in os.environ.items() if name.startswith("UV_")}
        print(json.dumps({"me": sys.argv[0], "project": str(project), **settings}), file=calls)
    try:
        fetch_all(os.environ["STAND_IN_INDEX"], Path(os.environ["UV_CACHE_DIR"]))
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
        print(f"error: Failed to download `pieces==1.0`\n  cause: client error ({error})", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: Failed to extract archive\n  cause: {os.strerror(error.errno or 0)} (os error "
              f"{error.errno})", file=sys.stderr)  # fmt: skip
        return 2
    make(Path(os.environ["UV_PROJECT_ENVIRONMENT"]))
    return 0


def fetch_all(index: str, cache: Path) -> None:
    """Every piece that the cache does not hold yet, each whole or not at all."""
    cache.mkdir(parents=True, exist_ok=True)
    with urllib.request.urlopen(f"{index}/pieces", timeout=10) as answer:
        pieces = json.load(answer)
    for name in pieces:
        if (cache / name).exists():
            continue
        with urllib.request.urlopen(f"{index}/{name}", timeout=30) as answer:
            content = answer.read()
        if content.startswith(b"FULL"):
            raise OSError(errno.ENOSPC, "full")
        (cache / f"{name}.part").write_bytes(content)
        (cache / f"{name}.part").rename(cache / name)
        print(f"Downloaded {name}", file=sys.stderr, flush=True)


def make(environment: Path) -> None:
    program = environment / "bin" / "python"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(PYTHON.format(python=sys.executable))
    program.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
