"""What an operator sees of conversations while they work. Nobody is asked, woken or waited for.

What lives here: looks at what lies in memory, and for a single cold conversation at the disk. What must not: a message
to an actor, or a word for people (`explanation`).
"""

import attrs
import trio

from actors.conversation.explanation import Explanation, explain
from actors.conversation.house import House, HouseStatistics
from actors.conversation.messages import Message
from actors.conversation.reader import Reader
from actors.conversation.seen import Seen
from actors.conversation.summary import Summary
from actors.conversation.surroundings import Clock
from actors.runtime import CellStatistics, DeadLetters, Registry, Residency

__all__ = ["Inspector", "Look"]


@attrs.frozen
class Look:
    """All there is to see of one conversation."""

    summary: Summary
    seen: Seen
    explanation: Explanation


class Inspector:
    """Of what `reader` reads. What failures say is shown without the secrets that events hide."""

    def __init__(self, house: House, registry: Registry[Message], reader: Reader) -> None:
        self._house = house
        self._registry = registry
        self._reader = reader

    def clock(self) -> Clock:
        """This moment, for who tells people of the times in what is seen."""
        return self._house.surroundings.clock()

    def hidden(self, text: str) -> str:
        """The text without the secrets that no event may show."""
        return self._house.masks().hide(text)

    def troubled(self, count: int) -> tuple[list[str], int]:
        """The ids of up to `count` conversations of which something is in memory, those in trouble first (see
        `Cell.trouble`) and the hibernated last; and how many there are besides. A microsecond or two for each."""
        dormant = [found for found in self._house.dormant if self._registry.peek(found) is None]
        found = [cell.key for cell in self._registry.troubled(count)]
        found += dormant[: count - len(found)]
        return found, len(self._registry) + len(dormant) - len(found)

    def see(self, conversation_id: str) -> Seen:
        """What memory has of it, with no look at the disk."""
        house, cell = self._house, self._registry.peek(conversation_id)
        holder = house.hot.get(conversation_id) or house.dormant.get(conversation_id)
        return Seen(
            conversation_id=conversation_id,
            now=trio.current_time(),
            residency=self._reader.residency(conversation_id),
            actor=None if cell is None else self._without_secrets(cell.statistics()),
            inside=None if holder is None else holder.statistics(),
            limits=house.rules.idle,
            alarm_at=house.alarms.due(conversation_id),
            disk=house.store.refusing(conversation_id),
        )

    def _without_secrets(self, found: CellStatistics) -> CellStatistics:
        return attrs.evolve(found, last_failure=self.hidden(found.last_failure)) if found.last_failure else found

    async def look(self, conversation_id: str) -> Look:
        """Raises `ConversationNotFound`."""
        self._reader.require(conversation_id)
        summary, state = await self._reader.known(conversation_id)
        seen = self.see(conversation_id)
        if summary.lifecycle["residency"] == Residency.FAILED:  # also where only the disk knows of it
            seen = attrs.evolve(seen, residency=Residency.FAILED)
        return Look(summary, seen, explain(summary, state, seen))

    @property
    def dead_letters(self) -> DeadLetters:
        return self._registry.dead_letters

    def statistics(self) -> HouseStatistics:
        return self._house.statistics()

    def __repr__(self) -> str:
        return f"<Inspector of {self._house!r}>"
