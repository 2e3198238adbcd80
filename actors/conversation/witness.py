"""What the events of one log amount to, for whoever verifies it. Pure.

What lives here: replay, event by event, with a reason where it cannot go on, and a snapshot held against it. What must
not: reading, or a second opinion on what an event means; `fold` is the only one.
"""

from collections.abc import Callable

import attrs

from actors.conversation.state import EMPTY, State, fold, load_state
from actors.domain.codec import DecodeError, decode

__all__ = ["Replayed"]


@attrs.define
class Replayed:
    """A `storage.verify.Witness`. `answers` is the agent's word on messages (see `fold`)."""

    answers: Callable[[str], bool]
    state: State = EMPTY

    @property
    def unknown_events(self) -> int:
        return self.state.unknown_events

    def objection(self, event_id: int, payload: bytes) -> str:
        """Why replay would stop here, or go astray."""
        try:
            event = decode(payload)
        except DecodeError as failure:
            return str(failure)
        if event.id != event_id:
            return f"the event says that its id is {event.id}"
        self.state = fold(self.state, event, self.answers)
        return ""

    def differs(self, document: object) -> str | None:
        """The names of the fields that differ from the state so far."""
        believed = load_state(document)
        if believed is None or believed.next_id != self.state.next_id:
            return None
        names = (field.name for field in attrs.fields(State))
        return ", ".join(name for name in names if getattr(believed, name) != getattr(self.state, name))
