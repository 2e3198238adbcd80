"""The actor of one conversation: a thin shell around `decide` and `apply`.

A turn decides command after command on a provisional state, appends the events of all of them as one write, and only
then adopts the state, answers, tells the cursors and starts the effects (K6, K8).
"""

from collections.abc import Sequence
from typing import assert_never

import attrs
import structlog
import trio

from actors.conversation import decision as d
from actors.conversation.audience import greet, publish, tell
from actors.conversation.cursor import Cursor
from actors.conversation.deciding import Deciding
from actors.conversation.draft import Draft, ends_draft
from actors.conversation.house import LOG_CORRUPT, Dormant, House
from actors.conversation.idle import Idleness, Sitting, Verdict
from actors.conversation.keys import Receipt
from actors.conversation.messages import Message, Subscribe, Unsubscribe
from actors.conversation.replay import replay
from actors.conversation.run_time import RunTime
from actors.conversation.state import EMPTY, dump_state, shown_title
from actors.conversation.statistics import ConversationStatistics
from actors.conversation.step import Step
from actors.domain import commands as c
from actors.domain import events as e
from actors.domain import notices
from actors.domain.codec import decode
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
        self._draft: Draft | None = None
        self._closing: list[tuple[Envelope[Message], Receipt]] = []
        self._snapshot_at = 0
        self._idleness = Idleness(house.rules.idle, trio.current_time())
        self._leaves = False
        self._left_in_peace = False
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
            self._idleness.active_at, self._idleness.keep_until = dormant.active_at, dormant.keep_until

    def _make_run_time(self) -> RunTime:
        key = self._context.key
        return RunTime(
            ref=self._house.ref(key),
            agent=self._house.agent,
            make_sandbox=self._house.make_sandbox,
            judge=self._house.rules.judge,
            workspace=self._house.workspace(key),
            node=self._house.run_times,
            start_deadline_seconds=self._house.rules.start_deadline_seconds,
        )

    async def passivate(self) -> None:
        self._left_in_peace = True
        await self._save_snapshot()
        if self.log is not None:
            await self.log.close()
        told = "actor_hibernated" if self._idleness.hibernates else "actor_passivated"
        logger.info(told, conversation_id=self._context.key, incarnation=self._context.incarnation)

    def abandon(self) -> None:
        key = self._context.key
        if self._house.hot.get(key) is self:
            del self._house.hot[key]
        self._answer_closing()
        leaves_something = self.cursors or self.live.phase is d.RunTimePhase.OPEN
        # Who crashed in the turn that would have hibernated hands nothing over: what the log has may be more than what
        # its clients were shown (K15, K31).
        hibernates = self._left_in_peace and self._idleness.hibernates
        if hibernates and leaves_something and self._run_time is not None:
            self._house.dormant[key] = Dormant(
                self.state,
                self.live,
                self._run_time,
                self.cursors,
                self._idleness.active_at,
                self._idleness.keep_until,
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
        decided = self._decide_all(batch)
        steps = decided.steps
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
        first_id, self.state, self.live = self.state.next_id, decided.state, decided.live
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

    def _decide_all(self, batch: Sequence[Envelope[Message]]) -> Deciding:
        deciding = Deciding(self._house, self._context.key, self.state, self.live, self._look_at_clock)
        deciding.take(batch)
        return deciding

    def _settle_place(self) -> None:
        if self._recovering:
            return  # whoever creates a conversation has reserved its place before there was an actor
        holds = self.live.phase is not d.RunTimePhase.CLOSED
        self._house.slots.settle(self._context.key, holds=holds, busy=d.is_busy(self.state, self.live))

    # --- idleness ------------------------------------------------------------------------------------------------

    def _sitting(self) -> Sitting:
        return self._idleness.sitting(
            connections=len(self.cursors),
            busy=d.is_busy(self.state, self.live),
            is_open=self.live.phase is d.RunTimePhase.OPEN,
        )

    def _look_at_clock(self) -> c.Command | None:
        verdict = self._idleness.look(self._sitting(), trio.current_time())
        return c.Shut(c.Why.TIMEOUT) if verdict is Verdict.CLOSE else None

    def _settle(self, steps: Sequence[Step]) -> None:
        """After a turn: the clock, the place, and whether to leave memory."""
        now = trio.current_time()
        if any(step.is_activity for step in steps):
            self._idleness.active_at = now
        self._settle_place()
        alarm_at = self._idleness.settle(self._sitting(), now)
        if self._leaves and self.live.phase is d.RunTimePhase.CLOSED:
            self._leave()
        else:
            self._house.alarms.set(self._context.key, alarm_at)
            if self._idleness.hibernates:
                self._context.passivate()
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
                    self._idleness.active_at = trio.current_time()
                step.envelope.succeed(self.log)
            case Unsubscribe(cursor):
                self.cursors.pop(cursor, None)
                step.envelope.succeed()
            case c.KeepAlive(seconds) if step.answer is None:
                self._idleness.keep_until = trio.current_time() + seconds
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
        if not cursor.left:
            self.cursors[cursor] = None
            greet(cursor, self.live.phase)

    def _publish(self, first_id: int, steps: Sequence[Step]) -> None:
        publish(self.cursors, first_id, steps)
        if self._draft is not None and any(ends_draft(step.events) for step in steps):
            self._draft = None

    def _show_draft(self, run: int, text: str) -> None:
        """What a run that is not over goes on to write (K29, K34)."""
        if self.state.run != run:
            return
        if self._draft is None or self._draft.run != run:
            self._draft = Draft(run, self.state.next_id - 1)
        self._draft.write(text, self._house.masks())
        for cursor in tuple(self.cursors):
            cursor.show(self._draft)

    def _perform(self, effect: d.Effect) -> None:
        assert self._run_time is not None  # noqa: S101 - activation comes first
        match effect:
            case d.OpenRunTime():
                self._run_time.open()
            case d.StartRun():
                self._run_time.start_run(effect, self._read_message, self._show_draft)
            case d.CancelRun():
                self._run_time.cancel_run()
            case d.CloseRunTime():
                self._run_time.close()
            case d.Leave():
                self._leaves = True
            case d.Notify(notice):
                tell(self.cursors, notice)
            case d.NotifyTitle(title):
                key = self._context.key
                tell(self.cursors, notices.title_changed(key, shown_title(key, title)))
            case _:
                assert_never(effect)

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
