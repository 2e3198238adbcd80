"""What a repair of a log takes from its conversation, and what is written in its place (K16).

What lives here: the plan that an operator is shown, with the kinds and times of what would go, and the events that say
what was done. What must not: the steps (`storage.repair`), or when they may be taken.
"""

from collections import Counter
from datetime import datetime
from typing import Any

import attrs
import orjson

from actors.conversation.state import State, load_state
from actors.domain import events as e
from actors.domain.codec import DecodeError, encode, kind_of
from storage.disk import Disk
from storage.errors import Unreadable
from storage.repair import Cut, examine
from storage.repair import repair as cut_before_damage
from storage.walk import Located

__all__ = ["LISTED_MAX", "RepairPlan", "make_plan", "mend"]

LISTED_MAX = 20
"""So many of the lost events are listed one by one; who wants to see all of them reads the damaged file."""


@attrs.frozen
class LostEvent:
    """One that is whole and would go."""

    id: int
    kind: str
    timestamp: str
    size_bytes: int


@attrs.define
class Loss:
    """All that are whole and would go; times are as texts, the earliest and the latest."""

    events: int = 0
    size_bytes: int = 0
    kinds: Counter[str] = attrs.field(factory=Counter)
    first_timestamp: str = ""
    last_timestamp: str = ""
    listed: list[LostEvent] = attrs.field(factory=list)

    def add(self, located: Located) -> None:
        kind, timestamp = _look_at(located.record.event)
        lost = LostEvent(located.record.id, kind, timestamp, located.end - located.offset)
        self.events += 1
        self.size_bytes += lost.size_bytes
        self.kinds[kind] += 1
        self.first_timestamp = min(self.first_timestamp or timestamp, timestamp)
        self.last_timestamp = max(self.last_timestamp, timestamp)
        if len(self.listed) < LISTED_MAX:
            self.listed.append(lost)


def _look_at(payload: bytes) -> tuple[str, str]:
    """Kind and time, as far as there are any: what is damaged is not chosen by its form."""
    try:
        _, kind = kind_of(payload)
    except DecodeError:
        return "", ""
    timestamp = orjson.loads(payload).get("timestamp")
    return kind, timestamp if isinstance(timestamp, str) else ""


@attrs.frozen
class RepairPlan:
    """What is to be cut, and what goes with it."""

    cut: Cut
    loss: Loss

    def told(self) -> dict[str, Any]:
        """As JSON values: the plan's form in every interface."""
        cut = self.cut
        lost_events = None if cut.lost_until is None else cut.lost_until - cut.keep_events + 1
        return {
            "conversation_id": cut.conversation_id,
            "code": cut.code.value,
            "why": cut.place.why,
            "event_id": cut.place.event_id,
            "offset": cut.place.offset,
            "keep_events": cut.keep_events,
            "keep_bytes": cut.keep_bytes,
            "cut_bytes": cut.cut_bytes,
            "lost_events": lost_events,
            "acknowledged": cut.acknowledged,
            "quarantine": cut.quarantine,
            "readable": attrs.asdict(self.loss),
        }


def make_plan(disk: Disk, conversation_id: str) -> RepairPlan:
    """Changes nothing. Raises `NothingToRepair`, `Unreadable`."""
    loss = Loss()
    try:
        cut = examine(disk, conversation_id, loss.add)
    except OSError as failure:
        raise Unreadable(f"the log of {conversation_id} could not be read: {failure}") from failure
    return RepairPlan(cut, loss)


def mend(disk: Disk, plan: RepairPlan, now: str) -> list[bytes]:
    """Do what was planned; `now` is the time of the events that say so, which are returned. The caller sees to it that
    the log is nobody else's meanwhile.

    Raises `StorageError`: then the log is as it was, or mended.
    """
    events = _events(plan.cut, now)
    cut_before_damage(disk, plan.cut, events)
    return events


def _events(cut: Cut, now: str) -> list[bytes]:
    remembered = load_state(cut.snapshot.document) if cut.snapshot is not None else None
    said: list[tuple[str, e.Body]] = [(now, _repaired(cut, remembered, now))]
    if cut.keep_events == 0:
        # Every log begins with it; what state.json still knows of it is saved.
        said.insert(0, _created(remembered, now))
    return [
        encode(e.Event(number, timestamp, e.Source.ENVIRONMENT, body))
        for number, (timestamp, body) in enumerate(said, cut.keep_events)
    ]


def _repaired(cut: Cut, remembered: State | None, now: str) -> e.LogRepaired:
    """Repairs may have gone with the rest, and with them what the stream epoch was: only a clock is ahead of them all.

    In milliseconds: no two repairs of a log are done within one.
    """
    counted = 0 if remembered is None else remembered.stream_epoch + 1
    milliseconds = int(datetime.fromisoformat(now).timestamp() * 1000)
    stream_epoch_min = max(milliseconds, counted) if cut.acknowledged else 0
    return e.LogRepaired(cut.keep_events, cut.cut_bytes, cut.quarantine, cut.acknowledged, stream_epoch_min)


def _created(remembered: State | None, now: str) -> tuple[str, e.Body]:
    if remembered is None:
        return now, e.ConversationCreated()
    created = e.ConversationCreated(
        trigger=remembered.trigger,
        title=remembered.title,
        selected_repository=remembered.selected_repository,
        selected_branch=remembered.selected_branch,
        git_provider=remembered.git_provider,
    )
    return remembered.created_at or now, created
