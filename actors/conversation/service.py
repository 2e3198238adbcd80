"""The service in front of all conversations: what transport talks to. It creates and commands; `reader` looks."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import structlog
import trio

from actors.agent.port import Agent
from actors.conversation.actor import ConversationActor
from actors.conversation.cursor import Cursor
from actors.conversation.drain import drain
from actors.conversation.errors import TooManyConversations
from actors.conversation.house import LOG_CORRUPT, STOP_DEADLINE_SECONDS, House, Rules
from actors.conversation.messages import KeepAlive, LookAtClock, Message, Subscribe, Unsubscribe
from actors.conversation.reader import Reader
from actors.conversation.run_time import MakeSandbox
from actors.conversation.slots import Slots
from actors.conversation.state import title_after
from actors.conversation.summary import Summary, describe, v0_status
from actors.conversation.surroundings import Surroundings
from actors.conversation.table import Status
from actors.domain import commands as c
from actors.domain.codec import encode
from actors.domain.events import AgentState, ChangeAgentStateAction, ConversationCreated, Event, MessageAction, Source
from actors.domain.masks import NO_MASKS, Masks
from actors.runtime import (
    ActorError,
    ActorFailed,
    Child,
    Context,
    Lane,
    Ref,
    Registry,
    RegistryClosed,
    Reply,
    StopOrder,
    Supervisor,
    open_registry,
    open_supervisor,
)
from storage.errors import ConversationNotFound, CorruptLog, OutcomeUnknown, StorageError
from storage.event_log import EventLog
from storage.store import Store

__all__ = ["Conversations", "open_conversations"]

logger = structlog.get_logger(__name__)

COMMAND_DEADLINE_SECONDS = 30.0
"""A command from outside that waited longer is not executed: whoever sent it has given up or tried again (K7)."""

ALARM_RETRY_SECONDS = 10.0
"""A conversation with a full mailbox is not idle."""


class Conversations(Reader):
    """Made by `open_conversations`. All methods raise `ConversationNotFound` for unknown ids unless they say else."""

    def __init__(self, house: House, registry: Registry[Message]) -> None:
        super().__init__(house, registry)
        self._closing = False

    def ref(self, conversation_id: str) -> Ref[Message]:
        """The address of a conversation that exists. Raises `RegistryClosed` too."""
        if self._closing:
            raise RegistryClosed("the server is shutting down")
        self.require(conversation_id)
        return self._registry.ref(conversation_id)

    # --- commands ------------------------------------------------------------------------------------------------

    async def create(self, created: ConversationCreated, first_message: MessageAction | None) -> Summary:
        """Bring a conversation into being, durably with its first message, and start it.

        Raises `Refused` when there is no room for its run-time, and `StorageError`; then nothing is left of it.
        """
        if self._closing:
            raise RegistryClosed("the server is shutting down")
        created, first_message = self._house.without_secrets((created, first_message))
        if first_message is not None:
            created = attrs.evolve(created, title=created.title or title_after(first_message.content))
        conversation_id, now = self._house.surroundings.new_id(), self._house.surroundings.now()
        events = [Event(0, now, Source.ENVIRONMENT, created)]
        if first_message is not None:
            events.append(Event(1, now, Source.USER, first_message))
        payloads = [encode(event) for event in events]
        entry = describe(conversation_id, payloads[0])
        assert entry is not None  # noqa: S101 - it was encoded just now
        if not self._house.reserve_place(conversation_id):
            raise TooManyConversations
        try:
            await self._house.store.create(entry, payloads)
            await self._start_or_undo(conversation_id)
        finally:
            if not self._is_alive(conversation_id):
                self._house.slots.settle(conversation_id, holds=False, busy=False)
        return await self._known_summary(conversation_id)

    async def _start_or_undo(self, conversation_id: str) -> None:
        """Whoever is told that it failed creates it again, so nothing may be left of the first one."""
        try:
            await self._ask(conversation_id, c.Start())
        except (ActorError, StorageError):
            try:
                await self.delete(conversation_id)
            except OSError as failure:
                raise OutcomeUnknown(f"a failed creation could not be undone: {failure}") from failure
            raise

    async def start(self, conversation_id: str) -> Summary:
        """Have a run-time, and run on what waits. A conversation that has failed is tried again."""
        self._registry.forget_failure(conversation_id)
        return await self._command_and_look(conversation_id, c.Start())

    async def resume(self, conversation_id: str) -> Summary:
        """Have the agent go on, with what waits and with what it had begun."""
        return await self._command_and_look(conversation_id, c.Resume())

    async def pause(self, conversation_id: str) -> Summary:
        """End the run and have the agent wait; the run-time stays open."""
        return await self._command_and_look(conversation_id, c.Pause(), Lane.CONTROL)

    async def archive(self, conversation_id: str) -> Summary:
        """Put it away; the run-time is closed, and clients are disconnected."""
        return await self._command_and_look(conversation_id, c.Archive())

    async def unarchive(self, conversation_id: str) -> Summary:
        """Take it out again; nothing is started."""
        return await self._command_and_look(conversation_id, c.Unarchive())

    async def keep_alive(self, conversation_id: str, seconds: float) -> Summary:
        """Hold off closing for so long (K21). Raises `Refused` when it is not running."""
        return await self._command_and_look(conversation_id, KeepAlive(seconds))

    async def _command_and_look(self, conversation_id: str, command: Message, lane: Lane = Lane.WORK) -> Summary:
        await self._ask(conversation_id, command, lane)
        return await self._known_summary(conversation_id)

    async def _ask(self, conversation_id: str, command: Message, lane: Lane = Lane.WORK, size_bytes: int = 0) -> Any:
        """Raises `Expired` and `AskTimedOut` besides (K7)."""
        ref = self.ref(conversation_id)
        return await ref.ask(command, lane=lane, size_bytes=size_bytes, timeout_seconds=COMMAND_DEADLINE_SECONDS)

    async def stop(self, conversation_id: str) -> str:
        """End the run and the run-time; answers when its processes are gone, with V0's status before.

        Raises `Refused` when it is archived.
        """
        before = v0_status(self._house.live(conversation_id))
        exists = self._house.store.exists(conversation_id) and not self._registry.forget_failure(conversation_id)
        if exists and await self._is_to_be_stopped(conversation_id):
            with trio.move_on_after(STOP_DEADLINE_SECONDS):
                await self.ref(conversation_id).ask(c.Close(), lane=Lane.CONTROL)
        return before

    async def _is_to_be_stopped(self, conversation_id: str) -> bool:
        """A cold conversation is woken only to be told that its error is over, that nobody will decide what it asked
        the user, or that it is archived."""
        if self._is_alive(conversation_id):
            return True
        lifecycle = (await self._known_summary(conversation_id)).lifecycle
        is_pending = lifecycle["agent_state"] == AgentState.AWAITING_USER_CONFIRMATION
        return is_pending or lifecycle["status"] in (Status.ERROR, Status.ARCHIVED)

    def _is_alive(self, conversation_id: str) -> bool:
        return conversation_id in self._house.hot or conversation_id in self._house.dormant

    async def rename(self, conversation_id: str, title: str) -> None:
        await self._ask(conversation_id, c.Rename(title))

    async def delete(self, conversation_id: str) -> bool:
        """Stop it and have it gone, durably; False if there was none. Works on damaged logs."""
        if not self._house.store.exists(conversation_id) or conversation_id in self._dying:
            await trio.lowlevel.checkpoint()
            return False
        # From here on nobody else reaches it, so nothing wakes it while its folder goes.
        self._dying.add(conversation_id)
        try:
            await self._bring_down(conversation_id)
            await self._house.store.delete(conversation_id)
        finally:
            self._dying.discard(conversation_id)
        return True

    async def _bring_down(self, conversation_id: str) -> None:
        try:
            with trio.move_on_after(STOP_DEADLINE_SECONDS):
                ref = self._registry.ref(conversation_id)
                if self._is_alive(conversation_id):
                    await ref.ask(c.Shut(c.Why.DELETED), lane=Lane.CONTROL)
        except (ActorError, StorageError) as failure:
            # It cannot even be asked: then it is taken down as it is.
            logger.warning("closing_failed", conversation_id=conversation_id, error=str(failure))
        await self._registry.remove(conversation_id, ConversationNotFound(conversation_id))

    async def submit(
        self, conversation_id: str, body: MessageAction | ChangeAgentStateAction, *, size_bytes: int
    ) -> int:
        """What a client does, durably; the id of its event. Raises `Refused` and the kernel's errors."""
        command, lane = self._command(body)
        event_id: int = await self._ask(conversation_id, command, lane, size_bytes)
        return event_id

    def submit_nowait(
        self, conversation_id: str, body: MessageAction | ChangeAgentStateAction, *, size_bytes: int, reply: Reply
    ) -> None:
        """As `submit`, with the answer going to `reply`."""
        command, lane = self._command(body)
        deadline = trio.current_time() + COMMAND_DEADLINE_SECONDS
        self.ref(conversation_id).tell(command, lane=lane, size_bytes=size_bytes, reply=reply, deadline=deadline)

    def _command(self, body: MessageAction | ChangeAgentStateAction) -> tuple[c.Command, Lane]:
        if isinstance(body, ChangeAgentStateAction):
            return c.SetAgentState(body.agent_state), Lane.CONTROL
        return c.AddMessage(body, self._house.agent.answers(body.content), self._house.rules.busy), Lane.WORK

    # --- subscriptions -------------------------------------------------------------------------------------------

    async def follow(self, conversation_id: str, cursor: Cursor) -> None:
        """Keep the cursor supplied through crashes of the actor (K31), until the conversation is stopped.

        From a damaged log it gets what precedes the damage; then `CorruptLog` or `ActorFailed` is raised (K16).
        """
        ref, again = self.ref(conversation_id), False
        try:
            while not cursor.ended:
                log: EventLog = await ref.ask(Subscribe(cursor, again))
                again = True
                await cursor.pump(log)
        except (CorruptLog, ActorFailed) as failure:
            if isinstance(failure, CorruptLog) or failure.reason == LOG_CORRUPT:
                self._house.met_damage(conversation_id)
                await cursor.read_out(await self._house.store.view_to_damage(conversation_id))
            raise
        finally:
            cursor.left = True
            self._leave(ref, cursor)

    def _leave(self, ref: Ref[Message], cursor: Cursor) -> None:
        actor = self._house.hot.get(ref.key)
        if actor is not None and cursor in actor.cursors:
            try:
                ref.tell(Unsubscribe(cursor), lane=Lane.CONTROL)
            except ActorError:
                # Hundreds leave at once: the next look at the clock finds that they are gone.
                actor.cursors.pop(cursor, None)
                self._house.alarms.set(ref.key, trio.current_time() + ALARM_RETRY_SECONDS)
        self._house.leave_dormant(ref.key, cursor)

    # --- the end -------------------------------------------------------------------------------------------------

    def refuse_commands(self) -> None:
        """From now on nothing new is begun (K35); who looks or reads is answered, and what waits is done."""
        self._closing = True

    @property
    def closing(self) -> bool:
        return self._closing

    async def drain(self, grace: trio.CancelScope) -> None:
        """See `actors.conversation.drain`."""
        self.refuse_commands()
        await drain(self._house, self._registry, grace)

    def __repr__(self) -> str:
        return f"<Conversations {len(self._house.hot)} hot of {len(self._house.store.catalogue)}>"


@asynccontextmanager
async def open_conversations(
    store: Store,
    agent: Agent,
    make_sandbox: MakeSandbox,
    rules: Rules | None = None,
    masks: Callable[[], Masks] = lambda: NO_MASKS,
    *,
    surroundings: Surroundings | None = None,
    make_actor: Callable[[Context, House], ConversationActor] = ConversationActor,
    below: Supervisor | None = None,
) -> AsyncIterator[Conversations]:
    """All conversations of a store, for the block; at its end their run-times are closed and their state is saved.

    `masks` tells, whenever it is asked, what no event may show. In the tree of supervision they stand `below` a node:
    `conversations` with its clock, its actors and, a node of their own, the run-times.
    """
    rules, surroundings = rules or Rules(), surroundings or Surroundings()
    with TemporaryDirectory(prefix="greenroom-") as scratch:
        async with (
            open_supervisor("conversations", below=below) as node,
            open_supervisor("run-times", below=node, order=StopOrder.TOGETHER) as run_times,
        ):
            house: House

            def ref(key: str) -> Ref[Message]:
                return registry.ref(key)

            slots = Slots(rules.run_times_max)
            house = House(store, agent, make_sandbox, run_times, Path(scratch), surroundings, ref, rules, slots, masks)
            async with open_registry(
                lambda context: make_actor(context, house), chance=surroundings.chance, below=node
            ) as registry:
                conversations = Conversations(house, registry)
                stop_clock = node.start(Child("clock", partial(_ring, house)))
                yield conversations
                await stop_clock()
                await conversations.drain(trio.CancelScope(deadline=trio.current_time()))


async def _ring(house: House) -> None:
    """Have each conversation look at the clock when its alarm rings (K22)."""
    while True:
        key = await house.alarms.wait_due()
        if key not in house.hot and key not in house.dormant:
            continue
        try:
            house.ref(key).tell(LookAtClock(), lane=Lane.CONTROL)
        except ActorError as failure:
            logger.info("alarm_put_off", conversation_id=key, error=str(failure))
            house.alarms.set(key, trio.current_time() + ALARM_RETRY_SECONDS)
