"""One command in a turn: what was decided about it, and what it is answered with. Pure.

What lives here: `Step`, and how drafts become events. What must not: the turn, which performs (`actor`).
"""

from collections.abc import Callable, Sequence

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
    """A command that was decided: its events, as types and as bytes, and what follows, or why nothing does.

    `answer` is given where nothing follows: a receipt from before (K11), or a refusal. A refusal waits for the batch
    like any answer (K8), since what it was decided on may be an event in front of it.
    """

    envelope: Envelope[Message]
    events: tuple[e.Event, ...] = ()
    payloads: tuple[bytes, ...] = ()
    effects: tuple[Effect, ...] = ()
    answer: Receipt | Exception | None = None

    @property
    def message(self) -> Message:
        """Without the terms that it came on."""
        return without_terms(self.envelope.message)

    @property
    def has_terms(self) -> bool:
        """Whether it came on terms: then it is answered with a receipt."""
        return isinstance(self.envelope.message, c.OnTerms)

    @property
    def is_activity(self) -> bool:
        """K21. Neither a refusal nor an answer from the log is."""
        return bool(self.events) or (self.answer is None and isinstance(self.message, _ACTIVITY))

    def receipt(self, state: State, live: Live, now: Callable[[], str]) -> Receipt:
        """What a client is answered if it is not refused; `state` and `live` are those after the turn."""
        if isinstance(self.answer, Receipt):
            return self.answer
        if not self.events:
            return Receipt(None, shown_status(state, live), now())
        first, used = self.events[0], self.events[-1].body
        if isinstance(used, e.KeyUsed):
            return Receipt(used.event_id, used.status, first.timestamp)
        return Receipt(first.id, shown_status(state, live), first.timestamp)


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
