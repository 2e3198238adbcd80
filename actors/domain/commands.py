"""Commands: what a conversation is asked to do, as types. Pure. Imperatives; never the same class as an event."""

from typing import TypeAlias

import attrs

from actors.domain.events import AgentState, Body, MessageAction, RunOutcome

__all__ = [
    "AddMessage",
    "Close",
    "Command",
    "EndRun",
    "Join",
    "Record",
    "Recover",
    "Rename",
    "RunTimeClosed",
    "RunTimeFailed",
    "RunTimeReady",
    "SetAgentState",
    "Start",
]


@attrs.frozen
class AddMessage:
    """A user message; `answered` tells whether the agent answers it, or it is only stored and echoed."""

    message: MessageAction
    answered: bool


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
class Close:
    """End the run, close the run-time, become cold."""


@attrs.frozen
class Rename:
    """Give the conversation another title."""

    title: str


@attrs.frozen
class Recover:
    """First command of every incarnation: close what the last one left open (K30), tell of a repair (K16)."""

    first_lost_id: int | None = None
    bytes_cut: int = 0
    quarantine: str = ""


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
    | Close
    | Rename
    | Recover
    | RunTimeReady
    | RunTimeFailed
    | RunTimeClosed
    | Record
    | EndRun
)
