"""An actor whose facts lie in a shared list, so that tests see what incarnations did; and replies that count."""

from collections.abc import Sequence

import attrs
import trio

from actors.runtime import (
    Context,
    Envelope,
    MailboxLimits,
    open_registry,
)


@attrs.define
class World:
    """What outlives the incarnations: the "log", and switches that tests throw."""

    log: list[str] = attrs.field(factory=list)
    lives: list[str] = attrs.field(factory=list)
    batches: list[list[str]] = attrs.field(factory=list)
    gate: trio.Event = attrs.field(factory=trio.Event)
    activation_gate: trio.Event | None = None
    activation_error: Exception | None = None
    alive: int = 0
    alive_most: int = 0


class Scribe:
    """Appends each message to the log and answers with its position; some messages misbehave."""

    def __init__(self, world: World, context: Context) -> None:
        self.world = world
        self.context = context
        self.open = False

    async def activate(self) -> None:
        self.world.alive += 1
        self.world.alive_most = max(self.world.alive_most, self.world.alive)
        self.open = True
        if self.world.activation_gate is not None:
            await self.world.activation_gate.wait()
        if self.world.activation_error is not None:
            raise self.world.activation_error
        self.world.lives.append(f"up {self.context.incarnation}")

    async def turn(self, batch: Sequence[Envelope[str]]) -> None:
        self.world.batches.append([envelope.message for envelope in batch])
        if any(envelope.message == "bomb" for envelope in batch):
            raise ZeroDivisionError("bomb")
        if any(envelope.message == "wait" for envelope in batch):
            await self.world.gate.wait()
        await trio.lowlevel.checkpoint()
        for envelope in batch:
            self.world.log.append(envelope.message)
            envelope.succeed(len(self.world.log))
        if any(envelope.message == "late bomb" for envelope in batch):
            raise ZeroDivisionError("late bomb")

    async def passivate(self) -> None:
        await trio.lowlevel.checkpoint()
        self.world.lives.append(f"down {self.context.incarnation}")

    def abandon(self) -> None:
        if self.open:
            self.open = False
            self.world.alive -= 1


@attrs.define
class CountingReply:
    """Every answer that it gets, in order; a watcher must get one."""

    values: list[object] = attrs.field(factory=list)

    def succeed(self, value: object) -> None:
        self.values.append(value)

    def fail(self, error: Exception) -> None:
        raise AssertionError(error)


def opened(world: World, limits: MailboxLimits | None = None):  # type: ignore[no-untyped-def]  # a context manager
    return open_registry(lambda context: Scribe(world, context), limits=limits)
