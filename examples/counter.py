"""A counter as an actor: asked, told, sent to sleep, crashed and started again. `python -m examples.counter` runs it.

Its number lives in memory and is put on a shelf when the actor leaves. That is enough to sleep and wake unnoticed, and
not enough to crash: what was counted since is gone. `examples.account` shows what to do about that.
"""

import sys
from collections.abc import Sequence
from typing import TypeAlias

import attrs
import structlog
import trio

from actors.runtime import ActorCrashed, Context, Envelope, Registry, open_registry

Shelf: TypeAlias = dict[str, int]
"""What outlives the actors; a database, if this were not an example."""


@attrs.frozen
class Add:
    amount: int


@attrs.frozen
class Stumble:
    """What crashes a counter."""


Command: TypeAlias = Add | Stumble


class Counter:
    """One life of a counter."""

    def __init__(self, shelf: Shelf, context: Context) -> None:
        self._shelf = shelf
        self._context = context
        self._count = 0

    async def activate(self) -> None:
        """Commands wait meanwhile."""
        await trio.lowlevel.checkpoint()
        self._count = self._shelf.get(self._context.key, 0)
        print(f"  {self._context.key} wakes (incarnation {self._context.incarnation}) at {self._count}")

    async def turn(self, batch: Sequence[Envelope[Command]]) -> None:
        """All that waits, in order; nobody else looks at the count meanwhile, so there is no lock."""
        await trio.lowlevel.checkpoint()
        for envelope in batch:
            match envelope.message:
                case Add(amount):
                    self._count += amount
                    envelope.succeed(self._count)
                case Stumble():
                    raise RuntimeError("stumbled")

    async def passivate(self) -> None:
        """The last thing in a life that ends in peace."""
        await trio.lowlevel.checkpoint()
        self._shelf[self._context.key] = self._count
        print(f"  {self._context.key} falls asleep at {self._count}")

    def abandon(self) -> None:
        """The last thing in any life, also in one that crashed. There is nothing to let go of."""


async def show(counters: Registry[Command]) -> None:
    apples, pears = counters.ref("apples"), counters.ref("pears")
    print("A reference names a counter. It is brought to life by its first command:")
    print("apples + 3 =", await apples.ask(Add(3)))

    print("Who does not wait for an answer tells. Nothing is overtaken, and counters do not share anything:")
    for _ in range(4):
        apples.tell(Add(1))
    print("pears + 10 =", await pears.ask(Add(10)))
    print("apples + 0 =", await apples.ask(Add(0)))

    print("An idle counter leaves memory, and the next command brings it back:")
    await counters.passivate("apples")
    print("apples + 1 =", await apples.ask(Add(1)))

    print("A crash is answered and takes nobody else along. Commands wait for the restart:")
    try:
        await apples.ask(Stumble())
    except ActorCrashed as crash:
        print("apples:", crash)
    print("apples + 0 =", await apples.ask(Add(0)), "(what was counted since it last slept is gone)")
    print("pears + 0 =", await pears.ask(Add(0)))
    print("dead letters:", counters.dead_letters.statistics())
    await counters.passivate("pears")
    print("At the end of the block whoever is awake falls asleep:")


async def main() -> None:
    # The kernel logs each crash through structlog: here in one line, and beside what is printed.
    structlog.configure(
        [structlog.processors.KeyValueRenderer()], logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    shelf: Shelf = {}
    async with open_registry(lambda context: Counter(shelf, context)) as counters:
        await show(counters)
    print("on the shelf:", dict(sorted(shelf.items())))


if __name__ == "__main__":
    trio.run(main)
