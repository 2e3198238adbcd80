"""Decisions about stopping, pausing, closing and putting away (K21, K22). Pure; called by `decide`."""

import attrs

from actors.conversation.decision import (
    Cancelling,
    CancelRun,
    CloseRunTime,
    Decision,
    Draft,
    Leave,
    Live,
    Notify,
    RunTimePhase,
    Wish,
    change,
    is_busy,
)
from actors.conversation.errors import Refused
from actors.conversation.pending import dismiss, rest
from actors.conversation.running import wake
from actors.conversation.state import State, status_of
from actors.conversation.table import Status, Trigger, require
from actors.domain import commands as c
from actors.domain import events as e
from actors.domain import notices

__all__ = ["archive", "close", "closed", "keep_alive", "pause", "shut", "stop_run", "unarchive"]


def stop_run(state: State, live: Live, after: e.AgentState, cancelling: Cancelling) -> Decision:
    require(status_of(state), Trigger.STOP)
    if state.run is not None:
        return Decision(effects=(CancelRun(),), live=attrs.evolve(live, cancelling=cancelling))
    dismissed, state = dismiss(state)
    return Decision((*dismissed, *change(state, after)), live=attrs.evolve(live, wish=Wish.NOTHING))


def pause(state: State, live: Live) -> Decision:
    return stop_run(state, live, e.AgentState.PAUSED, Cancelling.PAUSE)


def close(state: State, live: Live) -> Decision:
    """Somebody stops it: what awaits the user's word is closed, and an error is over."""
    dismissed, state = dismiss(state)
    stopped = change(state, e.AgentState.STOPPED) if dismissed else _error_over(state)
    if live.phase is RunTimePhase.CLOSED:
        return Decision((*dismissed, *stopped), (Leave(),), live)
    if live.phase is RunTimePhase.CLOSING:
        return Decision((*dismissed, *stopped), live=Live(RunTimePhase.CLOSING))
    closing = _close_run_time(state)
    return attrs.evolve(closing, drafts=(*dismissed, *closing.drafts))


def _close_run_time(state: State) -> Decision:
    """Whatever is under way; what awaits the user's word goes on waiting."""
    closing = Live(RunTimePhase.CLOSING)
    if state.run is not None:
        return Decision(effects=(CancelRun(),), live=closing)
    drafts = () if state.archived else change(state, *rest(state, e.AgentState.STOPPED))
    return Decision(drafts, (CloseRunTime(),), closing)


def shut(state: State, live: Live, command: c.Shut) -> Decision:
    """A busy conversation is left alone (K21), whatever the caller had believed when it asked."""
    if live.phase is RunTimePhase.CLOSED:
        return Decision(effects=(Leave(),), live=live)
    if command.why in (c.Why.DELETED, c.Why.DRAIN) and live.phase is RunTimePhase.CLOSING:
        return Decision(live=Live(RunTimePhase.CLOSING))
    if command.why is c.Why.DELETED or (command.why is c.Why.DRAIN and is_busy(state, live)):
        return _close_run_time(state)
    if command.why is c.Why.DRAIN:
        # The server goes, which is nothing that happened to a conversation at rest: its state stays (K35).
        return Decision(effects=(CloseRunTime(),), live=Live(RunTimePhase.CLOSING))
    if is_busy(state, live):
        return Decision(live=live)
    require(status_of(state), Trigger.CLOSE_DELAY)
    told = Notify(notices.timed_out() if command.why is c.Why.TIMEOUT else notices.too_many())
    keeps_state = status_of(state) in (Status.ERROR, Status.ARCHIVED)
    drafts = () if keeps_state else change(state, *rest(state, e.AgentState.STOPPED))
    return Decision(drafts, (told, CloseRunTime()), Live(RunTimePhase.CLOSING))


def keep_alive(live: Live) -> Decision:
    if live.phase in (RunTimePhase.CLOSED, RunTimePhase.CLOSING):
        raise Refused("not_running", "the conversation is not running; start it first")
    return Decision(live=live)


def archive(state: State, live: Live) -> Decision:
    require(status_of(state), Trigger.ARCHIVE)
    if state.archived:
        return Decision(live=live)
    dismissed, state = dismiss(state)
    archived = Draft(e.Archived(), e.Source.USER)
    is_open = live.phase in (RunTimePhase.OPENING, RunTimePhase.OPEN)
    stopped = change(state, e.AgentState.STOPPED) if is_open or dismissed else ()
    drafts = (*dismissed, *stopped, archived)
    if not is_open:
        return Decision(drafts, live=attrs.evolve(live, wish=Wish.NOTHING))
    return Decision(drafts, (CloseRunTime(),), Live(RunTimePhase.CLOSING))


def unarchive(state: State, live: Live) -> Decision:
    require(status_of(state), Trigger.UNARCHIVE)
    if not state.archived:
        return Decision(live=live)
    return Decision((Draft(e.Unarchived(), e.Source.USER), *_error_over(state)), live=live)


def _error_over(state: State) -> tuple[Draft, ...]:
    """An error is over when somebody stops the conversation, or takes it out of the archive."""
    return change(state, e.AgentState.STOPPED) if state.agent_state is e.AgentState.ERROR else ()


def closed(state: State, live: Live) -> Decision:
    if live.wish is not Wish.NOTHING and not state.archived and live.room:
        # Somebody came while it was closing: begin anew instead of leaving.
        return wake(state, Live(), live.wish)
    return Decision(effects=(Leave(),), live=Live())
