"""From a log to the state of its conversation: the snapshot that fits, and what follows it (K18)."""

from actors.conversation.house import House
from actors.conversation.state import EMPTY, State, load_state
from actors.domain.codec import decode
from storage.event_log import EventLog, LogView
from storage.snapshot import Snapshot

__all__ = ["replay"]


async def replay(house: House, log: EventLog | LogView) -> tuple[State, int]:
    """The state after the last event, and how many events of it came from the snapshot. Raises `CorruptLog`."""
    state = _state_of(log.snapshot)
    start = state.next_id
    async for payload in log.events(start):
        state = house.apply(state, decode(payload))
    return state, start


def _state_of(snapshot: Snapshot | None) -> State:
    if snapshot is None:
        return EMPTY
    state = load_state(snapshot.document)
    return EMPTY if state is None or state.next_id != snapshot.position + 1 else state
