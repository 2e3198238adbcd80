"""A bounded mailbox with two lanes (K4, K5), and the envelopes that lie in it.

A mailbox outlives the incarnations that drain it: it is where commands wait while an actor wakes, restarts or
leaves. Nothing here knows what a message means; its size in bytes is told by whoever sends it.
"""

from collections.abc import Callable
from enum import Enum
from math import inf
from typing import Any, Generic, Protocol, TypeVar

import attrs
import trio

from actors.runtime.errors import MailboxFull, ServerFull

__all__ = ["Envelope", "Lane", "Load", "Mailbox", "MailboxLimits", "MailboxStatistics", "Promise", "Reply"]

M = TypeVar("M")


class Lane(Enum):
    """CONTROL (stop, cancel, passivate, inspect) is always served before WORK (K4)."""

    CONTROL = "control"
    WORK = "work"


class Reply(Protocol):
    """Where the answer goes. Both methods are synchronous and never raise."""

    def succeed(self, value: Any) -> None: ...

    def fail(self, error: Exception) -> None: ...


class Promise:
    """A reply that a task can wait for."""

    __slots__ = ("_error", "_event", "_value")

    def __init__(self) -> None:
        self._event = trio.Event()
        self._value: Any = None
        self._error: Exception | None = None

    def succeed(self, value: Any) -> None:
        self._value = value
        self._event.set()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._event.set()

    async def wait(self) -> Any:
        """The value, or the error raised, once there is one."""
        await self._event.wait()
        if self._error is not None:
            raise self._error
        return self._value


@attrs.define(eq=False)
class Envelope(Generic[M]):
    """A message on its way, with where its answer goes. It is answered at most once.

    `deadline` is in `trio.current_time()` seconds; past it at dequeue the message is not executed (K7).
    """

    message: M
    lane: Lane = Lane.WORK
    reply: Reply | None = None
    size_bytes: int = 0
    deadline: float = float("inf")
    queued_at: float = 0.0
    taken: bool = False
    answered: bool = False

    def succeed(self, value: Any = None) -> None:
        """Answer with a value, unless there was an answer already."""
        if not self.answered:
            self.answered = True
            if self.reply is not None:
                self.reply.succeed(value)

    def fail(self, error: Exception) -> None:
        """Answer with an error, unless there was an answer already."""
        if not self.answered:
            self.answered = True
            if self.reply is not None:
                self.reply.fail(error)


@attrs.frozen
class MailboxLimits:
    """Bounds of one mailbox (K5). Both lanes are bounded in messages, the work lane in bytes too.

    1,024 commands are more than one conversation's clients have in flight while its log syncs; 8 MiB hold two
    messages of the largest payload of the V0 gateway; 256 control messages are one for each client plus the
    run-time's own.
    """

    work_messages_max: int = 1024
    work_bytes_max: int = 8 * 1024 * 1024
    control_messages_max: int = 256


@attrs.frozen
class MailboxStatistics:
    """How much waits in each lane, and since when its oldest message does, in `trio.current_time()` seconds; None for
    an empty lane."""

    control: int
    control_oldest_at: float | None
    work: int
    work_oldest_at: float | None
    work_bytes: int
    refused: int


@attrs.define(repr=False)
class Load:
    """What waits in the work lanes of all mailboxes that share this, and how much of it there may be (K5).

    65,536 commands are two seconds of what two cores serve, beyond which a caller does better to come back; 256 MiB
    are the memory that a server may spend on work it has not begun.
    """

    messages_max: int = 65_536
    bytes_max: int = 256 * 1024 * 1024
    messages: int = 0
    bytes: int = 0

    def has_room(self, size_bytes: int) -> bool:
        return self.messages < self.messages_max and self.bytes + size_bytes <= self.bytes_max

    def add(self, size_bytes: int) -> None:
        self.messages += 1
        self.bytes += size_bytes

    def remove(self, size_bytes: int) -> None:
        self.messages -= 1
        self.bytes -= size_bytes

    def __repr__(self) -> str:
        return f"<Load {self.messages} messages of {self.messages_max}, {self.bytes} bytes of {self.bytes_max}>"


class Mailbox(Generic[M]):
    """Two FIFO lanes. Single consumer; any number of producers."""

    def __init__(self, limits: MailboxLimits | None = None, load: Load | None = None) -> None:
        self._limits = limits or MailboxLimits()
        self._load = load or Load()
        # Lists: nearly every mailbox is empty, and an empty deque takes 700 bytes. Both lanes are short.
        self._control: list[Envelope[M]] = []
        self._work: list[Envelope[M]] = []
        self._work_bytes = 0
        self._refused = 0
        self._closed: Exception | None = None
        self._consumer = trio.lowlevel.ParkingLot()
        self._producers = trio.lowlevel.ParkingLot()

    def put_nowait(self, envelope: Envelope[M]) -> None:
        """Queue the envelope at the end of its lane, or raise `MailboxFull`, `ServerFull` or why it was closed, and
        leave everything as it was (K5)."""
        if self._closed is not None:
            raise self._closed.with_traceback(None)
        bound = self._exceeded_by(envelope)
        if bound is not None:
            self._refused += 1
            raise MailboxFull(bound)
        if envelope.lane is Lane.WORK and not self._load.has_room(envelope.size_bytes):
            self._refused += 1
            raise ServerFull("too much waits in all mailboxes together")
        self._put(envelope)

    def _put(self, envelope: Envelope[M]) -> None:
        envelope.queued_at = trio.current_time()
        if envelope.lane is Lane.CONTROL:
            self._control.append(envelope)
        else:
            self._work.append(envelope)
            self._work_bytes += envelope.size_bytes
            self._load.add(envelope.size_bytes)
        self._consumer.unpark()

    async def put(self, envelope: Envelope[M]) -> None:
        """Queue the envelope, waiting for room here: for the actor's own run only (K5), of which there is one. Raises
        why the mailbox was closed."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while self._closed is None and self._exceeded_by(envelope) is not None:
            await self._producers.park()
        if self._closed is not None:
            raise self._closed.with_traceback(None)
        self._put(envelope)
        await trio.lowlevel.cancel_shielded_checkpoint()

    def drain(self, messages_max: int) -> list[Envelope[M]]:
        """Take up to `messages_max` envelopes, control lane first (K4); may be empty."""
        batch = self.drain_control(messages_max)
        work = _taken_from(self._work, messages_max - len(batch))
        for envelope in work:
            self._work_bytes -= envelope.size_bytes
            self._load.remove(envelope.size_bytes)
        return batch + work if batch else work

    def drain_control(self, messages_max: int) -> list[Envelope[M]]:
        """Take up to `messages_max` envelopes of the control lane alone; may be empty."""
        batch = _taken_from(self._control, messages_max)
        # Who waits for room looks once this step is over, and sees what `drain` has taken besides.
        if self._producers:
            self._producers.unpark_all()
        return batch

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; it is looked at whenever something came, and after a `wake`."""
        if condition():
            await trio.lowlevel.checkpoint()
        while not condition():
            await self._consumer.park()

    def wake(self) -> None:
        """Make the consumer look up although nothing may have come."""
        self._consumer.unpark_all()

    def close(self, refusal: Exception) -> list[Envelope[M]]:
        """Take nothing any more. Returns everything that waits, for whoever must answer it in the actor's place."""
        self._closed = refusal
        return self.drain(len(self))

    def _exceeded_by(self, envelope: Envelope[M]) -> str | None:
        limits = self._limits
        if envelope.lane is Lane.CONTROL:
            return "control messages" if len(self._control) >= limits.control_messages_max else None
        if len(self._work) >= limits.work_messages_max:
            return "messages"
        # One message alone always fits: its own bound is the gateway's payload limit.
        if self._work and self._work_bytes + envelope.size_bytes > limits.work_bytes_max:
            return "bytes"
        return None

    @property
    def oldest_queued_at(self) -> float:
        """Since when the oldest message waits, in `trio.current_time()` seconds; infinity when none does."""
        control = self._control[0].queued_at if self._control else inf
        return min(control, self._work[0].queued_at) if self._work else control

    @property
    def work_bytes(self) -> int:
        return self._work_bytes

    def __len__(self) -> int:
        return len(self._control) + len(self._work)

    def __bool__(self) -> bool:
        return bool(self._control or self._work)

    def __repr__(self) -> str:
        return f"<Mailbox control={len(self._control)} work={len(self._work)} bytes={self._work_bytes}>"

    def statistics(self) -> MailboxStatistics:
        return MailboxStatistics(
            control=len(self._control),
            control_oldest_at=self._control[0].queued_at if self._control else None,
            work=len(self._work),
            work_oldest_at=self._work[0].queued_at if self._work else None,
            work_bytes=self._work_bytes,
            refused=self._refused,
        )


def _taken_from(lane: list[Envelope[M]], messages_max: int) -> list[Envelope[M]]:
    if not lane:
        return []
    taken = lane[:messages_max]
    del lane[:messages_max]
    for envelope in taken:
        envelope.taken = True
    return taken
