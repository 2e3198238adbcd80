"""What whoever writes an actor writes: a behaviour, and what it is given to know of its own life.

What must not be here: how incarnations are kept going, which is `cell`'s and `lives`'s.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import attrs

from actors.runtime.mailbox import Envelope

__all__ = ["Behaviour", "CannotActivate", "Context", "Factory", "KindOf", "type_name"]

M = TypeVar("M")


class CannotActivate(Exception):
    """Raised by `Behaviour.activate` when trying again would not help; `reason` becomes the failure's code."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Behaviour(Protocol[M]):
    """What an actor is: how it wakes, serves a batch and leaves. One instance is one incarnation."""

    async def activate(self) -> None:
        """Load everything. Commands wait meanwhile (K20). May raise `CannotActivate`."""

    async def turn(self, batch: Sequence[Envelope[M]]) -> None:
        """Serve the batch. Each envelope whose effect is durable must be answered before anything can fail (K24)."""

    async def passivate(self) -> None:
        """Save what makes the next activation quick, and let go of everything."""

    def abandon(self) -> None:
        """Let go of everything after a crash, at once and without failing."""


@attrs.frozen
class Context:
    """What a behaviour may know and do about its own life; once that is over, `passivate` does nothing (K2)."""

    key: str
    incarnation: int
    passivate: Callable[[], None]


Factory = Callable[[Context], Behaviour[M]]

KindOf = Callable[[M], str]
"""What a message is called where people look; nothing of what it holds."""


def type_name(message: object) -> str:
    """The `KindOf` of messages that are told apart by their types."""
    return type(message).__name__
