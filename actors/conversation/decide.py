"""What a command leads to: events, effects, or a typed refusal. Pure; the table of `semantics.md` in code.

`decide` takes the state as the log tells it and `Live`, what is true of this process only. It returns drafts of
events (ids and times are put on by the actor), effects to be had once these are durable (K8), and the next `Live`.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeAlias, assert_never

import attrs

from actors.conversation.errors import Refused, RunOver
from actors.conversation.state import State
from actors.domain import commands as c
from actors.domain import events as e

__all__ = [
    "CancelRun",
    "CloseRunTime",
    "Decision",
    "Draft",
    "Effect",
    "Leave",
    "Live",
    "OpenRunTime",
    "RunTimePhase",
    "StartRun",
    "decide",
]

INTERRUPTED_TEXT = "Interrupted: the server went away while this was being done, and the outcome is unknown."
STOPPED_TEXT = "Stopped before it was done."
NOT_EXECUTED_STOPPED = "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_STOPPED"
NOT_EXECUTED_ERROR = "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_ERROR"


class RunTimePhase(StrEnum):
    """Where the run-time is in its life."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"


@attrs.frozen
class Live:
    """`wanted`: somebody asked for a run, not just for a run-time."""

    phase: RunTimePhase = RunTimePhase.CLOSED
    wanted: bool = False


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
class StartRun:
    """Start a run to answer these messages."""

    run: int
    messages: tuple[int, ...]


@attrs.frozen
class CancelRun:
    """Stop the run; it reports `EndRun` when its processes are gone (K29)."""


@attrs.frozen
class CloseRunTime:
    """Close the run-time; it reports `RunTimeClosed`."""


@attrs.frozen
class Leave:
    """Tell the clients, and have the actor become cold."""


Effect: TypeAlias = OpenRunTime | StartRun | CancelRun | CloseRunTime | Leave


@attrs.frozen
class Decision:
    """What follows from a command once its events are durable."""

    drafts: tuple[Draft, ...] = ()
    effects: tuple[Effect, ...] = ()
    live: Live = attrs.field(factory=Live)


def decide(state: State, live: Live, command: c.Command) -> Decision:  # noqa: C901, PLR0911, PLR0912 - one flat table
    """Raises `Refused`."""
    match command:
        case c.AddMessage():
            return _add_message(state, live, command)
        case c.SetAgentState():
            return _set_agent_state(state, live, command)
        case c.Start():
            return _wake(state, live, wanted=True)
        case c.Join():
            return _wake(state, live, wanted=False)
        case c.Close():
            return _close(state, live)
        case c.Rename():
            return Decision((Draft(e.TitleChanged(command.title), e.Source.USER),), live=live)
        case c.Recover():
            return _recover(state, live, command)
        case c.RunTimeReady():
            return _ready(state, live)
        case c.RunTimeFailed():
            return Decision(_change(state, e.AgentState.ERROR, command.reason), live=Live())
        case c.RunTimeClosed():
            return _closed(state, live)
        case c.Record():
            return _record(state, live, command)
        case c.EndRun():
            return _end_run(state, live, command)
        case _:
            assert_never(command)


def _add_message(state: State, live: Live, command: c.AddMessage) -> Decision:
    message = Draft(command.message, e.Source.USER)
    if not command.answered:
        return Decision((message,), live=live)
    if live.phase is RunTimePhase.OPEN and state.run is None:
        waiting = (*state.unanswered, state.next_id)
        drafts, effect = _start_run(state, state.next_id + 1, waiting, cause=state.next_id)
        return Decision((message, *drafts), (effect,), live)
    woken = _wake(state, live, wanted=True) if state.run is None else Decision(live=live)
    return Decision((message, *woken.drafts), woken.effects, woken.live)


def _wake(state: State, live: Live, *, wanted: bool) -> Decision:
    if live.phase is RunTimePhase.CLOSED:
        return Decision(
            _change(state, e.AgentState.LOADING), (OpenRunTime(),), Live(RunTimePhase.OPENING, wanted=wanted)
        )
    if live.phase is RunTimePhase.OPEN and wanted and state.run is None and state.unanswered:
        drafts, effect = _start_run(state, state.next_id, state.unanswered)
        return Decision(drafts, (effect,), live)
    return Decision(live=attrs.evolve(live, wanted=live.wanted or wanted))


def _ready(state: State, live: Live) -> Decision:
    if live.phase is not RunTimePhase.OPENING:
        return Decision(live=live)
    opened = Live(RunTimePhase.OPEN)
    if live.wanted and state.unanswered:
        drafts, effect = _start_run(state, state.next_id, state.unanswered)
        return Decision(drafts, (effect,), opened)
    return Decision(_change(state, e.AgentState.AWAITING_USER_INPUT), live=opened)


def _closed(state: State, live: Live) -> Decision:
    if live.wanted:
        # Somebody came while it was closing: begin anew instead of leaving.
        return _wake(state, Live(), wanted=True)
    return Decision(effects=(Leave(),), live=Live())


def _start_run(
    state: State, run: int, messages: tuple[int, ...], cause: int | None = None
) -> tuple[tuple[Draft, ...], StartRun]:
    started = Draft(e.RunStarted(messages), cause=messages[-1] if cause is None else cause)
    return (started, *_change(state, e.AgentState.RUNNING)), StartRun(run, messages)


def _change(state: State, agent_state: e.AgentState, reason: str = "") -> tuple[Draft, ...]:
    """State events are appended only when the state changes."""
    if (state.agent_state, state.reason) == (agent_state, reason):
        return ()
    return (Draft(e.AgentStateChanged(agent_state, reason)),)


def _set_agent_state(state: State, live: Live, command: c.SetAgentState) -> Decision:
    if command.agent_state is not e.AgentState.STOPPED:
        raise Refused("illegal_agent_state", f"the agent cannot be told to be {command.agent_state} now")
    asked = Draft(e.ChangeAgentStateAction(command.agent_state), e.Source.USER)
    if state.run is not None:
        return Decision((asked,), (CancelRun(),), live)
    return Decision((asked, *_change(state, e.AgentState.STOPPED)), live=attrs.evolve(live, wanted=False))


def _close(state: State, live: Live) -> Decision:
    if live.phase is RunTimePhase.CLOSED:
        return Decision(effects=(Leave(),), live=live)
    closing = Live(RunTimePhase.CLOSING)
    if live.phase is RunTimePhase.CLOSING:
        return Decision(live=closing)
    if state.run is not None:
        return Decision(effects=(CancelRun(),), live=closing)
    return Decision(_change(state, e.AgentState.STOPPED), (CloseRunTime(),), closing)


def _record(state: State, live: Live, command: c.Record) -> Decision:
    if state.run != command.run:
        raise RunOver(command.run)
    drafts = tuple(Draft(body, _source(body), command.cause) for body in command.bodies)
    return Decision(drafts, live=live)


def _source(body: e.Body) -> e.Source:
    return e.Source.ENVIRONMENT if isinstance(body, e.ErrorObservation) else e.Source.AGENT


_STATE_AFTER = {
    e.RunOutcome.WAITING: e.AgentState.AWAITING_USER_INPUT,
    e.RunOutcome.FINISHED: e.AgentState.FINISHED,
    e.RunOutcome.FAILED: e.AgentState.ERROR,
    e.RunOutcome.CRASHED: e.AgentState.ERROR,
    e.RunOutcome.STOPPED: e.AgentState.STOPPED,
    e.RunOutcome.INTERRUPTED: e.AgentState.STOPPED,
}


def _end_run(state: State, live: Live, command: c.EndRun) -> Decision:
    if state.run != command.run:
        raise RunOver(command.run)
    error_id = NOT_EXECUTED_STOPPED if command.outcome is e.RunOutcome.STOPPED else NOT_EXECUTED_ERROR
    ended = (
        *_close_actions(state.open_actions, e.ErrorObservation(STOPPED_TEXT, error_id), dict(command.last)),
        Draft(e.RunEnded(command.run, command.outcome, command.reason)),
    )
    if live.phase is RunTimePhase.CLOSING:
        return Decision((*ended, *_change(state, e.AgentState.STOPPED)), (CloseRunTime(),), live)
    if command.outcome in (e.RunOutcome.WAITING, e.RunOutcome.FINISHED) and state.unanswered:
        drafts, effect = _start_run(state, state.next_id + len(ended), state.unanswered)
        return Decision((*ended, *drafts), (effect,), live)
    return Decision((*ended, *_change(state, _STATE_AFTER[command.outcome], command.reason)), live=live)


def _close_actions(open_actions: Iterable[int], otherwise: e.Body, last: dict[int, e.Body]) -> tuple[Draft, ...]:
    """K30: exactly one terminal observation for each."""
    return tuple(Draft(last.get(action, otherwise), cause=action) for action in open_actions)


def _recover(state: State, live: Live, command: c.Recover) -> Decision:
    drafts: list[Draft] = []
    if command.first_lost_id is not None:
        drafts.append(Draft(e.LogRepaired(command.first_lost_id, command.bytes_cut, command.quarantine)))
    drafts += _close_actions(state.open_actions, e.ErrorObservation(INTERRUPTED_TEXT, NOT_EXECUTED_ERROR), {})
    if state.run is not None:
        drafts.append(Draft(e.RunEnded(state.run, e.RunOutcome.INTERRUPTED, "the server went away")))
    if state.agent_state in (e.AgentState.RUNNING, e.AgentState.LOADING):
        drafts += _change(state, e.AgentState.STOPPED, "interrupted")
    return Decision(tuple(drafts), live=live)
