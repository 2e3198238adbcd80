"""Decisions about actions that are forbidden, or that the user is to decide (K30; contract §5). Pure; called by
`decide`.

What lives here: what is written down when an action is not simply done. What must not: whether it is dangerous, which
is said by the run's report (`actors.security`), so that `decide` stays a function of the log.
"""

import attrs

from actors.conversation.decision import Cancelling, CancelRun, Decision, Draft, Live, RunTimePhase, Wish, change
from actors.conversation.errors import Refused, RunOver
from actors.conversation.pending import NOT_EXECUTED_STOPPED, STOPPED_TEXT, copy_of
from actors.conversation.running import NOT_EXECUTED_ERROR, close_actions, wake
from actors.conversation.state import Pending, State, status_of
from actors.conversation.table import Trigger, require
from actors.domain import commands as c
from actors.domain import events as e

__all__ = ["ask_user", "confirm", "forbid", "reject"]

REJECTED_TEXT = "The user did not want this to be done."


def forbid(state: State, live: Live, command: c.Forbid) -> Decision:
    """The action and its only observation; the run goes on."""
    if state.run != command.run:
        raise RunOver(command.run)
    told = e.ErrorObservation(f"Not done: {command.reason}.", NOT_EXECUTED_ERROR)
    return Decision(_refused(state, command, told), live=live)


def ask_user(state: State, live: Live, command: c.AskUser) -> Decision:
    """In V0's order: the state, then the action. The run ends in the same batch, so that what waits for the user is
    in the log alone, and outlives every process."""
    if state.run != command.run:
        raise RunOver(command.run)
    if live.cancelling is not Cancelling.NOT or live.phase is RunTimePhase.CLOSING:
        # Whoever stops it is not to be asked; the report that the run has ended is on its way.
        return Decision(_refused(state, command, e.ErrorObservation(STOPPED_TEXT, NOT_EXECUTED_STOPPED)), live=live)
    asked = attrs.evolve(command.action, confirmation_state=e.ConfirmationState.AWAITING)
    drafts = (
        *change(state, e.AgentState.AWAITING_USER_CONFIRMATION, command.reason),
        Draft(asked, e.Source.AGENT, command.cause),
        *close_actions(state.open_actions, e.ErrorObservation(STOPPED_TEXT, NOT_EXECUTED_STOPPED), {}),
        Draft(e.RunEnded(command.run, e.RunOutcome.WAITING, command.reason, command.unread)),
    )
    return Decision(drafts, (CancelRun(),), live)


def _refused(state: State, command: c.Forbid | c.AskUser, told: e.ErrorObservation) -> tuple[Draft, ...]:
    action = attrs.evolve(command.action, confirmation_state=e.ConfirmationState.REJECTED)
    return Draft(action, e.Source.AGENT, command.cause), Draft(told, cause=state.next_id)


def confirm(state: State, live: Live) -> Decision:
    """The run that does it starts now, or when the run-time is open; until then it goes on waiting."""
    _require_pending(state)
    require(status_of(state), Trigger.START)
    return wake(state, live, Wish.CONFIRMED)


def reject(state: State, live: Live) -> Decision:
    """In V0's order: the copy, the state, the observation. Messages that came meanwhile are answered now."""
    pending = _require_pending(state)
    drafts = (
        copy_of(pending, e.ConfirmationState.REJECTED),
        Draft(e.AgentStateChanged(e.AgentState.USER_REJECTED)),
        Draft(e.UserRejectObservation(REJECTED_TEXT), e.Source.AGENT, cause=state.next_id),
    )
    after = attrs.evolve(
        state, next_id=state.next_id + len(drafts), pending=None, agent_state=e.AgentState.USER_REJECTED, reason=""
    )
    woken = Decision(live=live) if live.phase is RunTimePhase.CLOSED else wake(after, live, Wish.ANSWERS)
    if not woken.effects:
        has_run_time = live.phase in (RunTimePhase.OPENING, RunTimePhase.OPEN)
        at_rest = e.AgentState.AWAITING_USER_INPUT if has_run_time else e.AgentState.STOPPED
        woken = attrs.evolve(woken, drafts=change(after, at_rest))
    return attrs.evolve(woken, drafts=(*drafts, *woken.drafts))


def _require_pending(state: State) -> Pending:
    if state.pending is None:
        raise Refused("nothing_to_confirm", "no action awaits confirmation")
    return state.pending
