"""Actors that crash as fast as they can, beside a hundred healthy ones that do not notice (K24, K25).

Judged in turns of trio's loop, which no other load on the machine can touch, and against two runs without a storm: what
these differ in is what chance does.
"""

import gc
import tracemalloc
from collections.abc import Iterator, Sequence

import attrs
import pytest
import structlog
import trio

from actors.runtime import Context, Envelope, Registry, RestartPolicy, open_registry

HEALTHY = 100
STORMY = 30
ASKS = 30
UNBRIDLED = RestartPolicy(restarts_max=5, window_seconds=0, first_delay_seconds=0, longest_delay_seconds=0)
"""Nothing holds these actors back: no pause, and no crash is remembered."""


@attrs.define(eq=False)
class LoopTurns(trio.abc.Instrument):
    """Counts how often the loop has gone round."""

    count: int = 0

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - trio's
        self.count += 1


@attrs.define
class Sky:
    """How bad the weather was."""

    crashes: int = 0
    waits: list[int] = attrs.field(factory=list)
    tasks_most: int = 0


class Crashing:
    """Every third life of it crashes while waking, the others in their first turn."""

    def __init__(self, sky: Sky, context: Context, registry: Registry[str]) -> None:
        self._sky, self._context, self._registry = sky, context, registry

    async def activate(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._context.incarnation % 3 == 0:
            self._crash()
        cell = self._registry.cell(self._context.key)
        if not cell.mailbox:
            self._registry.ref(cell.key).tell("crash")

    async def turn(self, batch: Sequence[Envelope[str]]) -> None:  # noqa: ARG002 - it crashes on any
        await trio.lowlevel.checkpoint()
        self._crash()

    def _crash(self) -> None:
        self._sky.crashes += 1
        raise ZeroDivisionError(self._context.key)

    async def passivate(self) -> None: ...

    def abandon(self) -> None: ...


class Healthy:
    """Answers."""

    async def activate(self) -> None: ...

    async def turn(self, batch: Sequence[Envelope[str]]) -> None:
        await trio.lowlevel.checkpoint()
        for envelope in batch:
            envelope.succeed(envelope.message)

    async def passivate(self) -> None: ...

    def abandon(self) -> None: ...


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A storm logs each crash with its traceback, which here would be all that is measured."""
    configured = structlog.get_config()
    structlog.configure([_drop])
    yield
    structlog.configure(**configured)


def _drop(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    raise structlog.DropEvent


async def weather(stormy: int) -> Sky:
    """A hundred actors are asked, each by its own client, while `stormy` others crash."""
    sky, turns = Sky(), LoopTurns()
    registry: Registry[str]

    def factory(context: Context) -> Crashing | Healthy:
        return Crashing(sky, context, registry) if context.key.startswith("storm") else Healthy()

    async def client(number: int) -> None:
        ref = registry.ref(f"healthy {number}")
        await ref.ask("wake up")
        for _ in range(ASKS):
            began = turns.count
            await ref.ask("hello")
            sky.waits.append(turns.count - began)

    trio.lowlevel.add_instrument(turns)
    with trio.CancelScope() as storm:
        async with open_registry(factory, policy=UNBRIDLED) as registry:
            for number in range(stormy):
                registry.ref(f"storm {number}").tell("begin")
            async with trio.open_nursery() as clients:
                for number in range(HEALTHY):
                    clients.start_soon(client, number)
            sky.tasks_most = trio.lowlevel.current_statistics().tasks_living
            storm.cancel()
            await trio.lowlevel.checkpoint()
    trio.lowlevel.remove_instrument(turns)
    return sky


async def test_k24_a_hundred_healthy_actors_do_not_notice_a_storm_of_crashes_beside_them() -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    calm, calm_again, storm = await weather(0), await weather(0), await weather(STORMY)
    chance = max(*calm.waits, *calm_again.waits)
    assert storm.crashes > STORMY * ASKS / 2
    assert len(storm.waits) == HEALTHY * ASKS
    assert max(storm.waits) <= chance
    assert sum(storm.waits) <= max(sum(calm.waits), sum(calm_again.waits)) * 1.02
    assert storm.tasks_most == calm.tasks_most + STORMY
    assert trio.lowlevel.current_statistics().tasks_living == before


async def test_k25_a_storm_leaves_nothing_behind_in_memory_or_tasks() -> None:
    sky = Sky()
    registry: Registry[str]
    async with trio.open_nursery() as nursery:
        registry = Registry(lambda context: Crashing(sky, context, registry), nursery, policy=UNBRIDLED)
        for number in range(STORMY):
            registry.ref(f"storm {number}").tell("begin")

        async def storm_until(crashes: int) -> int:
            while sky.crashes < crashes:
                await trio.lowlevel.checkpoint()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            tasks = trio.lowlevel.current_statistics().tasks_living
            early = await storm_until(1_500)
            late = await storm_until(4_500)
        finally:
            tracemalloc.stop()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert late - early < 64 * 1024, "bytes for 3,000 more crashes"
        assert registry.dead_letters.statistics()["crashed"] > 500
        nursery.cancel_scope.cancel()
