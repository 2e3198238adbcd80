"""The actor of one conversation: a thin shell around `decide` and `apply`.

A turn decides command after command on a provisional state, appends the events of all of them as one write, and only
then adopts the state, answers, tells the cursors and starts the effects (K6, K8).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, assert_never

import attrs
import structlog
import trio

from actors.agent.port import Agent
from actors.conversation import decide as d
from actors.conversation.cursor import Cursor, Published
from actors.conversation.errors import Refused
from actors.conversation.run_time import MakeSandbox, RunTime
from actors.conversation.state import EMPTY, State, apply, dump_state, load_state
from actors.domain import commands as c
from actors.domain import events as e
from actors.domain.codec import decode, encode, kind_of_body, visible
from actors.runtime import CannotActivate, Context, Envelope, Ref
from storage.errors import CorruptLog, LogClosed, OutcomeUnknown, StorageDegraded
from storage.event_log import EventLog
from storage.snapshot import Snapshot
from storage.store import Store

__all__ = ["ConversationActor", "House", "Message", "Subscribe", "Unsubscribe", "replay"]

logger = structlog.get_logger(__name__)

SNAPSHOT_EVERY_EVENTS = 1000
"""A replay is never longer than this, a few milliseconds; a snapshot costs one small synced file."""


@attrs.frozen
class Subscribe:
    """A cursor joins (K31); answered with the log that it reads from."""

    cursor: Cursor


@attrs.frozen
class Unsubscribe:
    """A cursor leaves."""

    cursor: Cursor


Message: TypeAlias = c.Command | Subscribe | Unsubscribe


@attrs.define
class House:
    """What all conversations share. `hot` shows the living actors to whoever only wants to look."""

    store: Store
    agent: Agent
    make_sandbox: MakeSandbox
    nursery: trio.Nursery
    scratch: Path
    now: Callable[[], str]
    ref: Callable[[str], Ref[Any]]
    hot: dict[str, "ConversationActor"] = attrs.field(factory=dict)

    def workspace(self, conversation_id: str) -> Path:
        folder = self.store.workspace(conversation_id) or self.scratch / conversation_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def apply(self, state: State, event: e.Event) -> State:
        """One event further, with the agent's word on whether it answers a message."""
        body = event.body
        answered = not isinstance(body, e.MessageAction) or self.agent.answers(body.content)
        return apply(state, event, answered=answered)


@attrs.frozen
class _Step:
    """A command that was decided: its events, as types and as bytes, and what follows."""

    envelope: Envelope[Message]
    events: tuple[e.Event, ...]
    payloads: tuple[bytes, ...]
    effects: tuple[d.Effect, ...]


async def replay(house: House, conversation_id: str, log: Any) -> State:
    """The state after the last event of a log (or a view of it): snapshot, if it fits, and tail (K18)."""
    state, start = EMPTY, 0
    snapshot = await house.store.load_snapshot(conversation_id)
    if snapshot is not None and snapshot.position < log.next_id:
        loaded = load_state(snapshot.document)
        if loaded is not None and loaded.next_id == snapshot.position + 1:
            state, start = loaded, loaded.next_id
    async for payload in log.events(start):
        state = house.apply(state, decode(payload))
    return state


class ConversationActor:
    """One incarnation. `state` and `live` are for anybody to read, and for this actor to set."""

    def __init__(self, context: Context, house: House) -> None:
        self.state = EMPTY
        self.live = d.Live()
        self.cursors: set[Cursor] = set()
        self.log: EventLog | None = None
        self._context = context
        self._house = house
        self._run_time: RunTime | None = None
        self._closing: list[Envelope[Message]] = []
        self._snapshot_at = 0

    # --- life ----------------------------------------------------------------------------------------------------

    async def activate(self) -> None:
        key = self._context.key
        try:
            self.log = await self._house.store.open_log(key)
        except CorruptLog as damage:
            raise CannotActivate("log_corrupt", str(damage)) from damage
        self.state = await replay(self._house, key, self.log)
        self._snapshot_at = self.state.next_id
        self._run_time = RunTime(
            ref=self._house.ref(key),
            agent=self._house.agent,
            make_sandbox=self._house.make_sandbox,
            workspace=self._house.workspace(key),
            read_message=self._read_message,
            nursery=self._house.nursery,
        )
        self._house.hot[key] = self
        repair = self.log.repair
        recover = c.Recover() if repair is None else c.Recover(**attrs.asdict(repair))
        await self.turn([Envelope(recover)])
        logger.info("actor_activated", conversation_id=key, incarnation=self._context.incarnation, epoch=self.log.epoch)

    async def passivate(self) -> None:
        await self._save_snapshot()
        if self.log is not None:
            await self.log.close()
        logger.info("actor_passivated", conversation_id=self._context.key, incarnation=self._context.incarnation)

    def abandon(self) -> None:
        if self._house.hot.get(self._context.key) is self:
            del self._house.hot[self._context.key]
        for cursor in self.cursors:
            cursor.detach()
        for envelope in self._closing:
            envelope.succeed()
        if self._run_time is not None and self.live.phase is not d.RunTimePhase.CLOSED:
            self._run_time.abandon()

    # --- a turn --------------------------------------------------------------------------------------------------

    async def turn(self, batch: Sequence[Envelope[Message]]) -> None:
        """See the module. A failed write discards everything (K14); an unknown one ends this incarnation (K15)."""
        assert self.log is not None  # noqa: S101 - activation comes first
        steps, state, live = self._decide_all(batch)
        batches = [step.payloads for step in steps if step.payloads]
        if batches:
            try:
                await self.log.append(batches)
            except StorageDegraded as failure:
                _fail_all(steps, failure)
                return
            except (OutcomeUnknown, LogClosed) as failure:
                _fail_all(steps, failure)
                raise
        first_id, self.state, self.live = self.state.next_id, state, live
        for step in steps:
            self._answer(step)
        self._publish(first_id, steps)
        for step in steps:
            for effect in step.effects:
                self._perform(effect)
        if self.state.next_id - self._snapshot_at >= SNAPSHOT_EVERY_EVENTS:
            await self._save_snapshot()

    def _decide_all(self, batch: Sequence[Envelope[Message]]) -> tuple[list[_Step], State, d.Live]:
        state, live, now = self.state, self.live, self._house.now()
        steps: list[_Step] = []
        for envelope in batch:
            command = _command(envelope.message)
            if command is None:
                steps.append(_Step(envelope, (), (), ()))
                continue
            try:
                decision = d.decide(state, live, command)
            except Refused as refusal:
                envelope.fail(refusal)
                continue
            events = _stamp(decision.drafts, state.next_id, now)
            steps.append(_Step(envelope, events, tuple(map(encode, events)), decision.effects))
            for event in events:
                state = self._house.apply(state, event)
            live = decision.live
        return steps, state, live

    def _answer(self, step: _Step) -> None:
        match step.envelope.message:
            case Subscribe(cursor):
                self.cursors.add(cursor)
                step.envelope.succeed(self.log)
            case Unsubscribe(cursor):
                self.cursors.discard(cursor)
                step.envelope.succeed()
            case c.Close():
                self._closing.append(step.envelope)
            case c.Record():
                step.envelope.succeed(tuple(event.id for event in step.events))
            case _:
                step.envelope.succeed(step.events[0].id if step.events else None)

    def _publish(self, first_id: int, steps: Sequence[_Step]) -> None:
        if not self.cursors:
            return
        published: list[Published[Any] | None] = [
            Published(payload) if visible(*kind_of_body(event.body)) else None
            for step in steps
            for event, payload in zip(step.events, step.payloads, strict=True)
        ]
        if published:
            for cursor in tuple(self.cursors):
                cursor.offer(first_id, published)

    def _perform(self, effect: d.Effect) -> None:
        assert self._run_time is not None  # noqa: S101 - activation comes first
        match effect:
            case d.OpenRunTime():
                self._run_time.open()
            case d.StartRun(run, messages):
                self._run_time.start_run(run, messages)
            case d.CancelRun():
                self._run_time.cancel_run()
            case d.CloseRunTime():
                self._run_time.close()
            case d.Leave():
                self._leave()
            case _:
                assert_never(effect)

    def _leave(self) -> None:
        for cursor in self.cursors:
            cursor.end()
        for envelope in self._closing:
            envelope.succeed()
        self._closing.clear()
        self._context.passivate()

    # --- reading and saving --------------------------------------------------------------------------------------

    async def _read_message(self, message_id: int) -> e.MessageAction:
        assert self.log is not None  # noqa: S101 - a run needs an active conversation
        [payload] = await self.log.read(message_id, message_id + 1)
        body = decode(payload).body
        assert isinstance(body, e.MessageAction)  # noqa: S101 - runs are given ids of messages
        return body

    async def _save_snapshot(self) -> None:
        if self.log is None or self.state.next_id == 0:
            return
        snapshot = Snapshot(self.state.next_id - 1, self.log.checksum, dump_state(self.state))
        self._snapshot_at = self.state.next_id
        try:
            await self._house.store.save_snapshot(self._context.key, snapshot)
        except OSError as failure:
            # K18: only a cache; the next activation replays.
            logger.warning("snapshot_failed", conversation_id=self._context.key, error=str(failure))

    def __repr__(self) -> str:
        return f"<ConversationActor {self._context.key} {self.state.agent_state} {self.live.phase} {self.log!r}>"


def _command(message: Message) -> c.Command | None:
    match message:
        case Subscribe():
            return c.Join()
        case Unsubscribe():
            return None
        case _:
            return message


def _stamp(drafts: Sequence[d.Draft], first_id: int, now: str) -> tuple[e.Event, ...]:
    return tuple(
        e.Event(first_id + place, now, draft.source, draft.body, draft.cause) for place, draft in enumerate(drafts)
    )


def _fail_all(steps: Sequence[_Step], failure: Exception) -> None:
    for step in steps:
        step.envelope.fail(failure)
