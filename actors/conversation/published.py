"""What goes out to clients, encoded once however many get it. Pure.

What lives here: messages in a row, and events of a log in passages. What must not: who gets them, and when (`cursor`).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import attrs

__all__ = ["Passage", "Published", "passages"]

T = TypeVar("T")

PASSAGE_BYTES_MAX = 64 * 1024
"""A sink takes a passage whole, so it may come to hold one more than it would; below that, fewer and larger writes cost
less."""


@attrs.define
class Published(Generic[T]):
    """The bytes of messages in a row, with what transports made of them: encoded once, sent to many."""

    payloads: Sequence[bytes]
    _encoded: T | None = attrs.field(default=None, init=False)

    def encoded(self, encode: Callable[[Sequence[bytes]], T]) -> T:
        if self._encoded is None:
            self._encoded = encode(self.payloads)
        return self._encoded


@attrs.define
class Passage(Published[object]):
    """Events in a row, up to the one with `last_id`: those of them that sockets are shown, which may be none."""

    last_id: int


def passages(first_id: int, shown: Iterable[bytes | None]) -> list[Passage]:
    """Events from this id on, None in the place of each that sockets are not shown."""
    found: list[Passage] = []
    payloads: list[bytes] = []
    last_id, size = first_id - 1, 0
    for last_id, payload in enumerate(shown, first_id):
        if payload is not None:
            payloads.append(payload)
            size += len(payload)
        if size >= PASSAGE_BYTES_MAX:
            found.append(Passage(payloads, last_id))
            payloads, size = [], 0
    if not found or found[-1].last_id < last_id:
        found.append(Passage(payloads, last_id))
    return found
