"""Conversations with long histories, written as their logs lie on disk: what `revival` and `reading` begin with.

What lives here: the making of a data folder. What must not: a measurement.
"""

from collections.abc import Sequence
from pathlib import Path

import orjson

from storage.catalogue import Entry
from storage.local_disk import LocalDisk
from storage.record import encode_batch
from storage.store import Store

__all__ = ["describe", "event", "fill"]

MOMENT = "2026-01-01T00:00:00.000000Z"


def event(number: int) -> bytes:
    """A note as the server stores it, and before all notes that the conversation was created."""
    wire: dict[str, object] = {"id": number, "timestamp": MOMENT, "source": "user", "message": "x" * 60}
    if number == 0:
        wire |= {"source": "environment", "observation": "greenroom.created", "content": "", "extras": {}}
    else:
        wire |= {"action": "message", "args": {"content": "/note ".ljust(60, "x")}}
    return orjson.dumps(wire)


def describe(conversation_id: str, _: bytes) -> Entry:
    """See `storage.store.Describe`."""
    return Entry(conversation_id, MOMENT)


async def fill(folder: Path, store: Store, conversation_id: str, events: int, tail: int = 0) -> None:
    """A conversation with so many events, the last `tail` of them younger than its snapshot."""
    await store.create(Entry(conversation_id, MOMENT), [event(0)])
    disk = LocalDisk(folder)
    path = f"conversations/{conversation_id}/events.jsonl"
    disk.replace(path, _log(range(events - tail)))
    log = await store.open_log(conversation_id)
    await log.save_snapshot({})
    if tail:
        await log.append([[event(number)] for number in range(events - tail, events)])
    await log.close()


def _log(numbers: Sequence[int]) -> bytes:
    return b"".join(line for number in numbers for line in encode_batch(number, 1, [event(number)]))
