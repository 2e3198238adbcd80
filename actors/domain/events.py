"""Events: the facts of a conversation, as types. Pure.

An event is an envelope (`Event`) around a body. Bodies with an `action` name are what somebody set out to do,
bodies with an `observation` name are what came of it; names and fields are those of the V0 wire (contract §3),
since the bytes on disk are the bytes on the wire. House facts, which no V0 client knows, are observations named
`greenroom.…` (semantics, "Decisions at the seams"). How bodies become JSON is the codec's business.
"""

from enum import StrEnum
from typing import Any, TypeAlias

import attrs

__all__ = [
    "PAIRED_ACTIONS",
    "AgentState",
    "AgentStateChanged",
    "Archived",
    "Body",
    "ChangeAgentStateAction",
    "ConfirmationState",
    "ConversationCreated",
    "ErrorObservation",
    "Event",
    "FinishAction",
    "KeyUsed",
    "LogRepaired",
    "MessageAction",
    "RunAction",
    "RunEnded",
    "RunMetadata",
    "RunObservation",
    "RunOutcome",
    "RunStarted",
    "Source",
    "ThinkAction",
    "ThinkObservation",
    "TitleChanged",
    "Unarchived",
    "UnknownBody",
    "UserRejectObservation",
]


class Source(StrEnum):
    """Who caused an event (contract §3.1)."""

    AGENT = "agent"
    USER = "user"
    ENVIRONMENT = "environment"


class AgentState(StrEnum):
    """The fine-grained state of the agent (contract §3.7)."""

    LOADING = "loading"
    RUNNING = "running"
    AWAITING_USER_INPUT = "awaiting_user_input"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    REJECTED = "rejected"
    ERROR = "error"
    AWAITING_USER_CONFIRMATION = "awaiting_user_confirmation"
    USER_CONFIRMED = "user_confirmed"
    USER_REJECTED = "user_rejected"
    RATE_LIMITED = "rate_limited"


class ConfirmationState(StrEnum):
    """Whether an action may be done. An action that awaits the user's word is not begun: what was decided is said by
    a copy of it with an id of its own (contract §5), and that one gets the observation (K30)."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    AWAITING = "awaiting_confirmation"


class RunOutcome(StrEnum):
    """How a run ended (K29, K30)."""

    WAITING = "waiting"  # the agent has answered and waits for the user
    FINISHED = "finished"  # the agent declares the task done
    FAILED = "failed"  # the agent reports an error
    CRASHED = "crashed"  # an exception in the run
    STOPPED = "stopped"  # somebody stopped it
    INTERRUPTED = "interrupted"  # the server died meanwhile; the outcome is unknown


# --- actions ---------------------------------------------------------------------------------------------------


@attrs.frozen
class MessageAction:
    """A chat message, of the user or of the agent."""

    content: str
    file_urls: tuple[str, ...] | None = None
    image_urls: tuple[str, ...] | None = None
    wait_for_response: bool = False
    security_risk: int = -1


@attrs.frozen
class RunAction:
    """A shell command that the agent runs in the workspace."""

    command: str
    is_input: bool = False
    thought: str = ""
    blocking: bool = False
    is_static: bool = False
    cwd: str | None = None
    hidden: bool = False
    confirmation_state: ConfirmationState = ConfirmationState.CONFIRMED
    security_risk: int = -1


@attrs.frozen
class ThinkAction:
    """A thought of the agent, shown and kept."""

    thought: str


@attrs.frozen
class FinishAction:
    """The agent declares the task done."""

    final_thought: str = ""
    outputs: dict[str, Any] = attrs.field(factory=dict)
    thought: str = ""


@attrs.frozen
class ChangeAgentStateAction:
    """Somebody asks the agent to change its state."""

    agent_state: AgentState
    thought: str = ""


# --- observations ----------------------------------------------------------------------------------------------


@attrs.frozen
class RunMetadata:
    """What is known of a finished command; -1 and "" where nothing is."""

    exit_code: int = -1
    pid: int = -1
    username: str | None = None
    hostname: str | None = None
    working_dir: str | None = None
    py_interpreter_path: str | None = None
    prefix: str = ""
    suffix: str = ""


@attrs.frozen
class RunObservation:
    """The output of a `RunAction`, both streams in the order they came."""

    content: str
    command: str
    metadata: RunMetadata = attrs.field(factory=RunMetadata)
    hidden: bool = False


@attrs.frozen
class ThinkObservation:
    """A thought was taken note of."""

    content: str


@attrs.frozen
class ErrorObservation:
    """Something did not work out; `error_id` is one of contract §3.3 or empty."""

    content: str
    error_id: str = ""


@attrs.frozen
class UserRejectObservation:
    """The user did not want the action to be done."""

    content: str


@attrs.frozen
class AgentStateChanged:
    """The agent is in another state now; `reason` says why where that is not plain."""

    agent_state: AgentState
    reason: str = ""
    content: str = ""


# --- house facts -----------------------------------------------------------------------------------------------


@attrs.frozen
class ConversationCreated:
    """The first event of every log. `key` and `digest` are those of the request, if it came with a key (K11)."""

    trigger: str | None = "gui"
    title: str = ""
    selected_repository: str | None = None
    selected_branch: str | None = None
    git_provider: str | None = None
    conversation_instructions: str | None = None
    key: str | None = None
    digest: str | None = None
    content: str = ""


@attrs.frozen
class TitleChanged:
    """The conversation has another title; empty means the default one."""

    title: str
    content: str = ""


@attrs.frozen
class Archived:
    """Somebody put the conversation away: it is read, and takes nothing until it is taken out again."""

    content: str = ""


@attrs.frozen
class Unarchived:
    """Somebody took the conversation out again."""

    content: str = ""


@attrs.frozen
class KeyUsed:
    """The command of this very batch came with a key (K11), and this is how it was answered.

    `digest` stands for what it asked; `event_id` is the first event of the batch, which is this one where the command
    left no other; `status` is V0's, of the conversation.
    """

    key: str
    digest: str
    event_id: int
    status: str
    content: str = ""


@attrs.frozen
class RunStarted:
    """A run began, to answer the user messages with these ids. The id of this event is the id of the run."""

    messages: tuple[int, ...]
    content: str = ""


@attrs.frozen
class RunEnded:
    """The run with this id is over; nothing more will come of it (K29). `unread` are messages that it had taken and
    not looked at: they wait again."""

    run: int
    outcome: RunOutcome
    reason: str = ""
    unread: tuple[int, ...] = ()
    content: str = ""


@attrs.frozen
class LogRepaired:
    """A damaged end was cut off the log and kept aside (K16), by recovery or by an operator's `repair`.

    `acknowledged_loss` says whether somebody may have seen what was cut: then ids are used again, and the stream epoch
    rises, to `stream_epoch_min` at the least (who counted on in the part that is lost, counted higher than is known).
    """

    first_lost_id: int
    bytes_cut: int
    quarantine: str
    acknowledged_loss: bool = True
    stream_epoch_min: int = 0
    content: str = ""


@attrs.frozen
class UnknownBody:
    """An event of a kind or revision that this version does not know: kept and served, never applied (K19)."""

    kind: str


Action: TypeAlias = MessageAction | RunAction | ThinkAction | FinishAction | ChangeAgentStateAction
Observation: TypeAlias = (
    RunObservation | ThinkObservation | ErrorObservation | UserRejectObservation | AgentStateChanged
)
HouseFact: TypeAlias = (
    ConversationCreated | TitleChanged | Archived | Unarchived | KeyUsed | RunStarted | RunEnded | LogRepaired
)
Body: TypeAlias = Action | Observation | HouseFact | UnknownBody

PAIRED_ACTIONS = (RunAction, ThinkAction)
"""Actions that get exactly one terminal observation (K30); the others say all there is to say themselves."""


@attrs.frozen
class Event:
    """A body with its place in the conversation.

    `id` counts from 0 without gaps; `timestamp` is UTC, ISO 8601 with microseconds and `Z`; `cause` is the id of
    the event that led to this one.
    """

    id: int
    timestamp: str
    source: Source
    body: Body
    cause: int | None = None
