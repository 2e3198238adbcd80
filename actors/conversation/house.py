"""What all conversations of a server share, and what stays of one whose actor has left memory.

What lives here: `House`, handed to every actor, and `Dormant`, which keeps the run-time and the clients of a
hibernated conversation (K22). What must not: a decision, or a way to the outside.
"""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import structlog
import trio

from actors.agent.port import Agent
from actors.conversation.cursor import Cursor
from actors.conversation.decision import Live, RunTimePhase
from actors.conversation.idle import IdleLimits, Sitting, close_at
from actors.conversation.run_time import MakeSandbox, RunTime
from actors.conversation.slots import Slots, SlotsStatistics
from actors.conversation.state import State, fold
from actors.conversation.statistics import ConversationStatistics
from actors.conversation.surroundings import Surroundings
from actors.domain import events as e
from actors.domain.commands import BusyPolicy, Shut, Why
from actors.domain.masks import Masks, mask
from actors.runtime import ActorError, Alarms, AlarmsStatistics, Lane, Ref, Supervisor
from actors.security.policy import Judge
from storage.histogram import Histogram
from storage.store import Store

if TYPE_CHECKING:
    from actors.conversation.actor import ConversationActor

__all__ = ["LOG_CORRUPT", "STOP_DEADLINE_SECONDS", "Dormant", "House", "HouseStatistics", "Rules"]

logger = structlog.get_logger(__name__)

STOP_DEADLINE_SECONDS = 5.0
"""A run-time is closed within this (semantics, seams: POST stop)."""

LOG_CORRUPT = "log_corrupt"
"""The reason of a conversation that has failed since its log is damaged (K16)."""

T = TypeVar("T")


@attrs.frozen
class Rules:
    """How the operator wants conversations to behave. `judge` tells, whenever it is asked, who
    rules on what agents want to do.

    `run_times_max` is MAX_CONCURRENT_CONVERSATIONS; `start_deadline_seconds` is how long a run-time may take to open.
    """

    idle: IdleLimits = attrs.field(factory=IdleLimits)
    run_times_max: int = 1000
    start_deadline_seconds: float = 60.0
    busy: BusyPolicy = BusyPolicy.ENQUEUE
    judge: Callable[[], Judge] = Judge


@attrs.frozen(repr=False)
class Dormant:
    """A hibernated conversation: no actor, but a run-time, its clients and its clock. Nobody writes its log meanwhile,
    so that `state` stays true."""

    state: State
    live: Live
    run_time: RunTime
    cursors: dict[Cursor, None]
    active_at: float
    keep_until: float

    @property
    def sitting(self) -> Sitting:
        """Only who is not busy hibernates."""
        is_open = self.live.phase is RunTimePhase.OPEN
        return Sitting(self.active_at, self.keep_until, len(self.cursors), busy=False, open=is_open)

    def statistics(self) -> ConversationStatistics:
        behind = sum(cursor.behind for cursor in self.cursors)
        return ConversationStatistics(self.state, self.live, self.sitting, behind, self.run_time.statistics())

    def __repr__(self) -> str:
        return f"<Dormant {self.live.phase} {len(self.cursors)} clients {self.run_time!r}>"


@attrs.frozen
class HouseStatistics:
    """Who is in memory, who is out of it and keeps a run-time or clients, who has a place, and what rings when."""

    hot: int
    dormant: int
    places: SlotsStatistics
    alarms: AlarmsStatistics


@attrs.define(repr=False)
class House:
    """`hot` shows the living actors to whoever only wants to look, `dormant` what the hibernated ones left."""

    store: Store
    agent: Agent
    make_sandbox: MakeSandbox
    run_times: Supervisor
    scratch: Path
    surroundings: Surroundings
    ref: Callable[[str], Ref[Any]]
    rules: Rules
    slots: Slots
    masks: Callable[[], Masks]
    alarms: Alarms = attrs.field(factory=Alarms)
    replay_times: Histogram = attrs.field(factory=Histogram)
    hot: dict[str, "ConversationActor"] = attrs.field(factory=dict)
    dormant: dict[str, Dormant] = attrs.field(factory=dict)

    def workspace(self, conversation_id: str) -> Path:
        folder = self.store.workspace(conversation_id) or self.scratch / conversation_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def without_secrets(self, value: T) -> T:
        """A command or body as it may become an event, live or on disk: whatever comes in passes here first (D41)."""
        return mask(self.masks(), value)

    def apply(self, state: State, event: e.Event) -> State:
        """One event further, with the agent's word on whether it answers a message."""
        return fold(state, event, self.agent.answers)

    def reserve_place(self, conversation_id: str) -> bool:
        """Whether a run-time may be opened for it; the place is its own until it is settled. Whoever has to give
        up its place for that is told."""
        place = self.slots.reserve(conversation_id)
        if place.victim is not None and not self._tell_to_go(place.victim):
            self.slots.settle(conversation_id, holds=False, busy=False)
            return False
        return place.granted

    def _tell_to_go(self, victim: str) -> bool:
        try:
            self.ref(victim).tell(Shut(Why.ROOM), lane=Lane.CONTROL)
        except ActorError as failure:
            # Whose mailbox is full is not idle: it keeps its place, and its next turn says how it is with it.
            logger.info("place_kept", conversation_id=victim, error=str(failure))
            self.slots.settle(victim, holds=True, busy=True)
            return False
        return True

    def leave_dormant(self, conversation_id: str, cursor: Cursor) -> None:
        """A client of a hibernated conversation is gone; it may be time to close it then."""
        dormant = self.dormant.get(conversation_id)
        if dormant is not None:
            dormant.cursors.pop(cursor, None)
            if not dormant.cursors and dormant.live.phase is RunTimePhase.CLOSED:
                del self.dormant[conversation_id]
            self.alarms.set(conversation_id, max(close_at(self.rules.idle, dormant.sitting), trio.current_time()))

    def met_damage(self, conversation_id: str) -> None:
        """A reader has met damage in its log: whoever lives there looks at once, and ends (K16)."""
        self.alarms.set(conversation_id, trio.current_time())

    def live(self, conversation_id: str) -> Live:
        """What is true of the conversation in this process, whether its actor is in memory or not."""
        holder = self.hot.get(conversation_id) or self.dormant.get(conversation_id)
        return Live() if holder is None else holder.live

    def cursors(self, conversation_id: str) -> Collection[Cursor]:
        """The clients that are connected to it."""
        holder = self.hot.get(conversation_id) or self.dormant.get(conversation_id)
        return () if holder is None else holder.cursors

    def statistics(self) -> HouseStatistics:
        return HouseStatistics(len(self.hot), len(self.dormant), self.slots.statistics(), self.alarms.statistics())

    def __repr__(self) -> str:
        return f"<House {len(self.hot)} hot, {len(self.dormant)} dormant, {self.slots!r} {self.alarms!r}>"
