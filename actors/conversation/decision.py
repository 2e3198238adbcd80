"""The words in which it is said what follows from a command. Pure.

What lives here: drafts of events, effects, and `Live`, what is true of this process only. What must not: what follows
from which command (`decide`, `running`, `closing`).
"""

from enum import IntEnum, StrEnum
from typing import TypeAlias

import attrs

from actors.conversation.keys import Receipt
from actors.conversation.state import State
from actors.domain import events as e
from actors.domain import notices

__all__ = [
    "CancelRun",
    "Cancelling",
    "CloseRunTime",
    "Confirmed",
    "Decision",
    "Draft",
    "Effect",
    "Leave",
    "Live",
    "Notify",
    "NotifyTitle",
    "OpenRunTime",
    "RunTimePhase",
    "StartRun",
    "Wish",
    "change",
    "is_busy",
]


class RunTimePhase(StrEnum):
    """Where the run-time is in its life."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"


class Cancelling(StrEnum):
    """Why the run is being cancelled, which says what follows it."""

    NOT = "not"
    STOP = "stop"
    PAUSE = "pause"
    NEXT = "next"  # a message came that is to be answered now


class Wish(IntEnum):
    """What somebody wants of a run-time that is not open yet; the greater one counts."""

    NOTHING = 0
    ANSWERS = 1  # a run, if messages wait
    GO_ON = 2  # a run in any case
    CONFIRMED = 3  # a run that does what the user has confirmed


@attrs.frozen
class Live:
    """`room`: one more run-time may be opened."""

    phase: RunTimePhase = RunTimePhase.CLOSED
    wish: Wish = Wish.NOTHING
    cancelling: Cancelling = Cancelling.NOT
    room: bool = True


@attrs.frozen
class Draft:
    """An event without id and time."""

    body: e.Body
    source: e.Source = e.Source.ENVIRONMENT
    cause: int | None = None


@attrs.frozen
class OpenRunTime:
    """Open the run-time; it reports `RunTimeReady` or `RunTimeFailed`."""


@attrs.frozen
class Confirmed:
    """An action that is written down and not begun."""

    action_id: int
    action: e.RunAction


@attrs.frozen
class StartRun:
    """Start a run to answer these messages, after what the user has confirmed."""

    run: int
    messages: tuple[int, ...]
    first: Confirmed | None = None


@attrs.frozen
class CancelRun:
    """Stop the run; it reports `EndRun` when its processes are gone (K29)."""


@attrs.frozen
class CloseRunTime:
    """Close the run-time; it reports `RunTimeClosed`."""


@attrs.frozen
class Leave:
    """Tell the clients, and have the actor become cold."""


@attrs.frozen
class Notify:
    """Tell all clients of the moment (contract §3.5)."""

    notice: notices.Notice


@attrs.frozen
class NotifyTitle:
    """Tell all clients the title."""

    title: str


Effect: TypeAlias = OpenRunTime | StartRun | CancelRun | CloseRunTime | Leave | Notify | NotifyTitle


@attrs.frozen
class Decision:
    """What follows from a command once its events are durable. `replayed` is the answer of a command that was carried
    out before: nothing follows then (K11)."""

    drafts: tuple[Draft, ...] = ()
    effects: tuple[Effect, ...] = ()
    live: Live = attrs.field(factory=Live)
    replayed: Receipt | None = None


def change(state: State, agent_state: e.AgentState, reason: str = "") -> tuple[Draft, ...]:
    """State events are appended only when the state changes (semantics, seams)."""
    if (state.agent_state, state.reason) == (agent_state, reason):
        return ()
    return (Draft(e.AgentStateChanged(agent_state, reason)),)


def is_busy(state: State, live: Live) -> bool:
    """Whether something is under way that nobody but its owner may end (K21)."""
    return state.run is not None or live.phase in (RunTimePhase.OPENING, RunTimePhase.CLOSING)
