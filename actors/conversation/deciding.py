"""The first half of a turn: command after command is decided on a provisional state (K6).

What lives here: what a batch comes to before anything of it is durable. What must not: the log, clients, and everything
else that the actor performs; whoever throws a `Deciding` away has changed nothing but a place that was reserved.
"""

from collections.abc import Callable, Sequence

import attrs

from actors.conversation.decide import decide
from actors.conversation.decision import Live, RunTimePhase
from actors.conversation.errors import BadKey, Refused
from actors.conversation.house import House
from actors.conversation.messages import LookAtClock, Message, Subscribe, Unsubscribe
from actors.conversation.state import State
from actors.conversation.step import Step, may_open, stamp
from actors.domain import commands as c
from actors.domain.codec import DecodeError, encode
from actors.runtime import Envelope

__all__ = ["Deciding"]


@attrs.define
class Deciding:
    """`state` and `live` are those behind the `steps` so far. `look` tells what a look at the clock comes to."""

    house: House
    key: str
    state: State
    live: Live
    look: Callable[[], c.Command | None]
    steps: list[Step] = attrs.field(factory=list)

    def take(self, batch: Sequence[Envelope[Message]]) -> None:
        """One step more for each."""
        now = self.house.surroundings.now()
        for envelope in batch:
            try:
                step, live = self._decide(envelope, now)
            except (Refused, DecodeError) as refusal:
                self.steps.append(Step(envelope, answer=refusal))
                continue
            self.steps.append(step)
            for event in step.events:
                self.state = self.house.apply(self.state, event)
            self.live = live

    def _decide(self, envelope: Envelope[Message], now: str) -> tuple[Step, Live]:
        command = self._command(envelope.message)
        if command is None:
            return Step(envelope), self.live
        if self.live.phase is RunTimePhase.CLOSED and not self.state.archived and may_open(self.state, command):
            self.live = attrs.evolve(self.live, room=self.house.reserve_place(self.key))
        decision = decide(self.state, self.live, command)
        events = stamp(decision.drafts, self.state.next_id, now)
        payloads = tuple(map(encode, events))
        return Step(envelope, events, payloads, decision.effects, decision.replayed), decision.live

    def _command(self, message: Message) -> c.Command | None:
        """None for what is only answered. Raises `BadKey`."""
        match message:
            case Subscribe(cursor):
                return None if cursor.left else c.Join()
            case LookAtClock():
                return self.look()
            case Unsubscribe():
                return None
            case c.OnTerms(_, terms):
                masked = self.house.without_secrets(message)
                if masked.terms != terms:
                    raise BadKey
                return masked
            case _:
                return self.house.without_secrets(message)
