"""What clients asked for and what they were told: the outside's memory, which outlives every life of the server.

What lives here: facts, and the one question that can be asked at any moment, whether something that is seen is on the
media (K8). What must not: the invariants over the whole (`checkers`).
"""

from enum import StrEnum
from typing import Any

import attrs

from bench.checkers import Violation
from tests.fakes.sim_disk import SimDisk
from tests.simulation.world import World

__all__ = ["Command", "Ledger", "Outcome", "log_path"]


class Outcome(StrEnum):
    """What is known of a command that somebody sent."""

    PENDING = "pending"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"  # and it had no effect
    UNKNOWN = "unknown"  # said so, or nobody was left to say anything


@attrs.define(eq=False)
class Command:
    """A message with a text of its own, which is its key as well if it has one (K11). `event_id` is what a client was
    told of where it is."""

    sender: str
    conversation_id: str
    text: str
    has_key: bool = False
    outcome: Outcome = Outcome.PENDING
    event_id: int | None = None
    tries: int = 1
    answers: int = 0

    @property
    def key(self) -> str | None:
        return self.text.replace(" ", ".") if self.has_key else None

    def try_again(self) -> None:
        """The same command under the same key, since nobody knows what became of it."""
        self.tries += 1
        self.outcome, self.answers = Outcome.PENDING, 0

    def settle(self, outcome: Outcome) -> None:
        """Raises `Violation` at the second answer."""
        self.answers += 1
        if self.answers > 1:
            raise Violation(f"{self.text!r} was answered twice: {self.outcome}, {outcome}")
        # That one try had no effect says nothing of those before it.
        is_open = outcome is Outcome.REFUSED and self.tries > 1
        self.outcome = Outcome.UNKNOWN if is_open else outcome

    def lose(self) -> None:
        """Whoever waited for the answer is gone, or the server is."""
        if self.outcome is Outcome.PENDING:
            self.outcome = Outcome.UNKNOWN


def log_path(conversation_id: str) -> str:
    return f"conversations/{conversation_id}/events.jsonl"


@attrs.define
class Ledger:
    """`conversations` by id: those whose creation was acknowledged, and whose deletion nobody has asked for; `deleted`
    are those whose deletion was acknowledged."""

    world: World
    disk: SimDisk
    conversations: list[str] = attrs.field(factory=list)
    deleted: list[str] = attrs.field(factory=list)
    commands: list[Command] = attrs.field(factory=list)

    def command(self, sender: str, conversation_id: str, text: str, *, has_key: bool = False) -> Command:
        command = Command(sender, conversation_id, text, has_key)
        self.commands.append(command)
        return command

    def seen(self, conversation_id: str, event: dict[str, Any]) -> None:
        """A client sees this event now. Raises `Violation` when a power cut could still take it (K8)."""
        if conversation_id not in self.conversations:
            return  # somebody is deleting it
        if b'{"id":%d,' % event["id"] not in self._durable(conversation_id):
            raise Violation(f"seen before it was durable: event {event['id']} of {conversation_id}")

    def acknowledged(self, conversation_id: str, text: str) -> None:
        """A client is told now that this is kept. Raises `Violation` as `seen` does."""
        if conversation_id not in self.conversations:
            return
        if text.encode() not in self._durable(conversation_id):
            raise Violation(f"acknowledged before it was durable: {text!r}")

    def _durable(self, conversation_id: str) -> bytes:
        return self.disk.tree.file(log_path(conversation_id)).durable()
