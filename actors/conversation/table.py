"""The status table of `semantics.md` ("Status transitions") as data. Pure.

What lives here: which pairs of status and trigger are legal, and where each may lead. What must not: how a command
gets there (`decide`), or what counts as a status (`state.status_of`). A pair that is not listed is one typed refusal.
"""

from collections.abc import Mapping
from enum import StrEnum

from actors.conversation.errors import Refused

__all__ = ["TABLE", "Status", "Trigger", "require"]


class Status(StrEnum):
    """The seed's machine."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    ERROR = "ERROR"
    ARCHIVED = "ARCHIVED"


class Trigger(StrEnum):
    """What happens to a conversation; the columns of the table."""

    START = "start"  # a start, a message that wants an answer, a resume
    READY = "ready"  # the run-time is open
    STOP = "stop"  # a run ends, or somebody stops or pauses it
    FATAL = "fatal"  # the run-time or the run failed
    CLOSE_DELAY = "close_delay"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"


_ST, _RU, _SO, _ER, _AR = Status.STARTING, Status.RUNNING, Status.STOPPED, Status.ERROR, Status.ARCHIVED

# Every error that is logged may be retried: what cannot be is residency `failed`, which the kernel refuses (K16, K25).
TABLE: Mapping[Status, Mapping[Trigger, frozenset[Status]]] = {
    Status.STARTING: {
        Trigger.START: frozenset({_ST}),
        Trigger.READY: frozenset({_RU, _SO}),
        Trigger.STOP: frozenset({_SO}),
        Trigger.FATAL: frozenset({_ER}),
    },
    Status.RUNNING: {
        Trigger.START: frozenset({_RU}),
        Trigger.STOP: frozenset({_RU, _SO}),  # RUNNING: cancelled and not yet gone, or the next message is answered
        Trigger.FATAL: frozenset({_ER}),
    },
    Status.STOPPED: {
        Trigger.START: frozenset({_ST, _RU, _SO}),  # STOPPED: the run-time is open and nothing waits for an answer
        Trigger.READY: frozenset({_SO, _RU}),  # who was stopped or paused while the run-time was being opened
        Trigger.STOP: frozenset({_SO}),
        Trigger.FATAL: frozenset({_ER}),
        Trigger.CLOSE_DELAY: frozenset({_SO}),
        Trigger.ARCHIVE: frozenset({_AR}),
        Trigger.UNARCHIVE: frozenset({_SO}),
    },
    Status.ERROR: {
        Trigger.START: frozenset({_ST, _RU, _ER}),  # ERROR: as with STOPPED
        Trigger.STOP: frozenset({_SO}),
        Trigger.FATAL: frozenset({_ER}),
        Trigger.CLOSE_DELAY: frozenset({_ER}),
        Trigger.ARCHIVE: frozenset({_AR}),
    },
    Status.ARCHIVED: {
        Trigger.CLOSE_DELAY: frozenset({_AR}),
        Trigger.ARCHIVE: frozenset({_AR}),
        Trigger.UNARCHIVE: frozenset({_SO}),
    },
}


def require(status: Status, trigger: Trigger) -> None:
    """Raises `Refused` for a pair that the table does not list."""
    if trigger not in TABLE[status]:
        raise Refused("illegal_transition", f"a conversation that is {status} takes no {trigger}")
