"""What a look at the data folder may find: facts with a place, for people and for programs. Pure.

What lives here: the codes, and which of them is damage. What must not: how they are told.
"""

from enum import StrEnum

import attrs

__all__ = ["Code", "Finding"]


class Code(StrEnum):
    """What was found. The second half is no damage: nothing is lost by it, and nobody must do anything."""

    LOG_CORRUPT = "log_corrupt"  # a bad record with valid ones behind it (K16)
    LOG_TORN = "log_torn"  # a bad or partial last record or batch: the next opening cuts it (K16)
    LOG_MISSING = "log_missing"
    LOG_SHORT = "log_short"  # it ends before an event that was durable
    EVENT_UNREADABLE = "event_unreadable"  # a whole record whose event makes no sense
    SNAPSHOT_WRONG = "snapshot_wrong"  # it would be believed, and replay gives another state (K18)
    DOCUMENT_DAMAGED = "document_damaged"
    UNREADABLE = "unreadable"  # the disk, or a permission

    BEING_WRITTEN = "being_written"  # a server appends at this moment
    SNAPSHOT_IGNORED = "snapshot_ignored"  # it does not fit: replay takes its place (K18)
    HALF_MADE = "half_made"  # what a crash left; the next start or write removes it
    STRAY = "stray"  # nobody's file

    @property
    def is_damage(self) -> bool:
        return self not in _HARMLESS


_HARMLESS = (Code.BEING_WRITTEN, Code.SNAPSHOT_IGNORED, Code.HALF_MADE, Code.STRAY)


@attrs.frozen
class Finding:
    """`path` is relative to the data folder. `event_id` is the first event that is not as it should be, and stands at
    byte `offset`; `events_before` can be read, `events_behind` are whole in themselves and lie after it."""

    code: Code
    path: str
    why: str
    conversation_id: str | None = None
    event_id: int | None = None
    offset: int | None = None
    events_before: int | None = None
    events_behind: int | None = None
