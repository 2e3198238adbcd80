"""One-for-one supervision: a child that crashes is judged by the restart policy, alone (K24, K25).

This module holds the one guard of the actors' side: whatever a child raises ends here, in the log and in the
child's history, and never reaches a sibling.
"""

import random
from collections.abc import Awaitable, Callable
from functools import partial

import structlog
import trio

from actors.runtime.cell import CannotActivate, Cell
from actors.runtime.errors import ActorFailed
from actors.runtime.restart import GiveUp, RestartPolicy, judge

__all__ = ["guarded", "supervise"]

logger = structlog.get_logger(__name__)


async def supervise(
    cell: Cell[object],
    policy: RestartPolicy,
    limiter: trio.CapacityLimiter,
    chance: Callable[[], float] = random.random,
) -> None:
    """Let incarnation follow incarnation until one leaves in peace with nothing waiting, or the cell has failed."""
    while True:
        failure = await _one_life(cell, limiter)
        if failure is None:
            # No checkpoint between this look and the registry's removal of the cell (K1).
            if cell.idle:
                return
        elif isinstance(failure, CannotActivate):
            cell.fail(ActorFailed(failure.reason, failure.detail))
            return
        else:
            now = trio.current_time()
            cell.crashes.append(now)
            verdict = judge(policy, cell.crashes, now, chance())
            if isinstance(verdict, GiveUp):
                cell.fail(ActorFailed("crash_loop", f"{verdict.crashes} crashes within {policy.window_seconds} s"))
                return
            cell.restarts += 1
            await trio.sleep(verdict.delay_seconds)


async def _one_life(cell: Cell[object], limiter: trio.CapacityLimiter) -> Exception | None:
    failure = await guarded(partial(cell.live, limiter), "actor_crashed", key=cell.key, crashes=len(cell.crashes))
    if failure is not None:
        cell.last_failure = repr(failure)
    return failure


async def guarded(work: Callable[[], Awaitable[object]], event: str, **facts: object) -> Exception | None:
    """Do the work; what it raises is logged as `event` with the facts, and returned.

    The supervisor's guard: one of the two places of the project that catch everything.
    """
    try:
        await work()
    except Exception as failure:
        logger.exception(event, **facts)
        return failure
    return None
