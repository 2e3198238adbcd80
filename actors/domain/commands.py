"""Commands: what a conversation is asked to do, as types. Pure. Imperatives; never the same class as an event."""

from enum import StrEnum
from typing import TypeAlias

import attrs

from actors.domain.events import AgentState, Body, MessageAction, RunAction, RunOutcome
from actors.domain.terms import Terms

__all__ = [
    "AddMessage",
    "Archive",
    "AskUser",
    "BusyPolicy",
    "Close",
    "Command",
    "EndRun",
    "Forbid",
    "Join",
    "KeepAlive",
    "OnTerms",
    "Pause",
    "Record",
    "Recover",
    "Rename",
    "Resume",
    "RunTimeClosed",
    "RunTimeFailed",
    "RunTimeReady",
    "SetAgentState",
    "Shut",
    "Start",
    "Unarchive",
    "Why",
]


class BusyPolicy(StrEnum):
    """What becomes of a message that comes during a run."""

    ENQUEUE = "enqueue"  # it is answered when the run is over
    REJECT = "reject"
    INTERRUPT = "interrupt"  # the run is stopped, and then it is answered


@attrs.frozen
class AddMessage:
    """A user message; `answered` tells whether the agent answers it, or it is only stored and echoed."""

    message: MessageAction
    answered: bool
    busy: BusyPolicy = BusyPolicy.ENQUEUE


@attrs.frozen
class SetAgentState:
    """A client asks for another agent state."""

    agent_state: AgentState


@attrs.frozen
class Start:
    """Have a run-time, and run on what waits."""


@attrs.frozen
class Join:
    """A client connects: have a run-time, run nothing."""


@attrs.frozen
class Pause:
    """End the run and have the agent wait for `Resume`, or for a message."""


@attrs.frozen
class Resume:
    """Have a paused or stopped agent go on, with what waits and with what it had begun."""


@attrs.frozen
class Close:
    """End the run, close the run-time, become cold: somebody stops the conversation."""


class Why(StrEnum):
    """Why a conversation is closed though nobody stopped it."""

    TIMEOUT = "timeout"  # idle for `close_delay` (K22)
    ROOM = "room"  # another one needs the place
    DELETED = "deleted"
    DRAIN = "drain"  # the server stops (K35)


@attrs.frozen
class Shut:
    """Close the run-time and become cold, if this may be done now; `DELETED` and `DRAIN` may always. What awaits the
    user's word goes on waiting."""

    why: Why


@attrs.frozen
class KeepAlive:
    """Counts as activity, and holds off closing for so long."""

    seconds: float


@attrs.frozen
class Archive:
    """Put the conversation away."""


@attrs.frozen
class Unarchive:
    """Take it out again."""


@attrs.frozen
class Rename:
    """Give the conversation another title."""

    title: str


@attrs.frozen
class OnTerms:
    """A client's command, to be carried out on these terms."""

    command: "Command"
    terms: Terms


@attrs.frozen
class Recover:
    """First command of every incarnation: close what the last one left open (K30), tell of a repair (K16)."""

    first_lost_id: int | None = None
    bytes_cut: int = 0
    quarantine: str = ""
    acknowledged_loss: bool = False
    stream_epoch_min: int = 0


@attrs.frozen
class RunTimeReady:
    """The run-time can take a run."""


@attrs.frozen
class RunTimeFailed:
    """The run-time could not be opened."""

    reason: str


@attrs.frozen
class RunTimeClosed:
    """The run-time is gone, with all its processes."""


@attrs.frozen
class Record:
    """The run reports events."""

    run: int
    bodies: tuple[Body, ...]
    cause: int | None = None


@attrs.frozen
class Forbid:
    """The run wants to do something that it may not do."""

    run: int
    action: RunAction
    reason: str
    cause: int | None = None


@attrs.frozen
class AskUser:
    """The run wants to do something that the user is to decide; with that, the run is over. `unread` are the messages
    that it has not looked at."""

    run: int
    action: RunAction
    reason: str
    cause: int | None = None
    unread: tuple[int, ...] = ()


@attrs.frozen
class EndRun:
    """The run is over. `last` are observations for actions that it left open, as (action id, body)."""

    run: int
    outcome: RunOutcome
    reason: str = ""
    last: tuple[tuple[int, Body], ...] = ()


Command: TypeAlias = (
    AddMessage
    | SetAgentState
    | Start
    | Join
    | Pause
    | Resume
    | Close
    | Shut
    | KeepAlive
    | Archive
    | Unarchive
    | Rename
    | OnTerms
    | Recover
    | RunTimeReady
    | RunTimeFailed
    | RunTimeClosed
    | Record
    | Forbid
    | AskUser
    | EndRun
)
