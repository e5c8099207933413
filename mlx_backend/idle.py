"""A time without work after which something is done.

Knows: when work ended and whether it began again. Does not know: what is done then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Idle:
    """Calls `then`, in a thread of its own, when nothing was begun for `seconds` since end(). 0: never."""

    def __init__(self, then: Callable[[], None], seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._then = then
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def set(self, seconds: float) -> None:
        """Also for a time that runs already: it begins anew."""
        with self._lock:
            running = self._timer is not None
            self.seconds = seconds
        if running or seconds:
            self.begin()

    def begin(self) -> None:
        """Nothing is under way from now on."""
        with self._lock:
            self._cancel()
            if self.seconds > 0:
                self._timer = threading.Timer(self.seconds, self._then)
                self._timer.daemon = True
                self._timer.start()

    def end(self) -> None:
        """Something is under way, or nothing is to be done any more."""
        with self._lock:
            self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
