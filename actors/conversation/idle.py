"""When an idle conversation leaves memory, and when it is closed (K21, K22). Pure; times come in as arguments."""

from enum import Enum, auto

import attrs

__all__ = ["NEVER", "IdleLimits", "Idleness", "Sitting", "Verdict", "close_at", "hibernate_at", "judge", "look_at"]

NEVER = float("inf")


@attrs.frozen
class IdleLimits:
    """0 means never. `closes_connected`: close although clients are connected."""

    close_delay_seconds: float = 3600.0
    hibernate_after_seconds: float = 300.0
    closes_connected: bool = False


@attrs.frozen
class Sitting:
    """How a conversation sits there. `active_at` and `keep_until` in seconds of the same clock as `now`."""

    active_at: float
    keep_until: float
    connections: int
    busy: bool
    open: bool


class Verdict(Enum):
    """What is to be done with it now."""

    STAY = auto()
    HIBERNATE = auto()  # out of memory; run-time and sockets stay
    CLOSE = auto()


def judge(limits: IdleLimits, sitting: Sitting, now: float) -> Verdict:
    """Busy never leaves: at busy → idle the clock starts anew, since the end of a run is activity (K21)."""
    if sitting.busy:
        return Verdict.STAY
    if now >= close_at(limits, sitting):
        return Verdict.CLOSE
    return Verdict.HIBERNATE if now >= hibernate_at(limits, sitting) else Verdict.STAY


def look_at(limits: IdleLimits, sitting: Sitting, now: float) -> float:
    """When to judge next, if nothing happens before: never in the past."""
    if sitting.busy:
        return NEVER
    return max(min(close_at(limits, sitting), hibernate_at(limits, sitting)), now)


def close_at(limits: IdleLimits, sitting: Sitting) -> float:
    """When it is closed for lack of use; open connections hold that off, unless configured otherwise."""
    held_off = sitting.connections > 0 and not limits.closes_connected
    if not sitting.open or held_off or limits.close_delay_seconds == 0:
        return NEVER
    return max(sitting.active_at + limits.close_delay_seconds, sitting.keep_until)


def hibernate_at(limits: IdleLimits, sitting: Sitting) -> float:
    """When it leaves memory for lack of use, unless it is closed before."""
    return sitting.active_at + limits.hibernate_after_seconds if limits.hibernate_after_seconds else NEVER


@attrs.define
class Idleness:
    """Since when nothing has been asked of a conversation in memory, and whether it leaves for that."""

    limits: IdleLimits
    active_at: float
    keep_until: float = 0.0
    hibernates: bool = False

    def sitting(self, *, connections: int, busy: bool, is_open: bool) -> Sitting:
        return Sitting(self.active_at, self.keep_until, connections, busy, is_open)

    def look(self, sitting: Sitting, now: float) -> Verdict:
        """Now that its alarm has rung (K22)."""
        verdict = judge(self.limits, sitting, now)
        self.hibernates = verdict is Verdict.HIBERNATE
        return verdict

    def settle(self, sitting: Sitting, now: float) -> float:
        """After a turn: when the next alarm rings. What was to hibernate and was called for again in the same turn
        stays (K23)."""
        self.hibernates = self.hibernates and judge(self.limits, sitting, now) is Verdict.HIBERNATE
        return close_at(self.limits, sitting) if self.hibernates else look_at(self.limits, sitting, now)
