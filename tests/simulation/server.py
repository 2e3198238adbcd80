"""The server of a simulation: real rooms on a simulated disk, with the places where a fault can strike.

What must not live here: which fault strikes when (`plan`), clients.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar, cast

import attrs
import trio

from actors.agent.understudy import Understudy
from actors.conversation.actor import ConversationActor
from actors.conversation.house import House, Rules
from actors.conversation.idle import IdleLimits
from actors.conversation.messages import Message, Subscribe
from actors.conversation.service import Conversations, open_conversations
from actors.conversation.summary import describe
from actors.domain.commands import Command, Shut
from actors.runtime import Context, Envelope
from actors.sandbox.errors import SandboxUnavailable
from actors.sandbox.port import Sandbox
from storage.store import open_store
from tests.fakes.scripted_sandbox import Reply, ScriptedSandbox
from tests.fakes.sim_disk import SimDisk
from tests.simulation.link import Link
from tests.simulation.plan import CrashActor, SandboxFails
from tests.simulation.world import World
from transport.admission import Admission
from transport.engineio.connection import Peer
from transport.engineio.options import Options
from transport.gateway import Gateway
from transport.ratelimit import RateLimiter
from transport.socketio.server import Server

__all__ = ["OPTIONS", "InjectedCrash", "Premises", "SlowDisk", "Stage", "open_premises"]

T = TypeVar("T")

RULES = Rules(
    idle=IdleLimits(close_delay_seconds=6, hibernate_after_seconds=2),
    run_times_max=4,
    start_deadline_seconds=5,
)
"""Quick enough that everything that time brings comes in a life; fewer places than conversations."""

IMPATIENT = attrs.evolve(RULES, idle=attrs.evolve(RULES.idle, closes_connected=True))
"""In every other world the idle are closed although clients are connected."""

OPTIONS = Options(
    ping_interval_seconds=3,
    ping_timeout_seconds=2,
    outbox_high_bytes=2_000,
    outbox_low_bytes=500,
    outbox_hard_bytes=50_000,
    write_timeout_seconds=4,
)
"""Small, so that readers fall behind."""

REPLIES = {"quick": Reply("done\n"), "slow": Reply("begun\n", seconds=3), "endless": Reply("begun\n", seconds=1000)}

DISK_SECONDS_MAX = 0.02


class InjectedCrash(Exception):
    """A bug that the plan put there."""


class SlowDisk(SimDisk):
    """Work takes a moment, so that others come in between; how long is drawn."""

    chance: Random = Random(0)

    async def run(self, work: Callable[[], T]) -> T:
        await trio.sleep(self.chance.choice((0.0, self.chance.random() * DISK_SECONDS_MAX)))
        return work()


@attrs.define
class Stage:
    """Where faults strike in this life, and what is watched there. `alive` are actors by conversation (K1)."""

    world: World
    crashes: list[CrashActor] = attrs.field(factory=list)
    sandbox_fails: list[SandboxFails] = attrs.field(factory=list)
    alive: dict[str, int] = attrs.field(factory=dict)
    doubled: list[str] = attrs.field(factory=list)
    passed: dict[str, int] = attrs.field(factory=dict)

    def point(self, name: str, key: str) -> None:
        """An actor comes past; raises `InjectedCrash` where the plan says so."""
        armed = next((crash for crash in self.crashes if crash.point == name), None)
        if armed is None:
            return
        passed = self.passed.get(name, 0)
        self.passed[name] = passed + 1
        if passed < armed.skip:
            return
        if passed + 1 >= armed.skip + armed.times:
            self.crashes.remove(armed)
            del self.passed[name]
        self.world.trace.note("crash", point=name, conversation=key)
        self.world.trace.reached[f"crash {name}"] += 1
        raise InjectedCrash(name)

    async def open_sandbox(self, _: Path) -> Sandbox:
        await trio.lowlevel.checkpoint()
        if self.sandbox_fails:
            fault = self.sandbox_fails[0]
            self.sandbox_fails[0] = attrs.evolve(fault, times=fault.times - 1)
            if fault.times <= 1:
                self.sandbox_fails.pop(0)
            await trio.sleep(fault.seconds)
            raise SandboxUnavailable("no such image")
        return ScriptedSandbox(REPLIES)


class StagedActor(ConversationActor):
    """A conversation's actor, with the points of the stage on its way."""

    def __init__(self, context: Context, house: House, stage: Stage) -> None:
        super().__init__(context, house)
        self._key = context.key
        self._stage = stage
        alive = stage.alive[self._key] = stage.alive.get(self._key, 0) + 1
        if alive > 1:
            stage.doubled.append(self._key)

    async def activate(self) -> None:
        self._stage.point("activate", self._key)
        await super().activate()
        if self._house.ref(self._key)._registry.cell(self._key).mailbox:
            self._reached("commands waited while it woke")
        self._stage.point("activated", self._key)

    async def turn(self, batch: Sequence[Envelope[Message]]) -> None:
        for envelope in batch:
            match envelope.message:
                case Shut(why):
                    self._reached(f"shut {why}")
                case Subscribe(again=True):
                    self._reached("joined again after a crash")
        self._stage.point("turn of many" if len(batch) > 1 else "turn", self._key)
        await super().turn(batch)
        self._stage.point("turned", self._key)

    def _look_at_clock(self) -> Command | None:
        command = super()._look_at_clock()
        if isinstance(command, Shut):
            self._reached(f"shut {command.why}")
        return command

    def _reached(self, branch: str) -> None:
        self._stage.world.trace.reached[branch] += 1

    async def passivate(self) -> None:
        await super().passivate()
        if self._house.ref(self._key)._registry.cell(self._key).mailbox:
            self._reached("commands handed over")

    def _publish(self, *args: Any) -> None:
        self._stage.point("publish", self._key)
        super()._publish(*args)

    async def _save_snapshot(self) -> None:
        self._stage.point("snapshot", self._key)
        await super()._save_snapshot()

    def abandon(self) -> None:
        super().abandon()
        self._stage.alive[self._key] -= 1


@attrs.define
class Premises:
    """One life of the server, as clients reach it."""

    world: World
    conversations: Conversations
    server: Server
    nursery: trio.Nursery

    def attach(self, link: Link, query: dict[str, str]) -> None:
        """A client's WebSocket, whose handshake is done."""
        self.nursery.start_soon(self._serve, link, query)

    async def _serve(self, link: Link, query: dict[str, str]) -> None:
        peer = Peer(query, {}, "127.0.0.1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._drop_who_takes_nothing, link)
            await self.server.endpoint.serve(cast("Any", link), peer)
            link.close()
            nursery.cancel_scope.cancel()

    async def _drop_who_takes_nothing(self, link: Link) -> None:
        """What the real WebSocket's writer does (K33)."""
        while True:
            kept = link.buffered_bytes
            await trio.sleep(OPTIONS.write_timeout_seconds)
            if kept and link.buffered_bytes >= kept:
                self.world.trace.reached["slow reader dropped"] += 1
                link.close()


@asynccontextmanager
async def open_premises(world: World, disk: SlowDisk, stage: Stage, life: int) -> AsyncIterator[Premises]:
    """The server on this disk, for the block; its end is a drain without a grace."""
    async with (
        open_store(disk, describe) as store,
        open_conversations(
            store,
            Understudy(),
            stage.open_sandbox,
            IMPATIENT if world.seed % 2 else RULES,
            surroundings=world.surroundings(life),
            make_actor=lambda context, house: StagedActor(context, house, stage),
        ) as conversations,
    ):
        gateway = Gateway(conversations, Admission(None, RateLimiter(0, 1)))
        server = Server({"/": gateway}, OPTIONS)
        async with trio.open_nursery() as nursery:
            await nursery.start(server.endpoint.run)
            yield Premises(world, conversations, server, nursery)
            nursery.cancel_scope.cancel()
