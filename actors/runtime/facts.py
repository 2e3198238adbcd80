"""What can be said of an actor: where it lives, what it is at, how its lives end.

Plain facts for whoever watches or looks; what must not be here is anything that lives (`cell`).
"""

from enum import StrEnum

import attrs

from actors.runtime.mailbox import MailboxStatistics

__all__ = ["CellStatistics", "Residency", "Terminated", "TurnStatistics"]


class Residency(StrEnum):
    """Where an actor lives now (semantics, "Words")."""

    COLD = "cold"
    ACTIVATING = "activating"
    HOT = "hot"
    PASSIVATING = "passivating"
    HIBERNATED = "hibernated"  # told apart from COLD by who keeps what outlives the actor; no cell is ever in it
    FAILED = "failed"


@attrs.frozen
class Terminated:
    """One incarnation has ended (K28): it `left`, it `crashed`, it was `cut_off` by a cancellation of the whole
    registry, or the key has failed for the reason given.

    `incarnation` is 0 and the reason `not_alive` when there was none to watch, or none came.
    """

    key: str
    incarnation: int
    reason: str

    @classmethod
    def of_nobody(cls, key: str) -> "Terminated":
        return cls(key, 0, "not_alive")


@attrs.frozen
class TurnStatistics:
    """What an actor is doing: the kinds of the commands, and since when (`trio.current_time()` seconds)."""

    commands: tuple[str, ...]
    began_at: float


@attrs.frozen
class CellStatistics:
    """`crashes` are those that count against the policy; times are in `trio.current_time()` seconds.

    `since` is when it got to this residency, `gives_up_at` when waking or leaving is given up, None where it may stay
    or waits for its turn to wake. `turn` is None between turns; `suspects` are what a crashed turn left, to be tried
    one by one (K26). `retry_at` is when a crashed actor is started again, None when none waits for that.
    """

    key: str
    residency: Residency
    since: float
    gives_up_at: float | None
    incarnation: int
    crashes: int
    restarts: int
    last_failure: str
    reason: str
    turn: TurnStatistics | None
    retry_at: float | None
    suspects: int
    mailbox: MailboxStatistics
