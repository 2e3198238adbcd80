"""One conversation as it is seen at a moment, from outside and without asking its actor. Pure.

What lives here: the numbers put together, and which of its deadlines comes next. What must not: where the numbers are
had from (`inspector`), or what they mean for people (`explanation`).
"""

from collections.abc import Iterator
from enum import StrEnum

import attrs

from actors.conversation.decision import Live, RunTimePhase
from actors.conversation.idle import NEVER, IdleLimits, close_at, hibernate_at
from actors.conversation.statistics import Activity, ConversationStatistics
from actors.runtime import CellStatistics, Residency
from storage.health import Refusing

__all__ = ["Deadline", "Seen", "What", "deadlines"]


class What(StrEnum):
    """What happens at a deadline, unless something happens before."""

    RESTART = "restart"  # its actor crashed, and is started again
    WAKING_GIVEN_UP = "waking_given_up"  # then it has failed (K20)
    LEAVING_GIVEN_UP = "leaving_given_up"  # then it leaves without a snapshot (K18)
    DISK_TRIED = "disk_tried"  # it took no writes (K14)
    START_GIVEN_UP = "start_given_up"  # then its run-time has failed
    COMMAND_TIMEOUT = "command_timeout"  # then what the agent runs in the sandbox is ended
    HIBERNATE = "hibernate"
    CLOSE = "close"


@attrs.frozen
class Deadline:
    """`at` is in the seconds of `Seen.now`."""

    what: What
    at: float


@attrs.frozen
class Seen:
    """All times are in seconds of the same clock as `now`.

    `actor` is None where nobody lives or is about to, `inside` where nobody in memory can tell; `alarm_at` is when the
    conversation is to look at the clock, None for not at all. `disk` is None where the disk takes its events.
    """

    conversation_id: str
    now: float
    residency: Residency
    actor: CellStatistics | None
    inside: ConversationStatistics | None
    limits: IdleLimits
    alarm_at: float | None = None
    disk: Refusing | None = None

    @property
    def live(self) -> Live:
        return Live() if self.inside is None else self.inside.live


def deadlines(seen: Seen) -> tuple[Deadline, ...]:
    """What happens by itself, the next first."""
    found = [*_of_actor(seen), *_of_run_time(seen), *_of_idleness(seen)]
    if seen.disk is not None and seen.disk.everybody:
        found.append(Deadline(What.DISK_TRIED, seen.disk.retry_at))
    return tuple(sorted(found, key=lambda deadline: deadline.at))


def _of_actor(seen: Seen) -> Iterator[Deadline]:
    actor = seen.actor
    if actor is None:
        return
    if actor.retry_at is not None:
        yield Deadline(What.RESTART, actor.retry_at)
    if actor.gives_up_at is not None:
        is_waking = actor.residency is Residency.ACTIVATING
        yield Deadline(What.WAKING_GIVEN_UP if is_waking else What.LEAVING_GIVEN_UP, actor.gives_up_at)


def _of_run_time(seen: Seen) -> Iterator[Deadline]:
    run_time = None if seen.inside is None else seen.inside.run_time
    if run_time is None:
        return
    if run_time.activity is Activity.OPENING and run_time.gives_up_at is not None:
        yield Deadline(What.START_GIVEN_UP, run_time.gives_up_at)
    if run_time.sandbox is not None and run_time.sandbox.times_out_at is not None:
        yield Deadline(What.COMMAND_TIMEOUT, run_time.sandbox.times_out_at)


def _of_idleness(seen: Seen) -> Iterator[Deadline]:
    """Busy never leaves (K21). Whoever was too busy to look at the clock when it rang looks when it rings again."""
    if seen.inside is None or seen.inside.sitting.busy or seen.residency is Residency.PASSIVATING:
        return
    sitting, earliest = seen.inside.sitting, seen.now if seen.alarm_at is None else seen.alarm_at
    closes_at, hibernates_at = close_at(seen.limits, sitting), hibernate_at(seen.limits, sitting)
    if seen.residency is Residency.HOT and hibernates_at < closes_at:
        yield Deadline(What.HIBERNATE, max(hibernates_at, earliest))
    if closes_at < NEVER and seen.live.phase is RunTimePhase.OPEN:
        yield Deadline(What.CLOSE, max(closes_at, earliest))
