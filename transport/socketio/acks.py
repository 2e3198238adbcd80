"""The acknowledgements that one client in one namespace owes to this side.

What lives here: ids and who waits for which, and how many may be outstanding. What must not: waiting, time, packets.
Each is answered at most once; an answer that nobody waits for is none (E13, E15).
"""

from typing import Generic, TypeVar

import attrs

from transport.errors import TooManyAcks

__all__ = ["Acks"]

T = TypeVar("T")


@attrs.define(slots=True)
class Acks(Generic[T]):
    """`T` is whatever waits. Ids count up from 0 (E14) and none is used twice."""

    outstanding_max: int
    _next_id: int = 0
    _waiting: dict[int, T] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, waiter: T) -> int:
        """The id to send with the event. Raises `TooManyAcks`."""
        if len(self._waiting) >= self.outstanding_max:
            raise TooManyAcks(f"{self.outstanding_max} acknowledgements are outstanding")
        asked_id, self._next_id = self._next_id, self._next_id + 1
        self._waiting[asked_id] = waiter
        return asked_id

    def take(self, packet_id: int | None) -> T | None:
        """Who waits for this one, from now on no longer; None when it is unknown, late or the second."""
        return None if packet_id is None else self._waiting.pop(packet_id, None)

    def take_all(self) -> list[T]:
        """Everybody who waits: the client has left and will not answer."""
        waiting = list(self._waiting.values())
        self._waiting.clear()
        return waiting
