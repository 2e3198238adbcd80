"""Decisions about messages, waking and runs (K29, K30). Pure; called by `decide`."""

from collections.abc import Iterable
from typing import assert_never

import attrs

from actors.conversation.decision import (
    Cancelling,
    CancelRun,
    CloseRunTime,
    Confirmed,
    Decision,
    Draft,
    Live,
    Notify,
    NotifyTitle,
    OpenRunTime,
    RunTimePhase,
    StartRun,
    Wish,
    change,
)
from actors.conversation.errors import Refused, RunOver, TooManyConversations
from actors.conversation.pending import NOT_EXECUTED_STOPPED, STOPPED_TEXT, copy_of, dismiss, rest
from actors.conversation.state import State, status_of, title_after
from actors.conversation.table import Trigger, require
from actors.domain import commands as c
from actors.domain import events as e
from actors.domain import notices

__all__ = [
    "NOT_EXECUTED_ERROR",
    "add_message",
    "close_actions",
    "end_run",
    "failed",
    "join",
    "ready",
    "record",
    "recover",
    "wake",
]

INTERRUPTED_TEXT = "Interrupted: the server went away while this was being done, and the outcome is unknown."
NOT_EXECUTED_ERROR = "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_ERROR"


def add_message(state: State, live: Live, command: c.AddMessage) -> Decision:
    """The first that says something gives the conversation its title, unless it has one."""
    decision = _add_message(state, live, command)
    title = "" if state.title else title_after(command.message.content)
    if not title:
        return decision
    drafts, effects = (*decision.drafts, Draft(e.TitleChanged(title))), (*decision.effects, NotifyTitle(title))
    return attrs.evolve(decision, drafts=drafts, effects=effects)


def _add_message(state: State, live: Live, command: c.AddMessage) -> Decision:
    require(status_of(state), Trigger.START)
    message = Draft(command.message, e.Source.USER)
    if not command.answered:
        return Decision((message,), live=live)
    if state.run is not None:
        return _add_to_busy(message, live, command.busy)
    waiting = attrs.evolve(state, next_id=state.next_id + 1, unanswered=(*state.unanswered, state.next_id))
    dismissed, after = _make_way(waiting, command.busy)
    woken = wake(after, live, Wish.ANSWERS)
    return Decision((message, *dismissed, *woken.drafts), woken.effects, woken.live)


def _make_way(state: State, policy: c.BusyPolicy) -> tuple[tuple[Draft, ...], State]:
    """What awaits the user's word is the agent's business as much as a run is."""
    match policy:
        case c.BusyPolicy.REJECT if state.pending is not None:
            raise Refused("busy", "an action awaits your confirmation; confirm or reject it first")
        case c.BusyPolicy.INTERRUPT:
            return dismiss(state)
        case _:
            return (), state


def _add_to_busy(message: Draft, live: Live, policy: c.BusyPolicy) -> Decision:
    if live.phase is RunTimePhase.CLOSING:
        return Decision((message,), live=attrs.evolve(live, wish=Wish.ANSWERS))
    if live.cancelling is not Cancelling.NOT:
        # It came after the stop, so the stop does not concern it.
        return Decision((message,), live=attrs.evolve(live, cancelling=Cancelling.NEXT))
    match policy:
        case c.BusyPolicy.REJECT:
            raise Refused("busy", "the agent is busy; stop it or wait until it has answered")
        case c.BusyPolicy.INTERRUPT:
            return Decision((message,), (CancelRun(),), attrs.evolve(live, cancelling=Cancelling.NEXT))
        case c.BusyPolicy.ENQUEUE:
            return Decision((message,), live=live)
        case _:
            assert_never(policy)


def join(state: State, live: Live) -> Decision:
    """Connecting revives (semantics, seams); who cannot be revived is looked at all the same."""
    if state.archived:
        return Decision(live=live)
    if live.phase is RunTimePhase.CLOSED and not live.room:
        return Decision(effects=(Notify(notices.too_many()),), live=live)
    return wake(state, live, Wish.NOTHING)


def wake(state: State, live: Live, wish: Wish) -> Decision:
    match live.phase:
        case RunTimePhase.CLOSED if not live.room:
            raise TooManyConversations
        case RunTimePhase.CLOSED:
            opening = attrs.evolve(live, phase=RunTimePhase.OPENING, wish=wish)
            effects = (Notify(notices.starting()), OpenRunTime())
            return Decision(change(state, e.AgentState.LOADING), effects, opening)
        case RunTimePhase.OPEN if state.run is None and _begins_run(wish, state):
            drafts, effect = _start_run(state)
            return Decision(drafts, (effect,), live)
        case RunTimePhase.OPEN:
            return Decision(live=live)
        case RunTimePhase.OPENING | RunTimePhase.CLOSING:
            return Decision(live=attrs.evolve(live, wish=max(live.wish, wish)))
        case _:
            assert_never(live.phase)


def _begins_run(wish: Wish, state: State) -> bool:
    if state.pending is not None:
        return wish is Wish.CONFIRMED
    return wish is Wish.GO_ON or (wish is not Wish.NOTHING and bool(state.unanswered))


def ready(state: State, live: Live) -> Decision:
    if live.phase is not RunTimePhase.OPENING:
        return Decision(live=live)
    opened = attrs.evolve(live, phase=RunTimePhase.OPEN, wish=Wish.NOTHING)
    ready = Notify(notices.ready())
    if _begins_run(live.wish, state):
        drafts, effect = _start_run(state)
        return Decision(drafts, (ready, effect), opened)
    # Who was stopped or paused meanwhile stays so.
    is_loading = state.agent_state is e.AgentState.LOADING
    at_rest = rest(state, e.AgentState.AWAITING_USER_INPUT)
    return Decision(change(state, *at_rest) if is_loading else (), (ready,), opened)


def failed(state: State, command: c.RunTimeFailed) -> Decision:
    drafts = change(state, e.AgentState.ERROR, command.reason)
    return Decision(drafts, (Notify(notices.failed(command.reason)),), Live())


def _start_run(state: State) -> tuple[tuple[Draft, ...], StartRun]:
    """A run takes all messages that wait, and before them what the user has confirmed."""
    waiting = state.unanswered
    if state.pending is None:
        started = Draft(e.RunStarted(waiting), cause=waiting[-1] if waiting else None)
        return (started, *change(state, e.AgentState.RUNNING)), StartRun(state.next_id, waiting)
    copy = copy_of(state.pending, e.ConfirmationState.CONFIRMED)
    assert isinstance(copy.body, e.RunAction)  # noqa: S101 - a copy of one; tells mypy
    drafts = (
        copy,
        Draft(e.AgentStateChanged(e.AgentState.USER_CONFIRMED)),
        Draft(e.RunStarted(waiting)),
        Draft(e.AgentStateChanged(e.AgentState.RUNNING)),
    )
    return drafts, StartRun(state.next_id + 2, waiting, Confirmed(state.next_id, copy.body))


def record(state: State, live: Live, command: c.Record) -> Decision:
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


def end_run(state: State, live: Live, command: c.EndRun) -> Decision:
    if state.run != command.run:
        raise RunOver(command.run)
    error_id = NOT_EXECUTED_STOPPED if command.outcome is e.RunOutcome.STOPPED else NOT_EXECUTED_ERROR
    ended = (
        *close_actions(state.open_actions, e.ErrorObservation(STOPPED_TEXT, error_id), dict(command.last)),
        Draft(e.RunEnded(command.run, command.outcome, command.reason)),
    )
    if live.phase is RunTimePhase.CLOSING:
        return Decision((*ended, *change(state, e.AgentState.STOPPED)), (CloseRunTime(),), live)
    rested = attrs.evolve(live, cancelling=Cancelling.NOT)
    if state.unanswered and _goes_on(command.outcome, live):
        drafts, effect = _start_run(attrs.evolve(state, next_id=state.next_id + len(ended)))
        return Decision((*ended, *drafts), (effect,), rested)
    after = _STATE_AFTER[command.outcome]
    if command.outcome is e.RunOutcome.STOPPED and live.cancelling is Cancelling.PAUSE:
        after = e.AgentState.PAUSED
    return Decision((*ended, *change(state, after, command.reason)), live=rested)


def _goes_on(outcome: e.RunOutcome, live: Live) -> bool:
    """Whether what waits is answered now; a stop and an error wait for somebody to say so."""
    if outcome is e.RunOutcome.STOPPED:
        return live.cancelling is Cancelling.NEXT
    return outcome in (e.RunOutcome.WAITING, e.RunOutcome.FINISHED)


def close_actions(open_actions: Iterable[int], otherwise: e.Body, last: dict[int, e.Body]) -> tuple[Draft, ...]:
    """K30: exactly one terminal observation for each."""
    return tuple(Draft(last.get(action, otherwise), cause=action) for action in open_actions)


def recover(state: State, live: Live, command: c.Recover) -> Decision:
    drafts: list[Draft] = []
    if command.first_lost_id is not None:
        drafts.append(Draft(_told(command, command.first_lost_id)))
    drafts += close_actions(state.open_actions, e.ErrorObservation(INTERRUPTED_TEXT, NOT_EXECUTED_ERROR), {})
    if state.run is not None:
        drafts.append(Draft(e.RunEnded(state.run, e.RunOutcome.INTERRUPTED, "the server went away")))
    if state.agent_state in (e.AgentState.RUNNING, e.AgentState.LOADING):
        at_rest = (e.AgentState.STOPPED, "interrupted") if state.pending is None else rest(state, e.AgentState.STOPPED)
        drafts += change(state, *at_rest)
    return Decision(tuple(drafts), live=live)


def _told(command: c.Recover, first_lost_id: int) -> e.LogRepaired:
    is_loss = command.acknowledged_loss
    epoch_min = command.stream_epoch_min if is_loss else 0
    return e.LogRepaired(first_lost_id, command.bytes_cut, command.quarantine, is_loss, epoch_min)
