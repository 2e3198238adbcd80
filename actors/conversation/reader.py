"""What is seen of conversations from outside: listings, histories, numbers. Nothing here wakes anybody.

What lives here: questions, answered from the living actor where there is one and else from the disk. What must not: a
command.
"""

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from typing import TypeAlias, TypeVar

import attrs
import trio

from actors.agent.microagents import Microagent
from actors.conversation.house import LOG_CORRUPT, House
from actors.conversation.messages import Message
from actors.conversation.microagents import load_microagents
from actors.conversation.replay import replay
from actors.conversation.state import State
from actors.conversation.statistics import Statistics
from actors.conversation.summary import Place, Summary, summarise
from actors.runtime import Registry, Residency
from storage.errors import ConversationNotFound, CorruptLog, StorageError
from storage.event_log import EventLog, LogView

__all__ = ["Page", "Reader"]

T = TypeVar("T")

Log: TypeAlias = EventLog | LogView

PIECE_EVENTS = 200
"""How many events a filtered listing looks at in one go."""

PAGE_BYTES_MAX = 16 * 1024 * 1024
"""Of events in one page, which is made in memory: with what goes beyond it a page ends, however many were asked for.
More than three of the largest messages; a page of ordinary ones has a hundredth of it."""


@attrs.frozen
class Page:
    """Events as they lie on disk, and whether there are more. `damaged_at` is the id of the record that cannot be read,
    when there is one: nothing behind it is shown (K16)."""

    events: list[bytes]
    more: bool
    damaged_at: int | None = None


class Reader:
    """`require` and what is said to raise `ConversationNotFound` do so for unknown ids."""

    def __init__(self, house: House, registry: Registry[Message]) -> None:
        self._house = house
        self._registry = registry
        # Being deleted or repaired: no command reaches them, and this is what whoever tries is told.
        self._out_of_reach: dict[str, StorageError] = {}

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
    ) -> Page:
        """Up to `limit` events with ids in [start, stop). Brings nothing to life."""
        read = partial(_page, start=max(start, 0), stop=stop, reverse=reverse, limit=limit, accepts=accepts)
        return await self._read(conversation_id, read)

    def require(self, conversation_id: str) -> None:
        """That there is such a conversation, and commands reach it; brings nothing to life. Raises `LogClosed` too."""
        if not self._house.store.exists(conversation_id):
            raise ConversationNotFound(conversation_id)
        if conversation_id in self._out_of_reach:
            raise self._out_of_reach[conversation_id].with_traceback(None)

    async def microagents(self, conversation_id: str) -> tuple[Microagent, ...]:
        """What its workspace instructs agents with. Brings nothing to life."""
        self.require(conversation_id)
        return await load_microagents(self._house.workspace(conversation_id), conversation_id)

    async def history(self, conversation_id: str) -> AsyncGenerator[list[bytes]]:
        """Every event there is now, in pieces that are read as they are asked for. Brings nothing to life."""
        return self._pieces(conversation_id, await self._readable(conversation_id))

    async def _pieces(self, conversation_id: str, log: Log) -> AsyncGenerator[list[bytes]]:
        """Raises `CorruptLog` where it cannot go on."""
        start, end = 0, log.next_id
        try:
            while start < end:
                piece = await log.read(start, end)
                yield piece
                start += len(piece)
        except CorruptLog:
            self._house.met_damage(conversation_id)
            raise
        if log.damage is not None:
            raise log.damage

    async def _read(self, conversation_id: str, read: Callable[[Log], Awaitable[T]]) -> T:
        """What there is to read, up to the damage where that is met; the conversation is ended then (K16)."""
        try:
            return await read(await self._readable(conversation_id))
        except CorruptLog:
            self._house.met_damage(conversation_id)
        return await read(await self._house.store.view_to_damage(conversation_id))

    async def _readable(self, conversation_id: str) -> Log:
        actor = self._house.hot.get(conversation_id)
        if actor is not None and actor.log is not None:
            return actor.log
        return await self._house.store.view(conversation_id)

    async def _known_summary(self, conversation_id: str) -> Summary:
        summary, _ = await self.known(conversation_id)
        return summary

    async def known(self, conversation_id: str) -> tuple[Summary, State]:
        """What there is to tell of it, and the state behind that; brings nothing to life."""
        actor = self._house.hot.get(conversation_id)
        if actor is not None:
            return self._summary(conversation_id, actor.state, ""), actor.state
        state, is_damaged = await self._read(conversation_id, self._replay)
        cell = self._registry.peek(conversation_id)
        reason = "" if cell is None else cell.reason
        return self._summary(conversation_id, state, reason or (LOG_CORRUPT if is_damaged else "")), state

    async def _replay(self, log: Log) -> tuple[State, bool]:
        state, _ = await replay(self._house, log)
        return state, log.damage is not None

    def _summary(self, conversation_id: str, state: State, failure: str) -> Summary:
        live, connections = self._house.live(conversation_id), len(self._house.cursors(conversation_id))
        residency = Residency.FAILED if failure else self.residency(conversation_id)
        retry_at, power_cuts = self._retry_at(conversation_id), self._house.store.power_cuts
        return summarise(conversation_id, state, Place(live, residency, connections, failure, retry_at, power_cuts))

    def _retry_at(self, conversation_id: str) -> str | None:
        cell = self._registry.peek(conversation_id)
        if cell is None or cell.retry_at is None:
            return None
        return self._house.surroundings.clock().at(cell.retry_at)

    def residency(self, conversation_id: str) -> Residency:
        """Where it lives now, as far as memory knows: who cannot live may not have been found out yet."""
        if conversation_id in self._house.dormant:
            return Residency.HIBERNATED
        cell = self._registry.peek(conversation_id)
        return Residency.COLD if cell is None else cell.residency

    def statistics(self) -> Statistics:
        """A look at everything that is in memory; costs some microseconds for each of it."""
        registry, house = self._registry.statistics(), self._house
        hibernated = len(house.dormant)
        cold = len(house.store.catalogue) - sum(registry.residency.values()) - hibernated
        cursors = [cursor for actor in house.hot.values() for cursor in actor.cursors]
        cursors += [cursor for dormant in house.dormant.values() for cursor in dormant.cursors]
        return Statistics(
            residency={**registry.residency, Residency.HIBERNATED: hibernated, Residency.COLD: max(cold, 0)},
            run_times=len(house.slots),
            readers=len(cursors),
            readers_behind=sum(cursor.behind for cursor in cursors),
            registry=registry,
            appends=house.store.append_times,
            syncs=house.store.sync_times,
            replays=house.replay_times,
            storage_degraded=house.store.health.degraded,
            files_ailing=house.store.health.statistics()["files_ailing"],
            owed_seconds=house.store.owed_seconds,
        )


async def _page(
    log: Log, *, start: int, stop: int | None, reverse: bool, limit: int, accepts: Callable[[bytes], bool] | None
) -> Page:
    end = log.next_id if stop is None else min(stop, log.next_id)
    # Without a filter one event more than the page is enough to know that there are more.
    piece_events = PIECE_EVENTS if accepts is not None else limit + 1
    found: list[bytes] = []
    found_bytes = 0
    while start < end and len(found) <= limit and found_bytes <= PAGE_BYTES_MAX:
        piece = await _piece(log, start, end, piece_events, reverse=reverse)
        accepted = [payload for payload in piece if accepts is None or accepts(payload)]
        found += accepted
        found_bytes += sum(map(len, accepted))
        if reverse:
            end -= len(piece)
        else:
            start += len(piece)
    has_more = len(found) > limit or (found_bytes > PAGE_BYTES_MAX and start < end)
    return Page(found[:limit], has_more, log.damage.event_id if log.damage is not None else None)


async def _piece(log: Log, start: int, stop: int, count: int, *, reverse: bool) -> list[bytes]:
    """Up to `count` of the events [start, stop), at least one: from the first on, or from the last on backwards."""
    if not reverse:
        return await log.read(start, min(stop, start + count))
    at = max(start, stop - count)
    piece: deque[bytes] = deque()
    piece_bytes = 0
    while at < stop:
        read = await log.read(at, stop)
        at += len(read)
        piece.extend(read)
        piece_bytes += sum(map(len, read))
        while piece_bytes > PAGE_BYTES_MAX and len(piece) > 1:
            piece_bytes -= len(piece.popleft())
    return list(reversed(piece))
