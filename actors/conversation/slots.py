"""Who may hold a run-time: a bounded number of places, given up by the least recently used idle one. Pure."""

from collections import OrderedDict

import attrs

__all__ = ["Place", "Slots", "SlotsStatistics"]


@attrs.frozen
class Place:
    """Whether there is a place, and who must give up its own for that."""

    granted: bool
    victim: str | None = None


@attrs.frozen
class SlotsStatistics:
    """How many places are taken, by whom is busy and by whom may be made to go, and how many there are."""

    busy: int
    idle: int
    places_max: int


class Slots:
    """`places_max` is MAX_CONCURRENT_CONVERSATIONS. A victim that has become busy meanwhile keeps its run-time, so
    for a moment there may be more; nobody busy is ever closed for another (unlike V0)."""

    def __init__(self, places_max: int) -> None:
        self._places_max = places_max
        self._busy: set[str] = set()
        self._idle: OrderedDict[str, None] = OrderedDict()

    def reserve(self, key: str) -> Place:
        """A place for the key, which counts as busy until it is settled."""
        if key in self._busy:
            return Place(granted=True)
        if key in self._idle:
            del self._idle[key]
        elif len(self) >= self._places_max:
            if not self._idle:
                return Place(granted=False)
            victim, _ = self._idle.popitem(last=False)
            self._busy.add(key)
            return Place(granted=True, victim=victim)
        self._busy.add(key)
        return Place(granted=True)

    def settle(self, key: str, *, holds: bool, busy: bool) -> None:
        """How it is with the key after a turn; an idle one counts as used just now."""
        self._busy.discard(key)
        self._idle.pop(key, None)
        if holds and busy:
            self._busy.add(key)
        elif holds:
            self._idle[key] = None

    def statistics(self) -> SlotsStatistics:
        return SlotsStatistics(len(self._busy), len(self._idle), self._places_max)

    def __len__(self) -> int:
        return len(self._busy) + len(self._idle)

    def __repr__(self) -> str:
        return f"<Slots {len(self._busy)} busy, {len(self._idle)} idle of {self._places_max}>"
