"""What was asked of a store and what it answered, and what of it must be there after a crash."""

from collections.abc import Mapping, Sequence

import attrs

__all__ = ["Conversation", "Told"]

Batch = tuple[bytes, ...]


@attrs.frozen
class Conversation:
    """`batches` were submitted in this order, the first by its creation; `acknowledged` of them for sure."""

    batches: tuple[Batch, ...]
    acknowledged: int = 0
    deletion_asked: bool = False
    deletion_acknowledged: bool = False

    def allows(self, found: Sequence[bytes] | None) -> bool:
        """Whether a recovery may show these events; None is no conversation."""
        if found is None:
            return self.deletion_asked or self.acknowledged == 0
        if self.deletion_acknowledged:
            return False
        least = max(self.acknowledged, 1)  # a conversation without its first batch was never created
        return any(list(found) == self.events(count) for count in range(least, len(self.batches) + 1))

    def events(self, count: int) -> list[bytes]:
        return [event for batch in self.batches[:count] for event in batch]


@attrs.define
class Told:
    """The conversations by id. Every change makes a new value, so that a moment can be kept."""

    conversations: Mapping[str, Conversation] = attrs.field(factory=dict)
    snapshots: tuple[object, ...] = (None,)
    """What loading a snapshot may give."""
    documents: tuple[object, ...] = (None,)
    """What reading the document `settings` may give."""

    def submit(self, name: str, *batches: Batch) -> None:
        known = self.conversations.get(name, Conversation(()))
        self._put(name, attrs.evolve(known, batches=(*known.batches, *batches)))

    def acknowledge(self, name: str) -> None:
        """All that was submitted."""
        known = self.conversations[name]
        self._put(name, attrs.evolve(known, acknowledged=len(known.batches)))

    def withdraw(self, name: str) -> None:
        """What was not acknowledged was refused for good: it must never show up."""
        known = self.conversations[name]
        self._put(name, attrs.evolve(known, batches=known.batches[: known.acknowledged]))

    def ask_deletion(self, name: str) -> None:
        self._put(name, attrs.evolve(self.conversations[name], deletion_asked=True))

    def acknowledge_deletion(self, name: str) -> None:
        self._put(name, attrs.evolve(self.conversations[name], deletion_acknowledged=True))

    def forget(self, name: str) -> None:
        """It is deleted, and the name is free again."""
        self.conversations = {other: known for other, known in self.conversations.items() if other != name}

    def _put(self, name: str, conversation: Conversation) -> None:
        self.conversations = {**self.conversations, name: conversation}

    def at_this_moment(self) -> "Told":
        return attrs.evolve(self)

    def key(self) -> tuple[object, ...]:
        """Equal for two moments at which the same may be found."""
        return (*sorted(self.conversations.items()), repr(self.snapshots), self.documents)

    def check(self, found: Mapping[str, Sequence[bytes]]) -> None:
        """Raises `AssertionError` for what a recovery must not show."""
        assert set(found) <= set(self.conversations), "a conversation that nobody created"
        for name, conversation in self.conversations.items():
            assert conversation.allows(found.get(name)), (name, found.get(name), conversation)
