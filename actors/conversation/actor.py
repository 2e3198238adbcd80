"""The actor of one conversation: a thin shell around `decide` and `apply`.

A turn decides command after command on a provisional state, appends the events of all of them as one write, and only
then adopts the state, answers, tells the cursors and starts the effects (K6, K8).
"""

from collections.abc import Sequence
from typing import Any, assert_never

import attrs
import structlog
import trio

from actors.conversation import decision as d
from actors.conversation.cursor import Cursor, Published
from actors.conversation.decide import decide
from actors.conversation.errors import BadKey, Refused
from actors.conversation.house import LOG_CORRUPT, Dormant, House
from actors.conversation.idle import Sitting, Verdict, close_at, judge, look_at
from actors.conversation.keys import Receipt
from actors.conversation.messages import LookAtClock, Message, Subscribe, Unsubscribe
from actors.conversation.replay import replay
from actors.conversation.run_time import RunTime
from actors.conversation.state import EMPTY, State, dump_state, shown_title
from actors.conversation.statistics import ConversationStatistics
from actors.conversation.step import Step, may_open, stamp
from actors.domain import commands as c
from actors.domain import events as e
from actors.domain import notices
from actors.domain.codec import DecodeError, decode, encode, kind_of_body, visible
from actors.runtime import CannotActivate, Context, Envelope
from storage.errors import (
    ConversationNotFound,
    CorruptLog,
    LogClosed,
    OutcomeUnknown,
    StorageDegraded,
    StorageFailing,
)
from storage.event_log import EventLog

__all__ = ["ConversationActor"]

logger = structlog.get_logger(__name__)

SNAPSHOT_EVERY_EVENTS = 1000
"""A replay is never longer than this, a few milliseconds; a snapshot costs one small synced file."""


_NOTICES = {d.RunTimePhase.OPENING: notices.starting(), d.RunTimePhase.OPEN: notices.ready()}


class ConversationActor:
    """One incarnation. `state`, `live` and `cursors` are for anybody to read, and for this actor to set."""

    def __init__(self, context: Context, house: House) -> None:
        self.state = EMPTY
        self.live = d.Live()
        self.cursors: dict[Cursor, None] = {}
        """In the order of their joining, which is that of their being served."""
        self.log: EventLog | None = None
        self._context = context
        self._house = house
        self._run_time: RunTime | None = None
        self._closing: list[tuple[Envelope[Message], Receipt]] = []
        self._snapshot_at = 0
        self._active_at = trio.current_time()
        self._keep_until = 0.0
        self._hibernates = False
        self._leaves = False
        self._recovering = False
        self._recovery: c.Recover | None = None
        """What the first turn begins with, and every further one until the disk has taken it (K14, K30)."""

    # --- life ----------------------------------------------------------------------------------------------------

    async def activate(self) -> None:
        key = self._context.key
        self._wake_up(self._house.dormant.pop(key, None))
        began = trio.current_time()
        try:
            self.log = await self._house.store.open_log(key)
            self.state, self._snapshot_at = await replay(self._house, self.log)
        except CorruptLog as damage:
            raise CannotActivate(LOG_CORRUPT, str(damage)) from damage
        except StorageFailing as failure:
            raise CannotActivate("storage_failing", str(failure)) from failure
        except ConversationNotFound as gone:
            raise CannotActivate("not_found", str(gone)) from gone
        self._house.replay_times.add(trio.current_time() - began)
        if self._run_time is None:
            self._run_time = self._make_run_time()
        self._house.hot[key] = self
        self._recovery = self._look_for_repair(self.log)
        self.cursors = {cursor: None for cursor in self.cursors if not cursor.left}  # while nobody was there to be told
        for cursor in self.cursors:
            cursor.switch(self.log)
        self._recovering = True
        await self.turn([])
        self._recovering = False
        logger.info("actor_activated", conversation_id=key, incarnation=self._context.incarnation, epoch=self.log.epoch)

    def _look_for_repair(self, log: EventLog) -> c.Recover:
        repair = log.repair
        if repair is None:
            return c.Recover()
        # What was lost is told at every activation until a snapshot is newer than the telling.
        self._snapshot_at = -SNAPSHOT_EVERY_EVENTS
        return c.Recover(**attrs.asdict(repair), stream_epoch_min=log.epoch)

    def _wake_up(self, dormant: Dormant | None) -> None:
        """Take over what the last incarnation left behind when it hibernated (K22)."""
        if dormant is not None:
            self.live, self._run_time, self.cursors = dormant.live, dormant.run_time, dormant.cursors
            self._active_at, self._keep_until = dormant.active_at, dormant.keep_until
            self._run_time.read_message = self._read_message

    def _make_run_time(self) -> RunTime:
        key = self._context.key
        return RunTime(
            ref=self._house.ref(key),
            agent=self._house.agent,
            make_sandbox=self._house.make_sandbox,
            judge=self._house.rules.judge,
            workspace=self._house.workspace(key),
            read_message=self._read_message,
            node=self._house.run_times,
            start_deadline_seconds=self._house.rules.start_deadline_seconds,
        )

    async def passivate(self) -> None:
        await self._save_snapshot()
        if self.log is not None:
            await self.log.close()
        told = "actor_hibernated" if self._hibernates else "actor_passivated"
        logger.info(told, conversation_id=self._context.key, incarnation=self._context.incarnation)

    def abandon(self) -> None:
        key = self._context.key
        if self._house.hot.get(key) is self:
            del self._house.hot[key]
        self._answer_closing()
        leaves_something = self.cursors or self.live.phase is d.RunTimePhase.OPEN
        if self._hibernates and leaves_something and self._run_time is not None:
            self._house.dormant[key] = Dormant(
                self.state, self.live, self._run_time, self.cursors, self._active_at, self._keep_until
            )
            return
        self._detach_cursors()
        self._house.slots.settle(key, holds=False, busy=False)
        self._house.alarms.set(key, float("inf"))
        if self._run_time is not None and self.live.phase is not d.RunTimePhase.CLOSED:
            self._run_time.abandon()

    def _detach_cursors(self) -> None:
        for cursor in self.cursors:
            cursor.detach()
        self.cursors = {}

    # --- a turn --------------------------------------------------------------------------------------------------

    async def turn(self, batch: Sequence[Envelope[Message]]) -> None:
        """See the module. A failed write discards everything (K14); an unknown one ends this incarnation (K15), and
        damage that a reader has met ends the last one (K16)."""
        assert self.log is not None  # noqa: S101 - activation comes first
        if self.log.damage is not None:
            _fail_all(batch, self.log.damage)
            raise CannotActivate(LOG_CORRUPT, str(self.log.damage))
        if self._recovery is not None:
            batch = [Envelope(self._recovery), *batch]
        steps, state, live = self._decide_all(batch)
        batches = [step.payloads for step in steps if step.payloads]
        if batches:
            try:
                await self.log.append(batches)
            except StorageDegraded as failure:
                self._settle_place()
                self._fail_all_but_readers(steps, failure)
                return
            except (OutcomeUnknown, LogClosed) as failure:
                _fail_all([step.envelope for step in steps], failure)
                raise
        self._recovery = None
        first_id, self.state, self.live = self.state.next_id, state, live
        for step in steps:
            self._answer(step)
        self._publish(first_id, steps)
        for step in steps:
            for effect in step.effects:
                self._perform(effect)
        self._settle(steps)
        if self.state.next_id - self._snapshot_at >= SNAPSHOT_EVERY_EVENTS:
            await self._save_snapshot()

    def _fail_all_but_readers(self, steps: Sequence[Step], failure: StorageDegraded) -> None:
        """Reading goes on while the disk takes no writes (K14): who joins gets the history, and wakes nothing."""
        for step in steps:
            if isinstance(step.envelope.message, Subscribe | Unsubscribe):
                self._answer(step)
            else:
                step.envelope.fail(failure)

    def _decide_all(self, batch: Sequence[Envelope[Message]]) -> tuple[list[Step], State, d.Live]:
        state, live, now = self.state, self.live, self._house.surroundings.now()
        steps: list[Step] = []
        for envelope in batch:
            try:
                command = self._command(envelope.message)
                if command is None:
                    steps.append(Step(envelope))
                    continue
                if live.phase is d.RunTimePhase.CLOSED and not state.archived and may_open(state, command):
                    live = attrs.evolve(live, room=self._house.reserve_place(self._context.key))
                decision = decide(state, live, command)
                events = stamp(decision.drafts, state.next_id, now)
                payloads = tuple(map(encode, events))
            except (Refused, DecodeError) as refusal:
                steps.append(Step(envelope, answer=refusal))
                continue
            steps.append(Step(envelope, events, payloads, decision.effects, decision.replayed))
            for event in events:
                state = self._house.apply(state, event)
            live = decision.live
        return steps, state, live

    def _command(self, message: Message) -> c.Command | None:
        """Raises `BadKey`."""
        match message:
            case Subscribe(cursor):
                return None if cursor.left else c.Join()
            case LookAtClock():
                return self._look_at_clock()
            case Unsubscribe():
                return None
            case c.OnTerms(_, terms):
                masked = self._house.without_secrets(message)
                if masked.terms != terms:
                    raise BadKey
                return masked
            case _:
                return self._house.without_secrets(message)

    def _settle_place(self) -> None:
        if self._recovering:
            return  # whoever creates a conversation has reserved its place before there was an actor
        holds = self.live.phase is not d.RunTimePhase.CLOSED
        self._house.slots.settle(self._context.key, holds=holds, busy=d.is_busy(self.state, self.live))

    # --- idleness ------------------------------------------------------------------------------------------------

    def _sitting(self) -> Sitting:
        return Sitting(
            active_at=self._active_at,
            keep_until=self._keep_until,
            connections=len(self.cursors),
            busy=d.is_busy(self.state, self.live),
            open=self.live.phase is d.RunTimePhase.OPEN,
        )

    def _look_at_clock(self) -> c.Command | None:
        verdict = judge(self._house.rules.idle, self._sitting(), trio.current_time())
        if verdict is Verdict.CLOSE:
            return c.Shut(c.Why.TIMEOUT)
        self._hibernates = verdict is Verdict.HIBERNATE
        return None

    def _settle(self, steps: Sequence[Step]) -> None:
        """After a turn: the clock, the place, and whether to leave memory. What was decided to leave and then was
        called for again in the same turn stays (K23)."""
        key, now, rules = self._context.key, trio.current_time(), self._house.rules.idle
        if any(step.is_activity for step in steps):
            self._active_at = now
        self._settle_place()
        sitting = self._sitting()
        self._hibernates = self._hibernates and judge(rules, sitting, now) is Verdict.HIBERNATE
        if self._leaves and self.live.phase is d.RunTimePhase.CLOSED:
            self._leave()
        elif self._hibernates:
            self._house.alarms.set(key, close_at(rules, sitting))
            self._context.passivate()
        else:
            self._house.alarms.set(key, look_at(rules, sitting, now))
        self._leaves = False
        if self.live.phase is not d.RunTimePhase.CLOSING:
            self._answer_closing()

    def _answer_closing(self) -> None:
        for envelope, receipt in self._closing:
            envelope.succeed(receipt)
        self._closing.clear()

    def _answer(self, step: Step) -> None:
        if isinstance(step.answer, Exception):
            step.envelope.fail(step.answer)
            return
        match step.message:
            case c.AddMessage() | c.SetAgentState() if not step.has_terms:
                step.envelope.succeed()  # the answer is empty, so nobody would look at a receipt
            case Subscribe(cursor, again):
                self._take(cursor)
                if not again:
                    self._active_at = trio.current_time()
                step.envelope.succeed(self.log)
            case Unsubscribe(cursor):
                self.cursors.pop(cursor, None)
                step.envelope.succeed()
            case c.KeepAlive(seconds) if step.answer is None:
                self._keep_until = trio.current_time() + seconds
                step.envelope.succeed(self._receipt(step))
            case c.Close() | c.Shut(c.Why.DELETED | c.Why.DRAIN):
                self._closing.append((step.envelope, self._receipt(step)))
            case c.Record():
                step.envelope.succeed(tuple(event.id for event in step.events))
            case _:
                step.envelope.succeed(self._receipt(step))

    def _receipt(self, step: Step) -> Receipt:
        return step.receipt(self.state, self.live, self._house.surroundings.now)

    def _take(self, cursor: Cursor) -> None:
        """A client that joins is told how the run-time is, once it has the history (semantics, seams)."""
        if cursor.left:
            return
        self.cursors[cursor] = None
        notice = _NOTICES.get(self.live.phase)
        if notice is not None:
            cursor.notify(notice.about, Published(notices.encode_notice(notice)))

    def _publish(self, first_id: int, steps: Sequence[Step]) -> None:
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
            case d.StartRun():
                self._run_time.start_run(effect)
            case d.CancelRun():
                self._run_time.cancel_run()
            case d.CloseRunTime():
                self._run_time.close()
            case d.Leave():
                self._leaves = True
            case d.Notify(notice):
                self._notify(notice)
            case d.NotifyTitle(title):
                key = self._context.key
                self._notify(notices.title_changed(key, shown_title(key, title)))
            case _:
                assert_never(effect)

    def _notify(self, notice: notices.Notice) -> None:
        published: Published[Any] = Published(notices.encode_notice(notice))
        for cursor in self.cursors:
            cursor.notify(notice.about, published)

    def _leave(self) -> None:
        for cursor in self.cursors:
            cursor.end()
        # Nobody is left who would unsubscribe, and with that wake the next incarnation.
        self.cursors = {}
        self._context.passivate()

    # --- reading and saving --------------------------------------------------------------------------------------

    async def _read_message(self, message_id: int) -> e.MessageAction:
        assert self.log is not None  # noqa: S101 - a run needs an active conversation
        try:
            [payload] = await self.log.read(message_id, message_id + 1)
        except CorruptLog:
            self._house.met_damage(self._context.key)
            raise
        body = decode(payload).body
        assert isinstance(body, e.MessageAction)  # noqa: S101 - runs are given ids of messages
        return body

    async def _save_snapshot(self) -> None:
        if self.log is None or self.state.next_id == 0:
            return
        self._snapshot_at = self.state.next_id
        try:
            await self.log.save_snapshot(dump_state(self.state))
        except (OSError, StorageDegraded) as failure:
            # K18: only a cache; the next activation replays.
            logger.warning("snapshot_failed", conversation_id=self._context.key, error=str(failure))

    def statistics(self) -> ConversationStatistics:
        return ConversationStatistics(
            state=self.state,
            live=self.live,
            sitting=self._sitting(),
            readers_behind=sum(cursor.behind for cursor in self.cursors),
            run_time=None if self._run_time is None else self._run_time.statistics(),
        )

    def __repr__(self) -> str:
        return f"<ConversationActor {self._context.key} {self.state.agent_state} {self.live.phase} {self.log!r}>"


def _fail_all(batch: Sequence[Envelope[Message]], failure: Exception) -> None:
    for envelope in batch:
        envelope.fail(failure)
