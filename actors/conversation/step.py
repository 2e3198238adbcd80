"""One command in a turn: what was decided about it, and what it is answered with. Pure.

What lives here: `Step`, and how drafts become events. What must not: the turn, which performs (`actor`).
"""

from collections.abc import Sequence

import attrs

from actors.conversation.decision import Draft, Effect, Live
from actors.conversation.keys import Receipt
from actors.conversation.messages import Message, without_terms
from actors.conversation.state import State
from actors.conversation.summary import shown_status
from actors.conversation.terms import hold
from actors.domain import commands as c
from actors.domain import events as e
from actors.runtime import Envelope

__all__ = ["Step", "may_open", "stamp"]

_ACTIVITY = (c.KeepAlive, c.Start, c.Resume)
"""What counts as activity though it may append nothing (K21)."""


@attrs.frozen
class Step:
    """A command that was decided: its events, as types and as bytes, and what follows; or why nothing does.

    A refusal waits for the batch like any other answer (K8): what it was decided on may be an event in front of it.
    """

    envelope: Envelope[Message]
    at: str
    events: tuple[e.Event, ...] = ()
    payloads: tuple[bytes, ...] = ()
    effects: tuple[Effect, ...] = ()
    replayed: Receipt | None = None
    refusal: Exception | None = None

    @property
    def message(self) -> Message:
        """Without the terms that it came on."""
        return without_terms(self.envelope.message)

    @property
    def is_activity(self) -> bool:
        """K21. Neither a refusal nor an answer from the log is."""
        had_effect = self.replayed is None and self.refusal is None
        return bool(self.events) or (had_effect and isinstance(self.message, _ACTIVITY))

    def receipt(self, state: State, live: Live) -> Receipt:
        """What a client is answered; `state` and `live` are those after the turn."""
        if self.replayed is not None:
            return self.replayed
        last = self.events[-1].body if self.events else None
        if isinstance(last, e.KeyUsed):
            return Receipt(last.event_id, last.status, self.at)
        return Receipt(self.events[0].id if self.events else None, shown_status(state, live), self.at)


def stamp(drafts: Sequence[Draft], first_id: int, now: str) -> tuple[e.Event, ...]:
    """The drafts with ids and time."""
    return tuple(
        e.Event(first_id + place, now, draft.source, draft.body, draft.cause) for place, draft in enumerate(drafts)
    )


def may_open(state: State, command: c.Command) -> bool:
    """Whether the command may lead to a run-time being opened."""
    match command:
        case c.OnTerms(asked, terms):
            return hold(state, terms) and may_open(state, asked)
        case c.AddMessage():
            return command.answered
        case c.SetAgentState():
            return command.agent_state in (e.AgentState.RUNNING, e.AgentState.USER_CONFIRMED)
        case _:
            return isinstance(command, c.Start | c.Resume | c.Join)
