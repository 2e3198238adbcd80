"""The service in front of all conversations: what transport talks to. It creates, deletes and follows them; `commander`
commands the one that is meant, `reader` looks."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
import trio

from actors.agent.port import Agent
from actors.conversation.actor import ConversationActor
from actors.conversation.commander import Commander
from actors.conversation.creation import Creation, OneAtATime, Plan, creation, plan_creation
from actors.conversation.cursor import Cursor
from actors.conversation.drain import drain
from actors.conversation.errors import BadKey, KeyReused, Refused, TooManyConversations
from actors.conversation.house import LOG_CORRUPT, STOP_DEADLINE_SECONDS, House, Rules
from actors.conversation.inspector import Inspector
from actors.conversation.mending import RepairPlan, make_plan, mend
from actors.conversation.messages import LookAtClock, Message, Subscribe, Unsubscribe, kind_of
from actors.conversation.run_time import MakeSandbox
from actors.conversation.slots import Slots
from actors.conversation.summary import describe
from actors.conversation.surroundings import Surroundings
from actors.domain import commands as c
from actors.domain.events import ConversationCreated, MessageAction
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
    StopOrder,
    Supervisor,
    open_registry,
    open_supervisor,
)
from storage.catalogue import Entry
from storage.errors import (
    ConversationNotFound,
    CorruptLog,
    LogClosed,
    NothingToRepair,
    OutcomeUnknown,
    StorageDegraded,
    StorageError,
)
from storage.event_log import EventLog
from storage.findings import Code
from storage.store import Store

__all__ = ["Conversations", "open_conversations"]

logger = structlog.get_logger(__name__)

ALARM_RETRY_SECONDS = 10.0
"""A conversation with a full mailbox is not idle."""


class Conversations(Commander):
    """Made by `open_conversations`. All methods raise `ConversationNotFound` for unknown ids unless they say else."""

    def __init__(self, house: House, registry: Registry[Message]) -> None:
        super().__init__(house, registry)
        self.inspector = Inspector(house, registry, self)
        self._creating = OneAtATime()

    # --- coming and going ----------------------------------------------------------------------------------------

    async def create(
        self, created: ConversationCreated, first_message: MessageAction | None, key: str | None = None
    ) -> Creation:
        """Bring a conversation into being, durably with its first message, and start it; once under one key (K11).

        Raises `Refused` when there is no room for its run-time, and `StorageError`; then nothing is left of it.
        """
        if self._closing:
            raise RegistryClosed("the server is shutting down")
        created, first_message = self._house.without_secrets((created, first_message))
        if self._house.without_secrets(key) != key:
            raise BadKey
        surroundings = self._house.surroundings
        plan = plan_creation(surroundings.new_id(), surroundings.now(), created, first_message, key)
        async with self._creating.turn(key):
            before = self._house.store.catalogue.claimed(key) if key is not None else None
            return await (self._create(plan) if before is None else self._create_again(plan, before))

    async def _create(self, plan: Plan) -> Creation:
        conversation_id = plan.entry.conversation_id
        if not self._house.reserve_place(conversation_id):
            raise TooManyConversations
        try:
            await self._house.store.create(plan.entry, plan.payloads)
            await self._start_or_undo(conversation_id)
        finally:
            if not self._is_alive(conversation_id):
                self._house.slots.settle(conversation_id, holds=False, busy=False)
        return creation(plan.entry)

    async def _create_again(self, plan: Plan, before: Entry) -> Creation:
        """The server may have died between the two things that a creation does; then the second is still to be done.
        Whatever else there is in the log came after a start."""
        if plan.asks_otherwise(before):
            raise KeyReused
        summary = await self._known_summary(before.conversation_id)
        if summary.lifecycle["last_event_id"] < len(plan.payloads):
            await self._ask(before.conversation_id, c.Start())
        return creation(before, replayed=True)

    async def _start_or_undo(self, conversation_id: str) -> None:
        """Whoever is told that it failed creates it again, so nothing may be left of the first one."""
        try:
            await self._ask(conversation_id, c.Start())
        except (ActorError, StorageError):
            try:
                await self.delete(conversation_id)
            except (StorageDegraded, OutcomeUnknown) as failure:
                raise OutcomeUnknown(f"a failed creation could not be undone: {failure}") from failure
            raise

    async def delete(self, conversation_id: str) -> bool:
        """Stop it and have it gone, durably; False if there was none. Works on damaged logs.

        Raises `LogClosed` while it is being repaired.
        """
        if not self._house.store.exists(conversation_id) or self._is_being_deleted(conversation_id):
            await trio.lowlevel.checkpoint()
            return False
        # From here on nobody else reaches it, so nothing wakes it while its folder goes.
        async with self._taken_down(conversation_id, ConversationNotFound(conversation_id)):
            await self._house.store.delete(conversation_id)
        return True

    def _is_being_deleted(self, conversation_id: str) -> bool:
        return isinstance(self._out_of_reach.get(conversation_id), ConversationNotFound)

    @asynccontextmanager
    async def _taken_down(self, conversation_id: str, told: StorageError) -> AsyncIterator[None]:
        """Nobody has its log open, and no command reaches it, for the block; who tries is `told` so."""
        self.require(conversation_id)
        self._out_of_reach[conversation_id] = told
        try:
            await self._bring_down(conversation_id, told)
            yield
        finally:
            del self._out_of_reach[conversation_id]

    async def _bring_down(self, conversation_id: str, told: StorageError) -> None:
        try:
            with trio.move_on_after(STOP_DEADLINE_SECONDS):
                ref = self._registry.ref(conversation_id)
                if self._is_alive(conversation_id):
                    await ref.ask(c.Shut(c.Why.DELETED), lane=Lane.CONTROL)
        except (ActorError, StorageError) as failure:
            # It cannot even be asked: then it is taken down as it is.
            logger.warning("closing_failed", conversation_id=conversation_id, error=str(failure))
        await self._registry.remove(conversation_id, told)

    # --- the operator's ------------------------------------------------------------------------------------------

    async def repair_plan(self, conversation_id: str) -> RepairPlan:
        """What cutting its log before the damage would take with it (K16). Raises `NothingToRepair`, `Unreadable`."""
        self.require(conversation_id)
        disk = self._house.store.disk
        plan = await disk.run(partial(make_plan, disk, conversation_id))
        if plan.cut.code is Code.LOG_TORN and self._is_alive(conversation_id):
            raise NothingToRepair("nothing is wrong with the log: it is being written at this moment")
        return plan

    async def repair(self, conversation_id: str, keep_events: int) -> RepairPlan:
        """Cut its log so that `keep_events` stay, as was planned; then it lives again, and clients begin anew.

        Raises `Refused` when that is not the plan any more, `NothingToRepair`, and `StorageError`.
        """
        if self._closing:
            raise RegistryClosed("the server is shutting down")
        _require_planned(await self.repair_plan(conversation_id), keep_events)
        async with self._taken_down(conversation_id, LogClosed("the log is being repaired")):
            return await self._mend(conversation_id, keep_events)

    async def _mend(self, conversation_id: str, keep_events: int) -> RepairPlan:
        disk, catalogue = self._house.store.disk, self._house.store.catalogue
        plan = await disk.run(partial(make_plan, disk, conversation_id))
        _require_planned(plan, keep_events)
        events = await disk.run(partial(mend, disk, plan, self._house.surroundings.now()))
        self._house.store.forget_doubts(conversation_id)
        entry = describe(conversation_id, events[0])
        if entry is not None:
            # Its first event was lost, and with it what listings filter by.
            catalogue.remove(conversation_id)
            catalogue.add(entry)
        logger.warning("log_repaired", conversation_id=conversation_id, kept=keep_events, cut_bytes=plan.cut.cut_bytes)
        return plan

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
    # For workspaces where the disk has no folders; a server that is killed leaves none behind where it has.
    needs_scratch = store.disk.real_path("") is None
    with TemporaryDirectory(prefix="greenroom-") if needs_scratch else nullcontext("") as scratch:
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
                lambda context: make_actor(context, house), kind_of=kind_of, chance=surroundings.chance, below=node
            ) as registry:
                conversations = Conversations(house, registry)
                stop_clock = node.start(Child("clock", partial(_ring, house)))
                yield conversations
                await stop_clock()
                await conversations.drain(trio.CancelScope(deadline=trio.current_time()))


def _require_planned(plan: RepairPlan, keep_events: int) -> None:
    if plan.cut.keep_events != keep_events:
        told = f"now {plan.cut.keep_events} events would stay, not {keep_events}: look at the plan again"
        raise Refused("plan_changed", told)


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
