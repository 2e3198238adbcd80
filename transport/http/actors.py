"""`/api/admin/actors` and `/api/admin/dead-letters`: what goes on inside, for the operator. V0 has no such routes.

What lives here: the JSON of the tree of supervision, of conversations in memory, and of what nobody took. What must
not: a message to an actor; whoever looks is noticed by nobody. Nothing shows what a command or an event holds.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import trio
from quart import Blueprint, Response

from actors.conversation.explanation import Explanation, Fact
from actors.conversation.seen import Seen, deadlines
from actors.conversation.service import Conversations
from actors.conversation.state import status_of
from actors.conversation.statistics import RunTimeStatistics
from actors.conversation.surroundings import Clock
from actors.conversation.table import Status
from actors.runtime import (
    CellStatistics,
    ChildStatistics,
    MailboxStatistics,
    RegistryStatistics,
    Residency,
    SupervisorStatistics,
    TurnStatistics,
)
from transport.http.bodies import answer, integer
from transport.http.conversations import render

__all__ = ["blueprint"]

ACTORS_LIMIT = 100
"""Who is in trouble stands first; of the others few are looked at."""

ACTORS_LIMIT_MAX = 10_000
"""As many as one process keeps in memory (README, "How fast")."""

PIECE_ACTORS = 10
"""After so many everybody else has a turn: an answer to somebody else takes some ten of them."""


def blueprint(conversations: Conversations, tree: Callable[[], SupervisorStatistics]) -> Blueprint:
    """The routes of this resource; `tree` is the root's."""
    routes, inspector = Blueprint("actors", __name__), conversations.inspector

    @routes.get("/api/admin/actors")
    async def everybody() -> Response:
        limit = min(max(integer("limit", ACTORS_LIMIT), 0), ACTORS_LIMIT_MAX)
        told, house = _Told(inspector.clock(), inspector.hidden), inspector.statistics()
        body = {
            "at": told.clock.at(told.clock.now),
            "tree": told.node(tree(), limit),
            "places": attrs.asdict(house.places),
            "alarms": {"set": house.alarms.alarms, "next": told.due(house.alarms.next_at)},
        }
        chosen, more = inspector.troubled(limit)
        actors: list[dict[str, Any]] = []
        for start in range(0, len(chosen), PIECE_ACTORS):
            actors += [told.conversation(inspector.see(one)) for one in chosen[start : start + PIECE_ACTORS]]
            await trio.lowlevel.checkpoint()
        return answer({**body, "actors": actors, "more": more})

    @routes.get("/api/admin/actors/<conversation_id>")
    async def one(conversation_id: str) -> Response:
        look = await inspector.look(conversation_id)
        told = _Told(inspector.clock(), inspector.hidden)
        body = {
            "at": told.clock.at(told.clock.now),
            "conversation": render(look.summary),
            "explanation": told.explanation(look.explanation),
        }
        status = {"status": look.summary.lifecycle["status"], "agent_state": look.summary.lifecycle["agent_state"]}
        return answer(body | {"actor": told.conversation(look.seen) | status})

    @routes.get("/api/admin/dead-letters")
    async def dead_letters() -> Response:
        told, letters = _Told(inspector.clock(), inspector.hidden), inspector.dead_letters
        kept = [
            {
                "conversation_id": letter.key,
                "reason": letter.reason,
                "message": letter.message,
                "size_bytes": letter.size_bytes,
                **told.ago(letter.at),
            }
            for letter in reversed(letters.recent())
        ]
        return answer({"counts": letters.statistics(), "kept": kept})

    return routes


@attrs.frozen
class _Told:
    """JSON of what was seen at one moment. Times are UTC, with the seconds to or from them beside."""

    clock: Clock
    hidden: Callable[[str], str]

    def ago(self, at: float) -> dict[str, Any]:
        return {"at": self.clock.at(at), "seconds_ago": _rounded(self.clock.now - at)}

    def ahead(self, at: float) -> dict[str, Any]:
        return {"at": self.clock.at(at), "in_seconds": _rounded(at - self.clock.now)}

    def since(self, at: float | None) -> dict[str, Any] | None:
        return None if at is None else self.ago(at)

    def due(self, at: float | None) -> dict[str, Any] | None:
        return None if at is None else self.ahead(at)

    # --- the tree ------------------------------------------------------------------------------------------------

    def node(self, found: Any, limit: int) -> dict[str, Any]:
        """A node of the tree, with up to `limit` of its children: the oldest."""
        match found:
            case SupervisorStatistics():
                return {
                    "kind": "supervisor",
                    "name": found.name,
                    "recent_crashes": found.recent_crashes,
                    "children": [self.child(child) for child in found.children[:limit]],
                    "more_children": max(len(found.children) - limit, 0),
                    "nodes": [self.node(below, limit) for below in found.nodes],
                }
            case RegistryStatistics():
                residency = {residency.value: count for residency, count in found.residency.items()}
                return {"kind": "registry", "name": "actors", **attrs.asdict(found), "residency": residency}
            case _:
                return {"kind": type(found).__name__}

    def child(self, found: ChildStatistics) -> dict[str, Any]:
        return {
            "name": found.name,
            "restart": found.restart.name.lower(),
            "restarts": found.restarts,
            "last_failure": self.hidden(found.last_failure),
            "started": self.ago(found.started_at),
            "retry": self.due(found.retry_at),
        }

    # --- a conversation ------------------------------------------------------------------------------------------

    def conversation(self, seen: Seen) -> dict[str, Any]:
        """Status and agent state are null where only the disk knows them."""
        state = None if seen.inside is None else seen.inside.state
        status: str | None = None if state is None else status_of(state)
        if seen.residency is Residency.FAILED:
            status = Status.ERROR
        following = next(iter(deadlines(seen)), None)
        return {
            "conversation_id": seen.conversation_id,
            "status": status,
            "agent_state": None if state is None else state.agent_state,
            "residency": seen.residency,
            "reason": self._reason(seen),
            **self._actor(seen.actor),
            **self._inside(seen),
            "disk_refuses": None if seen.disk is None else self.ago(seen.disk.since),
            "next": None if following is None else {"what": following.what, **self.ahead(following.at)},
        }

    def _reason(self, seen: Seen) -> str:
        if seen.actor is not None and seen.actor.reason:
            return seen.actor.reason
        return "" if seen.inside is None else seen.inside.state.reason

    def _actor(self, found: CellStatistics | None) -> dict[str, Any]:
        if found is None:
            nothing = dict.fromkeys(("incarnation", "since", "gives_up", "turn", "retry", "mailbox"))
            return {**nothing, "restarts": 0, "crashes": 0, "last_failure": "", "suspects": 0}
        return {
            "incarnation": found.incarnation,
            "since": self.ago(found.since),
            "gives_up": self.due(found.gives_up_at),
            "turn": self._turn(found.turn),
            "retry": self.due(found.retry_at),
            "mailbox": self._mailbox(found.mailbox),
            "restarts": found.restarts,
            "crashes": found.crashes,
            "last_failure": found.last_failure,
            "suspects": found.suspects,
        }

    def _turn(self, found: TurnStatistics | None) -> dict[str, Any] | None:
        return None if found is None else {"commands": Counter(found.commands), **self.ago(found.began_at)}

    def _mailbox(self, found: MailboxStatistics) -> dict[str, Any]:
        return {
            "control": {"messages": found.control, "oldest": self.since(found.control_oldest_at)},
            "work": {
                "messages": found.work,
                "bytes": found.work_bytes,
                "oldest": self.since(found.work_oldest_at),
            },
            "refused": found.refused,
        }

    def _inside(self, seen: Seen) -> dict[str, Any]:
        if seen.inside is None:
            return {"run_time": None, "clients": 0, "clients_behind": 0}
        return {
            "run_time": self._run_time(seen.inside.run_time, seen.live.phase),
            "clients": seen.inside.sitting.connections,
            "clients_behind": seen.inside.readers_behind,
        }

    def _run_time(self, found: RunTimeStatistics | None, phase: str) -> dict[str, Any] | None:
        if found is None:
            return None
        sandbox = None
        if found.sandbox is not None:
            sandbox = {
                "commands_started": found.sandbox.commands_started,
                "commands_running": found.sandbox.commands_running,
                "running": self.since(found.sandbox.running_since),
                "times_out": self.due(found.sandbox.times_out_at),
                "closed": found.sandbox.closed,
            }
        return {
            "phase": phase,
            "activity": found.activity,
            "since": self.ago(found.since),
            "gives_up": self.due(found.gives_up_at),
            "run": found.run,
            "sandbox": sandbox,
        }

    # --- its explanation -----------------------------------------------------------------------------------------

    def explanation(self, found: Explanation) -> dict[str, Any]:
        return {
            field.name: [self._fact(fact) for fact in getattr(found, field.name)] for field in attrs.fields(Explanation)
        }

    def _fact(self, fact: Fact) -> dict[str, Any]:
        when: Mapping[str, Any] = {}
        if fact.at is not None:
            when = self.ago(fact.at) if fact.at <= self.clock.now else self.ahead(fact.at)
        return {"code": fact.code, **when, **fact.about}


def _rounded(seconds: float) -> float:
    """To the millisecond."""
    return round(seconds, 3)
