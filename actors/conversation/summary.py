"""What a listing shows of a conversation. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import attrs

from actors.conversation.decision import Live, RunTimePhase
from actors.conversation.state import State, shown_title, status_of
from actors.conversation.table import Status
from actors.domain import notices
from actors.domain.codec import DecodeError, decode
from actors.domain.events import AgentState, ConversationCreated
from actors.runtime import Residency
from storage.catalogue import Claim, Entry

__all__ = ["Place", "Summary", "describe", "shown_status", "summarise", "v0_status"]

_RUN_TIME_STATUS = {"RUNNING": notices.ready().id, "STARTING": notices.starting().id}


@attrs.frozen
class Summary:
    """What a listing shows of a conversation. `status` and `runtime_status` are V0's; `lifecycle` is ours."""

    conversation_id: str
    title: str
    created_at: str
    last_updated_at: str | None
    status: str
    runtime_status: str | None
    selected_repository: str | None
    selected_branch: str | None
    git_provider: str | None
    trigger: str | None
    num_connections: int
    lifecycle: dict[str, Any]


@attrs.frozen
class Place:
    """Where a conversation is in this process. `failure` is the reason why its actor cannot live, or empty; `retry_at`
    is when one that crashed is started again, UTC with `Z`.

    `power_cuts` may each have taken acknowledged events, nobody knows of whom: each made the stream another one (K32).
    """

    live: Live
    residency: Residency
    connections: int
    failure: str = ""
    retry_at: str | None = None
    power_cuts: int = 0


def describe(conversation_id: str, payload: bytes) -> Entry | None:
    """A catalogue entry from a conversation's first event (see `storage.store.Describe`)."""
    try:
        event = decode(payload)
    except DecodeError:
        return None
    body = event.body
    if not isinstance(body, ConversationCreated):
        return None
    attributes = _attributes(body.selected_repository, body.trigger)
    claim = None if body.key is None or body.digest is None else Claim(body.key, body.digest)
    return Entry(conversation_id, event.timestamp, attributes, claim)


@lru_cache(maxsize=1024)
def _attributes(selected_repository: str | None, trigger: str | None) -> Mapping[str, str | None]:
    """Of all conversations that are alike in this, the same one: a server may know a hundred thousand."""
    return MappingProxyType({"selected_repository": selected_repository, "trigger": trigger})


def v0_status(live: Live) -> str:
    """V0's status is the run-time's (semantics, seams)."""
    if live.phase is RunTimePhase.OPENING:
        return "STARTING"
    return "RUNNING" if live.phase is RunTimePhase.OPEN else "STOPPED"


def shown_status(state: State, live: Live) -> str:
    """V0's status of a conversation whose actor can live; that it is archived goes before its run-time."""
    return Status.ARCHIVED.value if state.archived else v0_status(live)


def summarise(conversation_id: str, state: State, place: Place) -> Summary:
    """What there is to say of a conversation with this state that lives there."""
    state, failure, connections = _as_recovered(state, place.residency), place.failure, place.connections
    status = Status.ERROR if failure else status_of(state)
    v0 = status.value if failure else shown_status(state, place.live)
    return Summary(
        conversation_id=conversation_id,
        title=shown_title(conversation_id, state.title),
        created_at=state.created_at,
        last_updated_at=state.updated_at or None,
        status=v0,
        runtime_status=_RUN_TIME_STATUS.get(v0),
        selected_repository=state.selected_repository,
        selected_branch=state.selected_branch,
        git_provider=state.git_provider,
        trigger=state.trigger,
        num_connections=connections,
        lifecycle={
            "status": status.value,
            "agent_state": state.agent_state.value,
            "residency": place.residency.value,
            "reason": failure or state.reason,
            "retry_at": place.retry_at,
            "last_event_id": state.next_id - 1,
            "stream_epoch": state.stream_epoch + place.power_cuts,
            "unknown_events": state.unknown_events,
            "connections": connections,
        },
    )


def _as_recovered(state: State, residency: Residency) -> State:
    """Who is not in memory runs nothing: what a killed server left running is told as recovery will log it (K30)."""
    is_away = residency in (Residency.COLD, Residency.ACTIVATING)
    if is_away and status_of(state) in (Status.RUNNING, Status.STARTING):
        return attrs.evolve(state, agent_state=AgentState.STOPPED, reason="interrupted")
    return state
