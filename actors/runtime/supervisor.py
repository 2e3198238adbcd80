"""A node of the tree of supervision: children that are started again when they end (K25), stopped in reverse order.

One for one: a child that crashes is judged alone. When a node has seen more crashes than its policy allows, it does
not know how to go on: it stops its other children and fails itself, which is a crash in the node above (escalation).
A node is below another one by being the work of its child, which is started again, or by being opened inside its
block, which fails with it. What lives here: tasks with an owner. What must not: actors with mailboxes, of which a
registry keeps any number and where nobody's failure ever escalates.
"""

import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from enum import Enum, auto
from typing import Any, Protocol

import attrs
import structlog
import trio

from actors.runtime.errors import Escalated
from actors.runtime.guard import guarded
from actors.runtime.restart import GiveUp, Restart, RestartPolicy, is_over, judge, recent

__all__ = [
    "Child",
    "ChildStatistics",
    "Node",
    "StopOrder",
    "Supervisor",
    "SupervisorStatistics",
    "open_supervisor",
]

logger = structlog.get_logger(__name__)

CANCEL_DEADLINE_SECONDS = 5.0
"""Who was cancelled and is not gone by now shields himself: the next sibling's stop does not wait for that."""


class StopOrder(Enum):
    """How the children of a node are stopped."""

    REVERSE = auto()  # one after the other, the last started first: later ones lean on earlier ones
    TOGETHER = auto()  # all at once: many of a kind, none of which needs another


class Node(Protocol):
    """What can be in the tree below a supervisor."""

    def statistics(self) -> Any: ...


@attrs.frozen
class Child:
    """What is to be kept going. Names are for people: two children may have the same one.

    `stop` asks a child to end by itself, synchronously; without it, and at `stop_deadline_seconds` after it, the child
    is cancelled.
    """

    name: str
    work: Callable[[], Awaitable[object]]
    restart: Restart = Restart.PERMANENT
    stop: Callable[[], None] | None = None
    stop_deadline_seconds: float = 5.0


@attrs.frozen
class ChildStatistics:
    """`started_at` is of the present life, or of the last one while `retry_at` says when the next begins; both in
    `trio.current_time()` seconds."""

    name: str
    restart: Restart
    restarts: int
    last_failure: str
    started_at: float
    retry_at: float | None


@attrs.frozen
class SupervisorStatistics:
    """`recent_crashes` are those that count against the policy; `children` in the order of their start; `nodes` are the
    statistics of the nodes below."""

    name: str
    recent_crashes: int
    children: tuple[ChildStatistics, ...]
    nodes: tuple[Any, ...]


@attrs.define(eq=False)
class _Kept:
    """A child and what became of it so far."""

    child: Child
    scope: trio.CancelScope = attrs.field(factory=lambda: trio.CancelScope(shield=True))
    ended: trio.Event = attrs.field(factory=trio.Event)
    alive: bool = False
    stopping: bool = False
    restarts: int = 0
    last_failure: str = ""
    started_at: float = 0.0
    retry_at: float | None = None

    def statistics(self) -> ChildStatistics:
        child = self.child
        return ChildStatistics(
            child.name, child.restart, self.restarts, self.last_failure, self.started_at, self.retry_at
        )


class Supervisor:
    """Made by `open_supervisor`, whose block is the node's life."""

    def __init__(
        self, name: str, nursery: trio.Nursery, policy: RestartPolicy, order: StopOrder, chance: Callable[[], float]
    ) -> None:
        self.name = name
        self.failure: Escalated | None = None
        self._nursery = nursery
        self._policy = policy
        self._order = order
        self._chance = chance
        self._serials = itertools.count()
        self._kept: dict[int, _Kept] = {}
        self._crashes: list[float] = []
        self._nodes: list[Node] = []

    @contextmanager
    def showing(self, node: Node) -> Iterator[None]:
        """Have the node stand below this one in the tree, for the block."""
        self._nodes.append(node)
        try:
            yield
        finally:
            self._nodes.remove(node)

    def start(self, child: Child) -> Callable[[], Awaitable[None]]:
        """Keep the child going from now on; what is returned stops it alone, and returns when it is gone."""
        serial, kept = next(self._serials), _Kept(child, started_at=trio.current_time())
        self._kept[serial] = kept
        self._nursery.start_soon(self._keep, serial, kept, name=f"{self.name}/{child.name}")

        async def stop() -> None:
            await self._stop(kept)

        return stop

    async def stop(self) -> None:
        """Stop all children in the node's order; return when they are gone.

        From now on none is started again. A child that shields itself from its cancellation holds up its siblings for
        `CANCEL_DEADLINE_SECONDS` at most.
        """
        for kept in self._kept.values():
            kept.stopping = True
        while self._kept:  # and whoever was started meanwhile
            leaving = tuple(self._kept) if self._order is StopOrder.TOGETHER else (max(self._kept),)
            async with trio.open_nursery() as nursery:
                for serial in leaving:
                    nursery.start_soon(self._stop, self._kept[serial])
            for serial in leaving:
                self._kept.pop(serial, None)

    async def _stop(self, kept: _Kept) -> None:
        kept.stopping = True
        if kept.child.stop is not None and kept.alive:
            kept.child.stop()
            with trio.move_on_after(kept.child.stop_deadline_seconds):
                await kept.ended.wait()
        kept.scope.cancel()
        with trio.move_on_after(CANCEL_DEADLINE_SECONDS):
            await kept.ended.wait()
            return
        logger.warning("child_shields_itself", supervisor=self.name, child=kept.child.name)

    async def _keep(self, serial: int, kept: _Kept) -> None:
        # Shielded: only `_stop` ends a child, so that the order holds when everything around is cancelled at once.
        with kept.scope:
            await self._live_on(kept)
        kept.ended.set()
        self._kept.pop(serial, None)

    async def _live_on(self, kept: _Kept) -> None:
        """Life after life of one child, until the last one or until the node gives up."""
        child = kept.child
        while True:
            kept.started_at, kept.retry_at, kept.alive = trio.current_time(), None, True
            failure = await guarded(child.work, "child_crashed", supervisor=self.name, child=child.name)
            kept.alive = False
            if failure is not None:
                kept.last_failure = repr(failure)
            if kept.stopping or is_over(child.restart, crashed=failure is not None):
                return
            delay_seconds = self._judge(child, failure)
            if delay_seconds is None:
                return
            kept.restarts += 1
            kept.retry_at = trio.current_time() + delay_seconds
            await trio.sleep_until(kept.retry_at)

    def _judge(self, child: Child, failure: Exception | None) -> float | None:
        """After how many seconds to start the child again; None when the node has given up."""
        now = trio.current_time()
        self._crashes = [*recent(self._policy, self._crashes, now), now]
        verdict = judge(self._policy, self._crashes, now, self._chance())
        if not isinstance(verdict, GiveUp):
            return verdict.delay_seconds
        self.failure = Escalated(self.name, child.name, verdict.crashes)
        self.failure.__cause__ = failure
        self._nursery.cancel_scope.cancel()
        return None

    def statistics(self) -> SupervisorStatistics:
        now = trio.current_time()
        return SupervisorStatistics(
            name=self.name,
            recent_crashes=len(recent(self._policy, self._crashes, now)),
            children=tuple(kept.statistics() for kept in self._kept.values()),
            nodes=tuple(node.statistics() for node in self._nodes),
        )

    def __repr__(self) -> str:
        return f"<Supervisor {self.name} children={len(self._kept)}{' failed' if self.failure else ''}>"


@asynccontextmanager
async def open_supervisor(
    name: str,
    *,
    below: Supervisor | None = None,
    policy: RestartPolicy | None = None,
    order: StopOrder = StopOrder.REVERSE,
    chance: Callable[[], float] = random.random,
) -> AsyncIterator[Supervisor]:
    """A node for the block; at its end the children are stopped in its order, also when it is cancelled.

    When children have crashed too often the block is cancelled, and `Escalated` raised in its place.
    """
    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(name, nursery, policy or RestartPolicy(), order, chance)
        with nullcontext() if below is None else below.showing(supervisor):
            try:
                yield supervisor
            finally:
                with trio.CancelScope(shield=True):
                    await supervisor.stop()
    if supervisor.failure is not None:
        raise supervisor.failure
