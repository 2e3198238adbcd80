"""Incarnation follows incarnation: what a registry does for one cell (K24, K25).

One for one and without escalation: an actor that crashes too often has failed, with a reason, and nobody else.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import trio

from actors.runtime.behaviour import CannotActivate
from actors.runtime.cell import Cell
from actors.runtime.errors import ActorFailed
from actors.runtime.guard import guarded
from actors.runtime.restart import GiveUp, RestartPolicy, judge, recent

__all__ = ["keep_alive"]

M = TypeVar("M")


async def keep_alive(
    cell: Cell[M], policy: RestartPolicy, limiter: trio.CapacityLimiter, chance: Callable[[], float]
) -> None:
    """Let incarnation follow incarnation until one leaves in peace with nothing waiting, or none may follow."""
    # No checkpoint between the last look and the registry's removal of the cell (K1).
    while not cell.is_over:
        failure = await guarded(partial(cell.live, limiter), "actor_crashed", key=cell.key, crashes=len(cell.crashes))
        if failure is None:
            cell.tell_watchers("left")
            continue
        verdict = _judge(cell, policy, failure, chance())
        if isinstance(verdict, ActorFailed):
            cell.fail(verdict)
            return
        cell.tell_watchers("crashed")
        await cell.pause(verdict)


def _judge(cell: Cell[M], policy: RestartPolicy, failure: Exception, chance: float) -> float | ActorFailed:
    """After how many seconds the next incarnation comes, or why none does."""
    cell.last_failure = repr(failure)
    if cell.refusal is not None:
        return 0.0  # it is being removed: nothing follows, whatever this was
    if isinstance(failure, CannotActivate):
        return ActorFailed(failure.reason, failure.detail)
    now = trio.current_time()
    cell.crashes = [*recent(policy, cell.crashes, now), now]
    verdict = judge(policy, cell.crashes, now, chance)
    if isinstance(verdict, GiveUp):
        return ActorFailed("crash_loop", f"{verdict.crashes} crashes within {policy.window_seconds:g} s")
    cell.restarts += 1
    return verdict.delay_seconds
