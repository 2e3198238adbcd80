"""An actor whose facts lie in a shared list, so that tests see what incarnations did; and replies that count."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import attrs
import trio

from actors.runtime import (
    ActorFailed,
    Context,
    Envelope,
    MailboxLimits,
    Registry,
    RestartPolicy,
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
    passivation_gate: trio.Event | None = None
    woken: list[tuple[str, float]] = attrs.field(factory=list)
    waking: int = 0
    contexts: list[Context] = attrs.field(factory=list)
    alive: int = 0
    alive_most: int = 0


class Scribe:
    """Appends each message to the log and answers with its position; some messages misbehave."""

    def __init__(self, world: World, context: Context) -> None:
        self.world = world
        self.context = context
        self.open = False
        world.contexts.append(context)

    async def activate(self) -> None:
        self.world.woken.append((self.context.key, trio.current_time()))
        self.world.alive += 1
        self.world.alive_most = max(self.world.alive_most, self.world.alive)
        self.open = True
        if self.world.activation_gate is not None:
            self.world.waking += 1
            try:
                await self.world.activation_gate.wait()
            finally:
                self.world.waking -= 1
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
        if self.world.passivation_gate is not None:
            await self.world.passivation_gate.wait()
        await trio.lowlevel.checkpoint()
        self.world.lives.append(f"down {self.context.incarnation}")

    def abandon(self) -> None:
        if self.open:
            self.open = False
            self.world.alive -= 1


@attrs.define
class CountingReply:
    """Every answer that it gets, in order: an error by its type, with the reason of a failure."""

    values: list[object] = attrs.field(factory=list)

    def succeed(self, value: object) -> None:
        self.values.append(value)

    def fail(self, error: Exception) -> None:
        self.values.append(error.reason if isinstance(error, ActorFailed) else type(error))


def opened(
    world: World, limits: MailboxLimits | None = None, policy: RestartPolicy | None = None
) -> AbstractAsyncContextManager[Registry[str]]:
    """A registry of scribes; restarts come without jitter."""
    return open_registry(lambda context: Scribe(world, context), limits=limits, policy=policy, chance=lambda: 0.5)
