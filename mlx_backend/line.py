"""A waiting line: first come, first served, and who waits may leave.

Knows: order, and how many are ahead.
Does not know: what anybody waits for.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator

# A condition and a caller's cancel event cannot be waited for together, so a waiting caller looks up this
# often (seconds). It bounds how long a cancel goes unnoticed, not how long a free place does.
LOOK = 0.05


class Line:
    def __init__(self) -> None:
        self._places: deque[object] = deque()
        self._moved = threading.Condition()
        self.closed = False

    def __len__(self) -> int:
        return len(self._places)

    @contextlib.contextmanager
    def place(self) -> Iterator[object]:
        """A place at the end, held as long as the block lasts."""
        place = object()
        with self._moved:
            self._places.append(place)
        try:
            yield place
        finally:
            self._leave(place)

    @contextlib.contextmanager
    def place_if_empty(self) -> Iterator[bool]:
        """The head of a line in which nobody is, held as long as the block lasts; False: somebody is."""
        place = object()
        with self._moved:
            if empty := not self._places:
                self._places.append(place)
        try:
            yield empty
        finally:
            if empty:
                self._leave(place)

    def wait(self, place: object, cancel: threading.Event) -> Iterator[int]:
        """Yields how many are ahead, now and when it changes; ends at the head, on cancel, or when closed."""
        told = -1
        while not (cancel.is_set() or self.closed):
            with self._moved:
                if self._places.index(place) == told:
                    self._moved.wait(LOOK)
                ahead = self._places.index(place)
            if not ahead:
                return
            if ahead != told:
                told = ahead
                yield ahead

    def _leave(self, place: object) -> None:
        with self._moved:
            self._places.remove(place)
            self._moved.notify_all()

    def close(self) -> None:
        """Nobody waits here any more."""
        self.closed = True
