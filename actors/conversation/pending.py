"""What becomes of an action that awaits the user's word (contract §5), as drafts. Pure.

What lives here: the copy that says what was decided, and the closing of an action that nobody decided. What must not:
when that is (`running`, `closing`, `confirming`). The action itself is never begun and gets no observation: its copy
does, exactly one (K30).
"""

import attrs

from actors.conversation.decision import Draft
from actors.conversation.state import Pending, State
from actors.domain import events as e

__all__ = ["NOT_EXECUTED_STOPPED", "STOPPED_TEXT", "copy_of", "dismiss", "rest"]

STOPPED_TEXT = "Stopped before it was done."
NOT_EXECUTED_STOPPED = "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_STOPPED"


def copy_of(pending: Pending, decision: e.ConfirmationState) -> Draft:
    """The same action with an id of its own, as it was decided."""
    action = attrs.evolve(pending.action, confirmation_state=decision, thought="")
    return Draft(action, e.Source.AGENT, pending.action_id)


def dismiss(state: State) -> tuple[tuple[Draft, ...], State]:
    """What closes a pending action that the user has not decided, and the state without it."""
    if state.pending is None:
        return (), state
    drafts = (
        copy_of(state.pending, e.ConfirmationState.REJECTED),
        Draft(e.ErrorObservation(STOPPED_TEXT, NOT_EXECUTED_STOPPED), cause=state.next_id),
    )
    return drafts, attrs.evolve(state, next_id=state.next_id + len(drafts), pending=None)


def rest(state: State, otherwise: e.AgentState) -> tuple[e.AgentState, str]:
    """How the agent is when nothing is under way, and why."""
    if state.pending is None:
        return otherwise, ""
    return e.AgentState.AWAITING_USER_CONFIRMATION, state.pending.reason
