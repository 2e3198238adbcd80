"""When a crashed actor is started again, and when it is given up (K25). Pure: history and clock are arguments."""

from collections.abc import Sequence
from typing import TypeAlias

import attrs

__all__ = ["GiveUp", "RestartAfter", "RestartPolicy", "Verdict", "judge"]


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
    """Start the next incarnation after this pause."""

    delay_seconds: float


@attrs.frozen
class GiveUp:
    """More crashes than the policy allows: the actor stays down until somebody steps in."""

    crashes: int


Verdict: TypeAlias = RestartAfter | GiveUp


def judge(policy: RestartPolicy, crashes: Sequence[float], now: float, chance: float) -> Verdict:
    """What follows a crash at `now`; `crashes` are the times of all crashes, this one included.

    `chance` is in [0, 1) and spreads the pauses, so that many actors felled by one cause do not rise as one.
    """
    recent = [crash for crash in crashes if now - crash < policy.window_seconds]
    if len(recent) > policy.restarts_max:
        return GiveUp(len(recent))
    pause = min(policy.first_delay_seconds * 2 ** max(len(recent) - 1, 0), policy.longest_delay_seconds)
    return RestartAfter(pause * (1 + policy.jitter * (2 * chance - 1)))
