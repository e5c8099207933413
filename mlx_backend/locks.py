"""One process at a time: a lock that the system takes away with the process that held it.

Knows: flock, disks that have none. Does not know: what is locked.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UNSUPPORTED = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL}


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None) -> Iterator[None]:
    """Hold the lock `path`, whose file is gone when nobody does. waiting: called while another process does.

    Raises BlockingIOError at once where waiting is None and it is held.
    """
    while (held := _take(path)) is None:
        if waiting is None:
            raise BlockingIOError(errno.EWOULDBLOCK, "is in use by another process", str(path))
        waiting()
        time.sleep(0.1)
    file, handle = held
    try:
        yield
    finally:
        # Removed while it is held: whoever has it open already finds that it is another file now.
        with suppress(OSError):
            file.unlink()
        os.close(handle)


def _take(path: Path) -> tuple[Path, int] | None:
    """The lock beside what it guards, or, on a disk without locks, in this computer's temporary folder."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(path.stat(), os.fstat(handle)):
            return path, handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        if error.errno in UNSUPPORTED and path.parent != Path(tempfile.gettempdir()):
            path.unlink(missing_ok=True)
            os.close(handle)
            return _take(_elsewhere(path))
        os.close(handle)
        raise
    os.close(handle)
    return None


def _elsewhere(path: Path) -> Path:
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]
    return Path(tempfile.gettempdir()) / f"glm-chat-{name}.lock"
