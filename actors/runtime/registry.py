"""The registry of virtual actors: at most one cell a key (K1), found or made without a checkpoint in between."""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Generic, TypeVar

import attrs
import trio

from actors.runtime.behaviour import Factory, KindOf, type_name
from actors.runtime.cell import Cell
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.errors import ActorError, AskTimedOut, Expired, RegistryClosed
from actors.runtime.facts import Residency, Terminated
from actors.runtime.lives import keep_alive
from actors.runtime.mailbox import Envelope, Lane, Load, Mailbox, MailboxLimits, Promise, Reply
from actors.runtime.restart import RestartPolicy
from actors.runtime.supervisor import Supervisor

__all__ = ["Ref", "Registry", "RegistryStatistics", "open_registry"]

M = TypeVar("M")

CONCURRENT_ACTIVATIONS_MAX = 32
"""Replays share two cores and one disk; more at once make all of them slow (K20). Waiting ones are served in order."""


class Ref(Generic[M]):
    """A typed address. It names a key, not an incarnation: whoever is alive behind the key gets the message."""

    __slots__ = ("_registry", "key")

    def __init__(self, registry: "Registry[M]", key: str) -> None:
        self._registry = registry
        self.key = key

    def tell(
        self,
        message: M,
        *,
        lane: Lane = Lane.WORK,
        reply: Reply | None = None,
        size_bytes: int = 0,
        deadline: float = float("inf"),
    ) -> Envelope[M]:
        """Queue the message at once.

        Raises `MailboxFull`, `ServerFull`, `ActorFailed`, `RegistryClosed` or why the key is being removed; then it
        had no effect.
        """
        envelope = Envelope(message, lane, reply, size_bytes, deadline)
        self._registry.cell(self.key).mailbox.put_nowait(envelope)
        return envelope

    async def tell_waiting(self, message: M, *, reply: Reply | None = None) -> Envelope[M]:
        """Queue the message, waiting for room: for the actor's own run (K5). Raises as `tell`, but for fullness."""
        envelope = Envelope(message, Lane.WORK, reply)
        while True:
            try:
                await self._registry.cell(self.key).mailbox.put(envelope)
            except _CellGone:
                continue  # its actor left meanwhile: the next one is to have it (K23)
            return envelope

    async def ask(
        self,
        message: M,
        *,
        lane: Lane = Lane.WORK,
        size_bytes: int = 0,
        timeout_seconds: float = float("inf"),
    ) -> Any:
        """Queue the message and wait for its answer.

        Raises what `tell` raises, what the actor answers, `Expired` when the time was up before the message was
        taken (it will not be executed) and `AskTimedOut` when it was up afterwards (outcome unknown, K7).
        """
        promise = Promise()
        deadline = trio.current_time() + timeout_seconds
        envelope = self.tell(message, lane=lane, reply=promise, size_bytes=size_bytes, deadline=deadline)
        with trio.move_on_at(deadline):
            return await promise.wait()
        if envelope.taken:
            raise AskTimedOut("no answer in time; the outcome is unknown")
        envelope.answered = True
        raise Expired("the command waited past its deadline and was not executed")

    def watch(self, reply: Reply) -> None:
        """Have `reply` answered with exactly one `Terminated`: when the incarnation that is alive, or about to be, has
        ended; at once when there is none (K28). Brings nothing to life."""
        cell = self._registry.peek(self.key)
        if cell is None:
            reply.succeed(Terminated.of_nobody(self.key))
        else:
            cell.watch(reply)

    def unwatch(self, reply: Reply) -> None:
        """Leave `reply` alone from now on; fine when it was answered already."""
        cell = self._registry.peek(self.key)
        if cell is not None:
            cell.unwatch(reply)

    def __repr__(self) -> str:
        return f"<Ref {self.key}>"


class _CellGone(ActorError):
    """The mailbox was that of a cell which is no more; another one can be had from the registry."""


@attrs.frozen
class RegistryStatistics:
    """How many cells there are, by residency; everything else is cold and costs nothing. What waits is over all
    mailboxes, control lanes included; `restarts` and `dead_letters` count from the start of the process."""

    residency: dict[Residency, int]
    dead_letters: dict[str, int]
    restarts: int
    waiting_messages: int
    waiting_bytes: int
    oldest_wait_seconds: float


class Registry(Generic[M]):
    """Which keys have a cell now. Made by `open_registry`, whose nursery owns every life."""

    def __init__(
        self,
        factory: Factory[M],
        nursery: trio.Nursery,
        *,
        kind_of: KindOf[M] = type_name,
        policy: RestartPolicy | None = None,
        limits: MailboxLimits | None = None,
        load: Load | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.dead_letters = DeadLetters()
        self._factory = factory
        self._nursery = nursery
        self._kind_of = kind_of
        self._policy = policy or RestartPolicy()
        self._limits = limits
        self._load = load or Load()
        self._chance = chance
        # One count for all keys: no incarnation is ever taken for another one (K2).
        self._incarnations = itertools.count(1)
        self._cells: dict[str, Cell[M]] = {}
        self._limiter = trio.CapacityLimiter(CONCURRENT_ACTIVATIONS_MAX)
        self._emptied = trio.lowlevel.ParkingLot()
        self._closed = False
        self._past_restarts = 0

    def ref(self, key: str) -> Ref[M]:
        """An address for the key; this alone brings nothing to life."""
        return Ref(self, key)

    def cell(self, key: str) -> Cell[M]:
        """The cell of the key, brought to life when there is none (K1). Synchronous on purpose."""
        cell = self._cells.get(key)
        if cell is not None:
            if cell.refusal is not None:
                raise cell.refusal.with_traceback(None)
            return cell
        if self._closed:
            raise RegistryClosed("shutting down")
        mailbox: Mailbox[M] = Mailbox(self._limits, self._load)
        cell = Cell(key, self._factory, self.dead_letters, self._incarnations, mailbox, kind_of=self._kind_of)
        self._cells[key] = cell
        self._nursery.start_soon(self._keep, cell, name=f"actor {key}")
        return cell

    def peek(self, key: str) -> Cell[M] | None:
        """The cell of the key if there is one, failed ones included; brings nothing to life."""
        return self._cells.get(key)

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[Cell[M]]:
        return iter(tuple(self._cells.values()))

    async def passivate(self, key: str) -> None:
        """Have the key's incarnation leave, and return when it has. What waits wakes the next one (K23)."""
        cell = self._cells.get(key)
        if cell is None or self.forget_failure(key):
            await trio.lowlevel.checkpoint()
            return
        ended = Promise()
        if cell.alive:
            cell.watch(ended)
        else:
            ended.succeed(None)
        cell.passivate()
        await ended.wait()

    async def remove(self, key: str, refusal: Exception) -> None:
        """Have the key's incarnation leave and none follow, and return when none is there. What waits, and what comes
        until then, is refused with `refusal`; it had no effect."""
        cell = self._cells.get(key)
        if cell is None or self.forget_failure(key):
            await trio.lowlevel.checkpoint()
            return
        cell.remove(refusal)
        while self._cells.get(key) is cell:
            await self._emptied.park()

    def forget_failure(self, key: str) -> bool:
        """Let a failed key be tried again by the next command; True if it had failed."""
        cell = self._cells.get(key)
        if cell is None or not cell.failed:
            return False
        self._forget(cell)
        return True

    def _forget(self, cell: Cell[M]) -> None:
        del self._cells[cell.key]
        self._past_restarts += cell.restarts

    def retire(self) -> None:
        """Refuse new lives, and have all leave as soon as nothing waits for them."""
        self._closed = True
        for cell in self:
            cell.retire()

    async def close(self) -> None:
        """Retire, and return when none is left (K35)."""
        self.retire()
        while any(not cell.failed for cell in self):
            await self._emptied.park()

    async def _keep(self, cell: Cell[M]) -> None:
        try:
            await keep_alive(cell, self._policy, self._limiter, self._chance)
        finally:
            if not cell.failed:
                self._forget(cell)
                cell.close(_CellGone())
            self._emptied.unpark_all()

    def troubled(self, count: int) -> list[Cell[M]]:
        """Up to `count` cells, those first that an operator wants to see first (see `Cell.trouble`)."""
        cells = self._cells.values()
        found = heapq.nlargest(count, (cell for cell in cells if not cell.is_calm), key=lambda cell: cell.trouble)
        # Nearly all are calm, nearly always: they are not compared with each other.
        calm = (cell for cell in cells if cell.is_calm)
        return [*found, *itertools.islice(calm, count - len(found))]

    def statistics(self) -> RegistryStatistics:
        cells, now = self._cells.values(), trio.current_time()
        waiting = [cell.mailbox for cell in cells if cell.mailbox]
        return RegistryStatistics(
            residency=dict(Counter(cell.residency for cell in cells)),
            dead_letters=self.dead_letters.statistics(),
            restarts=self._past_restarts + sum(cell.restarts for cell in cells),
            waiting_messages=sum(map(len, waiting)),
            waiting_bytes=sum(mailbox.work_bytes for mailbox in waiting),
            oldest_wait_seconds=now - min((mailbox.oldest_queued_at for mailbox in waiting), default=now),
        )

    def __repr__(self) -> str:
        return f"<Registry {len(self._cells)} cells{' closed' if self._closed else ''}>"


@asynccontextmanager
async def open_registry(
    factory: Factory[M],
    *,
    kind_of: KindOf[M] = type_name,
    policy: RestartPolicy | None = None,
    limits: MailboxLimits | None = None,
    load: Load | None = None,
    chance: Callable[[], float] = random.random,
    below: Supervisor | None = None,
) -> AsyncIterator[Registry[M]]:
    """A registry whose actors live as long as the block, and leave in peace at its end. `kind_of` says what a
    message is called where people look. `chance`, in [0, 1), spreads restarts (K25); in the tree of supervision it
    stands `below` a node."""
    async with trio.open_nursery() as nursery:
        registry = Registry(factory, nursery, kind_of=kind_of, policy=policy, limits=limits, load=load, chance=chance)
        with nullcontext() if below is None else below.showing(registry):
            try:
                yield registry
                await registry.close()
            finally:
                registry.retire()
