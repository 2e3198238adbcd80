"""Why a conversation is as it is, who holds it, what it waits for, what comes next, and what an operator can do. Pure.

What lives here: the facts, each with a code, a time and the numbers and words that belong to it. What must not: a
sentence; those are for whoever tells them to people, in whichever language.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import attrs

from actors.conversation.decision import Cancelling, RunTimePhase
from actors.conversation.seen import Seen, What, deadlines
from actors.conversation.state import State
from actors.conversation.statistics import Activity, RunTimeStatistics
from actors.conversation.summary import Summary
from actors.conversation.table import Status
from actors.runtime import CellStatistics, Residency

__all__ = ["Code", "Explanation", "Fact", "explain"]


class Code(StrEnum):
    """What a fact says. `What` of `seen`, said in `next`, are codes as well."""

    # Why it is in its status.
    FAILED = "failed"  # reason, crashes, last_failure: no actor can live
    CRASHED = "crashed"  # crashes, last_failure: another one is to come
    ARCHIVED = "archived"
    AGENT = "agent"  # state, reason: what the log says of its agent
    RESIDENCY = "residency"  # residency
    # Who holds it.
    ACTOR = "actor"  # incarnation, restarts
    RUN_TIME = "run_time"  # phase, activity
    RUN = "run"  # run
    COMMAND = "command"  # commands: what runs in the sandbox
    CLIENTS = "clients"  # clients, behind
    KEPT_ALIVE = "kept_alive"
    NOBODY = "nobody"
    # What it waits for.
    DISK = "disk"  # commands: a turn awaits the log and nothing slower (K6)
    DISK_REFUSES = "disk_refuses"  # everybody: or this conversation alone
    PLACE_TO_WAKE = "place_to_wake"
    LOG = "log"
    SNAPSHOT = "snapshot"
    RESTART = "restart"
    MAILBOX = "mailbox"  # control, work, suspects
    SANDBOX_OPENING = "sandbox_opening"
    SANDBOX_CLOSING = "sandbox_closing"
    REPORT = "report"
    RUN_END = "run_end"  # why
    COMMAND_END = "command_end"
    AGENT_WORK = "agent_work"
    QUEUED = "queued"  # messages
    CONFIRMATION = "confirmation"  # action_id, reason
    ROOM = "room"
    UNANSWERED = "unanswered"  # messages
    MESSAGE = "message"
    OPERATOR = "operator"
    # What comes next, beside the deadlines.
    CLOSE_HELD_OFF = "close_held_off"  # clients
    NEVER_CLOSED = "never_closed"
    REVIVED = "revived"
    NOTHING = "nothing"
    # What can be done.
    REPAIR = "repair"
    LOOK_AT_DISK = "look_at_disk"
    START_AGAIN = "start_again"
    UNARCHIVE = "unarchive"
    DECIDE = "decide"
    STOP = "stop"
    MAKE_ROOM = "make_room"


@attrs.frozen
class Fact:
    """`at` is since when or when, in the seconds of `Seen.now`; `about` is what the comment beside the code names."""

    code: Code | What
    at: float | None = None
    about: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Explanation:
    """Each in the order in which it is worth telling."""

    because: tuple[Fact, ...]
    held_by: tuple[Fact, ...]
    waits_for: tuple[Fact, ...]
    next: tuple[Fact, ...]
    can_do: tuple[Fact, ...]


def explain(summary: Summary, state: State, seen: Seen) -> Explanation:
    """`summary` is what is told of the conversation anyway, `state` what its log says, `seen` what memory has of it."""
    return Explanation(
        because=tuple(_because(summary, seen)),
        held_by=tuple(_held_by(seen)) or (Fact(Code.NOBODY),),
        waits_for=tuple(_waits_for(state, seen)) or (_rest(summary, seen),),
        next=tuple(_next(summary, seen)),
        can_do=tuple(_can_do(summary, state, seen)),
    )


# --- why ---------------------------------------------------------------------------------------------------------


def _because(summary: Summary, seen: Seen) -> Iterator[Fact]:
    lifecycle, actor = summary.lifecycle, seen.actor
    if seen.residency is Residency.FAILED:
        yield Fact(Code.FAILED, _since(actor), {"reason": lifecycle["reason"], **_crashes(actor)})
        return
    if actor is not None and actor.retry_at is not None:
        yield Fact(Code.CRASHED, actor.since, _crashes(actor))
    if lifecycle["status"] == Status.ARCHIVED:
        yield Fact(Code.ARCHIVED)
    else:
        yield Fact(Code.AGENT, about={"state": lifecycle["agent_state"], "reason": lifecycle["reason"]})
    away = seen.residency in (Residency.COLD, Residency.HIBERNATED)
    yield Fact(Code.RESIDENCY, None if away else _since(actor), {"residency": seen.residency.value})


def _since(actor: CellStatistics | None) -> float | None:
    return None if actor is None else actor.since


def _crashes(actor: CellStatistics | None) -> dict[str, Any]:
    if actor is None:
        return {"crashes": 0, "last_failure": ""}
    return {"crashes": actor.crashes, "last_failure": actor.last_failure}


# --- who ---------------------------------------------------------------------------------------------------------


def _held_by(seen: Seen) -> Iterator[Fact]:
    actor, inside = seen.actor, seen.inside
    if actor is not None and actor.residency in (Residency.ACTIVATING, Residency.HOT, Residency.PASSIVATING):
        yield Fact(Code.ACTOR, actor.since, {"incarnation": actor.incarnation, "restarts": actor.restarts})
    if inside is None:
        return
    run_time = inside.run_time
    if run_time is not None and inside.live.phase is not RunTimePhase.CLOSED:
        told = {"phase": inside.live.phase.value, "activity": run_time.activity.value}
        yield Fact(Code.RUN_TIME, run_time.since, told)
        yield from _under_way(run_time)
    if inside.sitting.connections:
        yield Fact(Code.CLIENTS, about={"clients": inside.sitting.connections, "behind": inside.readers_behind})
    if inside.sitting.keep_until > seen.now:
        yield Fact(Code.KEPT_ALIVE, inside.sitting.keep_until)


def _under_way(run_time: RunTimeStatistics) -> Iterator[Fact]:
    if run_time.run is not None:
        since = run_time.since if run_time.activity is Activity.RUNNING else None
        yield Fact(Code.RUN, since, {"run": run_time.run})
    if run_time.sandbox is not None and run_time.sandbox.commands_running:
        yield Fact(Code.COMMAND, run_time.sandbox.running_since, {"commands": run_time.sandbox.commands_running})


# --- for what ----------------------------------------------------------------------------------------------------


def _waits_for(state: State, seen: Seen) -> Iterator[Fact]:
    if seen.actor is not None:
        yield from _actor_waits_for(seen.actor)
    if seen.disk is not None:
        yield Fact(Code.DISK_REFUSES, seen.disk.since, {"everybody": seen.disk.everybody})
    if seen.inside is not None:
        if seen.inside.run_time is not None:
            yield from _run_time_waits_for(seen.inside.run_time, seen.live.cancelling)
        if _lacks_room(state, seen):
            yield Fact(Code.ROOM)
    if state.pending is not None:
        told = {"action_id": state.pending.action_id, "reason": state.pending.reason}
        yield Fact(Code.CONFIRMATION, about=told)
    if state.unanswered:
        is_live = seen.inside is not None and seen.inside.sitting.busy
        yield Fact(Code.QUEUED if is_live else Code.UNANSWERED, about={"messages": len(state.unanswered)})


def _lacks_room(state: State, seen: Seen) -> bool:
    return seen.live.phase is RunTimePhase.CLOSED and not (seen.live.room or state.archived)


def _actor_waits_for(actor: CellStatistics) -> Iterator[Fact]:
    if actor.retry_at is not None:
        yield Fact(Code.RESTART, actor.retry_at)
    if actor.turn is not None:
        yield Fact(Code.DISK, actor.turn.began_at, {"commands": dict(Counter(actor.turn.commands))})
    if actor.residency is Residency.ACTIVATING:
        yield Fact(Code.PLACE_TO_WAKE if actor.gives_up_at is None else Code.LOG, actor.since)
    if actor.residency is Residency.PASSIVATING:
        yield Fact(Code.SNAPSHOT, actor.since)
    box = actor.mailbox
    if box.control or box.work or actor.suspects:
        oldest = min((at for at in (box.control_oldest_at, box.work_oldest_at) if at is not None), default=None)
        yield Fact(Code.MAILBOX, oldest, {"control": box.control, "work": box.work, "suspects": actor.suspects})


def _run_time_waits_for(run_time: RunTimeStatistics, cancelling: Cancelling) -> Iterator[Fact]:
    match run_time.activity:
        case Activity.OPENING:
            yield Fact(Code.SANDBOX_OPENING, run_time.since)
        case Activity.CLOSING:
            yield Fact(Code.SANDBOX_CLOSING, run_time.since)
        case Activity.REPORTING:
            yield Fact(Code.REPORT, run_time.since)
        case Activity.RUNNING if cancelling is not Cancelling.NOT:
            yield Fact(Code.RUN_END, about={"why": cancelling.value})
        case Activity.RUNNING if run_time.sandbox is not None and run_time.sandbox.commands_running:
            yield Fact(Code.COMMAND_END, run_time.sandbox.running_since)
        case Activity.RUNNING:
            yield Fact(Code.AGENT_WORK, run_time.since)
        case Activity.RESTING:
            return


def _rest(summary: Summary, seen: Seen) -> Fact:
    """What it waits for when nothing is under way."""
    is_shut = seen.residency is Residency.FAILED or summary.lifecycle["status"] == Status.ARCHIVED
    return Fact(Code.OPERATOR if is_shut else Code.MESSAGE)


# --- what then ---------------------------------------------------------------------------------------------------


def _next(summary: Summary, seen: Seen) -> Iterator[Fact]:
    found = deadlines(seen)
    yield from (Fact(deadline.what, deadline.at) for deadline in found)
    if seen.residency is Residency.FAILED:
        yield Fact(Code.NOTHING)
    elif seen.residency is Residency.COLD and not found:
        is_archived = summary.lifecycle["status"] == Status.ARCHIVED
        yield Fact(Code.NOTHING if is_archived else Code.REVIVED)
    elif seen.live.phase is RunTimePhase.OPEN and not any(deadline.what is What.CLOSE for deadline in found):
        yield from _why_not_closed(seen)


def _why_not_closed(seen: Seen) -> Iterator[Fact]:
    if seen.inside is None or seen.inside.sitting.busy:
        return
    if seen.limits.close_delay_seconds == 0:
        yield Fact(Code.NEVER_CLOSED)
    elif seen.inside.sitting.connections:
        yield Fact(Code.CLOSE_HELD_OFF, about={"clients": seen.inside.sitting.connections})


# --- what can be done --------------------------------------------------------------------------------------------

_REMEDIES = {"log_corrupt": Code.REPAIR, "storage_failing": Code.LOOK_AT_DISK}
"""For who has failed; whatever else it was, a start tries again."""


def _can_do(summary: Summary, state: State, seen: Seen) -> Iterator[Fact]:
    lifecycle = summary.lifecycle
    if seen.residency is Residency.FAILED:
        remedy = _REMEDIES.get(lifecycle["reason"])
        if remedy is not None:
            yield Fact(remedy)
        if remedy is not Code.REPAIR:
            yield Fact(Code.START_AGAIN)
        return
    if seen.disk is not None:
        yield Fact(Code.LOOK_AT_DISK)
    if lifecycle["status"] == Status.ARCHIVED:
        yield Fact(Code.UNARCHIVE)
    elif lifecycle["status"] == Status.ERROR:
        yield Fact(Code.START_AGAIN)
    elif lifecycle["status"] == Status.RUNNING:
        yield Fact(Code.STOP)
    if state.pending is not None:
        yield Fact(Code.DECIDE)
    if _lacks_room(state, seen):
        yield Fact(Code.MAKE_ROOM)
