"""The most recent events of a log that is being written, bounded in bytes: live readers never touch the disk."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

__all__ = ["Tail"]

TAIL_BYTES_MAX = 256 * 1024
"""A thousand events and more, of a busy conversation."""


class Tail:
    """Knows the events from some id on."""

    def __init__(self, next_id: int) -> None:
        self._events: deque[bytes] | Sequence[bytes] = ()
        """Made when there is a first one: an empty deque takes 700 bytes, and most conversations rest."""
        self._first_id = next_id
        self._bytes = 0

    def extend(self, events: Sequence[bytes]) -> None:
        if not isinstance(self._events, deque):
            self._events = deque()
        self._events.extend(events)
        self._bytes += sum(map(len, events))
        while self._bytes > TAIL_BYTES_MAX and len(self._events) > 1:
            self._bytes -= len(self._events.popleft())
            self._first_id += 1

    def get(self, start: int, stop: int, bytes_max: int = TAIL_BYTES_MAX) -> list[bytes] | None:
        """Events [start, stop), or None when the first is not here: one at least, and `bytes_max` at the most unless
        the first alone is larger."""
        if start < self._first_id:
            return None
        found: list[bytes] = []
        for event in islice(self._events, start - self._first_id, max(stop - self._first_id, 0)):
            bytes_max -= len(event)
            if found and bytes_max < 0:
                break
            found.append(event)
        return found
