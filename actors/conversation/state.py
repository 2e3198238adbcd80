"""The state of a conversation: a fold over its events. Pure.

`apply` is the whole meaning of the log: replaying gives the same state (K18). What is true only of this process (is
there a run-time?) is not in here, but in `decide.Live`.
"""

from collections.abc import Callable
from typing import Any

import attrs
import cattrs

from actors.conversation.keys import Keys, remember
from actors.conversation.table import Status
from actors.domain import events as e
from actors.domain.codec import VOCABULARY

__all__ = [
    "EMPTY",
    "Pending",
    "State",
    "Status",
    "apply",
    "dump_state",
    "fold",
    "load_state",
    "shown_title",
    "status_of",
    "title_after",
]


@attrs.frozen
class Pending:
    """An action that awaits the user's word, and why it does."""

    action_id: int
    action: e.RunAction
    reason: str


@attrs.frozen
class State:
    """`unanswered` are user messages that no run has taken; `open_actions` wait for their observation (K30).

    While something is `pending` no run is live: the one that wanted it has ended, and the decision starts another.
    """

    next_id: int = 0
    created_at: str = ""
    updated_at: str = ""
    title: str = ""
    trigger: str | None = None
    selected_repository: str | None = None
    selected_branch: str | None = None
    git_provider: str | None = None
    agent_state: e.AgentState = e.AgentState.STOPPED
    reason: str = ""
    run: int | None = None
    unanswered: tuple[int, ...] = ()
    open_actions: tuple[int, ...] = ()
    pending: Pending | None = None
    archived: bool = False
    stream_epoch: int = 1
    unknown_events: int = 0
    keys: Keys = ()


EMPTY = State()

_STATUS = {
    e.AgentState.LOADING: Status.STARTING,
    e.AgentState.RUNNING: Status.RUNNING,
    e.AgentState.ERROR: Status.ERROR,
}


def status_of(state: State) -> Status:
    """The conversation's status follows from its agent's, unless it is archived: the logged transitions are these."""
    if state.archived:
        return Status.ARCHIVED
    return _STATUS.get(state.agent_state, Status.STOPPED)


TITLE_CHARACTERS = 30
"""As long as V0's (contract §4.1): what fits beside a list of conversations."""


def title_after(text: str) -> str:
    """What a conversation is called after its first message, on one line; empty when that says nothing."""
    line = " ".join(text.split())
    return line if len(line) <= TITLE_CHARACTERS else f"{line[: TITLE_CHARACTERS - 1].rstrip()}…"


def shown_title(conversation_id: str, title: str) -> str:
    """The title, or V0's default one (contract §1.1)."""
    return title or f"Conversation {conversation_id[:5]}"


def apply(state: State, event: e.Event, *, answered: bool = True) -> State:
    """The state after `event`. `answered` is the agent's word on a user message (False: nobody will answer it)."""
    changes = _changes(state, event, answered=answered)
    if event.cause in state.open_actions and type(event.body) not in e.PAIRED_ACTIONS:
        changes["open_actions"] = tuple(action for action in state.open_actions if action != event.cause)
    return attrs.evolve(state, next_id=event.id + 1, updated_at=event.timestamp, **changes)


def fold(state: State, event: e.Event, answers: Callable[[str], bool]) -> State:
    """As `apply`, with the agent to be asked: `answers` tells of a message's text whether it is answered."""
    answered = not isinstance(event.body, e.MessageAction) or answers(event.body.content)
    return apply(state, event, answered=answered)


def _changes(state: State, event: e.Event, *, answered: bool) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912 - a table
    body = event.body
    match body:
        case e.ConversationCreated():
            return {"created_at": event.timestamp} | {
                name: getattr(body, name)
                for name in ("title", "trigger", "selected_repository", "selected_branch", "git_provider")
            }
        case e.KeyUsed():
            return {"keys": remember(state.keys, body, event.timestamp)}
        case e.TitleChanged():
            return {"title": body.title}
        case e.MessageAction() if event.source is e.Source.USER and answered:
            return {"unanswered": (*state.unanswered, event.id)}
        case e.RunStarted():
            left = tuple(message for message in state.unanswered if message not in body.messages)
            return {"run": event.id, "unanswered": left}
        case e.RunEnded():
            return {"run": None, "unanswered": (*body.unread, *state.unanswered)}
        case e.AgentStateChanged():
            return {"agent_state": body.agent_state, "reason": body.reason}
        case e.Archived() | e.Unarchived():
            return {"archived": isinstance(body, e.Archived)}
        case e.RunAction(confirmation_state=e.ConfirmationState.AWAITING):
            return {"pending": Pending(event.id, body, state.reason)}
        case e.RunAction() | e.ThinkAction():
            is_decided = state.pending is not None and state.pending.action_id == event.cause
            pending = None if is_decided else state.pending
            return {"open_actions": (*state.open_actions, event.id), "pending": pending}
        case e.LogRepaired(acknowledged_loss=True):
            return {"stream_epoch": max(state.stream_epoch + 1, body.stream_epoch_min)}
        case e.UnknownBody():
            return {"unknown_events": state.unknown_events + 1}
        case _:
            return {}


def dump_state(state: State) -> object:
    """The state as JSON values, for the snapshot."""
    return {"vocabulary": VOCABULARY, **cattrs.unstructure(state)}


def load_state(document: object) -> State | None:
    """The state from a snapshot, or None when it does not fit this version (K18).

    A state that passed over events is none to a version that may understand them (K19).
    """
    try:
        state = cattrs.structure(document, State)
    except (cattrs.BaseValidationError, AttributeError, KeyError, TypeError, ValueError):
        return None
    is_of_today = isinstance(document, dict) and document.get("vocabulary") == VOCABULARY
    return state if is_of_today or not state.unknown_events else None
