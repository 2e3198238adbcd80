"""Messages that no actor will ever take, kept for the operator to look at; never redelivered by the kernel (K27)."""

from collections import Counter, deque

import attrs

__all__ = ["DeadLetter", "DeadLetters"]

KEPT_MAX = 256
"""Enough to see a pattern; the counters say how many there were in all."""


@attrs.frozen
class DeadLetter:
    """`at` is in `trio.current_time()` seconds; `message` is its kind, not what it holds.

    The message itself is not kept: it may hold what nobody is to see, and as many as are kept may be large.
    """

    key: str
    reason: str
    message: str
    size_bytes: int
    at: float


class DeadLetters:
    """A bounded ring and counters by reason."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._ring: deque[DeadLetter] = deque(maxlen=kept_max)
        self._counts: Counter[str] = Counter()

    def add(self, letter: DeadLetter) -> None:
        self._ring.append(letter)
        self._counts[letter.reason] += 1

    def recent(self) -> tuple[DeadLetter, ...]:
        """The letters kept, oldest first."""
        return tuple(self._ring)

    def statistics(self) -> dict[str, int]:
        """How many there have been, by reason."""
        return dict(self._counts)

    def __repr__(self) -> str:
        return f"<DeadLetters {self._counts.total()} ({len(self._ring)} kept)>"
