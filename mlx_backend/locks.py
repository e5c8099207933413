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
    while True:
        try:
            file, handle = _take(path)
            break
        except BlockingIOError:
            if waiting is None:
                raise
            waiting()
            time.sleep(0.1)
    try:
        yield
    finally:
        # Removed while it is held: whoever has it open already finds that it is another file now.
        with suppress(OSError):
            file.unlink()
        os.close(handle)


def _take(path: Path) -> tuple[Path, int]:
    """The lock beside what it guards, or, on a disk without locks, in this computer's temporary folder.

    Raises BlockingIOError while another process holds it.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in UNSUPPORTED and path.parent != Path(tempfile.gettempdir()):
                path.unlink(missing_ok=True)
                return _take(_elsewhere(path))
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise BlockingIOError(error.errno, "is in use by another process", str(path)) from None
            raise
        if _is_at(path, handle):
            return path, handle
        os.close(handle)  # who held it removed the file between our opening and our locking: nobody has it


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _elsewhere(path: Path) -> Path:
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]
    return Path(tempfile.gettempdir()) / f"glm-chat-{name}.lock"
