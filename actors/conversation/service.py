"""The service in front of all conversations: what transport talks to. It finds, creates, asks and lists."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import attrs
import trio

from actors.agent.port import Agent
from actors.conversation.actor import ConversationActor, House, Message, Subscribe, Unsubscribe, replay
from actors.conversation.cursor import Cursor
from actors.conversation.decide import Live, RunTimePhase
from actors.conversation.run_time import MakeSandbox
from actors.conversation.state import State, status_of
from actors.domain import commands as c
from actors.domain.codec import DecodeError, decode, encode
from actors.domain.events import ChangeAgentStateAction, ConversationCreated, Event, MessageAction, Source
from actors.runtime import Lane, Ref, Registry, Reply, Residency, open_registry
from storage.catalogue import Entry
from storage.errors import ConversationNotFound
from storage.event_log import EventLog, LogView
from storage.store import Store

__all__ = ["Conversations", "Summary", "describe", "open_conversations"]

READY = "STATUS$READY"
STARTING = "STATUS$STARTING_RUNTIME"

STOP_DEADLINE_SECONDS = 5.0
"""POST stop answers within this (semantics, seams)."""

PIECE_EVENTS = 200
"""How many events a filtered listing looks at in one go."""


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


def utc_now() -> str:
    """UTC, ISO 8601 with microseconds and `Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def describe(conversation_id: str, payload: bytes) -> Entry | None:
    """A catalogue entry from a conversation's first event (see `storage.store.Describe`)."""
    try:
        event = decode(payload)
    except DecodeError:
        return None
    body = event.body
    if not isinstance(body, ConversationCreated):
        return None
    attributes = {"selected_repository": body.selected_repository, "trigger": body.trigger}
    return Entry(conversation_id, event.timestamp, attributes)


class Conversations:
    """Made by `open_conversations`. All methods raise `ConversationNotFound` for unknown ids unless they say else."""

    def __init__(self, house: House, registry: Registry[Message]) -> None:
        self._house = house
        self._registry = registry

    def ref(self, conversation_id: str) -> Ref[Message]:
        """The address of a conversation that exists."""
        if not self._house.store.exists(conversation_id):
            raise ConversationNotFound(conversation_id)
        return self._registry.ref(conversation_id)

    # --- commands ------------------------------------------------------------------------------------------------

    async def create(self, created: ConversationCreated, first_message: MessageAction | None) -> Summary:
        """Bring a conversation into being, durably with its first message, and start it."""
        conversation_id, now = uuid4().hex, self._house.now()
        events = [Event(0, now, Source.ENVIRONMENT, created)]
        if first_message is not None:
            events.append(Event(1, now, Source.USER, first_message))
        payloads = [encode(event) for event in events]
        entry = describe(conversation_id, payloads[0])
        assert entry is not None  # noqa: S101 - it was encoded just now
        await self._house.store.create(entry, payloads)
        await self.ref(conversation_id).ask(c.Start())
        return await self._known_summary(conversation_id)

    async def start(self, conversation_id: str) -> Summary:
        """Have a run-time, and run on what waits."""
        self._registry.forget_failure(conversation_id)
        await self.ref(conversation_id).ask(c.Start())
        return await self._known_summary(conversation_id)

    async def stop(self, conversation_id: str) -> str:
        """End the run and the run-time; answers when its processes are gone, with the status before. Never raises."""
        actor = self._house.hot.get(conversation_id)
        if actor is None:
            await trio.lowlevel.checkpoint()
            return "STOPPED"
        before = v0_status(actor.live)
        with trio.move_on_after(STOP_DEADLINE_SECONDS):
            await self.ref(conversation_id).ask(c.Close(), lane=Lane.CONTROL)
            await self._registry.passivate(conversation_id)
        return before

    async def rename(self, conversation_id: str, title: str) -> None:
        await self.ref(conversation_id).ask(c.Rename(title))

    async def delete(self, conversation_id: str) -> bool:
        """Stop it and have it gone, durably; False if there was none. Works on damaged logs."""
        if not self._house.store.exists(conversation_id):
            await trio.lowlevel.checkpoint()
            return False
        await self.stop(conversation_id)
        await self._registry.passivate(conversation_id)
        await self._house.store.delete(conversation_id)
        return True

    async def submit(
        self, conversation_id: str, body: MessageAction | ChangeAgentStateAction, *, size_bytes: int
    ) -> int:
        """What a client does, durably; the id of its event. Raises `Refused` and the kernel's errors."""
        command, lane = self._command(body)
        event_id: int = await self.ref(conversation_id).ask(command, lane=lane, size_bytes=size_bytes)
        return event_id

    def submit_nowait(
        self, conversation_id: str, body: MessageAction | ChangeAgentStateAction, *, size_bytes: int, reply: Reply
    ) -> None:
        """As `submit`, with the answer going to `reply`."""
        command, lane = self._command(body)
        self.ref(conversation_id).tell(command, lane=lane, size_bytes=size_bytes, reply=reply)

    def _command(self, body: MessageAction | ChangeAgentStateAction) -> tuple[c.Command, Lane]:
        if isinstance(body, ChangeAgentStateAction):
            return c.SetAgentState(body.agent_state), Lane.CONTROL
        return c.AddMessage(body, self._house.agent.answers(body.content)), Lane.WORK

    # --- subscriptions -------------------------------------------------------------------------------------------

    async def follow(self, conversation_id: str, cursor: Cursor) -> None:
        """Keep the cursor supplied through crashes of the actor (K31), until the conversation is stopped."""
        ref = self.ref(conversation_id)
        try:
            while not cursor.ended:
                log: EventLog = await ref.ask(Subscribe(cursor))
                await cursor.pump(log)
        finally:
            actor = self._house.hot.get(conversation_id)
            if actor is not None and cursor in actor.cursors:
                ref.tell(Unsubscribe(cursor), lane=Lane.CONTROL)

    # --- looking -------------------------------------------------------------------------------------------------

    async def summary(self, conversation_id: str) -> Summary | None:
        """None for an unknown id; brings nothing to life."""
        if not self._house.store.exists(conversation_id):
            await trio.lowlevel.checkpoint()
            return None
        return await self._known_summary(conversation_id)

    async def page(
        self, *, limit: int, cursor: str | None, where: Mapping[str, str]
    ) -> tuple[list[Summary], str | None]:
        """The newest first, and the cursor of the next page. Raises `BadCursor`."""
        entries, following = self._house.store.catalogue.page(limit, cursor, where)
        return [await self._known_summary(entry.conversation_id) for entry in entries], following

    async def events(
        self,
        conversation_id: str,
        *,
        start: int,
        stop: int | None,
        reverse: bool,
        limit: int,
        accepts: Callable[[bytes], bool] | None,
    ) -> tuple[list[bytes], bool]:
        """Up to `limit` events with ids in [start, stop), and whether there are more. Brings nothing to life."""
        log = await self._readable(conversation_id)
        end = log.next_id if stop is None else min(stop, log.next_id)
        found: list[bytes] = []
        start = max(start, 0)
        while start < end:
            piece = await _piece(log, start, end, reverse=reverse)
            found += [payload for payload in piece if accepts is None or accepts(payload)]
            if len(found) > limit:
                return found[:limit], True
            if reverse:
                end -= len(piece)
            else:
                start += len(piece)
        return found, False

    async def _readable(self, conversation_id: str) -> EventLog | LogView:
        actor = self._house.hot.get(conversation_id)
        if actor is not None and actor.log is not None:
            return actor.log
        return await self._house.store.view(conversation_id)

    async def _known_summary(self, conversation_id: str) -> Summary:
        actor = self._house.hot.get(conversation_id)
        if actor is not None:
            return _summary(conversation_id, actor.state, actor.live, "", len(actor.cursors))
        cell = self._registry.peek(conversation_id)
        view = await self._house.store.view(conversation_id)
        state = await replay(self._house, conversation_id, view)
        reason = cell.failure.reason if cell is not None and cell.failure is not None else ""
        return _summary(conversation_id, state, Live(), reason or ("log_corrupt" if view.damage else ""), 0)

    async def close(self) -> None:
        """Stop every run-time, so that no process outlives the server (K35)."""
        async with trio.open_nursery() as nursery:
            for conversation_id in tuple(self._house.hot):
                nursery.start_soon(self.stop, conversation_id)

    def statistics(self) -> dict[str, Any]:
        return {**self._house.store.statistics(), "hot": len(self._house.hot)}

    def __repr__(self) -> str:
        return f"<Conversations {len(self._house.hot)} hot of {len(self._house.store.catalogue)}>"


def v0_status(live: Live) -> str:
    """V0's status is the run-time's (semantics, seams)."""
    if live.phase is RunTimePhase.OPENING:
        return "STARTING"
    return "RUNNING" if live.phase is RunTimePhase.OPEN else "STOPPED"


def _summary(conversation_id: str, state: State, live: Live, failure: str, connections: int) -> Summary:
    status = "ERROR" if failure else v0_status(live)
    residency = Residency.FAILED if failure else Residency.HOT if connections or status != "STOPPED" else Residency.COLD
    return Summary(
        conversation_id=conversation_id,
        title=state.title or f"Conversation {conversation_id[:5]}",
        created_at=state.created_at,
        last_updated_at=state.updated_at or None,
        status=status,
        runtime_status={"RUNNING": READY, "STARTING": STARTING}.get(status),
        selected_repository=state.selected_repository,
        selected_branch=state.selected_branch,
        git_provider=state.git_provider,
        trigger=state.trigger,
        num_connections=connections,
        lifecycle={
            "status": "ERROR" if failure else status_of(state).value,
            "agent_state": state.agent_state.value,
            "residency": residency.value,
            "reason": failure or state.reason,
            "retry_at": None,
            "last_event_id": state.next_id - 1,
            "stream_epoch": state.stream_epoch,
            "connections": connections,
        },
    )


async def _piece(log: EventLog | LogView, start: int, stop: int, *, reverse: bool) -> list[bytes]:
    """Some of the events [start, stop), at least one: from the first on, or from the last on backwards."""
    if not reverse:
        return await log.read(start, stop)
    low = max(start, stop - PIECE_EVENTS)
    piece: list[bytes] = []
    while low + len(piece) < stop:
        piece += await log.read(low + len(piece), stop)
    return piece[::-1]


@asynccontextmanager
async def open_conversations(store: Store, agent: Agent, make_sandbox: MakeSandbox) -> AsyncIterator[Conversations]:
    """All conversations of a store, for the block; at its end their run-times are closed and their state is saved."""
    with TemporaryDirectory(prefix="greenroom-") as scratch:
        async with trio.open_nursery() as nursery:
            house: House

            def ref(key: str) -> Ref[Message]:
                return registry.ref(key)

            house = House(store, agent, make_sandbox, nursery, Path(scratch), utc_now, ref)
            async with open_registry(lambda context: ConversationActor(context, house)) as registry:
                conversations = Conversations(house, registry)
                yield conversations
                await conversations.close()
