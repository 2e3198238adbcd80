"""Bringing a conversation into being, once under one key (K11): what is written, what is answered, and who waits.

What lives here: the first batch of a log, the answer, and the turnstile for those who come with the same key at once.
What must not: the creation itself (`service`), or the index of keys, which is the catalogue's.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from actors.conversation.decision import Live, RunTimePhase
from actors.conversation.keys import Receipt
from actors.conversation.state import title_after
from actors.conversation.summary import describe, v0_status
from actors.domain.codec import encode
from actors.domain.events import ConversationCreated, Event, MessageAction, Source
from actors.domain.fingerprint import fingerprint_of_creation
from storage.catalogue import Entry

__all__ = ["Creation", "OneAtATime", "Plan", "creation", "plan_creation"]

_STATUS = v0_status(Live(RunTimePhase.OPENING))
"""A creation is answered when the run-time is being opened, the first time and every other."""


@attrs.frozen
class Creation:
    """What a creation is answered with."""

    conversation_id: str
    receipt: Receipt


@attrs.frozen
class Plan:
    """A conversation that is not there yet: how the catalogue will have it, and the first batch of its log."""

    entry: Entry
    payloads: tuple[bytes, ...]

    def asks_otherwise(self, before: Entry) -> bool:
        """Whether this is another request than the one that made `before`, under the same key."""
        return self.entry.claim != before.claim


def plan_creation(
    conversation_id: str,
    now: str,
    created: ConversationCreated,
    first_message: MessageAction | None,
    key: str | None,
) -> Plan:
    """Raises `DecodeError` on text that is no Unicode."""
    if key is not None:
        created = attrs.evolve(created, key=key, digest=fingerprint_of_creation(created, first_message))
    if first_message is not None:
        created = attrs.evolve(created, title=created.title or title_after(first_message.content))
    events = [Event(0, now, Source.ENVIRONMENT, created)]
    if first_message is not None:
        events.append(Event(1, now, Source.USER, first_message))
    payloads = tuple(encode(event) for event in events)
    entry = describe(conversation_id, payloads[0])
    assert entry is not None  # noqa: S101 - it was encoded just now
    return Plan(entry, payloads)


def creation(entry: Entry, *, replayed: bool = False) -> Creation:
    """The answer: the same from every try."""
    return Creation(entry.conversation_id, Receipt(0, _STATUS, entry.created, replayed))


class OneAtATime:
    """Who comes with a key that somebody is busy with waits; others do not."""

    def __init__(self) -> None:
        self._locks: dict[str, trio.Lock] = {}

    @asynccontextmanager
    async def turn(self, key: str | None) -> AsyncIterator[None]:
        """Alone with the key for the block; without one, at once."""
        if key is None:
            yield
            return
        lock = self._locks.setdefault(key, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():  # a lock that somebody waits for is theirs by now
                self._locks.pop(key, None)

    def __repr__(self) -> str:
        return f"<OneAtATime {len(self._locks)} keys>"
