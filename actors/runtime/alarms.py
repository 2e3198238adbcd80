"""One alarm a key, for deadlines of many actors: setting and ringing cost O(log n), and waiting is one task's."""

import heapq

import attrs
import trio

__all__ = ["Alarms", "AlarmsStatistics"]

STALE_MAX = 64
"""So many overwritten alarms may lie in the heap, and as many again as there are live ones, before it is built anew."""


@attrs.frozen
class AlarmsStatistics:
    """How many alarms are set, and when the first of them rings: in `trio.current_time()` seconds, None without one."""

    alarms: int
    next_at: float | None


class Alarms:
    """Times are in `trio.current_time()` seconds."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._earlier = trio.lowlevel.ParkingLot()

    def set(self, key: str, at: float) -> None:
        """Have the key's alarm ring at this time instead of any other; infinity is never."""
        if at == float("inf"):
            self._due.pop(key, None)
            return
        self._due[key] = at
        heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 2 * len(self._due) + STALE_MAX:
            self._heap = [(due, name) for name, due in self._due.items()]
            heapq.heapify(self._heap)
        if self._heap[0] == (at, key):
            self._earlier.unpark_all()

    def due(self, key: str) -> float | None:
        """When the key's alarm rings; None when none is set."""
        return self._due.get(key)

    async def wait_due(self) -> str:
        """The next key whose time has come; its alarm is off then. For one task."""
        await trio.lowlevel.checkpoint()
        while True:
            while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
                heapq.heappop(self._heap)
            at, key = self._heap[0] if self._heap else (float("inf"), "")
            if at <= trio.current_time():
                heapq.heappop(self._heap)
                del self._due[key]
                return key
            with trio.move_on_at(at):
                await self._earlier.park()

    def __len__(self) -> int:
        return len(self._due)

    def statistics(self) -> AlarmsStatistics:
        first = min(self._due.values(), default=None)
        return AlarmsStatistics(len(self._due), first)

    def __repr__(self) -> str:
        return f"<Alarms {len(self._due)} set>"
