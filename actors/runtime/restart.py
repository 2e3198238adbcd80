"""When a crashed child is started again, and when it is given up (K25). Pure: history and clock are arguments."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import TypeAlias

import attrs

__all__ = ["GiveUp", "Restart", "RestartAfter", "RestartPolicy", "Verdict", "is_over", "judge", "recent"]


DOUBLINGS_MAX = 64
"""Beyond any pause, and within what a float holds, however many crashes a policy allows."""


class Restart(Enum):
    """Which ends of a child are followed by another life of it."""

    PERMANENT = auto()  # every one: it is expected to run for ever
    TRANSIENT = auto()  # crashes; when it returns, it has done what it was for
    TEMPORARY = auto()  # none


@attrs.frozen
class RestartPolicy:
    """At most `restarts_max` crashes within `window_seconds`; the pause doubles from the first to the longest.

    Five in a minute: a poisoned command costs one crash, or two when it came in a batch, so five are no accident.
    """

    restarts_max: int = 5
    window_seconds: float = 60.0
    first_delay_seconds: float = 0.05
    longest_delay_seconds: float = 5.0
    jitter: float = 0.2


@attrs.frozen
class RestartAfter:
    """Start the next life after this pause."""

    delay_seconds: float


@attrs.frozen
class GiveUp:
    """More crashes than the policy allows: it stays down until somebody steps in."""

    crashes: int


Verdict: TypeAlias = RestartAfter | GiveUp


def is_over(restart: Restart, *, crashed: bool) -> bool:
    """Whether a child of this kind has come to its last end."""
    match restart:
        case Restart.PERMANENT:
            return False
        case Restart.TRANSIENT:
            return not crashed
        case Restart.TEMPORARY:
            return True


def recent(policy: RestartPolicy, crashes: Sequence[float], now: float) -> list[float]:
    """The crashes that still count at `now`; the others may be forgotten."""
    return [crash for crash in crashes if now - crash < policy.window_seconds]


def judge(policy: RestartPolicy, crashes: Sequence[float], now: float, chance: float) -> Verdict:
    """What follows a crash at `now`; `crashes` are the times of all crashes, this one included.

    `chance` is in [0, 1) and spreads the pauses, so that many actors felled by one cause do not rise as one.
    """
    count = len(recent(policy, crashes, now))
    if count > policy.restarts_max:
        return GiveUp(count)
    pause = min(policy.first_delay_seconds * 2 ** min(max(count - 1, 0), DOUBLINGS_MAX), policy.longest_delay_seconds)
    return RestartAfter(pause * (1 + policy.jitter * (2 * chance - 1)))
